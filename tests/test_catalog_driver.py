"""The driver beneath the catalog: a transaction never outlives the work that began it, however that work ends."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from logkeep.catalog import driver


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[driver.Connection]:
    opened = driver.connect(tmp_path / "some.sqlite3")
    assert await opened is opened
    await opened.in_its_thread(_prepare)
    yield opened
    await opened.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None
    connection.execute("CREATE TABLE things (name TEXT)")


async def names(connection: driver.Connection) -> list[tuple[str]]:
    return await (await connection.cursor().execute("SELECT name FROM things ORDER BY name")).fetchall()


async def test_a_statement_brings_its_rows_with_it(connection: driver.Connection) -> None:
    await connection.cursor().executemany("INSERT INTO things VALUES (?)", [("b",), ("a",)])
    asked = await connection.cursor().execute("SELECT name FROM things WHERE name = ?", ("a",))
    assert asked.description[0][0] == "name"
    assert await asked.fetchall() == [("a",)]


async def test_a_rollback_undoes_what_was_begun(connection: driver.Connection) -> None:
    await connection.cursor().execute("BEGIN")
    await connection.cursor().execute("INSERT INTO things VALUES ('a')")
    await connection.rollback()
    assert not connection.in_transaction
    assert await names(connection) == []


async def test_a_begin_that_was_not_waited_for_is_undone(connection: driver.Connection) -> None:
    """It happens after the cancellation, in the thread: a look from outside would still say that nothing was begun."""
    before = asyncio.get_running_loop().create_task(connection.in_its_thread(lambda _: _busy()))
    begin = asyncio.get_running_loop().create_task(connection.cursor().execute("BEGIN IMMEDIATE"))
    await asyncio.sleep(0)
    begin.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begin
    assert not connection.in_transaction
    await connection.rollback()
    await before
    assert not await connection.in_its_thread(lambda inner: inner.in_transaction)


def _busy() -> None:
    with sqlite3.connect(":memory:") as other:
        other.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT max(i) FROM n"
        )
    other.close()
