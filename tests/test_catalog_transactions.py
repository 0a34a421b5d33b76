"""The catalog's transactions: readers never wait, writers take turns, a full disk is told and made room on once."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog import Catalog
from logkeep.errors import CatalogError, StorageFull
from logkeep.model import AccountKey, Hour
from logkeep.store.local import LocalStore

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
KIB = 1024


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    await made.open()
    await made.accounts.enrol([AccountKey("pan123", "main")], now=NOW, watched_from=Hour(100))
    yield made
    await made.close()


async def a_large_write(connection: AsyncConnection) -> None:
    await connection.execute(text("UPDATE accounts SET trouble_reason = :long"), {"long": "x" * 600 * KIB})


async def limit_pages(catalog: Catalog, pages: int) -> None:
    """Let the file grow to so many pages and then be full, as SQLite itself tells it."""

    def set_limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    async with catalog.database.read() as connection:
        await connection.run_sync(set_limit)


async def test_a_reader_opens_and_reads_while_a_write_is_under_way(catalog: Catalog, tmp_path: Path) -> None:
    """It waits for nobody, and sees what was there before."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE accounts SET name = 'renamed'"))
        begun.set()
        await over.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(catalog.database.write(slow))
        await begun.wait()
        beside = Catalog(tmp_path / "catalog.sqlite3")
        async with asyncio.timeout(5):
            await beside.open_beside()
            assert [account.name for account in await beside.accounts.all()] == ["main"]
        over.set()
    assert [account.name for account in await beside.accounts.all()] == ["renamed"]
    await beside.close()


async def test_two_keepers_writes_wait_for_each_other_and_none_is_lost(catalog: Catalog, tmp_path: Path) -> None:
    beside = Catalog(tmp_path / "catalog.sqlite3")
    await beside.open_beside()

    async def count_up(connection: AsyncConnection) -> None:
        found = (await connection.execute(text("SELECT coalesce(span_limit, 0) FROM accounts"))).scalar_one()
        await connection.execute(text("UPDATE accounts SET span_limit = :next"), {"next": found + 1})

    await asyncio.gather(*(store.database.write(count_up) for store in (catalog, beside) * 20))
    assert (await beside.accounts.get(1)).span_limit == 40
    await beside.close()


async def test_one_view_is_consistent_although_somebody_writes_meanwhile(catalog: Catalog, tmp_path: Path) -> None:
    beside = Catalog(tmp_path / "catalog.sqlite3")
    await beside.open_beside()
    names = text("SELECT name FROM accounts")
    async with beside.database.read() as connection:
        before = (await connection.execute(names)).scalars().all()
        await catalog.accounts.enrol([AccountKey("pan123", "new")], now=NOW, watched_from=Hour(100))
        assert (await connection.execute(names)).scalars().all() == before
    assert len(await beside.accounts.all()) == 2
    await beside.close()


async def test_a_write_that_finds_the_disk_full_makes_room_once_and_runs_again(catalog: Catalog) -> None:
    asked = []

    async def make_room() -> bool:
        asked.append(await catalog.accounts.all())
        await limit_pages(catalog, 2**30)
        return True

    catalog.database.on_full = make_room
    await limit_pages(catalog, 1)
    await catalog.database.write(a_large_write)
    assert len(asked) == 1
    async with catalog.database.read() as connection:
        assert (await connection.execute(text("SELECT length(trouble_reason) FROM accounts"))).scalar() == 600 * KIB


@pytest.mark.parametrize("released", [True, False])
async def test_a_disk_that_stays_full_is_told_and_nothing_of_the_write_stays(catalog: Catalog, released: bool) -> None:
    asked = []

    async def no_room() -> bool:
        asked.append(1)
        return released

    catalog.database.on_full = no_room
    await limit_pages(catalog, 1)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE accounts SET name = 'renamed'"))
        await a_large_write(connection)

    with pytest.raises(StorageFull, match="no room; free some space"):
        await catalog.database.write(work)
    assert len(asked) == 1
    assert [account.name for account in await catalog.accounts.all()] == ["main"]
    await limit_pages(catalog, 2**30)
    await catalog.database.write(work)
    assert [account.name for account in await catalog.accounts.all()] == ["renamed"]


async def test_an_error_names_the_file_and_the_trouble_but_no_statement_and_no_value(catalog: Catalog) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            text("INSERT INTO tokens (credential, access_token) VALUES ('c', :token)"), {"token": "a-secret-token"}
        )

    with pytest.raises(CatalogError, match="NOT NULL constraint failed") as caught:
        await catalog.database.write(work)
    assert "a-secret-token" not in str(caught.value)
    assert "INSERT" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 2 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "logkeep-test", str(point)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {run.stderr.strip()}")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return filler


@pytest.mark.system
async def test_on_a_disk_that_is_full_the_reserve_lets_the_ledger_go_on(small_disk: Path) -> None:
    """The write takes the reserve's room; when that is used up as well it is told, and reading goes on."""
    store = LocalStore(small_disk, create=True, reserve_bytes=900 * KIB)
    await store.open()
    catalog = Catalog(small_disk / "catalog.sqlite3")
    catalog.database.on_full = store.release_reserve
    await catalog.open()
    await catalog.accounts.enrol([AccountKey("pan123", "main")], now=NOW, watched_from=Hour(100))
    fill(small_disk)
    await catalog.database.write(a_large_write)
    assert not (small_disk / ".logkeep" / "reserve").exists()
    filler = fill(small_disk)

    async def more_than_the_disk(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE accounts SET name = :long"), {"long": "x" * 4096 * KIB})

    with pytest.raises(StorageFull):
        await catalog.database.write(more_than_the_disk)
    assert [account.name for account in await catalog.accounts.all()] == ["main"]
    filler.unlink()
    await catalog.database.write(a_large_write)
    await catalog.close()


@pytest.mark.system
@pytest.mark.parametrize("left_kib", [0, 4, 8, 16, 32, 40])
async def test_a_catalog_that_cannot_be_opened_for_want_of_room(small_disk: Path, left_kib: int) -> None:
    """However little is missing: the file, its log, or the log's index. Nothing keeps the disk busy afterwards."""
    (small_disk / "filler").write_bytes(b"\0" * (2048 - left_kib) * KIB)
    catalog = Catalog(small_disk / "catalog.sqlite3")
    with pytest.raises(StorageFull, match="no room"):
        await catalog.open()
    await catalog.close()
    assert [file.path for file in psutil.Process().open_files() if small_disk in Path(file.path).parents] == []
