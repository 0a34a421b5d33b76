"""A catalog as the version before this one would have left it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from logkeep.catalog import schema
from logkeep.catalog.database import Database
from logkeep.catalog.schema import OURS, Migrations

OLD = "0002"


async def age(catalog: Path) -> None:
    """Turn it back, closed, into one of an older schema, with every row that has a place there."""
    old = catalog.with_name("old.sqlite3")
    database = Database(old)
    await database.open()
    await database.schema(lambda connection: schema._upgrade(connection, Migrations(OURS.folder, OLD)))
    await database.close()
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("ATTACH DATABASE ? AS new", (str(catalog),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if table != "alembic_version":
                columns = ", ".join(f'"{name}"' for name in _columns(connection, "main", table))
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608 - names of our own tables
        connection.commit()
    old.replace(catalog)


def _columns(connection: sqlite3.Connection, place: str, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA {place}.table_info({table})")]
