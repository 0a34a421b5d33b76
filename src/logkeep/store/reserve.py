"""A file that only takes up room, to be given up when the disk is full so that the catalog can go on.

Everything here blocks and is meant to run in a thread.
"""

import errno
import os
from pathlib import Path

from logkeep.store.blocking import told_as_storage_error
from logkeep.store.folders import FILE_MODE

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_ALLOCATE = frozenset({errno.EOPNOTSUPP, errno.EINVAL})
_ZEROS = bytes(1 << 20)


class Reserve:
    """``size_bytes`` really taken at ``path``; 0 means that none is wanted."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def release(self) -> bool:
        """Give the room back; False when there was nothing to give."""
        with told_as_storage_error("release the reserve", self._path):
            try:
                self._path.unlink()
            except FileNotFoundError:
                return False
            return True

    def restore(self) -> bool:
        """Take the room if as much again, and more, stays free; whether the reserve is there now.

        A reserve of another size, or one whose making was interrupted, is made anew.
        """
        with told_as_storage_error("make the reserve", self._path):
            if self._is_whole():
                return True
            self._path.unlink(missing_ok=True)
            if self._size_bytes == 0 or free_bytes(self._path.parent) <= 2 * self._size_bytes:
                return False
            return self._allocate()

    def _is_whole(self) -> bool:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return False
        return self._size_bytes > 0 and found.st_size == self._size_bytes

    def _allocate(self) -> bool:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(fd, FILE_MODE)
            _take(fd, self._size_bytes)
        except OSError as failure:
            self._path.unlink()
            if failure.errno in _NO_ROOM:
                return False
            raise
        finally:
            os.close(fd)
        return True


def free_bytes(folder: Path) -> int:
    """Room left for a user without privileges on the file system of ``folder``."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def _take(fd: int, size_bytes: int) -> None:
    """Have the file system set blocks aside; where it cannot (some network and older ones), write them."""
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError as failure:
        if failure.errno not in _CANNOT_ALLOCATE:
            raise
        for offset_bytes in range(0, size_bytes, len(_ZEROS)):
            os.pwrite(fd, _ZEROS[: size_bytes - offset_bytes], offset_bytes)
