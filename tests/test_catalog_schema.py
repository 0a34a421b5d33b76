"""The catalog's file: its schema, its migrations, who may read it, and files that are no catalog."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from catalog_crash import make_old, migrate, names, next_migrations
from logkeep.catalog import Catalog, schema
from logkeep.catalog.database import Database
from logkeep.catalog.schema import OURS
from logkeep.catalog.tables import SCHEMA, metadata
from logkeep.errors import CatalogError

PROGRAM = Path(__file__).with_name("catalog_crash.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite3"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_the_schema_of_this_program_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(OURS.folder))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]
    assert max(OURS.known) == SCHEMA


async def test_migrations_lead_to_the_very_tables_that_a_new_catalog_gets(path: Path) -> None:
    """A new catalog is made without them, so they must not differ in a column, a type, a constraint or an index."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    migrated, made = Database(path), Catalog(path.with_name("made.sqlite3"))
    await migrated.open()
    await migrated.schema(lambda connection: schema._upgrade(connection, OURS))
    await made.open()
    assert await migrated.schema(differences) == []
    assert await made.database.schema(differences) == []
    await migrated.close()
    await made.close()
    assert layout(path) == layout(path.with_name("made.sqlite3"))


def layout(path: Path) -> dict[str, object]:
    """What SQLite itself says of every table, its indexes with their conditions, and its foreign keys."""
    told: dict[str, object] = {}
    with closing(sqlite3.connect(path)) as connection:
        for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
            if kind == "table":
                columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
                keys = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
                told[name] = (sorted(column[1:] for column in columns), sorted(key[2:] for key in keys))
                told[f"{name} without rowid"] = "WITHOUT ROWID" in (sql or "").upper()
            else:
                told[name] = (table, " ".join((sql or "").split()))
    return told


async def test_a_migration_keeps_a_backup_of_what_was_there(path: Path, tmp_path: Path) -> None:
    migrations = next_migrations(tmp_path / "migrations")
    await make_old(path)
    assert await migrate(path, migrations) == "0003"
    assert names(path, "accounts", "name") == ["main-migrated"]
    assert names(path.with_name("catalog.sqlite3.backup-0003"), "accounts", "name") == ["main"]
    assert await migrate(path, migrations) == "0004"
    assert names(path, "accounts", "name") == ["main-migrated"], "it ran once"


async def test_a_catalog_of_the_first_schema_keeps_its_rows(path: Path, tmp_path: Path) -> None:
    """Made by the first migration alone, with an account and a pass; the records of its passes are none."""
    folder = tmp_path / "migrations"
    shutil.copytree(OURS.folder, folder)
    first = Database(path)
    await first.open()
    await first.schema(lambda connection: schema._upgrade(connection, schema.Migrations(folder, "0001")))
    await first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = "vendor, name, first_seen_at, watched_from, judged_to, configured"
        connection.execute(f"INSERT INTO accounts ({columns}) VALUES ('pan123', 'main', 1, 2, 2, 1)")  # noqa: S608 - our own words
        connection.execute("INSERT INTO runs (account_id, cause, started_at, outcome) VALUES (1, 'sync', 5, 'ok')")
    catalog = Catalog(path)
    await catalog.open()
    assert [account.name for account in await catalog.accounts.all()] == ["main"]
    assert [(run.cause, run.outcome, run.records) for run in await catalog.runs.latest(1)] == [("sync", "ok", 0)]
    stream = await catalog.streams.enrol(1, "download-logs")
    assert await catalog.streams.get(stream.stream_id) == stream
    await catalog.close()
    assert names(path.with_name("catalog.sqlite3.backup-0001"), "alembic_version", "version_num") == ["0001"]


def test_killed_before_each_step_of_a_migration(tmp_path: Path) -> None:
    """Killed once or twice over, the next start has the new schema, all that was there, and the one right backup."""
    run = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout.splitlines()[-1])
    assert outcome["problems"] == []
    assert outcome["killed"] >= 12, "the attempts must have been killed on the way, not after it"


async def test_a_migration_that_fails_leaves_what_was_there(path: Path, tmp_path: Path) -> None:
    migrations = next_migrations(tmp_path / "migrations")
    script = migrations.folder / "versions" / "0004_next.py"
    sound = script.read_text(encoding="utf-8")
    broken = '    op.execute("INSERT INTO nowhere VALUES (1)")\n'
    script.write_text(sound + broken, encoding="utf-8")
    await make_old(path)
    with pytest.raises(CatalogError, match="no such table: nowhere"):
        await migrate(path, migrations)
    script.write_text(sound, encoding="utf-8")
    assert await migrate(path, migrations) == "0003"
    assert names(path, "accounts", "name") == ["main-migrated"]


async def test_a_catalog_of_a_newer_schema_is_refused_untouched(path: Path, tmp_path: Path) -> None:
    await make_old(path)
    await migrate(path, next_migrations(tmp_path / "migrations"))
    before = path.read_bytes()
    for opening in (Catalog.open, Catalog.open_beside):
        catalog = Catalog(path)
        with pytest.raises(CatalogError, match=r"schema 0004 was written by a newer logkeep .* install that version"):
            await opening(catalog)
        await catalog.close()
    assert path.read_bytes() == before
    assert not path.with_name("catalog.sqlite3.backup-0004").exists()


async def test_a_catalog_of_an_older_schema_is_not_migrated_beside_a_daemon(path: Path) -> None:
    await make_old(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
    catalog = Catalog(path)
    with pytest.raises(CatalogError, match="schema none is older than this program's"):
        await catalog.open_beside()
    await catalog.close()


async def test_tables_without_a_schema_are_somebody_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE files (id)")
    catalog = Catalog(path)
    with pytest.raises(CatalogError, match="it has tables but no schema version"):
        await catalog.open()
    await catalog.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, just some text " * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
async def test_a_file_that_is_no_catalog(path: Path, content: bytes) -> None:
    """One line that says what to do; the file stays as it is."""
    path.write_bytes(content)
    for opening in (Catalog.open, Catalog.open_beside):
        catalog = Catalog(path)
        with pytest.raises(CatalogError, match=r"damaged \(.*\); restore a backup") as caught:
            await opening(catalog)
        await catalog.close()
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == content


async def test_a_catalog_with_a_damaged_page(path: Path) -> None:
    await make_old(path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    catalog = Catalog(path)
    with pytest.raises(CatalogError, match=r"damaged|malformed"):
        await catalog.open()
    await catalog.close()


@pytest.mark.usefixtures("umask")
async def test_only_its_owner_reads_the_catalog_its_log_and_its_backups(path: Path, tmp_path: Path) -> None:
    path.touch()
    path.chmod(0o666)
    catalog = Catalog(path)
    await catalog.open()
    await make_old_too(catalog)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    await catalog.close()
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}


async def make_old_too(catalog: Catalog) -> None:
    """Write something, so that there is a write-ahead log."""
    await catalog.database.schema(lambda connection: connection.exec_driver_sql("PRAGMA user_version=0"))


async def test_a_folder_where_nothing_can_be_made(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "missing" / "catalog.sqlite3")
    with pytest.raises(CatalogError, match="No such file or directory"):
        await catalog.open()
