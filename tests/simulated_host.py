"""The machine beneath the simulated daemon: its disk, its clock, and the libraries that go past our ports.

Files are real, in a folder that is the disk. What can go wrong with a disk is put between: ``full`` (nothing more fits,
until the reserve is given up), ``readonly``, ``gone`` (another, empty folder lies at the mount point, and what is open
answers with I/O errors), and ``dead`` for a process that no longer is: whatever its remains still do has no effect.

A few libraries ask the host for the time, or start a thread, by themselves: APScheduler, asyncio-throttle, aiohttp's
pool of connections, aiosqlite. ``Host.lent`` gives them the simulated ones for as long as a simulation runs.
"""

import asyncio
import errno
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp.connector
import aiosqlite.core
import apscheduler.schedulers.base
import apscheduler.triggers.interval
import asyncio_throttle.throttler

from simulated_loop import VirtualLoop

_BLOCK_BYTES = 4096
_ROOMY_BYTES = 1 << 40
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_ERRNO = {"full": errno.ENOSPC, "readonly": errno.EROFS, "gone": errno.EIO, "dead": errno.EIO}
_CHANGING = ("INSERT", "UPDATE", "DELETE")


class Host:
    """``loop`` is the one that runs now; ``offset`` is how far the host's clock is ahead of the true time."""

    def __init__(self, root: Path, start: datetime) -> None:
        self.root = root
        self.start = start
        self.offset = timedelta()
        self.mode = "well"
        self.loop: VirtualLoop | None = None
        self.connections: list[sqlite3.Connection] = []
        self._away = root.with_name(f"{root.name}-away")

    def true_now(self) -> datetime:
        """The time as everybody else has it."""
        assert self.loop is not None
        return self.start + timedelta(seconds=self.loop.time())

    def now(self) -> datetime:
        return self.true_now() + self.offset

    def monotonic_s(self) -> float:
        assert self.loop is not None
        return self.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def ail(self, mode: str) -> None:
        """From now on the disk is so; ``well`` ends it."""
        if (mode == "gone") != (self.mode == "gone"):
            if mode == "gone":
                self.root.rename(self._away)
                self.root.mkdir()
            else:
                self.root.rmdir()
                self._away.rename(self.root)
        self.mode = mode

    def close_connections(self) -> None:
        """What a kernel does for a process that is gone; what was not committed is rolled back."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """For as long as the context lasts, the libraries and ``os`` are the simulated machine's."""
        host = self

        class HostTime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return host.now().astimezone(tz or UTC)

        time = SimpleNamespace(monotonic=self.monotonic_s)
        changes: list[tuple[Any, str, Any]] = [
            (apscheduler.schedulers.base, "datetime", HostTime),
            (apscheduler.triggers.interval, "datetime", HostTime),
            (asyncio_throttle.throttler, "time", time),
            (aiohttp.connector, "monotonic", self.monotonic_s),
            (aiosqlite.core, "Thread", _NoThread),
            (aiosqlite.core, "SimpleQueue", lambda: _Statements(self)),
            (sqlite3, "connect", _connecting(self)),
            (os, "fsync", self._fsync),
            (os, "statvfs", self._statvfs),
            (os, "open", self._guarded(os.open, opens=True)),
            *((os, name, self._guarded(getattr(os, name))) for name in ("rename", "replace", "unlink", "mkdir")),
        ]
        before = [(module, name, getattr(module, name)) for module, name, _ in changes]
        for module, name, value in changes:
            setattr(module, name, value)
        try:
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)

    def _guarded(self, call: Callable[..., Any], *, opens: bool = False) -> Callable[..., Any]:
        makes = opens or call.__name__ == "mkdir"

        def guarded(path: Any, *args: Any, **named: Any) -> Any:
            if self.mode != "well" and self._concerns(path, named) and (not opens or self._writes(args)):
                fits = self.mode == "full" and (not makes or self._reserve_is_gone())
                if not fits:
                    raise OSError(_ERRNO[self.mode], os.strerror(_ERRNO[self.mode]))
            return call(path, *args, **named)

        return guarded

    def _concerns(self, path: Any, named: dict[str, Any]) -> bool:
        if named.get("dir_fd") is not None or named.get("src_dir_fd") is not None:
            return True
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.root)

    @staticmethod
    def _writes(args: tuple[Any, ...]) -> bool:
        return bool(args) and bool(args[0] & _WRITES)

    def _reserve_is_gone(self) -> bool:
        return not (self.root / ".logkeep" / "reserve").exists()

    def _fsync(self, _descriptor: int) -> None:
        if self.mode in ("gone", "dead"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _statvfs(self, _folder: Any) -> SimpleNamespace:
        free = 0 if self.mode == "full" else _ROOMY_BYTES
        return SimpleNamespace(f_bavail=free // _BLOCK_BYTES, f_frsize=_BLOCK_BYTES)

    def refuse(self, sql: str) -> None:
        """Fail a statement as SQLite does on such a disk."""
        if self.mode in ("gone", "dead"):
            raise _error("disk I/O error", "SQLITE_IOERR")
        if self.mode == "readonly" and (sql.startswith(_CHANGING) or sql == "BEGIN IMMEDIATE"):
            raise _error("attempt to write a readonly database", "SQLITE_READONLY")
        if self.mode == "full" and sql.startswith(_CHANGING) and not self._reserve_is_gone():
            raise _error("database or disk is full", "SQLITE_FULL")


def _error(text: str, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


def _connecting(host: Host) -> Callable[..., sqlite3.Connection]:
    """``sqlite3.connect`` on the simulated disk."""
    connect = sqlite3.connect

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = ()) -> Any:
            host.refuse(sql)
            return super().execute(sql, parameters)

        def executemany(self, sql: str, parameters: Any) -> Any:
            host.refuse(sql)
            return super().executemany(sql, parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, parameters: Any = ()) -> Any:
            return self.cursor().execute(sql, parameters)

        def commit(self) -> None:
            host.refuse("COMMIT")
            super().commit()

    def connecting(database: Any, **named: Any) -> sqlite3.Connection:
        host.refuse("")
        made = connect(database, factory=Connection, **named)
        host.connections.append(made)
        return made

    return connecting


class _NoThread:
    """Takes the place of aiosqlite's thread; its queue does the work."""

    daemon = True

    def __init__(self, **_: Any) -> None:
        """It never runs."""

    def start(self) -> None:
        """It never runs."""


class _Statements:
    """Runs what is put in on the loop, one after another, in the order of arrival."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        loop = self._host.loop
        if loop is None or loop.is_closed():
            with suppress(sqlite3.Error):
                item[1]()
            return
        loop.call_soon(self._run, loop, *item)

    def _run(self, loop: VirtualLoop, future: asyncio.Future[Any] | None, call: Callable[[], Any]) -> None:
        loop.effect()
        try:
            result = loop.inline(call)
        except Exception as error:  # noqa: BLE001 - whoever awaits the future gets it
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)


def seeded(seed: int, name: str) -> random.Random:
    """A stream of chance of its own, so that one more draw here changes nothing there."""
    return random.Random(f"{seed}|{name}")


def let_go(lock: Path) -> None:
    """Close what a dead process still holds of the lock."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if descriptor.readlink() == lock:
                os.close(int(descriptor.name))
