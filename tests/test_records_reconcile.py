"""Keeping and compacting records through crashes before every step that changes catalog or archive."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from blockbuster import BlockBuster
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from logkeep.catalog.records import SegmentIntent
from logkeep.errors import HomeError
from logkeep.files.reconcile import reconcile
from logkeep.model import ListedRecord
from mortal import Fuse, survived
from record_world import DAY, FIRST, RecordLife, WatchedFuse, broken_promises, ids, lines_on_disk, record

from manual_clock import ManualClock

Result = TypeVar("Result")

NOW = FIRST + 20 * DAY
steps = st.integers(1, 14)
days = st.sampled_from([0, 0, 0, 1, None])


@pytest.fixture(autouse=True)
def _may_look_between_two_steps(_no_blocking_calls: BlockBuster) -> None:
    for function in _no_blocking_calls.functions.values():
        function.can_block_in("record_world.py", {"step"})


@cache
def blank_catalog() -> bytes:
    """A new catalog with one stream, made once."""

    async def make(root: Path) -> None:
        life = RecordLife(root)
        await life.begin()
        await life.catalog.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(make(Path(folder)))
        return Path(folder, "catalog.sqlite3").read_bytes()


class RecordsMachine(RuleBasedStateMachine):
    """``known`` holds every id that was ever seen recorded; ``told`` the last state whose saving was confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="records-machine-"))
        (self.root / "catalog.sqlite3").write_bytes(blank_catalog())
        self.clock = ManualClock(NOW)
        self.listed: dict[int, ListedRecord] = {}
        self.known: set[str] = set()
        self.passes = 0
        self.told = 0
        self.under_way: set[str] = set()
        self.life = RecordLife(self.root, self.clock)
        self.run(self.life.begin())

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(call)

    def teardown(self) -> None:
        self.run(self.life.catalog.close())
        self.runner.close()
        shutil.rmtree(self.root)

    @rule(numbers=st.lists(st.integers(0, 30), max_size=6), day=days)
    def keep(self, numbers: list[int], day: int | None) -> None:
        """New records, known ones and repeated ones, of one day and of those that earlier calls gave them."""
        assert self.keeping(numbers, day, WatchedFuse(self.look)) is not None
        assert ids(self.listed[number] for number in numbers) <= self.recorded()
        self.told = self.passes

    @rule(numbers=st.lists(st.integers(0, 30), min_size=1, max_size=6), day=days, at=steps)
    def die_keeping(self, numbers: list[int], day: int | None, at: int) -> None:
        if self.keeping(numbers, day, WatchedFuse(self.look, at)) is None:
            self.begin_again(None)

    @rule(numbers=st.lists(st.integers(0, 30), min_size=1, max_size=6), day=days, at=steps)
    def fail_keeping(self, numbers: list[int], day: int | None, at: int) -> None:
        """One step fails and the process goes on."""
        self.keeping(numbers, day, WatchedFuse(self.look, at, fails=True))

    @rule(day=days)
    def compact(self, day: int | None) -> None:
        self.compacting(day, WatchedFuse(self.look))
        if not self.under_way:
            assert len(list(self.root.glob(f"lexiang/**/date={self.folder(day)}/*"))) <= 1

    @rule(day=days, at=steps)
    def die_compacting(self, day: int | None, at: int) -> None:
        if self.compacting(day, WatchedFuse(self.look, at)) is None:
            self.begin_again(None)

    @rule(day=days, at=steps)
    def fail_compacting(self, day: int | None, at: int) -> None:
        self.compacting(day, WatchedFuse(self.look, at, fails=True))

    @rule(deaths=st.lists(steps, max_size=3))
    def restart(self, deaths: list[int]) -> None:
        """The process ends and another begins, which may itself die before it is open, again and again."""
        for at in deaths:
            self.begin_again(at)
        self.begin_again(None)

    def keeping(self, numbers: list[int], day: int | None, fuse: WatchedFuse) -> bool | None:
        """None where the process died over it, False where it failed."""
        for number in numbers:
            created_at = None if day is None else FIRST + day * DAY
            self.listed.setdefault(number, record(number, created_at))
        found = [self.listed[number] for number in numbers]
        self.passes += 1
        stream = replace(self.run(self.life.stream()), looks=self.passes)
        return self.under("keeping", fuse, self.life.keep(found, stream))

    def compacting(self, day: int | None, fuse: WatchedFuse) -> bool | None:
        return self.under("compacting", fuse, self.life.compact(self.folder(day)))

    def under(self, name: str, fuse: WatchedFuse, work: Coroutine[Any, Any, object]) -> bool | None:
        async def tried() -> bool:
            try:
                await work
            except HomeError:
                return False
            return True

        self.life.refuse(fuse)
        done = self.run(survived(tried()))
        self.life.refuse(Fuse())
        assert fuse.problems == []
        self.under_way.discard(name) if done else self.under_way.add(name)
        return done

    def begin_again(self, dies_at: int | None) -> None:
        self.run(self.life.catalog.close())
        fuse = WatchedFuse(self.look, dies_at)
        self.life = RecordLife(self.root, self.clock, fuse)
        self.under_way = {"starting"} if self.run(survived(self.life.begin())) is None else set()
        assert fuse.problems == []
        self.life.refuse(Fuse())
        if not self.under_way:
            assert self.run(self.life.catalog.streams.intents()) == []

    def folder(self, day: int | None) -> str:
        return "unknown" if day is None else f"{FIRST + day * DAY:%Y-%m-%d}"

    def look(self) -> list[str]:
        return broken_promises(self.root, quiet=False)

    def recorded(self) -> set[str]:
        return self.run(self.life.known(self.listed.values()))

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert broken_promises(self.root, quiet=not self.under_way) == []

    @invariant()
    def what_was_recorded_stays(self) -> None:
        """And lies where the catalog says."""
        recorded = self.recorded()
        assert self.known <= recorded
        self.known = recorded
        for record_id in recorded:
            segment = self.run(self.life.catalog.streams.segment_of(1, record_id))
            assert segment is not None
            assert self.root.joinpath(segment.path).is_file()

    @invariant()
    def the_state_never_falls_back(self) -> None:
        with closing(sqlite3.connect(self.root / "catalog.sqlite3")) as connection:
            (looks,) = connection.execute("SELECT looks FROM streams").fetchone()
        assert self.told <= looks <= self.passes
        self.told = looks


