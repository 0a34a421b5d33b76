"""Catalog and archive against a model, through crashes before every step that changes either of them."""

import asyncio
import hashlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from logkeep.catalog import Catalog
from logkeep.catalog.database import Database
from logkeep.catalog.records import Intent, ListingRecord, PartialRecord
from logkeep.catalog.transfers import Transfers
from logkeep.errors import StorageError
from logkeep.files.delivery import Batch, Deliveries, Delivery
from logkeep.files.evidence import Listing, absorb
from logkeep.files.fetch import Downloader, Fetched
from logkeep.files.publish import Publisher
from logkeep.files.reconcile import Reconciled, reconcile
from logkeep.files.room import Room
from logkeep.model import AccountKey, Hour, ListedFile, SignedUrl, Span, StagedFile, StoredFile
from logkeep.queue.inline import InlineQueue
from logkeep.queue.port import Job
from mortal import Fuse, MortalStore, survived

from manual_clock import ManualClock

Result = TypeVar("Result")

KEY = AccountKey("pan123", "main")
NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
HOUR = Hour.of(NOW - timedelta(hours=5))
SPAN = Span(HOUR, HOUR)
NAME = "2026031007.gz"

ids = st.sampled_from(["1", "2", "3", "4"])
names = st.sampled_from(["2026031007.gz", "2026031007.log.gz"])
contents = st.sampled_from([b"", b"one", b"two!", b"three", b"x" * 300_000])
steps = st.integers(1, 14)


