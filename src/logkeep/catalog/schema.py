"""Bringing a catalog to this program's schema, so that a kill at any step loses nothing.

A file that exists is copied beside itself before the first change: ``<name>.migrating`` while the migration runs,
``<name>.backup-<old schema>`` afterwards. Finding the former at start means that a migration was cut off: the copy is
put back and the migration runs again. A catalog of a newer schema is refused untouched.
"""

import asyncio
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from logkeep.catalog.database import Database, translated
from logkeep.catalog.tables import SCHEMA, metadata
from logkeep.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Migrations:
    """The scripts that lead from one schema to the next, in alembic's layout, and the schema they lead to."""

    folder: Path
    newest: str

    @property
    def known(self) -> set[str]:
        """Every schema that has a script."""
        return {path.name.split("_", 1)[0] for path in (self.folder / "versions").glob("[0-9]*.py")}


OURS = Migrations(Path(__file__).with_name("migrations"), SCHEMA)


async def bring_up_to_date(database: Database, migrations: Migrations = OURS) -> str | None:
    """Migrate; only the holder of the storage lock may call this. Returns the schema it came from, None if new.

    Raises:
        CatalogError: the catalog is newer than this program, damaged, or cannot be copied.
    """
    if database.path is not None:
        with translated(database.path):
            await asyncio.to_thread(_restore_cut_off_migration, database.path)
    await database.open()
    found = await database.schema(_revision)
    if found == migrations.newest:
        return found
    if found is None:
        await database.schema(_create)
        return None
    _refuse_newer(found, database, migrations)
    if database.path is not None:
        with translated(database.path):
            await asyncio.to_thread(_back_up, database.path)
    await database.schema(lambda connection: _upgrade(connection, migrations))
    if database.path is not None:
        with translated(database.path):
            await asyncio.to_thread(_keep_backup, database.path, found)
    return found


async def require_current(database: Database) -> None:
    """Open for a command that runs beside the daemon: nothing is created, nothing migrated.

    Raises:
        CatalogError: the schema is not this program's.
    """
    await database.open()
    if database.path is None:
        await database.schema(metadata.create_all)
        return
    async with database.read() as connection:
        found = await connection.run_sync(_revision)
    if found != SCHEMA:
        _refuse_newer(found, database, OURS)
        raise CatalogError(
            f"catalog {database.path}: schema {found or 'none'} is older than this program's ({SCHEMA}); "
            "start the daemon once, or run `logkeep sync`, to bring it up to date"
        )


def _refuse_newer(found: str | None, database: Database, migrations: Migrations) -> None:
    if found is not None and found not in migrations.known:
        raise CatalogError(
            f"catalog {database.path}: schema {found} was written by a newer logkeep (this one knows "
            f"{migrations.newest}); install that version again"
        )


def _revision(connection: Connection) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & set(metadata.tables):
            where = connection.engine.url.database
            raise CatalogError(f"catalog {where}: it has tables but no schema version; restore a backup of it")
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _create(connection: Connection) -> None:
    """A new catalog: its tables as they are today, all in one transaction, without loading the migrations' library."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:schema)"), {"schema": SCHEMA})


def _upgrade(connection: Connection, migrations: Migrations) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, migrations.newest)


def _restore_cut_off_migration(path: Path) -> None:
    copy = path.with_name(f"{path.name}.migrating")
    if not copy.exists():
        return
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    copy.replace(path)
    _sync_folder(path.parent)


def _back_up(path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.copying")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o600))
    source, target = sqlite3.connect(path), sqlite3.connect(unfinished)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    with unfinished.open("rb") as copy:
        os.fsync(copy.fileno())
    unfinished.replace(path.with_name(f"{path.name}.migrating"))
    _sync_folder(path.parent)


def _keep_backup(path: Path, revision: str) -> None:
    path.with_name(f"{path.name}.migrating").replace(path.with_name(f"{path.name}.backup-{revision}"))
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
