"""Kill a migration before each of its steps in turn, and look at what the next start makes of it: a program for a test.

    python catalog_crash.py FOLDER

Steps are seen by an audit hook: every file opened, renamed or removed, every database connected to, and the marks that
the migration itself sets between its statements. Each attempt is a child that kills itself with SIGKILL. Its last line
is JSON: how many attempts were killed, and every broken promise.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import alembic.command  # loaded before the children are made

from logkeep.catalog import Catalog, schema
from logkeep.catalog.database import Database
from logkeep.catalog.schema import Migrations, bring_up_to_date
from logkeep.model import AccountKey, Hour

WATCHED = ("os.rename", "os.remove", "sqlite3.connect", "test.")
NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
NEXT = '''
"""A schema to come: other values, a new column, a new table."""

import sys

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    sys.audit("test.begun")
    op.execute("UPDATE accounts SET name = name || '-migrated'")
    sys.audit("test.updated")
    op.add_column("accounts", sa.Column("note", sa.Text()))
    sys.audit("test.added")
    op.create_table("notes", sa.Column("note_id", sa.Integer(), primary_key=True))
    sys.audit("test.created")
'''
assert alembic.command is not None


def next_migrations(folder: Path) -> Migrations:
    """Our migrations and one more."""
    shutil.copytree(schema.OURS.folder, folder)
    (folder / "versions" / "0004_next.py").write_text(NEXT, encoding="utf-8")
    return Migrations(folder, "0004")


async def make_old(path: Path) -> None:
    """A catalog of today's schema with something in it."""
    catalog = Catalog(path)
    await catalog.open()
    await catalog.accounts.enrol([AccountKey("pan123", "main")], now=NOW, watched_from=Hour.of(NOW))
    await catalog.close()


async def migrate(path: Path, migrations: Migrations) -> str | None:
    database = Database(path)
    try:
        return await bring_up_to_date(database, migrations)
    finally:
        await database.close()


def killed_before(step: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that ends itself before its n-th step; False when it came to its end."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event.startswith(WATCHED) or (event == "open" and "catalog.sqlite3" in str(arguments[0])):
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def names(path: Path, table: str, column: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]  # noqa: S608 - our own words


def broken_promises(folder: Path, migrations: Migrations) -> list[str]:
    """What is wrong after the next start, which nothing interrupts."""
    path = folder / "catalog.sqlite3"
    asyncio.run(migrate(path, migrations))
    problems = []
    if (found := names(path, "alembic_version", "version_num")) != ["0004"]:
        problems.append(f"the schema is {found}")
    if (found := names(path, "accounts", "name")) != ["main-migrated"]:
        problems.append(f"the account is {found}")
    backup = path.with_name("catalog.sqlite3.backup-0003")
    files = {file.name for file in folder.iterdir()}
    if files != {path.name, backup.name}:
        problems.append(f"there lie {sorted(files)}")
    elif names(backup, "accounts", "name") != ["main"] or names(backup, "alembic_version", "version_num") != ["0003"]:
        problems.append("the backup is not what was there")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    return problems + [f"{name} has mode {mode:o}" for name, mode in modes.items() if mode != 0o600]


def main(folder: Path) -> None:
    os.umask(0)
    migrations = next_migrations(folder / "migrations")
    asyncio.run(make_old(folder / "old.sqlite3"))
    killed, problems = 0, []
    while True:
        home = folder / f"{killed}"
        home.mkdir()
        path = home / "catalog.sqlite3"
        shutil.copyfile(folder / "old.sqlite3", path)
        if not killed_before(killed + 1, lambda path=path: asyncio.run(migrate(path, migrations))):  # type: ignore[misc]
            break
        again = killed_before(killed + 1, lambda path=path: asyncio.run(migrate(path, migrations)))  # type: ignore[misc]
        told = f"killed before step {killed + 1}{', twice' if again else ''}"
        problems += [f"{told}: {found}" for found in broken_promises(home, migrations)]
        killed += 1
    sys.stdout.write(json.dumps({"killed": killed, "problems": problems}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
