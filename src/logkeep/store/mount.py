"""Which file system a path lies on, read from ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)).

It matters for one reason: SQLite's write-ahead log needs memory shared between its users, which no network file
system offers, so the catalog must live elsewhere there.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOUNTINFO = Path("/proc/self/mountinfo")

_NETWORK = re.compile(
    r"9p|afs|beegfs|ceph|cifs|coda|davfs|lustre|ncpfs|nfs4?|orangefs|pvfs2|smb3|smbfs"
    r"|fuse(blk)?\.(blobfuse2?|ceph|cosfs|curlftpfs|davfs2?|gcsfuse|glusterfs|goofys|juicefs|mount(point)?-s3|ossfs"
    r"|rclone|s3fs|seaweedfs|smbnetfs|sshfs)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")
_SEPARATOR = "-"
_MOUNT_POINT_FIELD = 4
_FIELDS_BEFORE_SEPARATOR = 6


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. ``kind`` is the kernel's name for its type, such as ``ext4`` or ``fuse.sshfs``."""

    point: PurePosixPath
    kind: str


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in the kernel's order; a line of another shape is passed over."""
    return [mount for line in text.split("\n") if (mount := _parse_line(line)) is not None]


def mount_of(path: PurePosixPath, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that an absolute path, free of symlinks, lies on.

    That is the deepest mount point above it; of several on the same point the last, which covers the others.
    """
    found: Mount | None = None
    for mount in mounts:
        if path.is_relative_to(mount.point) and (found is None or len(mount.point.parts) >= len(found.point.parts)):
            found = mount
    return found


def is_network(kind: str) -> bool:
    """Whether files of this kind of file system are served by another machine."""
    return _NETWORK.fullmatch(kind) is not None


def network_file_system_at(path: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """The kind of network file system under ``path``; None when it is local, or the kernel does not tell."""
    try:
        # a mount point may hold any bytes
        text = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
        real = os.path.realpath(path)
    except OSError:
        return None
    mount = mount_of(PurePosixPath(real), parse_mountinfo(text))
    return mount.kind if mount is not None and is_network(mount.kind) else None


def _parse_line(line: str) -> Mount | None:
    """Six fields, any number of optional ones, a hyphen, then the type: ``36 35 98:0 / /mnt rw shared:1 - ext4 …``."""
    fields = line.split(" ")
    try:
        separator = fields.index(_SEPARATOR, _FIELDS_BEFORE_SEPARATOR)
        kind = fields[separator + 1]
    except (ValueError, IndexError):
        return None
    point = PurePosixPath(_unescaped(fields[_MOUNT_POINT_FIELD]))
    return Mount(point, kind) if kind and point.is_absolute() else None


def _unescaped(field: str) -> str:
    r"""Undo the kernel's ``\040`` for space, ``\011`` tab, ``\012`` newline, ``\134`` backslash."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)
