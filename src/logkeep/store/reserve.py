"""A file that only takes up room, to be given up when the disk is full so that the catalog can go on.

Everything here blocks and is meant to run in a thread.
"""

import errno
import os
from pathlib import Path

from logkeep.store.blocking import told_as_storage_error
from logkeep.store.folders import FILE_MODE

# no room after all, not for such a file, or a file system and C library that cannot set blocks aside
_NOT_TO_BE_HAD = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EOPNOTSUPP, errno.EINVAL})


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
        """Take the room if more than as much again stays free; True when it was taken just now.

        A reserve of another size, or one whose making was interrupted, is made anew.
        """
        with told_as_storage_error("make the reserve", self._path):
            if self._is_whole():
                return False
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
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(fd, FILE_MODE)
            os.posix_fallocate(fd, 0, self._size_bytes)
        except OSError as failure:
            self._path.unlink(missing_ok=True)
            if failure.errno in _NOT_TO_BE_HAD:
                return False
            raise
        finally:
            os.close(fd)
        return True


def free_bytes(folder: Path) -> int:
    """Room left for a user without privileges on the file system of ``folder``."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
