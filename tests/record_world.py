"""A storage with one record stream, kept by a process that can die before any step, and what an onlooker sees of it."""

import gzip
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from logkeep.catalog import Catalog
from logkeep.catalog.database import Database
from logkeep.catalog.record_key import record_key
from logkeep.catalog.records import Covered, Oddity, SegmentIntent, SegmentRecord, StreamRecord
from logkeep.catalog.streams import Streams
from logkeep.errors import StorageError
from logkeep.model import CHINA, AccountKey, Hour, ListedRecord
from logkeep.records.compact import Compactor
from logkeep.records.reconcile import RecordsReconciled, reconcile_records
from logkeep.records.segment import SegmentKeeper
from logkeep.store.sink import LocalSink
from mortal import Fuse, MortalStore

from manual_clock import ManualClock

KEY = AccountKey("lexiang", "hq")
STREAM = "download-logs"
NOW = datetime(2018, 5, 1, 4, 5, tzinfo=UTC)
FIRST = datetime(2018, 4, 10, 15, 40, 8, tzinfo=CHINA)
DAY = timedelta(days=1)
ALL = (Covered(None, NOW),)


def record(number: int, created_at: datetime | None = FIRST) -> ListedRecord:
    """Made up, as the vendor writes them; ``number`` is its identity."""
    record_id = f"{number:08x}3c9311e8b64995597300a871"
    made = b'{"type":"download_log","id":"%s"}' % record_id.encode()
    return ListedRecord(record_id, created_at, made, b'[{"type":"file"}]', "ThreeZhang", "张三", "file", "10a1", "x")


def records(numbers: Iterable[int], created_at: datetime | None = FIRST) -> list[ListedRecord]:
    return [record(number, created_at) for number in numbers]


def ids(found: Iterable[ListedRecord]) -> set[str]:
    return {each.record_id for each in found}


class MortalRecordStore(MortalStore):
    """Dies before it stages as well."""

    def stage(self, temp_name: str, *, keep_bytes: int = 0) -> LocalSink:
        self.fuse.step()
        return super().stage(temp_name, keep_bytes=keep_bytes)


