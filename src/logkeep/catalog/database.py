"""The catalog's engine: connections, transactions, and errors in our own words.

One writer at a time inside a process (a lock), ``BEGIN IMMEDIATE`` across processes, WAL so that readers never wait,
``synchronous=FULL`` so that what was committed survives a power cut. A write is a function of its connection, so that
it can run again: once, after the disk's reserve was released to make room.
"""

import asyncio
import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from logkeep.catalog import driver
from logkeep.errors import CatalogError, StorageError, StorageFull

T = TypeVar("T")

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")  # the latter: no room for the index of the write-ahead log
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another process's transaction; ours take milliseconds."""
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA journal_size_limit=8388608",
    "PRAGMA cache_size=-512",  # KiB a connection; what is read again comes from the system's own cache
)


class Database:
    """SQLite in a file, or in memory when ``path`` is None (an empty catalog to read from)."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.on_full: Callable[[], Awaitable[bool]] | None = None
        self._engine: AsyncEngine | None = None
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Connect; a new file is made readable for its owner only, and its WAL with it.

        Raises:
            CatalogError: the file cannot be opened or is no catalog.
        """
        if self.path is None:
            engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool, hide_parameters=True)
        else:
            with translated(self.path):
                engine = await asyncio.to_thread(_engine_of_file, self.path)
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        self._engine = engine

    async def close(self) -> None:
        """Disconnect."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def read(self, *, once: bool = False) -> AsyncIterator[AsyncConnection]:
        """One consistent view; with ``once`` of each statement alone, which is cheaper where there is one.

        Raises:
            CatalogError: the catalog cannot be read.
        """
        with translated(self.path):
            async with self._opened().connect() as connection:
                yield await connection.execution_options(logkeep_once=True) if once else connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run ``work`` in one transaction: all of it is durable when this returns, or none of it happened.

        Where the disk is full, ``on_full`` may make room and the work runs once more.

        Raises:
            StorageFull: no room for the transaction.
            CatalogError: anything else.
        """
        try:
            return await self._write(work)
        except StorageFull:
            if self.on_full is None or not await self.on_full():
                raise
        return await self._write(work)

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with translated(self.path):
            async with self._writing, self._opened().connect() as connection:
                writer = await connection.execution_options(logkeep_write=True)
                async with writer.begin():
                    return await work(writer)

    async def schema(self, work: Callable[[Connection], T]) -> T:
        """Run synchronous schema work in one transaction."""
        return await self.write(lambda connection: connection.run_sync(work))

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise AssertionError("the catalog is used before it is open")
        return self._engine


def _engine_of_file(path: Path) -> AsyncEngine:
    """Blocks: makes the file if there is none, and private whatever the umask; SQLite gives its log the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    url = URL.create("sqlite+aiosqlite", database=str(path))
    return create_async_engine(
        url, pool_size=2, max_overflow=4, hide_parameters=True, async_creator=partial(_connected, path)
    )


async def _connected(path: Path) -> aiosqlite.Connection:
    return await driver.connect(path)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver's guesses
    with closing(connection.cursor()) as cursor:  # an unfinished statement would keep the file open
        for pragma in _PRAGMAS:
            cursor.execute(pragma)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("logkeep_once", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("logkeep_write", False) else "BEGIN")


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn the driver's exceptions into ours, without statements or parameters."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _ours(getattr(error, "orig", None) or error, path) from None
    except (sqlite3.Error, OSError) as error:
        raise _ours(error, path) from None


def _ours(error: BaseException, path: Path | None) -> StorageError | CatalogError:
    text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    where = path or "in memory"
    if getattr(error, "sqlite_errorname", "") in _FULL or getattr(error, "errno", None) in _NO_ROOM:
        return StorageFull(f"catalog {where}: no room; free some space")
    if "malformed" in text or "not a database" in text:
        return CatalogError(f"catalog {where}: damaged ({text}); restore a backup that lies beside it")
    return CatalogError(f"catalog {where}: {text}; check that the file and its folder can be written by this user")


async def upsert(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> None:
    """Insert the rows; where one with the same ``keys`` exists, its other columns become the new ones."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    upserting = statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
    await connection.execute(upserting, list(rows))
