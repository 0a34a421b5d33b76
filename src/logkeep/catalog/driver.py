"""aiosqlite with fewer hops to its thread.

A hop there and back costs more than most of our statements take. SQLAlchemy makes four of each statement (make a
cursor, execute, fetch, close it) and one of each end of a transaction, begun or not. Here a statement with all its rows
is one, and a rollback where nothing was begun is none.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")

_CHUNK_ROWS = 64


def connect(path: Path) -> "Connection":
    """Connect to a file when awaited; its thread dies with the process."""
    connection = Connection(lambda: sqlite3.connect(str(path)), _CHUNK_ROWS)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with connections that it makes itself
    return connection


class Connection(aiosqlite.Connection):
    """See the module. ``_unsure``: a statement failed, or its end was not waited for."""

    _unsure = False

    def cursor(self) -> "Cursor":  # type: ignore[override]
        """A cursor that costs nothing yet."""
        return Cursor(self)

    async def rollback(self) -> None:
        """Undo what was begun, if anything was."""
        if self._unsure or self.in_transaction:
            await super().rollback()
            self._unsure = False

    async def in_its_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` where the connection lives: one hop, whatever it does."""
        self._unsure = True
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        self._unsure = False
        return result


class Cursor:
    """One statement and its rows, in a single hop; what ``fetchall`` and ``close`` need has come with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> "Cursor":
        """Execute, and fetch every row."""
        return await self._run(lambda cursor: cursor.execute(statement, tuple(parameters)))

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> "Cursor":
        """Execute once for each set of parameters."""
        return await self._run(lambda cursor: cursor.executemany(statement, parameters))

    async def fetchall(self) -> list[Any]:
        """The rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is held."""

    async def _run(self, action: Callable[[sqlite3.Cursor], object]) -> "Cursor":
        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                action(cursor)
                self.description, self.lastrowid = cursor.description, cursor.lastrowid
                self._rows = cursor.fetchall() if cursor.description else []
                self.rowcount = cursor.rowcount
            finally:
                cursor.close()

        await self._connection.in_its_thread(work)
        return self
