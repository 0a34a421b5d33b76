"""What a traced process does to the world: to files below one folder, and to its vendors over the network."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import crash_points_ptrace as ptrace
from crash_points_ptrace import Stop

_CREATE, _TRUNCATE, _APPEND = os.O_CREAT, os.O_TRUNC, os.O_APPEND
_REMOVE_FOLDER = 0x200
_IN_PLACE = {
    "write": "write",
    "pwrite64": "write",
    "fsync": "sync",
    "fdatasync": "sync",
    "ftruncate": "cut",
    "fallocate": "extend",
    "fchmod": "mode",
    "fchown": "mode",
}
_BY_NAME = {
    "open": ("create", -1, 0),
    "creat": ("create", -1, 0),
    "openat": ("create", 0, 1),
    "mkdir": ("mkdir", -1, 0),
    "mkdirat": ("mkdir", 0, 1),
    "rmdir": ("rmdir", -1, 0),
    "unlink": ("unlink", -1, 0),
    "unlinkat": ("unlink", 0, 1),
    "rename": ("rename", -1, 0),
    "renameat": ("rename", 0, 1),
    "renameat2": ("rename", 0, 1),
    "chmod": ("mode", -1, 0),
    "fchmodat": ("mode", 0, 1),
    "chown": ("mode", -1, 0),
    "fchownat": ("mode", 0, 1),
}
_TARGETS = {"rename": (-1, 1), "renameat": (2, 3), "renameat2": (2, 3)}
_SENDS = ("sendto", "sendmsg")


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect. ``kind``: create, write, cut, extend, sync, mode, mkdir, rmdir, rename, unlink, send.

    ``path`` and ``target`` (of a rename) are relative to the folder, "" for itself. ``node`` is the inode of the file
    or folder that it is done to, 0 for none.
    """

    call: str
    kind: str
    path: str = ""
    target: str = ""
    node: int = 0
    offset: int = 0
    size: int = 0
    data: bytes = b""


class Onlooker:
    """Tells what a stopped call of the process ``pid`` is about to do."""

    def __init__(self, pid: int, root: Path) -> None:
        self._root = root
        self._proc = Path(f"/proc/{pid}")
        self._memory = os.open(self._proc / "mem", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._memory)

    def effect(self, stop: Stop) -> Effect | None:
        """The effect, None where the call has none that counts.

        Raises:
            AssertionError: it is of a kind that nobody thought of.
        """
        if stop.call in _BY_NAME:
            return self._by_name(stop)
        where = self._descriptor(stop.args[0])
        if stop.call in _SENDS:
            several = stop.call == "sendmsg" or stop.args[2] > 1  # one byte only wakes the process's own loop up
            return Effect(stop.call, "send") if several and where.startswith("socket:") else None
        path = self._inside(where)
        if path is None:
            return None
        assert stop.call in _IN_PLACE, f"{stop.call} of {path} is not among the effects that are known"
        return self._in_place(stop, path)

    def created(self, effect: Effect, descriptor: int) -> int:
        """The inode that a call has made or cut; ``descriptor`` is what an open returned, negative for a folder."""
        if descriptor >= 0 and effect.kind == "create":
            return self._open_file(descriptor).stat().st_ino
        return (self._root / effect.path).lstat().st_ino

    def _by_name(self, stop: Stop) -> Effect | None:
        kind, folder_arg, name_arg = _BY_NAME[stop.call]
        if kind == "create" and not self._flags(stop) & (_CREATE | _TRUNCATE):
            return None
        path = self._named(stop, folder_arg, name_arg)
        if path is None:
            return None
        node, size = self._facts(path)
        if kind == "create":
            if node == 0:
                return Effect(stop.call, "create", path)
            cuts = self._flags(stop) & _TRUNCATE and size
            return Effect(stop.call, "cut", path, node=node) if cuts else None
        if kind == "unlink" and stop.call == "unlinkat" and stop.args[2] & _REMOVE_FOLDER:
            kind = "rmdir"
        if kind == "rename":
            target = self._named(stop, *_TARGETS[stop.call])
            assert target is not None, f"{path} leaves the folder"
            return Effect(stop.call, kind, path, target, node)
        return Effect(stop.call, kind, path, node=node)

    def _in_place(self, stop: Stop, path: str) -> Effect:
        facts = self._open_file(stop.args[0]).stat()
        kind, node = _IN_PLACE[stop.call], facts.st_ino
        if kind == "write":
            data = os.pread(self._memory, stop.args[2], stop.args[1])
            assert len(data) == stop.args[2], f"only a part of what is written to {path} was read"
            offset = stop.args[3] if stop.call == "pwrite64" else self._position(stop.args[0], facts.st_size)
            return Effect(stop.call, kind, path, node=node, offset=offset, data=data)
        if kind == "extend":
            assert stop.args[1] == 0, "room is taken from the beginning on, and the size grows with it"
            return Effect(stop.call, kind, path, node=node, size=stop.args[2] + stop.args[3])
        size = stop.args[1] if kind == "cut" else 0
        return Effect(stop.call, kind, path, node=node, size=size)

    def _position(self, descriptor: int, size: int) -> int:
        lines = (self._proc / "fdinfo" / str(descriptor)).read_text(encoding="ascii").splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        return size if int(facts["flags"], 8) & _APPEND else int(facts["pos"])

    @staticmethod
    def _flags(stop: Stop) -> int:
        return _CREATE | _TRUNCATE if stop.call == "creat" else stop.args[1 if stop.call == "open" else 2]

    def _named(self, stop: Stop, folder_arg: int, name_arg: int) -> str | None:
        name = ptrace.text_at(self._memory, stop.args[name_arg])
        at = ptrace.AT_FDCWD if folder_arg < 0 else _signed(stop.args[folder_arg])
        return self._inside(str(Path(self._folder(at), name)) if not name.startswith("/") else name)

    def _folder(self, at: int) -> str:
        return str((self._proc / "cwd").readlink()) if at == ptrace.AT_FDCWD else self._descriptor(at)

    def _descriptor(self, number: int) -> str:
        try:
            return str(self._open_file(number).readlink())
        except FileNotFoundError:
            return ""

    def _open_file(self, descriptor: int) -> Path:
        return self._proc / "fd" / str(descriptor & 0xFFFFFFFF)

    def _inside(self, path: str) -> str | None:
        path, root = os.path.normpath(path), str(self._root)
        if path == root:
            return ""
        return path[len(root) + 1 :] if path.startswith(f"{root}/") else None

    def _facts(self, path: str) -> tuple[int, int]:
        try:
            facts = (self._root / path).lstat()
        except FileNotFoundError:
            return 0, 0
        return facts.st_ino, facts.st_size


def _signed(argument: int) -> int:
    """A descriptor as the system takes it: the lower 32 bits."""
    number: int = struct.unpack("i", struct.pack("I", argument & 0xFFFFFFFF))[0]
    return number
