"""Filling a new catalog from what lies in the archive, a batch in one transaction, so that it can be cut off."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database, upsert
from logkeep.catalog.files import is_file, save_files
from logkeep.catalog.record_key import record_key
from logkeep.catalog.records import FileRecord, SegmentRecord
from logkeep.catalog.stream_tables import records as record_table
from logkeep.catalog.stream_tables import segments, streams
from logkeep.catalog.streams import insert_segment
from logkeep.catalog.tables import files, versions
from logkeep.model import Hour, Span, StoredFile


@dataclass(frozen=True, slots=True)
class Found:
    """A file's version as the archive shows it; ``doubt`` is why its bytes may not be the vendor's, "" for nothing."""

    account_id: int
    stored: StoredFile
    name: str
    hour: Hour | None
    doubt: str = ""


class Adoption:
    """Adopts archived objects into one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self) -> dict[str, int]:
        """The paths adopted so far, with their bytes."""
        paths: dict[str, int] = {}
        async with self._database.read() as connection:
            for table in (versions, segments):
                rows = await connection.execute(select(table.c.path, table.c.size_bytes))
                paths |= {row[0]: int(row[1]) for row in rows}
        return paths

    async def forget(self, paths: Collection[str]) -> None:
        """These are there no more; a file without a version left is forgotten as well."""
        rows = [{"p": path} for path in paths]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(versions).where(versions.c.path == bindparam("p")), rows)
            gone = select(segments.c.segment_id).where(segments.c.path == bindparam("p"))
            await connection.execute(delete(record_table).where(record_table.c.segment_id.in_(gone)), rows)
            await connection.execute(delete(segments).where(segments.c.path == bindparam("p")), rows)
            left = select(versions.c.file_id).where(versions.c.account_id == files.c.account_id)
            await connection.execute(delete(files).where(files.c.file_id.not_in(left)))

        if rows:
            await self._database.write(work)

    async def files(self, batch: Sequence[Found], *, now: datetime) -> list[str]:
        """Adopt versions; returns the paths of those that cannot be, because another object has their place."""

        async def work(connection: AsyncConnection) -> list[str]:
            return [found.stored.path for found in batch if not await _adopt(connection, found, now)]

        return await self._database.write(work)

    async def segment(self, segment: SegmentRecord, ids: Sequence[str], *, now: datetime) -> None:
        """Adopt a segment and the ids of those of its records that lie in no other."""

        async def work(connection: AsyncConnection) -> None:
            number = await insert_segment(connection, segment)
            mine = segments.c.segment_id == number
            await connection.execute(update(segments).where(mine).values(checked_at=now))
            keys = sorted({record_key(record_id) for record_id in ids})
            rows = [{"stream_id": segment.stream_id, "record_key": key, "segment_id": number} for key in keys]
            if rows:
                await connection.execute(insert(record_table), rows)

        await self._database.write(work)

    async def retire(self, segment: SegmentRecord, into: str) -> None:
        """A segment all of whose lines lie in the one at ``into``: compaction was cut off before it could remove it."""

        async def work(connection: AsyncConnection) -> None:
            holder = select(segments.c.segment_id).where(segments.c.path == into).scalar_subquery()
            number = await insert_segment(connection, segment)
            retiring = update(segments).where(segments.c.segment_id == number)
            await connection.execute(retiring.values(merged_into=holder))

        await self._database.write(work)

    async def oldest(self, stream_id: int, moment: datetime) -> None:
        """A record of this time is archived."""
        mine = (streams.c.stream_id == stream_id) & (streams.c.oldest.is_(None) | (streams.c.oldest > moment))
        await self._database.write(
            lambda connection: connection.execute(update(streams).where(mine).values(oldest=moment))
        )


async def _adopt(connection: AsyncConnection, found: Found, now: datetime) -> bool:
    stored, account_id = found.stored, found.account_id
    mine = is_file(versions, account_id, stored.file_id)
    others = (await connection.execute(select(versions.c.version, versions.c.sha256).where(*mine))).all()
    if any(version == stored.version or sha256 == stored.sha256 for version, sha256 in others):
        return False
    row = {name: getattr(stored, name) for name in StoredFile.__slots__}
    values = {"account_id": account_id, **row, "checked_at": now}
    await upsert(connection, versions, [values], ["account_id", "file_id", "version"])
    if all(version < stored.version for version, _ in others):
        await save_files(connection, account_id, [_file(found)])
    return True


def _file(found: Found) -> FileRecord:
    stored = found.stored
    seen = found.hour or Hour.of(stored.stored_at)
    record = FileRecord(
        file_id=stored.file_id,
        name=found.name,
        size_bytes=stored.size_bytes,
        hour=found.hour,
        seen_in=Span(seen, seen),
        first_seen_at=stored.stored_at,
        last_seen_at=stored.stored_at,
        wanted=False,
        versions=stored.version,
    )
    return replace(record, wanted=True, failure=found.doubt) if found.doubt else record