class MortalTransfers(Transfers):
    """Likewise for what is recorded; a transaction has happened or not, so before each is enough."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        super().__init__(database)
        self.fuse = fuse

    async def intend(self, batch: Sequence[Intent]) -> None:
        self.fuse.step()
        await super().intend(batch)

    async def archived(self, batch: Sequence[Intent], *, now: datetime) -> None:
        self.fuse.step()
        await super().archived(batch, now=now)

    async def unchanged(self, account_id: int, file_id: str, *, listed_bytes: int | None, now: datetime) -> None:
        self.fuse.step()
        await super().unchanged(account_id, file_id, listed_bytes=listed_bytes, now=now)

    async def drop_intents(self, batch: Sequence[Intent]) -> None:
        self.fuse.step()
        await super().drop_intents(batch)

    async def drop_partial(self, account_id: int, file_id: str) -> None:
        self.fuse.step()
        await super().drop_partial(account_id, file_id)


class MortalCatalog(Catalog):
    def __init__(self, path: Path, fuse: Fuse) -> None:
        self.fuse = fuse
        super().__init__(path)

    def _use(self, database: Database) -> None:
        super()._use(database)
        self.transfers = MortalTransfers(database, self.fuse)


class Bringing(Downloader):
    """Brings what the vendor offers, whole; a process can die half-way through it."""

    def __init__(self, store: MortalStore, offered: dict[str, list[bytes]]) -> None:
        self._offered = offered
        self._mortal = store

    async def fetch(self, file: ListedFile, temp_name: str, **_: Any) -> Fetched:
        data = self._offered[file.file_id][-1]
        async with self._mortal.stage(temp_name) as sink:
            await sink.write(data[: len(data) // 2])
            self._mortal.fuse.step()
            await sink.write(data[len(data) // 2 :])
        return Fetched(StagedFile(file.file_id, temp_name, len(data), digest(data)), len(data), None)


class Life:
    """One process: everything it has open."""

    def __init__(self, root: Path, offered: dict[str, list[bytes]], clock: ManualClock, fuse: Fuse) -> None:
        self.fuse = fuse
        self.store = MortalStore(root, fuse)
        self.catalog = MortalCatalog(root / "catalog.sqlite3", fuse)
        self.clock = clock
        self.publisher = Publisher(self.store, self.catalog, clock)
        self.queue = InlineQueue[Delivery](clock)
        self.deliveries = Deliveries(
            catalog=self.catalog,
            store=self.store,
            downloader=Bringing(self.store, offered),
            publisher=self.publisher,
            room=Room(self.store, 0, clock),
            queue=self.queue,
            clock=clock,
            rng=random.Random(1),
        )

    async def begin(self) -> Reconciled:
        await self.store.open()
        await self.catalog.open()
        return await reconcile(self.catalog, self.store, self.clock)

    async def deliver(self, files: Iterable[ListedFile]) -> Batch:
        """Fetch and publish some files at once; the publisher sees them together."""
        batch = Batch()
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(self.publisher.run())
            async with asyncio.TaskGroup() as fetching:
                for file in files:
                    delivery = Delivery(KEY, 1, file, batch)
                    fetching.create_task(self.deliveries.handle(Job(delivery.key, str(KEY), 0.0, delivery)))
            self.publisher.finish()
            await publishing
        return batch


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def blank_catalog() -> bytes:
    """A new catalog with one account, made once."""

    async def make(path: Path) -> None:
        catalog = Catalog(path)
        await catalog.open()
        await catalog.accounts.enrol([KEY], now=NOW, watched_from=HOUR)
        await catalog.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(make(Path(folder, "catalog.sqlite3")))
        return Path(folder, "catalog.sqlite3").read_bytes()


class ArchiveMachine(RuleBasedStateMachine):
    """``known`` is what was ever seen recorded: it stays, whatever happens. The vendor's side is ``offered``."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="archive-machine-"))
        (self.root / "catalog.sqlite3").write_bytes(blank_catalog())
        self.clock = ManualClock(NOW)
        self.offered: dict[str, list[bytes]] = {}
        self.rows: dict[str, ListedFile] = {}
        self.known: dict[tuple[str, int], StoredFile] = {}
        self.kept: set[str] = set()
        self.life = Life(self.root, self.offered, self.clock, Fuse())
        self.run(self.life.begin())

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(call)

    def teardown(self) -> None:
        self.run(self.life.catalog.close())
        self.runner.close()
        shutil.rmtree(self.root)

    @rule(file_id=ids, data=contents, name=names)
    def offer(self, file_id: str, data: bytes, name: str) -> None:
        """The vendor offers a file, or other bytes or another name for a known one; a listing shows it."""
        self.offered.setdefault(file_id, []).append(data)
        self.rows[file_id] = ListedFile(file_id, name, len(data), HOUR, SignedUrl("https://h.example/x?sign=1"))
        self.clock.advance(timedelta(minutes=1))
        now = self.clock.now()
        listing = Listing(SPAN, now, tuple(self.rows.values()))
        record = ListingRecord(SPAN, "test", now, now, 1, len(self.rows), "")
        settle = timedelta(hours=2)
        self.run(
            self.life.catalog.hours.absorb(
                1, record, [HOUR], self.rows, lambda h, f: absorb(listing, h, f, now=now, settle=settle)
            )
        )

    @initialize()
    def offer_two(self) -> None:
        self.offer("1", b"one", NAME)
        self.offer("2", b"two!", NAME)

    @rule(chosen=st.sets(ids, min_size=1))
    def fetch(self, chosen: set[str]) -> None:
        """Fetch files, wanted or not; nothing is in the way."""
        batch = self.deliver(chosen, Fuse())
        assert batch is not None
        assert batch.trouble is None
        for file_id in chosen & self.rows.keys():
            self.is_archived(file_id)

    @rule(chosen=st.sets(ids, min_size=1), at=steps)
    def die_fetching(self, chosen: set[str], at: int) -> None:
        """The process dies before a step; the next one finds what it left."""
        if self.deliver(chosen, Fuse(at)) is None:
            self.begin_again(None)

    @rule(chosen=st.sets(ids, min_size=1), at=steps)
    def fail_fetching(self, chosen: set[str], at: int) -> None:
        """One step fails and the process goes on."""
        self.deliver(chosen, Fuse(at, fails=True))

    def deliver(self, chosen: Iterable[str], fuse: Fuse) -> Batch | None:
        """None where the process died over it."""
        files = [self.rows[file_id] for file_id in sorted(chosen) if file_id in self.rows]
        self.refuse(fuse)
        batch = self.run(survived(self.life.deliver(files)))
        self.refuse(Fuse())
        return batch

    @rule(deaths=st.lists(steps, max_size=3))
    def restart(self, deaths: list[int]) -> None:
        """The process ends and another begins, which may itself die before it is open, again and again."""
        for at in deaths:
            self.begin_again(at)
        self.begin_again(None)

    @rule(file_id=ids, staged=st.booleans())
    def leave_a_part(self, file_id: str, staged: bool) -> None:
        """A large download was recorded as resumable; its part may have vanished."""
        if file_id not in self.rows:
            return
        temp_name = f"part-{file_id}"
        self.run(self.life.catalog.transfers.save_partial(PartialRecord(1, file_id, temp_name, '"v"', 10)))
        if staged:
            (self.root / ".logkeep" / "tmp" / temp_name).write_bytes(b"part")

    @rule()
    def leave_rubbish(self) -> None:
        """A download was cut off."""
        (self.root / ".logkeep" / "tmp" / "rubbish").write_bytes(b"half")

    def refuse(self, fuse: Fuse) -> None:
        self.life.fuse = self.life.store.fuse = self.life.catalog.fuse = fuse
        assert isinstance(self.life.catalog.transfers, MortalTransfers)
        self.life.catalog.transfers.fuse = fuse

    def begin_again(self, dies_at: int | None) -> None:
        self.run(self.life.catalog.close())
        self.life = Life(self.root, self.offered, self.clock, Fuse(dies_at))
        if self.run(survived(self.life.begin())):
            self.refuse(Fuse())
            self.nothing_is_under_way()

    def nothing_is_under_way(self) -> None:
        """What holds after every start."""
        transfers = self.life.catalog.transfers
        assert self.run(transfers.intents()) == []
        resumable = {partial.temp_name for partial in self.run(transfers.partials())}
        assert set(self.run(self.life.store.staged_sizes())) == resumable
        assert set(self.visible()) == {version.path for version in self.recorded().values()}

    def is_archived(self, file_id: str) -> None:
        """After a fetch that went well the newest bytes are there, and nothing more is wanted."""
        file = self.run(self.life.catalog.files.get(1, file_id))
        assert file is not None
        assert not file.wanted
        digests = [version.sha256 for (known_id, _), version in self.recorded().items() if known_id == file_id]
        assert digest(self.offered[file_id][-1]) in digests

    def visible(self) -> dict[str, bytes]:
        paths = (path for path in self.root.glob("pan123/**/*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}

    def recorded(self) -> dict[tuple[str, int], StoredFile]:
        """Every version, as another process reads it."""
        columns = "file_id, version, path, size_bytes, lower(hex(sha256)), stored_at, flags"
        with closing(sqlite3.connect(self.root / "catalog.sqlite3")) as connection:
            rows = connection.execute(f"SELECT {columns} FROM versions").fetchall()  # noqa: S608 - our own words
        return {(row[0], row[1]): StoredFile(*row) for row in rows}

    @invariant()
    def what_was_recorded_stays(self) -> None:
        recorded = self.recorded()
        assert {key: recorded.get(key) for key in self.known} == self.known
        self.known = recorded

    @invariant()
    def everything_recorded_is_there_and_right(self) -> None:
        visible = self.visible()
        for version in self.recorded().values():
            assert digest(visible[version.path]) == version.sha256
            assert len(visible[version.path]) == version.size_bytes

    @invariant()
    def everything_visible_is_whole_and_there_once(self) -> None:
        """Also what is not recorded yet; that much an open intent vouches for."""
        recorded = {version.path for version in self.recorded().values()}
        promised = {(intent.path, intent.sha256) for intent in self.run(self.life.catalog.transfers.intents())}
        seen = set()
        for path, data in self.visible().items():
            file_id = Path(path).name.split("-")[0].split(".")[0]
            assert data in self.offered[file_id]
            assert (file_id, data) not in seen, "the same bytes twice"
            seen.add((file_id, data))
            assert path in recorded or (path, digest(data)) in promised

    @invariant()
    def versions_count_from_one(self) -> None:
        numbers: dict[str, list[int]] = {}
        for file_id, version in self.recorded():
            numbers.setdefault(file_id, []).append(version)
        for file_id, found in numbers.items():
            assert sorted(found) == list(range(1, len(found) + 1))
            file = self.run(self.life.catalog.files.get(1, file_id))
            assert file is not None
            assert 1 <= file.versions <= len(found)


TestArchiveMachine = ArchiveMachine.TestCase
TestArchiveMachine.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)


@contextmanager
def machine() -> Iterator[ArchiveMachine]:
    made = ArchiveMachine()
    try:
        yield made
    finally:
        made.teardown()


RECORDING = 6
"""The step of a single file's fetch that records its publication: staged, flushed, intended, renamed, synced before."""


def test_a_publication_that_could_not_be_recorded_is_adopted_before_the_next_version_is_published() -> None:
    """Else the new bytes would be refused for ever, because the unrecorded ones lie at their path."""
    with machine() as made:
        made.offer("1", b"one", NAME)
        made.fail_fetching({"1"}, RECORDING)
        made.offer("1", b"two!", NAME)
        made.fetch({"1"})
        assert sorted(version for _, version in made.recorded()) == [1, 2]
        made.everything_visible_is_whole_and_there_once()


def test_a_publication_that_could_not_be_recorded_is_adopted_although_the_vendor_renames_the_file() -> None:
    with machine() as made:
        made.offer("1", b"one", NAME)
        made.fail_fetching({"1"}, RECORDING)
        made.offer("1", b"one", "other.gz")
        made.fetch({"1"})
        made.everything_visible_is_whole_and_there_once()


@pytest.mark.parametrize("step", range(1, 18))
@pytest.mark.parametrize("then", [(), (1,), (2,), (3,), (4, 2, 1)])
def test_a_process_that_dies_before_a_step_and_its_successors_too(step: int, then: tuple[int, ...]) -> None:
    """A new file, one that grew, and one that is fetched again in vain; whoever comes last finds order."""
    with machine() as made:
        for file_id in ("1", "2"):
            made.offer(file_id, b"one", NAME)
        made.fetch({"1", "2"})
        made.offer("2", b"two!", NAME)
        made.offer("3", b"three", NAME)
        died = made.deliver(("1", "2", "3"), Fuse(step)) is None
        assert died or step > 10  # how many steps there are depends on how publications group
        made.restart(list(then))
        made.what_was_recorded_stays()
        made.everything_visible_is_whole_and_there_once()
        made.fetch({"1", "2", "3"})
        assert sorted(made.recorded()) == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]


