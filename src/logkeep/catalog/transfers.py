"""Transfers under way: what is being published, what can be resumed, what arrived but disagrees with its promise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.damage_tables import damages
from logkeep.catalog.database import Database, upsert
from logkeep.catalog.files import is_file
from logkeep.catalog.records import Intent, PartialRecord, Sighting
from logkeep.catalog.tables import files, intents, partials, sightings, versions


class Transfers:
    """The transfers of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def intend(self, batch: Sequence[Intent]) -> None:
        """Write down what is about to be published."""
        rows = [{name: getattr(intent, name) for name in intent.__slots__} for intent in batch]
        await self._database.write(lambda connection: upsert(connection, intents, rows, ["account_id", "file_id"]))

    async def intents(self) -> list[Intent]:
        """Publications without an outcome."""
        async with self._database.read() as connection:
            return [Intent(**row) for row in (await connection.execute(select(intents))).mappings()]

    async def archived(self, batch: Sequence[Intent], *, now: datetime) -> None:
        """The batch is published: versions, files and the end of the intents, in one transaction.

        A file stays wanted where its listed size changed while it was being fetched.
        """
        if not batch:
            return

        async def work(connection: AsyncConnection) -> None:
            rows = [_version_row(intent, now) for intent in batch]
            await upsert(connection, versions, rows, ["account_id", "file_id", "version"])
            satisfying = _satisfying().values(versions=bindparam("v"))
            await connection.execute(satisfying, [_satisfied(intent, now) for intent in batch])
            await _forget(connection, [(intent.account_id, intent.file_id) for intent in batch])
            mended = delete(damages).where(damages.c.path == bindparam("p"))
            await connection.execute(mended, [{"p": intent.path} for intent in batch])

        await self._database.write(work)

    async def unchanged(self, account_id: int, file_id: str, *, listed_bytes: int | None, now: datetime) -> None:
        """The file was fetched again and an archived version has the same digest: nothing more is wanted."""

        async def work(connection: AsyncConnection) -> None:
            values = {"a": account_id, "f": file_id, "l": listed_bytes, "now": now}
            kept = select(func.max(versions.c.version)).where(*is_file(versions, account_id, file_id)).scalar_subquery()
            await connection.execute(_satisfying().values(versions=kept), [values])
            await _forget(connection, [(account_id, file_id)])

        await self._database.write(work)

    async def drop_intents(self, batch: Sequence[Intent]) -> None:
        """These publications did not happen."""

        async def work(connection: AsyncConnection) -> None:
            for intent in batch:
                await connection.execute(delete(intents).where(*is_file(intents, intent.account_id, intent.file_id)))

        await self._database.write(work)

    async def partials(self) -> list[PartialRecord]:
        """Every large download on record."""
        async with self._database.read() as connection:
            return [PartialRecord(**row) for row in (await connection.execute(select(partials))).mappings()]

    async def save_partial(self, partial: PartialRecord) -> None:
        """Remember how to resume a large download."""
        row = {name: getattr(partial, name) for name in partial.__slots__}
        await self._database.write(lambda connection: upsert(connection, partials, [row], ["account_id", "file_id"]))

    async def drop_partial(self, account_id: int, file_id: str) -> None:
        """It cannot be resumed."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(partials).where(*is_file(partials, account_id, file_id)))

        await self._database.write(work)

    async def sightings(self, account_id: int, file_id: str) -> list[Sighting]:
        """What arrived complete but disagreeing, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(sightings.c.sha256, sightings.c.seen_at, sightings.c.disagreement, sightings.c.size_bytes)
                .where(*is_file(sightings, account_id, file_id))
                .order_by(sightings.c.sighting_id)
            )
            return [Sighting(**row) for row in rows.mappings()]

    async def add_sighting(self, account_id: int, file_id: str, sighting: Sighting) -> None:
        """One more arrival that disagrees."""
        row = {name: getattr(sighting, name) for name in sighting.__slots__}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(sightings).values(account_id=account_id, file_id=file_id, **row))

        await self._database.write(work)


async def _forget(connection: AsyncConnection, keys: Sequence[tuple[int, str]]) -> None:
    for table in (intents, partials, sightings):
        mine = (table.c.account_id == bindparam("a")) & (table.c.file_id == bindparam("f"))
        await connection.execute(delete(table).where(mine), [{"a": a, "f": f} for a, f in keys])


def _satisfying() -> Any:
    return (
        update(files)
        .where(files.c.account_id == bindparam("a"), files.c.file_id == bindparam("f"))
        .values(
            wanted=bindparam("l").is_not(None) & files.c.size_bytes.is_distinct_from(bindparam("l")),
            attempted_at=bindparam("now"),
            failure="",
            lost_at=None,
        )
    )


def _satisfied(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "a": intent.account_id,
        "f": intent.file_id,
        "l": intent.listed_bytes,
        "now": now,
        "v": intent.version,
    }


def _version_row(intent: Intent, now: datetime) -> dict[str, Any]:
    names = ("account_id", "file_id", "version", "sha256", "size_bytes", "path", "flags")
    return {name: getattr(intent, name) for name in names} | {"stored_at": now, "checked_at": now}
