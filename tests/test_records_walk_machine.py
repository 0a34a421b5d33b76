"""Any order of events: when the vendor falls quiet and one deep pass has run, everything it offers is archived once.

``stream_world`` says what can happen. Two explorers drive it: Hypothesis, rule by rule, which also asserts after every
page what may be claimed by then; and a seeded one that plays thousands of histories. How many those were, and what the
guard page is for, is printed: ``pytest -rP tests/test_records_walk_machine.py`` shows it. ``LOGKEEP_HISTORIES`` sets
how many (2,000 if it is not set), ``LOGKEEP_FIRST_HISTORY`` the number of the first.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stream_world import REACH_S, UNCOMMITTED_AT_MOST, Event, Habits, History, StreamWorld, played

HISTORIES = int(os.environ.get("LOGKEEP_HISTORIES", "2000"))
FIRST_HISTORY = int(os.environ.get("LOGKEEP_FIRST_HISTORY", "0"))
PARTS = 4
DAY_S = 24 * 3600


# One history after the other.


def habits_of(rng: random.Random) -> Habits:
    return Habits(
        page_size=rng.choice([1, 2, 3, 4, 5, 8, 10, 13, 14, 20]),
        clamp=rng.choice([None, None, None, None, 3, 6]),
        fixed=rng.choice([None, None, None, None, None, 4]),
        counts=rng.random() < 0.7,
        states_size=rng.random() < 0.8,
        echoes_size=rng.random() < 0.2,
    )


def vendor_event(rng: random.Random) -> Event:
    kind = rng.choice(["insert", "insert", "insert", "insert_low", "delete", "delete", "delete", "shuffle", "swap"])
    if kind == "insert":
        return kind, rng.choice([0, 0, 0, 1, 2, 60, REACH_S])
    if kind == "insert_low":
        return kind, rng.choice([0, 1, 60, REACH_S]) * 10 + rng.randrange(1, 6)
    return kind, rng.randrange(100)


def beginning(rng: random.Random, *, old: bool) -> Iterator[Event]:
    for _ in range(rng.choice([0, 2, 8, 30])):
        yield "insert", 0
        yield "wait", rng.choice([0, 0, 1, 30, 600, 4 * DAY_S if old else 3600])


def one_pass(rng: random.Random, world: StreamWorld) -> Iterator[Event]:
    """A pass and what happens in between; it may be cut after any of its requests."""
    yield rng.choice(["regular", "regular", "nightly", "weekly"]), 0
    cut_after, lively = rng.choice([0, 0, 1, 2, 3, 6, 12]), rng.choice([0, 1, 1, 2])
    while world.passing is not None:
        for _ in range(rng.randrange(lively + 1)):
            yield vendor_event(rng)
        if rng.random() < 0.2:
            yield "wait", rng.choice([1, 5, 60])
        yield "read", 0
        if world.requests == cut_after:
            yield "crash", rng.randrange(UNCOMMITTED_AT_MOST + 1)


def pause(rng: random.Random, *, old: bool) -> Iterator[Event]:
    for _ in range(rng.choice([0, 1, 3, 8])):
        yield vendor_event(rng)
        yield "wait", rng.choice([0, 1, 20, 300])
    yield "wait", rng.choice([1, 300, 300, 4000, 31 * DAY_S if old else DAY_S])
    for _ in range(rng.choice([0, 0, 1, 4])):
        yield vendor_event(rng)


def explored(seed: int) -> tuple[StreamWorld, History]:
    """The history of this number, played until all has settled.

    Records older than the 30 days of a deep pass are read again only where a step could not be proven. Where none ever
    can be, a deletion may hide a record from the first look at the history and another one hide it from the second;
    there, everything happens within the 30 days.
    """
    rng = random.Random(seed)
    world = StreamWorld(habits_of(rng))
    history: list[Event] = []

    def happen(events: Iterator[Event]) -> None:
        for event in events:
            history.append(event)
            world.apply(event)

    happen(beginning(rng, old=world.habits.provable))
    for _ in range(rng.randrange(1, 6)):
        happen(one_pass(rng, world))
        happen(pause(rng, old=world.habits.provable))
    world.settle()
    return world, tuple(history)


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_nothing_is_lost_once_all_is_quiet_and_a_deep_pass_has_run(part: int) -> None:
    kinds: Counter[str] = Counter()
    seeds = range(FIRST_HISTORY + part, FIRST_HISTORY + HISTORIES, PARTS)
    for seed in seeds:
        world, history = explored(seed)
        kinds.update(kind for kind, _ in history)
        assert not world.faults, told(world.habits, shrunken(world.habits, history, _has_faults), f"history {seed}")
    events = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    print(f"explored {len(seeds)} histories ({seeds}): {events}")  # noqa: T201 - how much was tried is a result
    assert len(seeds) * PARTS >= HISTORIES - PARTS


def _has_faults(habits: Habits, history: History) -> bool:
    return bool(played(habits, history).faults)


def shrunken(habits: Habits, history: History, fails: Callable[[Habits, History], bool]) -> History:
    """The history without the events that do not matter."""
    width = len(history)
    while width:
        place = 0
        while place < len(history):
            shorter = history[:place] + history[place + width :]
            if fails(habits, shorter):
                history = shorter
            else:
                place += width
        width //= 2
    return history


def told(habits: Habits, history: History, title: str) -> str:
    return "\n".join([title, f"  {habits}", *(f"  {kind} {value}" for kind, value in history)])


# What the guard page is for.


def a_month_away(seed: int) -> tuple[Habits, History]:
    """Two passes with late records after each, which stand too low; then, perhaps, nobody looks for a month.

    The deep pass reads down to the look-back before the last one. A late record just above that floor, and below as
    many older ones as a page holds, is hidden behind a page that is old and known.
    """
    rng = random.Random(seed)
    history: list[Event] = []
    for _ in range(rng.choice([8, 30])):
        history += [("insert", 0), ("wait", rng.choice([1, 1, 1, 30]))]
    for _ in range(2):
        history += [("wait", REACH_S - rng.randrange(20)), ("regular", 0), *[("read", 0)] * 40]
        for _ in range(rng.choice([1, 3, 8])):
            late = ("insert_low", (REACH_S - rng.randrange(2)) * 10 + rng.randrange(9))
            history += [late if rng.random() < 0.5 else ("insert", 0), ("wait", rng.choice([0, 1, 20]))]
        history.append(("wait", rng.choice([300, 31 * DAY_S])))
    return Habits(page_size=rng.choice([2, 3, 4, 5, 8]), low_by_a_page=True), tuple(history)


def _loses_without_guard(habits: Habits, history: History) -> bool:
    return bool(played(habits, history, guard_pages=0).lost)


@pytest.mark.parametrize("at_least", [2, 4])
def test_without_the_guard_page_a_record_is_lost_and_with_it_none(at_least: int) -> None:
    """The very same events; pages of ``at_least`` rows and more."""
    histories = (a_month_away(seed) for seed in range(100_000))
    habits, history = next(h for h in histories if h[0].page_size >= at_least and _loses_without_guard(*h))
    least = shrunken(habits, history, _loses_without_guard)
    assert not played(habits, least).faults
    lost = played(habits, least, guard_pages=0).lost
    print(told(habits, least, f"lost without the guard page: {lost}"))  # noqa: T201 - likewise


@pytest.mark.parametrize("part", range(PARTS))
def test_with_the_guard_page_no_record_is_lost_however_low_it_stands_on_the_page(part: int) -> None:
    for seed in range(part, 400, PARTS):
        habits, history = a_month_away(seed)
        world = played(habits, history)
        assert not world.faults, told(habits, shrunken(habits, history, _has_faults), f"history {seed}")


# Rule by rule.

ages_s = st.sampled_from([0, 0, 0, 1, 60, REACH_S])
places = st.integers(0, 30)


class OrderlyStream(RuleBasedStateMachine):
    """Rows come, go, and change places within their second."""

    def __init__(self) -> None:
        super().__init__()
        self.world = StreamWorld(Habits())

    @initialize(
        page_size=st.integers(1, 30),
        counts=st.booleans(),
        gaps_s=st.lists(st.sampled_from([0, 1, 60, 3600]), max_size=40),
    )
    def begin(self, page_size: int, gaps_s: list[int], *, counts: bool) -> None:
        self.world = StreamWorld(Habits(page_size=page_size, counts=counts))
        for gap_s in gaps_s:
            self.world.insert(0)
            self.world.wait(gap_s)

    @rule(age_s=ages_s, count=st.integers(1, 8))
    def insert(self, age_s: int, count: int) -> None:
        for _ in range(count):
            self.world.insert(age_s)

    @rule(place=places, count=st.integers(1, 8))
    def delete(self, place: int, count: int) -> None:
        for _ in range(count):
            self.world.delete(place)

    @rule(place=places)
    def shuffle(self, place: int) -> None:
        self.world.shuffle(place)

    @rule(seconds=st.sampled_from([1, 5, 300, DAY_S]))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(kind=st.sampled_from(["regular", "nightly", "weekly"]))
    def begin_pass(self, kind: str) -> None:
        self.world.apply((kind, 0))

    @rule(pages=st.integers(1, 6))
    def read(self, pages: int) -> None:
        for _ in range(pages):
            self.world.read()

    @rule(lost=st.integers(0, UNCOMMITTED_AT_MOST))
    def crash(self, lost: int) -> None:
        self.world.crash(lost)

    @invariant()
    def nothing_is_claimed_that_was_not_read(self) -> None:
        assert self.world.claimed_unread() == []

    @invariant()
    def no_record_is_archived_twice(self) -> None:
        assert all(count == 1 for count in self.world.lines.values())

    def teardown(self) -> None:
        self.world.settle()
        assert self.world.faults == []


class LooseStream(OrderlyStream):
    """And out of their order; the vendor serves pages of its own size, and misstates it."""

    @initialize(
        page_size=st.integers(1, 30),
        clamp=st.one_of(st.none(), st.integers(1, 8)),
        fixed=st.one_of(st.none(), st.integers(1, 8)),
        counts=st.booleans(),
        states_size=st.booleans(),
        echoes_size=st.booleans(),
    )
    def choose(self, **habits: int | None) -> None:
        rows, now = self.world.listing.rows, self.world.now
        self.world = StreamWorld(Habits(**habits))  # type: ignore[arg-type]
        self.world.listing.rows, self.world.now = rows, now

    @rule(place=places)
    def swap(self, place: int) -> None:
        self.world.swap(place)

    @rule(age_s=ages_s, slip=st.integers(1, 9))
    def insert_low(self, age_s: int, slip: int) -> None:
        self.world.insert_low(age_s * 10 + slip)

    @invariant()
    def nothing_is_claimed_that_was_not_read(self) -> None:
        """Where the order is not kept, only after all has settled."""


TestOrderlyStream = OrderlyStream.TestCase
TestOrderlyStream.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestLooseStream = LooseStream.TestCase
TestLooseStream.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
