"""Mending segments: the damaged one is set aside, its readable lines are kept, the others are read once more.

Whoever reads the archive only records damage (``catalog.damages``). Here, before a pass of the one who holds the
storage lock: move the damaged copy into quarantine; publish a segment of its whole lines whose ids the catalog maps to
it; then, in one transaction, let that segment take its place, forget the other ids, and put their day into doubt. So
the next reading finds their records to be new. The row of the damage is what a kill in between is mended by: from the
copy in quarantine the same segment is made again, byte for byte.

What the vendor does not have any more is counted, and stays a gap.
"""

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from logkeep.catalog.care import Damage
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.damages import DAMAGED
from logkeep.catalog.records import SegmentRecord, StreamRecord, Suspect
from logkeep.clock import Clock
from logkeep.errors import StorageError
from logkeep.model import CHINA, AccountKey
from logkeep.records.compact import Output
from logkeep.records.line import UNKNOWN_DAY, line, read_line
from logkeep.records.naming import first_moment, segment_name, segment_path, temp_name
from logkeep.records.reading import SegmentReader
from logkeep.records.verify import MISSING, damage_of
from logkeep.store.aside import damaged_name
from logkeep.store.blocking import settled
from logkeep.store.port import Publication, Store

_LINES_AT_ONCE = 500
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_NO_DAMAGE = tuple(map(os.strerror, (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)))

log = structlog.stdlib.get_logger("logkeep.records")