async def published_together(life: Life, *file_ids: str) -> list[BaseException | None]:
    """Publish staged files in one batch; how each went."""
    asked = [asyncio.ensure_future(life.publisher.publish(intent(file_id))) for file_id in file_ids]
    await asyncio.sleep(0)
    life.publisher.finish()
    await life.publisher.run()
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*asked, return_exceptions=True))


def intent(file_id: str) -> Intent:
    return Intent(1, file_id, 1, f"t{file_id}", f"pan123/main/{file_id}-x.gz", digest(b"one"), 3, 3)


@pytest.fixture
def staged() -> Iterator[ArchiveMachine]:
    with machine() as made:
        for file_id in ("1", "2", "3"):
            made.offer(file_id, b"one", NAME)
            (made.root / ".logkeep" / "tmp" / f"t{file_id}").write_bytes(b"one")
        yield made


def test_bytes_that_could_not_be_flushed_are_trusted_by_nobody(staged: ArchiveMachine) -> None:
    """A second fsync may succeed although the first one lost them."""
    staged.refuse(Fuse(1, fails=True))
    ended = staged.run(published_together(staged.life, "1", "2", "3"))
    assert [type(error) for error in ended] == [StorageError] * 3
    assert (staged.visible(), staged.recorded()) == ({}, {})


@pytest.mark.parametrize("step", range(2, 8))
def test_a_batch_whose_intent_rename_or_record_fails_once_is_published_one_by_one(
    staged: ArchiveMachine, step: int
) -> None:
    """Steps: flushed, intended, three renames, the folder synced, recorded."""
    staged.refuse(Fuse(step, fails=True))
    assert staged.run(published_together(staged.life, "1", "2", "3")) == [None] * 3
    staged.nothing_is_under_way()


def test_one_file_whose_place_is_taken_holds_up_nobody_else(staged: ArchiveMachine) -> None:
    place = staged.root / intent("2").path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"somebody else's")
    ended = staged.run(published_together(staged.life, "1", "2", "3"))
    assert [type(error) for error in ended] == [type(None), StorageError, type(None)]
    assert place.read_bytes() == b"somebody else's"
    assert sorted(file_id for file_id, _ in staged.recorded()) == ["1", "3"]
    assert staged.run(staged.life.catalog.transfers.intents()) == []