TestRecordsMachine = RecordsMachine.TestCase
TestRecordsMachine.settings = settings(max_examples=25, stateful_step_count=10, deadline=None)


@contextmanager
def machine() -> Iterator[RecordsMachine]:
    made = RecordsMachine()
    try:
        yield made
    finally:
        made.teardown()


AGAIN = pytest.mark.parametrize("then", [(), (2, 1), (4,)], ids=str)


def ends_well(made: RecordsMachine, then: tuple[int, ...]) -> None:
    """Restart, being killed before these steps of each start; then every promise holds, and goes on to hold."""
    made.restart(list(then))
    made.no_promise_is_broken()
    made.what_was_recorded_stays()
    made.keep([1, 2, 3, 4, 9], 0)
    made.compact(0)
    made.no_promise_is_broken()
    assert lines_on_disk(made.root) == dict.fromkeys(ids(record(number) for number in (1, 2, 3, 4, 9)), 1)


@AGAIN
def test_killed_before_each_step_of_keeping(then: tuple[int, ...]) -> None:
    """Steps: two segments staged, flushed, intended, two renames, the folders synced, recorded."""
    for step in range(1, 10):
        with machine() as made:
            made.keep([1, 2], 0)
            made.listed[9] = record(9, None)
            died = made.keeping([3, 4, 9], 0, WatchedFuse(made.look, step)) is None
            assert died == (step < 9)
            ends_well(made, then)


@AGAIN
def test_killed_before_each_step_of_compacting(then: tuple[int, ...]) -> None:
    """Steps: staged, flushed, intended, renamed, the folder synced, recorded, three removed, synced, forgotten."""
    for step in range(1, 13):
        with machine() as made:
            made.listed[9] = record(9, None)
            for numbers in ([1, 2], [3], [4, 9]):
                made.keep(numbers, 0)
            died = made.compacting(0, WatchedFuse(made.look, step)) is None
            assert died == (step < 12)
            ends_well(made, then)


@pytest.mark.parametrize("step", range(1, 9))
def test_a_step_of_keeping_that_fails_is_mended_by_the_next_batch(step: int) -> None:
    """Without a restart, and without a line twice, although what was published could not be recorded at first."""
    with machine() as made:
        made.listed[9] = record(9, None)
        assert made.keeping([3, 4, 9], 0, WatchedFuse(made.look, step, fails=True)) is False
        made.keep([3, 4, 9, 5], 0)
        made.no_promise_is_broken()
        assert len(lines_on_disk(made.root)) == 4


def test_a_compacted_segment_whose_lines_lie_elsewhere_by_now_goes() -> None:
    """Its intent was left open, and the day was compacted again: taking its place now would put lines twice."""
    with machine() as made:
        for number in range(2):
            made.keep([number], 0)
        replaced = tuple(segment.segment_id for segment in made.run(made.life.catalog.streams.segments(1)))
        made.compact(0)
        (live,) = made.run(made.life.catalog.streams.segments(1))
        orphan = made.root / live.path.replace("-2-", "-9-")
        orphan.write_bytes((made.root / live.path).read_bytes())
        path = str(orphan.relative_to(made.root))
        intent = SegmentIntent(1, live.day, "segment-x", path, live.sha256, live.size_bytes, 2, replaced)
        made.run(made.life.catalog.streams.intend([intent]))
        made.begin_again(None)
        made.no_promise_is_broken()
        assert not orphan.exists()


@pytest.mark.parametrize("records_first", [True, False])
def test_both_kinds_of_vendors_sweep_in_either_order(records_first: bool) -> None:
    """Sweeping what no download knows takes a staged segment with it: its intent is dropped, and nothing is lost."""
    for step in range(1, 9):
        with machine() as made:
            made.keep([1], 0)
            made.keeping([2, 3], 0, WatchedFuse(made.look, step))
            made.run(made.life.catalog.close())
            if not records_first:
                life = RecordLife(made.root, made.clock)
                made.run(life.store.open())
                made.run(life.catalog.open())
                made.run(reconcile(life.catalog, life.store, made.clock))
                made.run(life.catalog.close())
            made.begin_again(None)
            made.run(reconcile(made.life.catalog, made.life.store, made.clock))
            made.no_promise_is_broken()
            made.keep([1, 2, 3], 0)
            made.no_promise_is_broken()
