"""Reads a segment again: digest, gzip to its last byte, and the id of every line."""

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentRecord
from logkeep.errors import StorageError
from logkeep.records.line import read_id
from logkeep.records.reading import SegmentReader
from logkeep.store.port import Readable

MISSING = "it is missing"
_IDS_AT_ONCE = 500


async def damage_of(catalog: Catalog, store: Readable, segment: SegmentRecord) -> str | None:
    """What is wrong with a live segment, "" for nothing. What cannot be read is damage, not an error.

    None for one that was compacted, or mended, meanwhile: its lines lie in another.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    damage = await _damage(catalog, store, segment)
    return damage if not damage or await is_live(catalog, segment) else None


async def is_live(catalog: Catalog, segment: SegmentRecord) -> bool:
    """Whether the segment still holds records for the catalog."""
    live = await catalog.streams.segments(segment.stream_id, segment.day)
    return segment.segment_id in {other.segment_id for other in live}


async def _damage(catalog: Catalog, store: Readable, segment: SegmentRecord) -> str:
    reader, ids = SegmentReader(store, segment), list[str]()
    try:
        if await store.size(segment.path) is None:
            return MISSING
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
