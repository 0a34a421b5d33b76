"""Giving every intended segment its outcome: recorded where it is visible, forgotten where it is not.

The same rule mends a failed step while the program runs and what a crash left at the next start. A visible segment of
new records is read back for their ids; of the stream's state nothing is moved, so its pages are read once more and
found to be known. A visible segment that was compacted from others takes their place, if they are still there to be
replaced; else it goes, since its lines lie elsewhere.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentIntent, SegmentRecord
from logkeep.clock import Clock
from logkeep.errors import HomeError
from logkeep.records.line import read_id
from logkeep.records.reading import SegmentReader
from logkeep.store.blocking import settled
from logkeep.store.port import Publication, Store

log = structlog.stdlib.get_logger("logkeep.records")


def as_stored(intent: SegmentIntent, now: datetime) -> SegmentRecord:
    """The segment that an intent becomes once it is visible."""
    return SegmentRecord(
        stream_id=intent.stream_id,
        day=intent.day,
        path=intent.path,
        sha256=intent.sha256,
        size_bytes=intent.size_bytes,
        records=intent.records,
        stored_at=now,
    )


def publications(intents: Sequence[SegmentIntent]) -> list[Publication]:
    """What the store has to do for these intents."""
    return [Publication(intent.temp_name, intent.path, intent.sha256) for intent in intents]


async def settle(intents: Sequence[SegmentIntent], catalog: Catalog, store: Store, clock: Clock) -> int:
    """Idempotent; returns how many segments were visible without being recorded.

    Raises:
        StorageError: the store cannot be read or written; call again.
        CatalogError: likewise the catalog.
    """
    unrecorded = {intent.path for intent in await catalog.streams.intents()}
    adopted = 0
    for intent in intents:
        if intent.path in unrecorded and await store.size(intent.path) is not None:
            adopted += await _adopt(intent, catalog, store, clock)
        await store.discard(intent.temp_name)
        await catalog.streams.drop_intents([intent])
    return adopted


async def remove_retired(catalog: Catalog, store: Store) -> int:
    """Remove the files whose lines lie in compacted segments now; returns how many. Idempotent.

    Raises:
        StorageError: they could not be removed; call again.
        CatalogError: that they are gone could not be recorded; likewise.
    """
    retired = await catalog.streams.retired()
    if retired:
        await store.remove([segment.path for segment in retired])
        await catalog.streams.drop_retired([segment.segment_id for segment in retired])
    return len(retired)


class Outcomes:
    """Sees to it that what its owner began to publish gets an outcome, if need be later."""

    def __init__(self, catalog: Catalog, store: Store, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._open: dict[str, SegmentIntent] = {}

    async def settle(self) -> None:
        """Give what failed half-way its outcome; the owner's next work depends on it.

        Raises:
            StorageError: that cannot be done yet.
            CatalogError: likewise.
        """
        if self._open:
            await settled(settle(list(self._open.values()), self._catalog, self._store, self._clock))
            self._open.clear()

    @asynccontextmanager
    async def of(self, intents: Sequence[SegmentIntent]) -> AsyncIterator[None]:
        """Publish and record the intents in this context; where it fails, the outcome is settled as far as possible."""
        self._open |= {intent.path: intent for intent in intents}
        try:
            yield
        except HomeError:
            with suppress(HomeError):  # then the next ``settle`` does it, or start-up
                await self.settle()
            raise
        self._open.clear()


async def _adopt(intent: SegmentIntent, catalog: Catalog, store: Store, clock: Clock) -> bool:
    if intent.replaces:
        return await _take_place(intent, catalog, store, clock)
    reader = SegmentReader(store, intent)
    ids = [read_id(line) async for line in reader.lines()]
    if reader.damage:
        log.error("segment_damaged", path=intent.path, damage=reader.damage)
        return False
    known = await catalog.streams.known(intent.stream_id, ids)
    if known:
        log.error("records_twice", path=intent.path, records=len(known))
    new = [record_id for record_id in dict.fromkeys(ids) if record_id not in known]
    await catalog.streams.archived([(as_stored(intent, clock.now()), new)], None)
    return True


async def _take_place(intent: SegmentIntent, catalog: Catalog, store: Store, clock: Clock) -> bool:
    live = {segment.segment_id for segment in await catalog.streams.segments(intent.stream_id, intent.day)}
    if await store.digest(intent.path) == intent.sha256 and live.issuperset(intent.replaces):
        await catalog.streams.compacted(as_stored(intent, clock.now()), intent.replaces)
        return True
    await store.remove([intent.path])
    return False
