"""Damage on record: archived objects that are not what was recorded, until a good copy is back.

A damaged file that the vendor may still have is wanted again, with a failure that says why; one of a segment takes
the ids that went with it out of the catalog, so that their records are news to the next reading.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog import stream_state
from logkeep.catalog.care import Damage, Due
from logkeep.catalog.damage_tables import damages, lacking_records
from logkeep.catalog.database import Database
from logkeep.catalog.files import is_file
from logkeep.catalog.record_key import record_key
from logkeep.catalog.records import SegmentRecord, StreamRecord
from logkeep.catalog.stream_tables import records as record_table
from logkeep.catalog.stream_tables import segments
from logkeep.catalog.streams import insert_segment
from logkeep.catalog.tables import files
from logkeep.model import Span

DAMAGED = "damaged"
"""How every reason begins that is damage."""
_KEYS_AT_ONCE = 500


class Damages:
    """The damage of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def found(self, due: Due, what: str, *, now: datetime, fetch: bool = False) -> bool:
        """The object is not what was recorded; True where that is news, and then ``fetch`` lets its file be wanted.

        What was found first stays the reason once the damaged copy is set aside.
        """

        async def work(connection: AsyncConnection) -> bool:
            mine = damages.c.path == due.path
            known = (await connection.execute(select(damages.c.aside, damages.c.lacking).where(mine))).one_or_none()
            if known is None:
                await connection.execute(insert(damages).values(await _row(connection, due, what, now)))
            elif not known.aside and known.lacking is None:
                await connection.execute(update(damages).where(mine).values(what=what))
            if fetch and known is None and due.stored is not None:
                reason = f"{DAMAGED}, being fetched again: {what}"
                wanting = update(files).where(*is_file(files, due.account_id, due.stored.file_id))
                wanting = wanting.where(or_(files.c.wanted.is_(False), files.c.lost_at.is_not(None)))
                values = {"wanted": True, "attempted_at": None, "failure": reason, "lost_at": None}
                await connection.execute(wanting.values(**values))
            return known is None

        return await self._database.write(work)

    async def whole(self, path: str) -> bool:
        """A good copy lies in its place again; True where it was damaged. Nothing is wanted because of it any more."""

        async def work(connection: AsyncConnection) -> bool:
            row = (await connection.execute(select(damages).where(damages.c.path == path))).mappings().one_or_none()
            if row is None or row["lacking"] is not None:
                return False
            await connection.execute(delete(damages).where(damages.c.path == path))
            if row["file_id"] is not None:
                resized = files.c.size_bytes.is_distinct_from(row["listed_bytes"])
                still = resized if not row["was_wanted"] else files.c.wanted
                values = {"wanted": still, "failure": "", "lost_at": None}
                mine = is_file(files, row["account_id"], row["file_id"])
                await connection.execute(update(files).where(*mine).values(**values))
            return True

        return await self._database.write(work)

    async def of_account(self, account_id: int) -> list[Damage]:
        """What is damaged of an account, acknowledged or not, by path."""
        return await self._damages(damages.c.account_id == account_id)

    async def at(self, path: str) -> Damage | None:
        """The damage of one object, None when it has none."""
        found = await self._damages(damages.c.path == path)
        return found[0] if found else None

    async def set_aside(self, path: str, where: str) -> None:
        """The damaged copy lies there now."""
        await self._database.write(
            lambda connection: connection.execute(update(damages).where(damages.c.path == path).values(aside=where))
        )

    async def give_up(self, account_id: int, file_ids: Collection[str]) -> None:
        """The vendor has these files no more: they are wanted no longer, and their damage lasts."""

        async def work(connection: AsyncConnection) -> None:
            for file_id in file_ids:
                giving_up = update(files).where(*is_file(files, account_id, file_id))
                await connection.execute(giving_up.values(wanted=False, failure="", lost_at=None))

        await self._database.write(work)

    async def acknowledge(self, account_id: int, span: Span | None, *, by: str, reason: str, now: datetime) -> int:
        """Somebody vouches for the lasting damage of these hours, or of files without one; returns how much that is."""
        hours = damages.c.hour.is_(None) if span is None else damages.c.hour.between(span.first, span.last)
        wanted = select(files.c.file_id).where(files.c.account_id == account_id, files.c.wanted)
        mine = (damages.c.account_id == account_id) & damages.c.file_id.is_not(None) & hours
        values = {"acked_at": now, "acked_by": by, "ack_reason": reason}

        async def work(connection: AsyncConnection) -> int:
            done = update(damages).where(mine, damages.c.acked_at.is_(None), damages.c.file_id.not_in(wanted))
            return int((await connection.execute(done.values(**values))).rowcount)

        return await self._database.write(work)

    async def acknowledge_records(
        self, account_id: int, days: Collection[str], *, by: str, reason: str, now: datetime
    ) -> int:
        """Likewise for the records that are lacking of these days."""
        mine = (damages.c.account_id == account_id) & damages.c.day.in_(days) & (damages.c.lacking > 0)
        values = {"acked_at": now, "acked_by": by, "ack_reason": reason}

        async def work(connection: AsyncConnection) -> int:
            done = update(damages).where(mine, damages.c.acked_at.is_(None)).values(**values)
            return int((await connection.execute(done)).rowcount)

        return await self._database.write(work)

    async def held_by(self, segment_id: int, ids: Collection[str]) -> set[str]:
        """Which of these ids the catalog maps to the segment, or to those that were compacted into it."""
        keys = {record_key(record_id): record_id for record_id in ids}
        found: set[str] = set()
        async with self._database.read() as connection:
            sources = await _sources(connection, segment_id)
            for some in _in_parts(sorted(keys)):
                query = select(record_table.c.record_key).where(
                    record_table.c.stream_id.in_(
                        select(segments.c.stream_id).where(segments.c.segment_id == segment_id)
                    ),
                    record_table.c.record_key.in_(some),
                    record_table.c.segment_id.in_(sources),
                )
                found.update(keys[bytes(key)] for key in (await connection.execute(query)).scalars())
        return found

    async def salvaged(
        self, damage: Damage, segment: SegmentRecord | None, ids: Collection[str], stream: StreamRecord
    ) -> int:
        """A damaged segment is replaced by what could be read of it; returns how many records went with it.

        In one transaction: ``segment``, which is published and holds the records of ``ids``, takes its place; its other
        ids are forgotten, so that their records are news; and the stream's state becomes ``stream``.
        """
        assert damage.segment_id is not None, "a segment's damage"
        segment_id = damage.segment_id

        async def work(connection: AsyncConnection) -> int:
            standing = damages.c.damage_id == damage.damage_id
            if segment is not None and segment.path == damage.path:  # byte for byte what was recorded: all is there
                await connection.execute(delete(damages).where(standing))
                return 0
            sources = await _sources(connection, segment_id)
            mine = (record_table.c.stream_id == stream.stream_id) & record_table.c.segment_id.in_(sources)
            if segment is not None:
                number = await insert_segment(connection, segment)
                for some in _in_parts(sorted(map(record_key, ids))):
                    moving = update(record_table).where(mine, record_table.c.record_key.in_(some))
                    await connection.execute(moving.values(segment_id=number))
            gone = (await connection.execute(select(record_table.c.record_key).where(mine))).scalars().all()
            if gone:
                lost = [{"damage_id": damage.damage_id, "record_key": bytes(key)} for key in gone]
                await connection.execute(insert(lacking_records), lost)
                await connection.execute(delete(record_table).where(mine))
            held = segments.c.segment_id == segment_id
            await connection.execute(delete(segments).where(segments.c.merged_into == segment_id))
            await connection.execute(delete(segments).where(held))
            await connection.execute(update(damages).where(standing).values(lacking=len(gone), segment_id=None))
            if not gone:
                await connection.execute(delete(damages).where(standing))
            await stream_state.replace(connection, stream)
            return len(gone)

        return await self._database.write(work)

    async def recount(self, stream_id: int) -> list[Damage]:
        """Count anew which records are lacking of damaged segments; those of which none is, are returned and ended."""
        lacking = damages.c.lacking.is_not(None) & (damages.c.stream_id == stream_id)
        if not await self._damages(lacking):
            return []

        async def work(connection: AsyncConnection) -> None:
            back = select(record_table.c.record_key).where(record_table.c.stream_id == stream_id)
            of_stream = select(damages.c.damage_id).where(lacking)
            await connection.execute(
                delete(lacking_records).where(
                    lacking_records.c.damage_id.in_(of_stream), lacking_records.c.record_key.in_(back)
                )
            )
            left = select(func.count()).where(lacking_records.c.damage_id == damages.c.damage_id).scalar_subquery()
            await connection.execute(update(damages).where(lacking).values(lacking=left))

        await self._database.write(work)
        ended = await self._damages(lacking & (damages.c.lacking == 0))
        if ended:
            numbers = [damage.damage_id for damage in ended]
            await self._database.write(
                lambda connection: connection.execute(delete(damages).where(damages.c.damage_id.in_(numbers)))
            )
        return ended

    async def _damages(self, condition: Any) -> list[Damage]:
        names = [name for name in Damage.__slots__ if name != "fetching"]
        fetching = func.coalesce(files.c.wanted & files.c.lost_at.is_(None), False).label("fetching")
        same = and_(files.c.account_id == damages.c.account_id, files.c.file_id == damages.c.file_id)
        query = select(*(damages.c[name] for name in names), fetching).outerjoin(files, same).where(condition)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(damages.c.path))).mappings()
            return [Damage(**{**row, "fetching": bool(row["fetching"])}) for row in rows]


