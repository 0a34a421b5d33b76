"""A stream's state as rows: its scalars, its intervals, what is suspect, and what is odd about it."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import upsert
from logkeep.catalog.records import Covered, Oddity, StreamRecord, Suspect
from logkeep.catalog.stream_tables import oddities, stream_intervals, streams, suspects
from logkeep.errors import CatalogError

_KEEP_ODDITIES = 1000
"""Different oddities remembered of one stream and kind."""
_COVERED, _SECOND = 1, 2


async def load(connection: AsyncConnection, stream_id: int) -> StreamRecord:
    """The stream as it was last saved.

    Raises:
        CatalogError: there is none of that number.
    """
    row = (await connection.execute(select(streams).where(streams.c.stream_id == stream_id))).mappings().one_or_none()
    if row is None:
        raise CatalogError(f"the catalog has no record stream {stream_id}")
    return StreamRecord(
        **row,
        covered=await _intervals(connection, stream_id, _COVERED),
        second=await _intervals(connection, stream_id, _SECOND),
        suspects=await _suspects(connection, stream_id),
    )


async def replace(connection: AsyncConnection, stream: StreamRecord) -> None:
    """Make the stored state that of ``stream``."""
    mine = streams.c.stream_id == stream.stream_id
    await connection.execute(update(streams).where(mine).values(scalars(stream)))
    intervals = [
        {"look": look, "position": position, "start": part.start, "end": part.end, "records": part.records}
        for look, parts in ((_COVERED, stream.covered), (_SECOND, stream.second))
        for position, part in enumerate(parts)
    ]
    doubts = [
        {"position": position, "start": suspect.start, "end": suspect.end, "reason": suspect.reason}
        for position, suspect in enumerate(stream.suspects)
    ]
    for table, rows in ((stream_intervals, intervals), (suspects, doubts)):
        await connection.execute(delete(table).where(table.c.stream_id == stream.stream_id))
        if rows:
            await connection.execute(insert(table), [{"stream_id": stream.stream_id, **row} for row in rows])


async def add_oddities(connection: AsyncConnection, stream_id: int, found: Sequence[Oddity]) -> None:
    """Remember them; the same one seen again is one, last seen now. The newest of each kind stay."""
    rows = [
        {
            "stream_id": stream_id,
            "at": oddity.at,
            "kind": oddity.kind,
            "detail": oddity.detail,
            "record_id": oddity.record_id,
            "fingerprint": _fingerprint(oddity),
        }
        for oddity in found
    ]
    await upsert(connection, oddities, rows, ["stream_id", "kind", "fingerprint"])
    for kind in {oddity.kind for oddity in found}:
        of_kind = (oddities.c.stream_id == stream_id) & (oddities.c.kind == kind)
        newest = select(oddities.c.oddity_id).where(of_kind).order_by(oddities.c.at.desc(), oddities.c.oddity_id.desc())
        forgotten = oddities.c.oddity_id.not_in(newest.limit(_KEEP_ODDITIES))
        await connection.execute(delete(oddities).where(of_kind, forgotten))


def scalars(stream: StreamRecord) -> dict[str, Any]:
    """The stream's own row."""
    return {column.name: getattr(stream, column.name) for column in streams.columns}


async def _intervals(connection: AsyncConnection, stream_id: int, look: int) -> tuple[Covered, ...]:
    mine = (stream_intervals.c.stream_id == stream_id) & (stream_intervals.c.look == look)
    columns = (stream_intervals.c.start, stream_intervals.c.end, stream_intervals.c.records)
    rows = await connection.execute(select(*columns).where(mine).order_by(stream_intervals.c.position))
    return tuple(Covered(*row) for row in rows)


async def _suspects(connection: AsyncConnection, stream_id: int) -> tuple[Suspect, ...]:
    columns = (suspects.c.start, suspects.c.end, suspects.c.reason)
    mine = suspects.c.stream_id == stream_id
    rows = await connection.execute(select(*columns).where(mine).order_by(suspects.c.position))
    return tuple(Suspect(*row) for row in rows)


def _fingerprint(oddity: Oddity) -> str:
    about = "" if oddity.record_id is None else f"\0{oddity.record_id}"
    return hashlib.sha256(f"{oddity.detail}{about}".encode("utf-8", "surrogatepass")).hexdigest()
