"""The story of one record, or of one hour of a record stream: what is archived of it, and what vouches for that."""

from typing import Any

import msgspec

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentRecord, StreamRecord
from logkeep.model import Hour, rfc3339
from logkeep.records.coverage import concerns
from logkeep.records.line import read_line
from logkeep.records.reading import SegmentReader
from logkeep.store.port import Store


async def record_story(catalog: Catalog, store: Store, stream: StreamRecord, record_id: str) -> dict[str, Any] | None:
    """The record with its line as it lies in the archive, None when there is none of that id.

    Raises:
        StorageError: its segment cannot be read.
        CatalogError: the catalog cannot be.
    """
    segment = await catalog.streams.segment_of(stream.stream_id, record_id)
    if segment is None:
        return None
    line = await _line(store, segment, record_id)
    return {
        "id": record_id,
        "segment": segment.path,
        "segment_sha256": segment.sha256,
        "line": line,
        "oddities": [
            {"at": rfc3339(odd.at), "kind": odd.kind, "detail": odd.detail}
            for odd in await catalog.streams.oddities(stream.stream_id, record_id)
        ],
    }


async def _line(store: Store, segment: SegmentRecord, record_id: str) -> dict[str, Any] | None:
    wanted = msgspec.json.encode(record_id)
    found: dict[str, Any] | None = None
    async for line in SegmentReader(store, segment).lines():
        if wanted in line and read_line(line)[0].record_id == record_id:
            found = msgspec.json.decode(line)
            break
    return found


async def hour_story(catalog: Catalog, store: Store, stream: StreamRecord, hour: Hour) -> dict[str, Any]:
    """How many records of the hour are archived, where, and whether the stream was read there.

    Raises:
        StorageError: a segment of its day cannot be read.
        CatalogError: the catalog cannot be.
    """
    segments = await catalog.streams.segments(stream.stream_id, f"{hour.start:%Y-%m-%d}")
    records = 0
    for segment in segments:
        async for line in SegmentReader(store, segment).lines():
            created_at = read_line(line)[0].created_at
            records += created_at is not None and Hour.of(created_at) == hour
    covered = any((part.start is None or part.start < hour.start) and part.end >= hour.end for part in stream.covered)
    doubtful = [s.reason for s in stream.suspects if concerns(s, hour.end) or concerns(s, hour.start)]
    return {
        "hour": str(hour),
        "from": rfc3339(hour.start),
        "to": rfc3339(hour.end),
        "state": "suspect" if doubtful else "covered" if covered else "backfilling",
        "reason": "; ".join(doubtful) or None,
        "records": records,
        "segments": [segment.path for segment in segments],
    }