async def _row(connection: AsyncConnection, due: Due, what: str, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "account_id": due.account_id,
        "path": due.path,
        "what": what,
        "found_at": now,
        "size_bytes": due.size_bytes,
        "was_wanted": False,
        "records": 0,
    }
    if due.stored is not None:
        columns = (files.c.hour, files.c.wanted, files.c.size_bytes)
        mine = is_file(files, due.account_id, due.stored.file_id)
        hour, wanted, listed = (await connection.execute(select(*columns).where(*mine))).one()
        facts = {"file_id": due.stored.file_id, "version": due.stored.version, "hour": hour}
        return row | facts | {"was_wanted": bool(wanted), "listed_bytes": listed}
    assert due.segment is not None, "one of them"
    names = ("stream_id", "segment_id", "day", "records")
    return row | {name: getattr(due.segment, name) for name in names}


async def _sources(connection: AsyncConnection, segment_id: int) -> list[int]:
    """The segment and those that were compacted into it: records point to the one they were first written to."""
    merged = select(segments.c.segment_id).where(segments.c.merged_into == segment_id)
    return [segment_id, *(await connection.execute(merged)).scalars()]


def _in_parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[at : at + _KEYS_AT_ONCE] for at in range(0, len(keys), _KEYS_AT_ONCE)]
