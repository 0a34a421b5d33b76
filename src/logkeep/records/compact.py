"""Closed days become one segment each, so that the archive does not end as a million small files.

The new segment is published before one of the old ones goes: meanwhile a reader may see a line twice, never not at
all. A kill leaves the day either as it was, or with an open intent or retired files, which start-up finishes. A late
record adds a segment to a compacted day, and the day is compacted once more.

Memory is flat however large the day: a piece of it is read, checked, compressed and written before the next.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from isal import isal_zlib

from logkeep.catalog.care import Due
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentIntent, SegmentRecord, StreamRecord
from logkeep.clock import Clock
from logkeep.model import CHINA, AccountKey
from logkeep.records.line import UNKNOWN_DAY
from logkeep.records.naming import first_of, segment_name, segment_path, temp_name
from logkeep.records.outcome import Outcomes, as_stored, publications, remove_retired
from logkeep.records.reading import SegmentReader
from logkeep.records.segment import GZIP_LEVEL
from logkeep.store.blocking import in_thread, settled
from logkeep.store.port import Sink, Store

CLOSED_AFTER = timedelta(hours=48)
"""How long after its end a day is taken to be closed; nightly passes look back as far."""

_DAY = timedelta(days=1)
_GZIP_FORMAT = 31

log = structlog.stdlib.get_logger("logkeep.records")


def closed_days(days: Iterable[tuple[str, int, int, int]], stream: StreamRecord, now: datetime) -> list[str]:
    """Which days are worth compacting; ``days`` are the catalog's: day, segments, records, bytes. Pure.

    They lie in several segments, ended ``CLOSED_AFTER`` ago, and everything the vendor offered of them is archived.
    """
    return [day for day, segments, _, _ in days if segments > 1 and day != UNKNOWN_DAY and _closed(day, stream, now)]


class Compactor:
    """Compacts the days of streams, one after another."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._outcomes = Outcomes(catalog, store, clock)
        self._turn = asyncio.Lock()

    async def compact_closed(self, key: AccountKey, stream: StreamRecord, now: datetime) -> int:
        """Compact every day that is closed by ``now``, the oldest first; returns how many.

        What an earlier call left half done is finished first.

        Raises:
            StorageError: as ``compact``; the days before are done.
            CatalogError: likewise.
        """
        async with self._turn:
            await self._finish_earlier()
        days = closed_days(await self._catalog.streams.days(stream.stream_id), stream, now)
        return sum([await self.compact(key, stream, day) for day in days])

    async def compact(self, key: AccountKey, stream: StreamRecord, day: str) -> bool:
        """Make one segment of the day's; False where there is nothing to do or a segment is damaged.

        Records of the day may be archived meanwhile; they lie in a segment of their own then. Cancelled after it began
        to publish, it comes to its end first; before, nothing has changed.

        Raises:
            StorageError: the day is as it was, or compacted with some old files left, which the next call removes.
            CatalogError: likewise.
        """
        async with self._turn:
            await self._finish_earlier()
            sources = await self._catalog.streams.segments(stream.stream_id, day)
            if len(sources) < 2:  # noqa: PLR2004 - one segment is what compaction is about
                return False
            temp = temp_name(stream.stream_id, day, "compacted")
            try:
                merged = await self._merged(sources, key, stream, temp)
            except BaseException:
                await self._store.discard(temp)
                raise
            if merged is None:
                await self._store.discard(temp)
                return False
            await settled(self._commit(merged))
            log.info("day_compacted", stream=f"{key}/{stream.name}", day=day, segments=len(sources), path=merged.path)
            return True

    async def _finish_earlier(self) -> None:
        await self._outcomes.settle()
        await settled(remove_retired(self._catalog, self._store))

    async def _merged(
        self, sources: Sequence[SegmentRecord], key: AccountKey, stream: StreamRecord, temp: str
    ) -> SegmentIntent | None:
        """Stage one segment of all lines; None where a source is damaged."""
        async with self._store.stage(temp) as sink:
            output = Output(sink)
            for source in sources:
                reader = SegmentReader(self._store, source)
                async for piece in reader.pieces():
                    await output.write(piece)
                if reader.damage:
                    log.error("segment_damaged", path=source.path, damage=reader.damage)
                    damaged = Due(stream.account_id, source.stored_at, segment=source)
                    await self._catalog.damages.found(damaged, reader.damage, now=self._clock.now())
                    return None
            sha256 = await output.finish()
        records = sum(source.records for source in sources)
        name = segment_name(first_of(source.path for source in sources), records, sha256)
        return SegmentIntent(
            stream_id=stream.stream_id,
            day=sources[0].day,
            temp_name=temp,
            path=segment_path(key, stream.name, sources[0].day, name),
            sha256=sha256,
            size_bytes=sink.size_bytes,
            records=records,
            replaces=tuple(source.segment_id for source in sources),
        )

    async def _commit(self, merged: SegmentIntent) -> None:
        async with self._outcomes.of([merged]):
            await self._store.flush([merged.temp_name])
            await self._catalog.streams.intend([merged])
            await self._store.publish(publications([merged]))
            await self._catalog.streams.compacted(as_stored(merged, self._clock.now()), merged.replaces)
            await remove_retired(self._catalog, self._store)


class Output:
    """Text into one gzip member of a staged object."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._deflater = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
        self._sha256 = hashlib.sha256()

    async def write(self, text: bytes) -> None:
        """Append."""
        await self._pass_on(await in_thread(partial(self._deflater.compress, text)))

    async def finish(self) -> str:
        """Ends the member; the SHA-256 of all of it."""
        await self._pass_on(self._deflater.flush())
        return self._sha256.hexdigest()

    async def _pass_on(self, data: bytes) -> None:
        self._sha256.update(data)
        await self._sink.write(data)


def _closed(day: str, stream: StreamRecord, now: datetime) -> bool:
    start = datetime.fromisoformat(day).replace(tzinfo=CHINA)
    if start > now.astimezone(UTC) - CLOSED_AFTER - _DAY:
        return False
    end = start + _DAY
    return any((part.start is None or part.start < start) and end <= part.end for part in stream.covered)
