"""One stream and its vendor, played event by event: rows come, go and swap places; passes begin, read pages, are cut.

A history is a list of events, so that a failing one can be cut down to what matters and played again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from listing_world import NOON, Listing, Row
from logkeep.catalog.records import Covered, StreamRecord
from logkeep.model import ListedRecord
from logkeep.records.coverage import concerns, whole
from logkeep.records.plan import Moment, Plan, Policy, needs_second_look, plan
from logkeep.records.progress import Progress
from logkeep.records.walk import GUARD_PAGES, Walk
from logkeep.records.windows import Window

POLICY = Policy(interval=timedelta(minutes=5), lookback=timedelta(minutes=10))
REACH_S = int(POLICY.reach.total_seconds())
UNCOMMITTED_AT_MOST = 3
"""Pages that were read and that a crash may lose."""
MORE_PASSES_AT_MOST = 3
"""Passes that a second look, or something suspect, may still call for when all is quiet."""
REQUESTS_AT_MOST = 2000
LONG_AGO = NOON - timedelta(days=3650)

Event = tuple[str, int]
History = tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """The page size that is configured, and what the vendor makes of it.

    ``low_by_a_page``: late rows stand too low by as much as the guard page can make good, and no neighbours swap places
    besides.
    """

    page_size: int = 3
    clamp: int | None = None
    fixed: int | None = None
    counts: bool = True
    states_size: bool = True
    echoes_size: bool = False
    low_by_a_page: bool = False

    @property
    def served(self) -> int:
        return self.fixed or min(self.page_size, self.clamp or self.page_size)

    @property
    def provable(self) -> bool:
        """Whether windows can overlap at every row, so that the walk can prove its steps."""
        return self.fixed is None and self.served >= 13


@dataclass(slots=True)
class LooseListing(Listing):
    """Not quite in order: neighbours swap places and back at any time, and late rows stand too low for good.

    ``rows`` is the lasting order, in which no row stands below more than ``slack`` older ones.
    """

    slack: int = 0
    swapped: set[str] = field(default_factory=set)
    late: list[Row] = field(default_factory=list)

    def shown(self) -> list[Row]:
        """``swapped`` names the upper rows of the pairs that stand in each other's place."""
        order, n = list(self.rows), 0
        while self.swapped and n < len(order) - 1:
            if order[n].record_id in self.swapped:
                order[n], order[n + 1] = order[n + 1], order[n]
                n += 1
            n += 1
        return order

    def insert_low(self, record_id: str, created_at: datetime, slip: int) -> None:
        """A row appears up to ``slip`` rows too low; none appears where that would break the bounds."""
        row = self.insert(record_id, created_at)
        place = self.rows.index(row)
        self.late = [late for late in self.late if late in self.rows]
        for lower in range(min(place + slip, len(self.rows) - 1), place - 1, -1):
            self.rows.remove(row)
            self.rows.insert(lower, row)
            if all(self._too_low(late) <= self.slack for late in (*self.late, row)):
                self.late += [row] if lower > place else []
                return
        self.rows.remove(row)

    def _too_low(self, row: Row) -> int:
        above = self.rows[: self.rows.index(row)]
        return sum(_time(other) < _time(row) for other in above)


def _time(row: Row) -> datetime:
    assert row.created_at is not None, "every row of this world has a time"
    return row.created_at


@dataclass(slots=True)
class _Pass:
    walk: Walk
    progress: Progress
    ask: Window | None
    known: set[str]
    present: set[str]
    covered: tuple[Covered, ...]
    unproven: bool = False


