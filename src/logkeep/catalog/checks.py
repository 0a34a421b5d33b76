"""When each archived object was last read whole: which is next, and how old the oldest such moment is."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.care import Care, Due
from logkeep.catalog.damage_tables import damages
from logkeep.catalog.database import Database
from logkeep.catalog.files import stored_file
from logkeep.catalog.records import SegmentRecord
from logkeep.catalog.stream_tables import segments, streams
from logkeep.catalog.streams import LIVE, SEGMENT_COLUMNS
from logkeep.catalog.tables import versions

_TABLES = (versions, segments)


class Checks:
    """The checks of one catalog. A damaged object counts as checked when it was looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(
        self,
        *,
        before: datetime,
        after: Due | None = None,
        account_ids: Collection[int] | None = None,
        limit: int = 500,
    ) -> list[Due]:
        """The objects last checked earlier than ``before``, the least recently first, those after ``after``."""
        async with self._database.read() as connection:
            files = [
                Due(row["account_id"], row["checked_at"], stored=stored_file(row))
                for row in await _rows(connection, select(versions), versions, before, after, account_ids, limit)
            ]
            query = select(streams.c.account_id, segments.c.checked_at, *SEGMENT_COLUMNS).join(streams).where(LIVE)
            held = [
                Due(row["account_id"], row["checked_at"], segment=_segment(row))
                for row in await _rows(connection, query, segments, before, after, account_ids, limit)
            ]
        return sorted([*files, *held], key=_place)[:limit]

    async def totals(
        self, *, before: datetime | None = None, account_ids: Collection[int] | None = None
    ) -> tuple[int, int]:
        """How many archived objects there are, and their bytes; of those last checked earlier than ``before``."""
        count = size_bytes = 0
        async with self._database.read() as connection:
            for table in _TABLES:
                sums = func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)
                asked = _from(table, *sums).where(*_of_accounts(table, account_ids))
                if before is not None:
                    asked = asked.where(table.c.checked_at < before)
                row = (await connection.execute(asked)).one()
                count, size_bytes = count + int(row[0]), size_bytes + int(row[1])
        return count, size_bytes

    async def newest(self) -> datetime | None:
        """The latest moment at which any object was checked; in the future, where the clock was set back since."""
        async with self._database.read() as connection:
            moments = [(await connection.execute(_from(t, func.max(t.c.checked_at)))).scalar() for t in _TABLES]
        return max(filter(None, moments), default=None)

    async def care(self, account_id: int) -> Care:
        """How well an account's archive is looked after."""
        standing = select(func.count()).where(damages.c.account_id == account_id, damages.c.acked_at.is_(None))
        async with self._database.read() as connection:
            moments = []
            for table in _TABLES:
                query = _from(table, func.min(table.c.checked_at)).where(*_of_accounts(table, [account_id]))
                moments.append((await connection.execute(query)).scalar())
            found = (await connection.execute(standing)).scalar_one()
        return Care(min(filter(None, moments), default=None), int(found))

    async def checked(self, objects: Sequence[Due], *, at: datetime) -> None:
        """These were read again, whatever was found."""
        files = [
            {"a": due.account_id, "f": due.stored.file_id, "v": due.stored.version}
            for due in objects
            if due.stored is not None
        ]
        held = [{"s": due.segment.segment_id} for due in objects if due.segment is not None]

        async def work(connection: AsyncConnection) -> None:
            if files:
                mine = (versions.c.account_id == bindparam("a")) & (versions.c.file_id == bindparam("f"))
                one = mine & (versions.c.version == bindparam("v"))
                await connection.execute(update(versions).where(one).values(checked_at=at), files)
            if held:
                that = segments.c.segment_id == bindparam("s")
                await connection.execute(update(segments).where(that).values(checked_at=at), held)

        await self._database.write(work)


def _from(table: Any, *columns: Any) -> Any:
    query = select(*columns).select_from(table)
    return query if table is versions else query.join(streams).where(LIVE)


async def _rows(
    connection: AsyncConnection,
    query: Any,
    table: Any,
    before: datetime,
    after: Due | None,
    account_ids: Collection[int] | None,
    limit: int,
) -> Any:
    checked_at, path = table.c.checked_at, table.c.path
    query = query.where(checked_at < before, *_of_accounts(table, account_ids))
    if after is not None:
        later = (checked_at == after.checked_at) & (path > after.path)
        query = query.where(checked_at >= after.checked_at, or_(checked_at > after.checked_at, later))
    return (await connection.execute(query.order_by(checked_at, path).limit(limit))).mappings().all()


def _of_accounts(table: Any, account_ids: Collection[int] | None) -> list[Any]:
    column = versions.c.account_id if table is versions else streams.c.account_id
    return [] if account_ids is None else [column.in_(account_ids)]


def _segment(row: Any) -> SegmentRecord:
    return SegmentRecord(**{name: row[name] for name in SegmentRecord.__slots__})


def _place(due: Due) -> tuple[datetime, str]:
    return due.checked_at, due.path
