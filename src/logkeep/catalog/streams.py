"""Record streams: how far each has come, which ids are archived, and the segments that hold them.

A stream's state and the records it vouches for change in one transaction, so a crash never leaves an interval that
claims more than is archived.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog import stream_state
from logkeep.catalog.database import Database, upsert
from logkeep.catalog.record_key import record_key
from logkeep.catalog.records import Oddity, SegmentIntent, SegmentRecord, StreamRecord
from logkeep.catalog.stream_tables import oddities as oddity_table
from logkeep.catalog.stream_tables import records as record_table
from logkeep.catalog.stream_tables import segment_intents
from logkeep.catalog.stream_tables import segments as segment_table
from logkeep.catalog.stream_tables import streams as stream_table
from logkeep.errors import CatalogError

_IDS_PER_QUERY = 500
LIVE = segment_table.c.merged_into.is_(None)
_RETIRED = segment_table.c.merged_into.is_not(None) & ~segment_table.c.removed
SEGMENT_COLUMNS = [segment_table.c[field.name] for field in fields(SegmentRecord)]


class Streams:
    """The record streams of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enrol(self, account_id: int, name: str) -> StreamRecord:
        """The account's stream of that name; a new one where there is none yet."""
        mine = select(stream_table.c.stream_id).where(
            stream_table.c.account_id == account_id, stream_table.c.name == name
        )

        async def work(connection: AsyncConnection) -> StreamRecord:
            stream_id = (await connection.execute(mine)).scalar_one_or_none()
            if stream_id is None:
                values = stream_state.scalars(StreamRecord(0, account_id, name))
                del values["stream_id"]
                inserted = insert(stream_table).values(values).returning(stream_table.c.stream_id)
                stream_id = (await connection.execute(inserted)).scalar_one()
            return await stream_state.load(connection, stream_id)

        return await self._database.write(work)

    async def get(self, stream_id: int) -> StreamRecord:
        """One stream.

        Raises:
            CatalogError: there is none of that number.
        """
        async with self._database.read() as connection:
            return await stream_state.load(connection, stream_id)

    async def of_account(self, account_id: int) -> list[StreamRecord]:
        """The account's streams, oldest first."""
        mine = select(stream_table.c.stream_id).where(stream_table.c.account_id == account_id)
        async with self._database.read() as connection:
            stream_ids = (await connection.execute(mine.order_by(stream_table.c.stream_id))).scalars().all()
            return [await stream_state.load(connection, stream_id) for stream_id in stream_ids]

    async def known(self, stream_id: int, ids: Collection[str]) -> set[str]:
        """Which of these ids are archived."""
        keys = {record_key(record_id): record_id for record_id in ids}
        found: set[str] = set()
        async with self._database.read(once=True) as connection:
            mark = _mark(connection)
            for some in _in_parts(sorted(keys)):
                listed = ",".join([mark] * len(some))
                asking = f"SELECT record_key FROM records WHERE stream_id = {mark} AND record_key IN ({listed})"  # noqa: S608
                rows = await connection.exec_driver_sql(asking, (stream_id, *some))
                found.update(keys[bytes(key)] for key in rows.scalars())
        return found

    async def save(self, stream: StreamRecord, oddities: Sequence[Oddity] = ()) -> None:
        """Replace the stream's whole state; no record was archived with it."""

        async def work(connection: AsyncConnection) -> None:
            await stream_state.replace(connection, stream)
            await stream_state.add_oddities(connection, stream.stream_id, oddities)

        await self._database.write(work)

    async def intend(self, intents: Sequence[SegmentIntent]) -> None:
        """Write down which segments are about to be published."""
        rows = [_values(intent) | {"replaces": list(intent.replaces)} for intent in intents]
        await self._database.write(lambda connection: upsert(connection, segment_intents, rows, ["path"]))

    async def intents(self) -> list[SegmentIntent]:
        """Publications of segments without an outcome."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(segment_intents).order_by(segment_intents.c.path))).mappings()
            return [SegmentIntent(**{**row, "replaces": tuple(row["replaces"])}) for row in rows]

    async def drop_intents(self, intents: Sequence[SegmentIntent]) -> None:
        """These publications did not happen."""
        await self._database.write(lambda connection: _end_intents(connection, [intent.path for intent in intents]))

    async def archived(
        self,
        segments: Sequence[tuple[SegmentRecord, Sequence[str]]],
        stream: StreamRecord | None,
        oddities: Sequence[Oddity] = (),
    ) -> None:
        """The segments are published: they, their records' ids, the end of their intents and the stream's state.

        All in one transaction. The ids must be new to their stream. ``stream`` None leaves its state as it is.

        Raises:
            CatalogError: nothing was recorded; an id or a path may be there already.
        """

        async def work(connection: AsyncConnection) -> None:
            rows: list[tuple[int, bytes, int]] = []
            for segment, ids in segments:
                number = await insert_segment(connection, segment)
                rows += [(segment.stream_id, record_key(record_id), number) for record_id in ids]
            if rows:
                rows.sort()  # neighbours in the table, one after another
                marks = ", ".join([_mark(connection)] * 3)
                await connection.exec_driver_sql(
                    f"INSERT INTO records (stream_id, record_key, segment_id) VALUES ({marks})",  # noqa: S608
                    rows,
                )
            await _end_intents(connection, [segment.path for segment, _ in segments])
            if stream is not None:
                await stream_state.replace(connection, stream)
                await stream_state.add_oddities(connection, stream.stream_id, oddities)

        await self._database.write(work)

    async def compacted(self, segment: SegmentRecord, replaced: Sequence[int]) -> None:
        """``segment`` is published and holds every line of the ``replaced`` ones, which retire; in one transaction.

        Raises:
            CatalogError: nothing was recorded; one of the replaced ones is not live any more.
        """
        of_day = (segment_table.c.stream_id == segment.stream_id) & (segment_table.c.day == segment.day)

        async def work(connection: AsyncConnection) -> None:
            merging = update(segment_table).values(merged_into=await insert_segment(connection, segment))
            retiring = merging.where(of_day, segment_table.c.segment_id.in_(replaced), LIVE)
            if (await connection.execute(retiring)).rowcount != len(set(replaced)):
                raise CatalogError(f"{segment.path}: a segment that it replaces was replaced already")
            await connection.execute(merging.where(of_day, segment_table.c.merged_into.in_(replaced)))
            await _end_intents(connection, [segment.path])

        await self._database.write(work)

    async def retired(self) -> list[SegmentRecord]:
        """Segments whose lines lie in others now and whose files may still be there."""
        return await self._segments(_RETIRED)

    async def drop_retired(self, segment_ids: Sequence[int]) -> None:
        """The files of these retired segments are gone."""
        mine = segment_table.c.segment_id == bindparam("number")
        rows = [{"number": number} for number in segment_ids]

        async def work(connection: AsyncConnection) -> None:
            if rows:
                await connection.execute(update(segment_table).where(mine, _RETIRED).values(removed=True), rows)

        await self._database.write(work)

    async def segments(self, stream_id: int, day: str | None = None) -> list[SegmentRecord]:
        """The segments that hold the stream's records, of one day or all, by day and path; no retired ones."""
        of_day = [] if day is None else [segment_table.c.day == day]
        return await self._segments(segment_table.c.stream_id == stream_id, LIVE, *of_day)

    async def days(self, stream_id: int) -> list[tuple[str, int, int, int]]:
        """Each day with how many segments, records and bytes are archived of it; ``unknown`` is last."""
        day = segment_table.c.day
        return [(row[0], *_counted(row[1:])) for row in await self._sums(stream_id, day, group_by=day)]

    async def totals(self, stream_id: int) -> tuple[int, int, int]:
        """How many records, segments and bytes are archived of the stream."""
        count, records, size_bytes = _counted((await self._sums(stream_id))[0])
        return records, count, size_bytes

    async def segment_of(self, stream_id: int, record_id: str) -> SegmentRecord | None:
        """The segment that holds the record, None when it is not archived."""
        origin = segment_table.alias("origin")
        holder = func.coalesce(origin.c.merged_into, origin.c.segment_id)
        query = (
            select(*SEGMENT_COLUMNS)
            .join(origin, segment_table.c.segment_id == holder)
            .join(record_table, record_table.c.segment_id == origin.c.segment_id)
            .where(record_table.c.stream_id == stream_id, record_table.c.record_key == record_key(record_id))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            return None if row is None else SegmentRecord(**row)

    async def oddities(self, stream_id: int, record_id: str | None = None, limit: int = 100) -> list[Oddity]:
        """What is odd about the stream, or about one record of it, last seen first."""
        columns = [oddity_table.c[field.name] for field in fields(Oddity)]
        query = select(*columns).where(oddity_table.c.stream_id == stream_id)
        if record_id is not None:
            query = query.where(oddity_table.c.record_id == record_id)
        newest = query.order_by(oddity_table.c.at.desc(), oddity_table.c.oddity_id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [Oddity(**row) for row in (await connection.execute(newest)).mappings()]

    async def oddity_counts(self, stream_id: int) -> dict[str, int]:
        """How many different oddities of each kind are remembered, at most 1000."""
        query = select(oddity_table.c.kind, func.count()).where(oddity_table.c.stream_id == stream_id)
        async with self._database.read() as connection:
            return {row[0]: row[1] for row in await connection.execute(query.group_by(oddity_table.c.kind))}

    async def _segments(self, *conditions: Any) -> list[SegmentRecord]:
        query = select(*SEGMENT_COLUMNS).where(*conditions).order_by(segment_table.c.day, segment_table.c.path)
        async with self._database.read() as connection:
            return [SegmentRecord(**row) for row in (await connection.execute(query)).mappings()]

    async def _sums(self, stream_id: int, *columns: Any, group_by: Any = None) -> list[Any]:
        sums = (func.count(), func.sum(segment_table.c.records), func.sum(segment_table.c.size_bytes))
        query = select(*columns, *sums).where(segment_table.c.stream_id == stream_id, LIVE)
        if group_by is not None:
            query = query.group_by(group_by).order_by(group_by)
        async with self._database.read() as connection:
            return list(await connection.execute(query))


async def insert_segment(connection: AsyncConnection, segment: SegmentRecord) -> int:
    """Record a live segment; returns its number."""
    values = _values(segment) | {"merged_into": None, "removed": False, "checked_at": segment.stored_at}
    del values["segment_id"]
    inserted = insert(segment_table).values(values).returning(segment_table.c.segment_id)
    return int((await connection.execute(inserted)).scalar_one())


async def _end_intents(connection: AsyncConnection, paths: Iterable[str]) -> None:
    rows = [{"p": path} for path in paths]
    if rows:
        await connection.execute(delete(segment_intents).where(segment_intents.c.path == bindparam("p")), rows)


def _values(record: SegmentRecord | SegmentIntent) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _counted(sums: Iterable[int | None]) -> tuple[int, int, int]:
    count, records, size_bytes = (int(value or 0) for value in sums)
    return count, records, size_bytes


def _mark(connection: AsyncConnection) -> str:
    """What stands for a parameter; the two statements with thousands of them are written for the driver itself."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _in_parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[at : at + _IDS_PER_QUERY] for at in range(0, len(keys), _IDS_PER_QUERY)]