class StreamWorld:
    """See the module's text. ``guard_pages`` is the walk's."""

    def __init__(self, habits: Habits, *, guard_pages: int = GUARD_PAGES) -> None:
        self.habits = habits
        self.listing = LooseListing(
            clamp=habits.clamp,
            fixed=habits.fixed,
            total=(lambda count: count) if habits.counts else (lambda _: None),
            states_size=habits.states_size,
            echoes_size=habits.echoes_size,
            slack=habits.served // 2 + habits.low_by_a_page,
        )
        self.now = NOON
        self.stream = StreamRecord(1, 1, "download-logs")
        self.lines: Counter[str] = Counter()
        self.passing: _Pass | None = None
        self.requests = 0
        self.error = ""
        self._guard_pages = guard_pages
        self._uncommitted: list[tuple[list[str], StreamRecord]] = []
        self._named = 0

    def apply(self, event: Event) -> None:
        """Let it happen; what is impossible at the moment does nothing."""
        kind, value = event
        getattr(self, kind)(value)

    # What the vendor does.

    def insert(self, age_s: int) -> None:
        """A record turns up that was created ``age_s`` ago."""
        self.insert_low(age_s * 10)

    def insert_low(self, age_and_slip: int) -> None:
        """Likewise, and stands too low by up to the last digit's rows."""
        age_s, slip = divmod(age_and_slip, 10)
        self._named += 1
        self.listing.insert_low(f"r{self._named}", self.now - timedelta(seconds=age_s), min(slip, self.listing.slack))

    def delete(self, place: int) -> None:
        if self.listing.rows:
            self.listing.delete(place % len(self.listing.rows))

    def shuffle(self, place: int) -> None:
        """Rows of one second turn round."""
        if rows := self.listing.rows:
            moment = rows[place % len(rows)].created_at
            places = [n for n, row in enumerate(rows) if row.created_at == moment]
            for n, row in zip(places, [rows[n] for n in reversed(places)], strict=True):
                rows[n] = row

    def swap(self, place: int) -> None:
        """Two neighbours swap places, or stand in order again."""
        if self.listing.rows:
            self.listing.swapped ^= {self.listing.rows[place % len(self.listing.rows)].record_id}

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # What the program does.

    def regular(self, _: int = 0) -> None:
        self._begin(sweep_since=LONG_AGO, deep_since=LONG_AGO)

    def nightly(self, _: int = 0) -> None:
        self._begin(sweep_since=self.now, deep_since=LONG_AGO)

    def weekly(self, _: int = 0) -> None:
        self._begin(sweep_since=self.now, deep_since=self.now)

    def _begin(self, *, sweep_since: datetime, deep_since: datetime) -> None:
        if self.passing is not None:
            return
        due: Plan = plan(self.stream, POLICY, Moment(self.now, sweep_since, deep_since))
        walk = Walk(due.stretches, self.habits.page_size, guard_pages=self._guard_pages)
        progress = Progress(self.stream, due, self.now, self.now, POLICY.reach)
        present = {row.record_id for row in self.listing.rows}
        self.passing = _Pass(walk, progress, walk.first, set(self.lines), present, self.stream.covered)
        self.requests = 0

    def read(self, _: int = 0) -> None:
        """One page is asked, served and taken in."""
        passing = self.passing
        if passing is None or passing.ask is None:
            return
        self.requests += 1
        assert self.requests < REQUESTS_AT_MOST, "the pass does not end"
        sight = self.listing.page(passing.ask, passing.known)
        assert sight is not None, "no size is refused"
        step = passing.walk.tell(sight)
        times = dict(zip(sight.ids, sight.times, strict=True))
        new = [record_id for record_id in times if record_id not in passing.known]
        passing.progress.take(step, [ListedRecord(record_id, times[record_id], b"{}") for record_id in new])
        passing.known.update(new)
        passing.unproven |= step.unproven
        self._uncommitted.append((new, passing.progress.stream))
        self._commit(keep=UNCOMMITTED_AT_MOST)
        passing.ask = step.ask
        if step.ask is None:
            self._commit()
            self.passing, self.error = None, step.error

    def crash(self, lost: int) -> None:
        """The pass ends here, and the last pages that it read are gone, ids and progress both."""
        self._commit(keep=lost)
        self._uncommitted.clear()
        self.passing = None

    def _commit(self, *, keep: int = 0) -> None:
        while len(self._uncommitted) > keep:
            new, self.stream = self._uncommitted.pop(0)
            self.lines.update(new)

    # What must hold.

    def settle(self) -> None:
        """All falls quiet; a pass under way is cut, one deep pass runs, and those that it still calls for."""
        self.crash(0)
        self.wait(REACH_S)
        self.weekly()
        self._to_the_end()
        for _ in range(MORE_PASSES_AT_MOST):
            if self.stream.suspects or needs_second_look(self.stream):
                self.wait(int(POLICY.interval.total_seconds()))
                self.regular()
                self._to_the_end()

    def _to_the_end(self) -> None:
        while self.passing is not None:
            self.read()

    @property
    def lost(self) -> list[str]:
        """Records that the vendor still offers, and that are not archived."""
        return [row.record_id for row in self.listing.rows if row.record_id not in self.lines]

    @property
    def faults(self) -> list[str]:
        """What is not as promised after all has settled."""
        stream = self.stream
        found = {
            f"lost: {self.lost}": self.lost,
            "a record is archived twice": any(count > 1 for count in self.lines.values()),
            f"the last pass failed: {self.error}": self.error,
            "the stream is not covered as a whole": not whole(stream.covered),
            "the history is not confirmed": stream.confirmed_at is None,
            f"still suspect: {stream.suspects}": stream.suspects,
        }
        return [fault for fault, holds in found.items() if holds]

    def claimed_unread(self) -> list[str]:
        """Rows there since the pass began that were never read, of a second that it covered, beyond doubt or not."""
        passing = self.passing
        if passing is None or passing.unproven:
            return []
        unread = [r for r in self.listing.rows if r.record_id in passing.present and r.record_id not in passing.known]
        stream = passing.progress.stream
        return [
            row.record_id
            for row in unread
            if _in(stream.covered, row)
            and not _in(passing.covered, row)
            and not any(concerns(suspect, _time(row)) for suspect in stream.suspects)
        ]


def _in(covered: Iterable[Covered], row: Row) -> bool:
    return any((each.start is None or each.start < _time(row)) and _time(row) <= each.end for each in covered)


def played(habits: Habits, history: History, *, guard_pages: int = GUARD_PAGES) -> StreamWorld:
    """The world after a history has happened and all has settled."""
    world = StreamWorld(habits, guard_pages=guard_pages)
    for event in history:
        world.apply(event)
    world.settle()
    return world
