"""Reads the segments of a stream again: digest, gzip to its last byte, and the id of every line."""

from collections.abc import AsyncIterator

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentRecord
from logkeep.errors import StorageError
from logkeep.model import AccountKey, Checked
from logkeep.records.line import read_id
from logkeep.records.reading import SegmentReader
from logkeep.store.port import Store

_IDS_AT_ONCE = 500


async def verify_segments(catalog: Catalog, store: Store, key: AccountKey, stream_id: int) -> AsyncIterator[Checked]:
    """Every live segment, day by day. A segment that was compacted meanwhile is left out; its lines lie in another.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    for segment in await catalog.streams.segments(stream_id):
        damage = await _damage(catalog, store, segment)
        if damage and not await _is_live(catalog, segment):
            continue
        yield Checked(key, segment.path, segment.size_bytes, records=segment.records, damage=damage)


async def _is_live(catalog: Catalog, segment: SegmentRecord) -> bool:
    live = await catalog.streams.segments(segment.stream_id, segment.day)
    return segment.segment_id in {other.segment_id for other in live}


async def _damage(catalog: Catalog, store: Store, segment: SegmentRecord) -> str:
    reader, ids = SegmentReader(store, segment), list[str]()
    try:
        if await store.size(segment.path) is None:
            return "it is missing"
        async for line in reader.lines():
            ids.append(read_id(line))
            if len(ids) == _IDS_AT_ONCE:
                if stranger := await _stranger(catalog, segment, ids):
                    return stranger
                ids.clear()
    except StorageError as error:
        return str(error)
    except ValueError:
        return "a line is no record"
    return reader.damage or await _stranger(catalog, segment, ids)


async def _stranger(catalog: Catalog, segment: SegmentRecord, ids: list[str]) -> str:
    """Words for a record that the catalog does not know; "" for none."""
    known = await catalog.streams.known(segment.stream_id, ids)
    lacking = next((record_id for record_id in ids if record_id not in known), None)
    return "" if lacking is None else f"it holds record {lacking}, which is not recorded"
