"""Hours and their evidence: every listing that was made, and what each hour's record became of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, RowMapping, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database, upsert
from logkeep.catalog.files import files_of_listing, save_files
from logkeep.catalog.records import Changes, FileRecord, HourRecord, ListingRecord, Mutation
from logkeep.catalog.tables import accounts, hours, listings, mutations, unreadable_rows
from logkeep.model import Hour, Span

Decide = Callable[[Mapping[Hour, HourRecord], Mapping[str, FileRecord]], Changes]

_FIELDS = tuple(field.name for field in fields(HourRecord) if field.name != "blank_span")
_COLUMNS = tuple(hours.c[name] for name in (*_FIELDS, "blank_first", "blank_last"))


class Hours:
    """The hours of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def window(self, account_id: int, first: Hour) -> dict[Hour, HourRecord]:
        """Records from ``first`` on, and every lost hour, acknowledged or not."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(*_COLUMNS)
                .where(hours.c.account_id == account_id, or_(hours.c.hour >= first, hours.c.lost_at.is_not(None)))
                .order_by(hours.c.hour)
            )
            return {record.hour: record for record in map(_record, rows)}

    async def absorb(
        self, account_id: int, listing: ListingRecord, shown: Iterable[Hour], file_ids: Iterable[str], decide: Decide
    ) -> Changes:
        """Record a successful listing and what it changes, in one transaction.

        ``decide`` is given the records of the listing's span, of the ``shown`` hours and of the files concerned, and
        must be pure: it may be called again.
        """
        wanted_hours, ids = {*listing.span, *shown}, set(file_ids)

        async def work(connection: AsyncConnection) -> Changes:
            listing_id = await _insert_listing(connection, account_id, listing)
            rows = await connection.execute(
                select(*_COLUMNS).where(hours.c.account_id == account_id, hours.c.hour.in_(wanted_hours))
            )
            known_hours = {record.hour: record for record in map(_record, rows)}
            known_files = await files_of_listing(connection, account_id, listing.span, wanted_hours, ids)
            changes = decide(known_hours, known_files)
            await _save_hours(connection, account_id, changes.hours)
            await save_files(connection, account_id, changes.files)
            await _tell(connection, account_id, listing_id, listing.finished_at, changes)
            return changes

        return await self._database.write(work)

    async def save(self, account_id: int, records: Sequence[HourRecord]) -> None:
        """Replace the records of these hours."""
        await self._database.write(lambda connection: _save_hours(connection, account_id, records))

    async def acknowledge(self, account_id: int, span: Span, *, by: str, reason: str, now: datetime) -> int:
        """Somebody vouches for the span's lost hours; returns how many that were."""

        async def work(connection: AsyncConnection) -> int:
            lost = (hours.c.hour >= span.first) & (hours.c.hour <= span.last) & hours.c.lost_at.is_not(None)
            values = {"acked_at": now, "acked_by": by, "ack_reason": reason}
            done = await connection.execute(
                update(hours).where(hours.c.account_id == account_id, lost).values(**values)
            )
            return int(done.rowcount)

        return await self._database.write(work)

    async def listings_of(self, account_id: int, span: Span, *, limit: int = 50) -> list[ListingRecord]:
        """The latest listings that covered any hour of the span, newest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(listings)
                .where(
                    listings.c.account_id == account_id,
                    listings.c.first_hour <= span.last,
                    listings.c.last_hour >= span.first,
                )
                .order_by(listings.c.listing_id.desc())
                .limit(limit)
            )
            return [_listing(row) for row in rows.mappings()]

    async def unreadable(self, account_id: int, listing_ids: Sequence[int]) -> list[str]:
        """The rows without an id that these listings showed, as they came."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(unreadable_rows.c.raw).where(
                    unreadable_rows.c.account_id == account_id, unreadable_rows.c.listing_id.in_(listing_ids)
                )
            )
            return list(dict.fromkeys(rows.scalars()))

    async def mutations_of(self, account_id: int, hour: Hour) -> list[tuple[datetime, Mutation]]:
        """How the vendor changed its story about the hour's files, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(mutations)
                .where(mutations.c.account_id == account_id, mutations.c.hour == hour)
                .order_by(mutations.c.mutation_id)
            )
            return [(row.at, Mutation(row.file_id, row.hour, row.kind, row.detail)) for row in rows]


async def _insert_listing(connection: AsyncConnection, account_id: int, listing: ListingRecord) -> int:
    values = {
        "account_id": account_id,
        "first_hour": listing.span.first,
        "last_hour": listing.span.last,
        "why": listing.why,
        "asked_at": listing.asked_at,
        "finished_at": listing.finished_at,
        "calls": listing.calls,
        "rows": listing.rows,
        "trace_id": listing.trace_id,
        "error": listing.error,
    }
    return int(
        (await connection.execute(insert(listings).values(values).returning(listings.c.listing_id))).scalar_one()
    )


async def _tell(connection: AsyncConnection, account_id: int, listing_id: int, at: datetime, changes: Changes) -> None:
    if changes.mutations:
        told = [{"account_id": account_id, "at": at, **asdict(m), "hour": m.hour} for m in changes.mutations]
        await connection.execute(insert(mutations), told)
    if changes.unreadable:
        raws = [
            {"account_id": account_id, "listing_id": listing_id, "seen_at": at, "raw": raw}
            for raw in changes.unreadable
        ]
        await connection.execute(insert(unreadable_rows), raws)
    if changes.lateness_s is not None:
        longer = or_(accounts.c.lateness_s.is_(None), accounts.c.lateness_s < changes.lateness_s)
        mine = accounts.c.account_id == account_id
        await connection.execute(accounts.update().where(mine, longer).values(lateness_s=changes.lateness_s))


async def _save_hours(connection: AsyncConnection, account_id: int, records: Sequence[HourRecord]) -> None:
    rows = [{"account_id": account_id, **_values(record)} for record in records]
    await upsert(connection, hours, rows, ["account_id", "hour"])


def _values(record: HourRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in record.__slots__}
    span: Span | None = values.pop("blank_span")
    return values | {"blank_first": span and span.first, "blank_last": span and span.last}


def _record(row: Row[Any]) -> HourRecord:
    """From ``_COLUMNS``; by position, because a window holds many hundred hours and is read often."""
    *values, first, last = tuple[Any, ...](row)
    return HourRecord(
        **dict(zip(_FIELDS, values, strict=True)), blank_span=None if first is None else Span(first, last)
    )


def _listing(row: RowMapping) -> ListingRecord:
    values = {name: value for name, value in row.items() if name not in ("account_id", "first_hour", "last_hour")}
    return ListingRecord(span=Span(row["first_hour"], row["last_hour"]), **values)
