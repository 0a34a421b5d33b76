"""New records become durable: grouped by day, written as segments, published, recorded.

One batch is one commit: stage and flush a segment for each day, write down what is about to be published, publish,
then record the segments, every record's id and the state of the stream in one transaction. A kill between any two
steps leaves either a staged file that nothing points to, which start-up sweeps, or an open intent, which it settles
(``outcome``). The state of the stream moves last, so it never vouches for a record that is not archived.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from isal import isal_zlib

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import Oddity, SegmentIntent, StreamRecord
from logkeep.clock import Clock
from logkeep.model import AccountKey, ListedRecord
from logkeep.records.line import day_of, line
from logkeep.records.naming import first_moment, segment_name, segment_path, temp_name
from logkeep.records.outcome import Outcomes, as_stored, publications
from logkeep.store.blocking import in_thread, settled
from logkeep.store.port import Store

GZIP_LEVEL = 2
_GZIP_FORMAT = 31
_LINES_AT_ONCE = 64

# what is smaller is made on the loop: a hop to a thread costs as much
_SMALL_BYTES = 64 * 1024
_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Made:
    """A segment in memory."""

    intent: SegmentIntent
    data: bytes
    ids: tuple[str, ...]


class SegmentKeeper:
    """The one way for records into the archive. Batches are kept one after another."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._outcomes = Outcomes(catalog, store, clock)
        self._turn = asyncio.Lock()

    async def keep(
        self, key: AccountKey, stream: StreamRecord, records: Sequence[ListedRecord], oddities: Sequence[Oddity]
    ) -> None:
        """Archive those of the records that are not yet, and save the stream's state with them.

        Durable when this returns. Cancelled after it began to publish, it comes to its end first.

        Raises:
            StorageError: nothing of the state was saved; some records may be archived, and the batch can come again.
            CatalogError: likewise.
        """
        async with self._turn:
            await self._outcomes.settle()
            fresh = await self._not_archived(stream.stream_id, records)
            if not fresh:
                await settled(self._catalog.streams.save(stream, oddities))
                return
            making = partial(_make, key, stream, fresh, self._clock.now())
            made = await in_thread(making) if _weight(fresh) > _SMALL_BYTES else making()
            await settled(self._commit(made, stream, oddities))

    async def _commit(self, made: Sequence[_Made], stream: StreamRecord, oddities: Sequence[Oddity]) -> None:
        intents = [segment.intent for segment in made]
        async with self._outcomes.of(intents):
            for segment in made:
                async with self._store.stage(segment.intent.temp_name) as sink:
                    await sink.write(segment.data)
            await self._store.flush([intent.temp_name for intent in intents])
            await self._catalog.streams.intend(intents)
            await self._store.publish(publications(intents))
            now = self._clock.now()
            stored = [(as_stored(segment.intent, now), segment.ids) for segment in made]
            await self._catalog.streams.archived(stored, stream, oddities)

    async def _not_archived(self, stream_id: int, records: Iterable[ListedRecord]) -> list[ListedRecord]:
        """Each id once, and none that is archived: it would lie on two lines for ever."""
        by_id: dict[str, ListedRecord] = {}
        for record in records:
            by_id.setdefault(record.record_id, record)
        known = await self._catalog.streams.known(stream_id, by_id.keys()) if by_id else set()
        return [record for record_id, record in by_id.items() if record_id not in known]


def _make(key: AccountKey, stream: StreamRecord, records: Iterable[ListedRecord], archived_at: datetime) -> list[_Made]:
    by_day: dict[str, list[ListedRecord]] = {}
    for record in records:
        by_day.setdefault(day_of(record), []).append(record)
    return [_segment(key, stream, day, of_day, archived_at) for day, of_day in sorted(by_day.items())]


def _segment(
    key: AccountKey, stream: StreamRecord, day: str, records: list[ListedRecord], archived_at: datetime
) -> _Made:
    """The records of one day, oldest first."""
    records.sort(key=lambda record: record.created_at or _UNDATED)
    data = _compressed(line(record, archived_at) for record in records)
    sha256 = hashlib.sha256(data).hexdigest()
    name = segment_name(first_moment(records[0].created_at), len(records), sha256)
    intent = SegmentIntent(
        stream_id=stream.stream_id,
        day=day,
        temp_name=temp_name(stream.stream_id, day, sha256[:32]),
        path=segment_path(key, stream.name, day, name),
        sha256=sha256,
        size_bytes=len(data),
        records=len(records),
    )
    return _Made(intent, data, tuple(record.record_id for record in records))


def _compressed(lines: Iterator[bytes]) -> bytes:
    """One gzip member, made piece by piece: of whole texts, each thread that made one keeps the memory."""
    deflater = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
    texts = iter(lambda: b"".join(islice(lines, _LINES_AT_ONCE)), b"")
    return b"".join([*map(deflater.compress, texts), deflater.flush()])


def _weight(records: Iterable[ListedRecord]) -> int:
    return sum(len(record.record) + len(record.included) for record in records)
