"""One writer at a time: the lock on a storage path.

The kernel holds the lock (``flock``) and lets go of it when its holder ends, however it ends; the text in the file only
says who that was. The file itself stays for ever: removing a lock file lets two processes lock two different files of
the same name.
"""

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from logkeep.clock import Clock, SystemClock
from logkeep.errors import LockHeld
from logkeep.model import rfc3339
from logkeep.store.blocking import told_as_storage_error

_FILE_MODE = 0o640
_TEXT_BYTES = 4096
_FIELD_CHARS = 200
# holder() takes a shared lock for some microseconds; an acquire that meets it must not call that "held"
_TRIES = 5
_BETWEEN_TRIES_S = 0.01


class StorageLock:
    """An exclusive lock on the file ``path``, held from ``acquire`` to ``release`` or to the end of the process.

    It excludes other processes and other locks of this process alike. All calls may block for some milliseconds.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write down who holds it.

        Raises:
            LockHeld: somebody else has it; the message says who.
            StorageError: the lock file cannot be opened, or the file system knows no locks.
        """
        if self._fd is not None:
            raise LockHeld("this very process")
        with told_as_storage_error("lock", self._path):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
            try:
                self._take(fd)
            except BaseException:
                os.close(fd)
                raise
        self._fd = fd

    def release(self) -> None:
        """Let go; no error when it is not held."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            with told_as_storage_error("unlock", self._path):
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def holder(self) -> str | None:
        """Who holds the lock now, in words; None when nobody does.

        Raises:
            StorageError: the lock file cannot be read.
        """
        if self._fd is not None:
            return _described(self._fd)
        with told_as_storage_error("read the lock", self._path):
            try:
                fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return None
            try:
                return None if _taken(fd, fcntl.LOCK_SH, tries=1) else _described(fd)
            finally:
                os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, fd: int) -> None:
        if not _taken(fd, fcntl.LOCK_EX, tries=_TRIES):
            raise LockHeld(_described(fd))
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_at": rfc3339(self._clock.now()),
            "command": shlex.join(sys.argv)[:_FIELD_CHARS],
        }
        _write(fd, json.dumps(facts).encode() + b"\n")


def _taken(fd: int, how: int, *, tries: int) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_BETWEEN_TRIES_S)
        else:
            return True
    return False


def _write(fd: int, line: bytes) -> None:
    os.fchmod(fd, _FILE_MODE)
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))


def _described(fd: int) -> str:
    """What the file says of its holder; anybody may have written there, so nothing of it is taken on trust."""
    try:
        facts = json.loads(os.pread(fd, _TEXT_BYTES, 0).split(b"\n", 1)[0])
        pid, host, since, command = (facts[key] for key in ("pid", "host", "started_at", "command"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process, which did not say who it is"
    return f"process {_plain(pid)} on host {_plain(host)} since {_plain(since)} ({_plain(command)})"


def _plain(fact: object) -> str:
    text = str(fact)[:_FIELD_CHARS]
    return text if text.isprintable() else ascii(text)