class SegmentMender:
    """Under the storage lock only, and never while a pass over the same stream is under way."""

    def __init__(self, catalog: Catalog, store: Store, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock

    async def mend(self, key: AccountKey, stream: StreamRecord) -> None:
        """Mend every segment of the stream that is on record as damaged. Idempotent, and may be cut off anywhere.

        What the system does not let us read is left alone: a person has to look at it.

        Raises:
            HomeError: it could not be done as a whole.
        """
        for damage in await self._catalog.damages.of_account(stream.account_id):
            if damage.stream_id != stream.stream_id or damage.lacking is not None:
                continue
            segment = await self._segment(damage)
            if segment is None or not await self._is_damaged(segment, damage):
                await self._catalog.damages.whole(damage.path)
                log.info("damage_repaired", account=str(key), path=damage.path, how="found whole again")
            elif (damage_now := await self._aside(key, damage, segment)) is not None:
                await settled(self._replace(key, damage_now, segment))

    async def recount(self, key: AccountKey, stream_id: int) -> None:
        """See which lacking records were found again."""
        for damage in await self._catalog.damages.recount(stream_id):
            log.info("damage_repaired", account=str(key), path=damage.path, how="read again")

    async def _segment(self, damage: Damage) -> SegmentRecord | None:
        assert damage.stream_id is not None, "a segment's damage"
        live = await self._catalog.streams.segments(damage.stream_id, damage.day)
        return next((segment for segment in live if segment.segment_id == damage.segment_id), None)

    async def _is_damaged(self, segment: SegmentRecord, damage: Damage) -> bool:
        return bool(damage.aside) or bool(await damage_of(self._catalog, self._store, segment))

    async def _aside(self, key: AccountKey, damage: Damage, segment: SegmentRecord) -> Damage | None:
        """The damage once its copy is out of the way; None where that is not ours to do."""
        if damage.aside:
            return damage
        what = await damage_of(self._catalog, self._store, segment) or ""
        if any(word in what for word in _NO_DAMAGE):
            return None
        await self._store.present()
        name = damaged_name(damage.path, damage.found_at)
        if what == MISSING:
            where = f".logkeep/quarantine/{name}" if name in await self._store.quarantined() else None
        else:
            where = await self._store.set_aside(damage.path, name)
        if where is None:
            return damage
        await self._catalog.damages.set_aside(damage.path, where)
        log.warning("damaged_set_aside", account=str(key), path=damage.path, aside=where)
        return replace(damage, aside=where)

    async def _replace(self, key: AccountKey, damage: Damage, segment: SegmentRecord) -> None:
        stream = await self._catalog.streams.get(segment.stream_id)
        temp = temp_name(stream.stream_id, segment.day, "salvaged")
        try:
            salvaged = await self._salvage(damage, segment, temp)
            new = await self._publish(key, stream, segment, salvaged, temp)
        finally:
            await self._store.discard(temp)
        lacking = segment.records - len(salvaged.ids)
        if lacking > 0:
            stream = replace(stream, suspects=(*stream.suspects, _suspect(stream, segment, lacking)))
        lacking = await self._catalog.damages.salvaged(damage, new, salvaged.ids, stream)
        facts = {"path": damage.path, "salvaged": len(salvaged.ids), "lacking": lacking}
        log.warning("segment_salvaged", account=str(key), **facts)

    async def _salvage(self, damage: Damage, segment: SegmentRecord, temp: str) -> "_Salvaged":
        """Stage the damaged segment's whole lines that are its own."""
        found = _Salvaged()
        async with self._store.stage(temp) as sink:
            output = Output(sink)
            async for lines in self._whole_lines(damage, segment):
                held = await self._catalog.damages.held_by(segment.segment_id, lines.keys())
                for data in (lines[own] for own in lines if own in held - found.ids):
                    await output.write(data)
                    created_at = read_line(data)[0].created_at
                    found.first = min(filter(None, (found.first, created_at)), default=None)
                found.ids |= held
            found.sha256 = await output.finish()
        found.size_bytes = sink.size_bytes
        return found

    async def _whole_lines(self, damage: Damage, segment: SegmentRecord) -> AsyncIterator[dict[str, bytes]]:
        """Lines that are exactly what this program writes, by id, some at a time, up to where nothing can be read."""
        if not damage.aside:
            return
        some: dict[str, bytes] = {}
        reader = SegmentReader(_Aside(self._store, damage.aside.rpartition("/")[2]), segment)
        try:
            async for data in reader.lines():
                record_id = _whole(data)
                if record_id is not None:
                    some.setdefault(record_id, data)
                if len(some) >= _LINES_AT_ONCE:
                    yield some
                    some = {}
        except StorageError as error:
            log.warning("salvage_cut_short", path=damage.path, reason=str(error))
        yield some

    async def _publish(
        self, key: AccountKey, stream: StreamRecord, segment: SegmentRecord, salvaged: "_Salvaged", temp: str
    ) -> SegmentRecord | None:
        """Make the staged lines a segment; None where there are none. Again after a kill, it is the same one."""
        if not salvaged.ids:
            return None
        name = segment_name(first_moment(salvaged.first), len(salvaged.ids), salvaged.sha256)
        path = segment_path(key, stream.name, segment.day, name)
        await self._store.flush([temp])
        await self._store.publish([Publication(temp, path, salvaged.sha256)])
        return SegmentRecord(
            stream_id=stream.stream_id,
            day=segment.day,
            path=path,
            sha256=salvaged.sha256,
            size_bytes=salvaged.size_bytes,
            records=len(salvaged.ids),
            stored_at=self._clock.now(),
        )


@dataclass(slots=True)
class _Salvaged:
    """What could be read of a damaged segment; ``first`` is the oldest record's time."""

    ids: set[str] = field(default_factory=set)
    first: datetime | None = None
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Aside:
    """A quarantined object in the place of the archived one that a reader expects."""

    store: Store
    name: str

    async def size(self, path: str) -> int | None:  # noqa: ARG002 - the one it stands for
        return (await self.store.quarantined()).get(self.name)

    def read(self, path: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - likewise
        return self.store.quarantined_blocks(self.name)


def _whole(data: bytes) -> str | None:
    """The id of a line that is, byte for byte, how its record is written; None for any other."""
    try:
        record, archived_at = read_line(data)
        return record.record_id if line(record, archived_at) == data else None
    except ValueError:
        return None


def _suspect(stream: StreamRecord, segment: SegmentRecord, lacking: int) -> Suspect:
    reason = f"{DAMAGED}: {lacking} of {segment.records} records of {segment.day} have to be read again"
    if segment.day == UNKNOWN_DAY:
        ends = [part.end for part in stream.covered]
        return Suspect(None, max(ends, default=segment.stored_at), reason)
    start, end = day_bounds(segment.day)
    return Suspect(start - _SECOND, end, reason)


def day_bounds(day: str) -> tuple[datetime, datetime]:
    """Where a day (+08:00) begins and ends."""
    start = datetime.fromisoformat(day).replace(tzinfo=CHINA)
    return start, start + _DAY