class MortalStreams(Streams):
    """A transaction has happened or not, so before each is enough."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        super().__init__(database)
        self.fuse = fuse

    async def save(self, stream: StreamRecord, oddities: Sequence[Oddity] = ()) -> None:
        self.fuse.step()
        await super().save(stream, oddities)

    async def intend(self, intents: Sequence[SegmentIntent]) -> None:
        self.fuse.step()
        await super().intend(intents)

    async def drop_intents(self, intents: Sequence[SegmentIntent]) -> None:
        self.fuse.step()
        await super().drop_intents(intents)

    async def archived(
        self,
        segments: Sequence[tuple[SegmentRecord, Sequence[str]]],
        stream: StreamRecord | None,
        oddities: Sequence[Oddity] = (),
    ) -> None:
        self.fuse.step()
        await super().archived(segments, stream, oddities)

    async def compacted(self, segment: SegmentRecord, replaced: Sequence[int]) -> None:
        self.fuse.step()
        await super().compacted(segment, replaced)

    async def drop_retired(self, segment_ids: Sequence[int]) -> None:
        self.fuse.step()
        await super().drop_retired(segment_ids)


class MortalRecordCatalog(Catalog):
    def __init__(self, path: Path, fuse: Fuse) -> None:
        self.fuse = fuse
        super().__init__(path)

    def _use(self, database: Database) -> None:
        super()._use(database)
        self.streams = MortalStreams(database, self.fuse)


class RecordLife:
    """One process that keeps records: everything it has open."""

    def __init__(
        self,
        root: Path,
        clock: ManualClock | None = None,
        fuse: Fuse | None = None,
        kind: type[MortalRecordStore] = MortalRecordStore,
    ) -> None:
        self.root = root
        self.clock = clock or ManualClock(NOW)
        self.store = kind(root, fuse or Fuse())
        self.catalog = MortalRecordCatalog(root / "catalog.sqlite3", self.store.fuse)
        self.keeper = SegmentKeeper(self.store, self.catalog, self.clock)
        self.compactor = Compactor(self.store, self.catalog, self.clock)

    def refuse(self, fuse: Fuse) -> None:
        """Die, or fail, elsewhere than was said."""
        assert isinstance(self.catalog.streams, MortalStreams)
        self.store.fuse = self.catalog.fuse = self.catalog.streams.fuse = fuse

    async def begin(self) -> RecordsReconciled:
        await self.store.open()
        await self.catalog.open()
        if not await self.catalog.accounts.all():
            await self.catalog.accounts.enrol([KEY], now=NOW, watched_from=Hour.of(NOW))
            await self.catalog.streams.enrol(1, STREAM)
        return await reconcile_records(self.catalog, self.store, self.clock)

    async def stream(self) -> StreamRecord:
        return await self.catalog.streams.get(1)

    async def keep(self, found: Sequence[ListedRecord], stream: StreamRecord | None = None) -> None:
        await self.keeper.keep(KEY, stream or await self.stream(), found, [])

    async def compact(self, day: str = "2018-04-10") -> bool:
        return await self.compactor.compact(KEY, await self.stream(), day)

    async def known(self, found: Collection[ListedRecord]) -> set[str]:
        return await self.catalog.streams.known(1, ids(found))


@asynccontextmanager
async def open_life(root: Path, kind: type[MortalRecordStore] = MortalRecordStore) -> AsyncIterator[RecordLife]:
    """A process that has begun; the catalog is closed in the end."""
    root.mkdir(exist_ok=True)
    life = RecordLife(root, kind=kind)
    await life.begin()
    try:
        yield life
    finally:
        await life.catalog.close()


def segments_on_disk(root: Path) -> dict[str, bytes]:
    """Every segment that a reader sees: its path, and its text."""
    paths = sorted(root.glob("lexiang/**/*.jsonl.gz"))
    return {str(path.relative_to(root)): gzip.decompress(path.read_bytes()) for path in paths}


def lines_on_disk(root: Path) -> Counter[str]:
    """On how many lines each id stands."""
    return Counter(json.loads(line)["id"] for text in segments_on_disk(root).values() for line in text.splitlines())


def recorded_keys(root: Path) -> dict[bytes, int]:
    """Every record in the catalog, as another process reads it, with the number of its segment."""
    with closing(sqlite3.connect(root / "catalog.sqlite3")) as connection:
        return dict(connection.execute("SELECT record_key, segment_id FROM records"))


def live_paths(root: Path) -> set[str]:
    with closing(sqlite3.connect(root / "catalog.sqlite3")) as connection:
        return {path for (path,) in connection.execute("SELECT path FROM segments WHERE merged_into IS NULL")}


def broken_promises(root: Path, *, quiet: bool) -> list[str]:
    """What an onlooker may hold against the storage; ``quiet``: nothing is under way."""
    lines, recorded = lines_on_disk(root), recorded_keys(root)
    by_key = {record_key(record_id): count for record_id, count in lines.items()}
    problems = [f"{key.hex()} is recorded and on no line" for key in recorded if key not in by_key]
    if quiet:
        problems += [f"{key.hex()} is on {count} lines" for key, count in by_key.items() if count != 1]
        problems += [f"{key.hex()} is on a line and not recorded" for key in by_key.keys() - recorded.keys()]
        if set(segments_on_disk(root)) != live_paths(root):
            problems.append("the segments on disk are not the recorded ones")
        problems += [f"{path.name} is left" for path in (root / ".logkeep" / "tmp").iterdir()]
    return problems


class FailingFuse(Fuse):
    """Lets every step from the n-th on fail, and the process lives."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._sound = at - 1

    def step(self) -> None:
        self._sound -= 1
        if self._sound < 0:
            raise StorageError("input/output error")


class WatchedFuse(Fuse):
    """Looks before each step whether a promise is broken at that moment."""

    def __init__(self, look: Callable[[], list[str]], at: int | None = None, *, fails: bool = False) -> None:
        super().__init__(at, fails=fails)
        self._look = look
        self.steps = 0
        self.problems: list[str] = []

    def step(self) -> None:
        self.steps += 1
        self.problems += self._look()
        super().step()
