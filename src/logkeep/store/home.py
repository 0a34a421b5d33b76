"""Is this the storage path that was meant, can it be written, and is it still the same one?

Everything here blocks and is meant to run in a thread. Errors leave as ``StorageError`` and ``StorageFull``.
"""

import os
import secrets
from pathlib import Path

from logkeep.errors import StorageError, StorageFull
from logkeep.store import folders
from logkeep.store.blocking import shown, told_as_storage_error
from logkeep.store.mount import network_file_system_at

# readers of Hive-style folders pass over names that begin with a dot
_LANDING = ".logkeep-probe"


class Home:
    """A root folder with logkeep's own folders in it; ``own`` is the outermost of these, ``staging`` lies in it."""

    def __init__(self, root: Path, own: Path, staging: Path, quarantine: Path) -> None:
        self._root = root
        self._own = own
        self._staging = staging
        self._folders = (own, staging, quarantine)
        self._identity: tuple[int, int] | None = None
        self.network: str | None = None

    def enter(self, *, create: bool) -> None:
        """Find the folders, making what is missing, and remember which ones they are.

        Without ``create`` a root that holds no folder of ours is refused: it may be the empty mount point of a disk.
        """
        with told_as_storage_error("use the storage path", self._root):
            self._require_ours(create=create)
            for folder in (self._root, *self._folders):
                _make(folder)
            self._identity = _identity(self._root)
            self._require_one_device()
        self.network = network_file_system_at(self._root)

    def prove(self) -> None:
        """Do once what publishing does: write into staging, sync, rename to the root; and remove it again."""
        probe = self._staging / f"probe-{secrets.token_hex(8)}"
        landing = self._root / _LANDING
        with told_as_storage_error("write in the storage path", self._root):
            try:
                with probe.open("xb") as file:
                    file.write(b"logkeep\n")
                    file.flush()
                    os.fsync(file.fileno())
                probe.rename(landing)
            finally:
                probe.unlink(missing_ok=True)
            landing.unlink(missing_ok=True)

    def present(self) -> None:
        """Cheap, and nothing is written: this is a storage, and the one that ``enter`` saw, if it did.

        Raises:
            StorageError: its disk may not be mounted.
        """
        with told_as_storage_error("look at the storage path", self._root):
            self._require_ours(create=False)
            now = _identity(self._root)
        if self._identity not in (None, now):
            raise StorageError(f"{shown(self._root)} is no longer the folder it was at the start; mount its disk again")

    def check(self) -> None:
        """Cheap: same folder, same device, a new file can be made; a full disk is no reason to fail.

        Raises:
            StorageError: it is not so, with what changed.
        """
        with told_as_storage_error("check the storage path", self._root):
            now = _identity(self._root)
            if now != self._identity:
                raise StorageError(
                    f"{shown(self._root)} is no longer the folder it was at the start:"
                    f" {_told(self._identity)} became {_told(now)}; mount its disk again"
                )
            self._require_one_device()
        self._touch()

    def _touch(self) -> None:
        probe = self._own / "probe"  # always the same: what a killed process left is gone after the next check
        try:
            with told_as_storage_error("write in the storage path", self._root):
                probe.touch()
                probe.unlink(missing_ok=True)
        except StorageFull:
            return

    def _require_ours(self, *, create: bool) -> None:
        if self._root.exists() and not self._root.is_dir():
            raise StorageError(f"{shown(self._root)} is not a folder: point [storage] path at one")
        if not create and not self._own.is_dir():
            raise StorageError(
                f"{shown(self._root)} holds no {folders.OWN_FOLDER} folder: mount its disk,"
                " or set [storage] create = true to begin a new archive there"
            )

    def _require_one_device(self) -> None:
        device = self._root.stat().st_dev
        for folder in self._folders:
            if folder.stat().st_dev != device:
                raise StorageError(
                    f"{shown(folder)} lies on another device than {shown(self._root)}:"
                    " publishing must be a rename; keep both on one file system"
                )


def _make(folder: Path) -> None:
    """Make a folder, durably and with our mode whatever the umask; one that is there stays as it is."""
    if folder.is_dir():
        return
    folder.mkdir(folders.FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(folders.FOLDER_MODE)
    folders.sync(folder.parent)


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _told(identity: tuple[int, int] | None) -> str:
    if identity is None:
        return "nothing opened"
    device, inode = identity
    return f"device {os.major(device)}:{os.minor(device)} inode {inode}"
