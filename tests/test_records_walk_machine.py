"""Any order of events: when the vendor falls quiet and one deep pass has run, everything it offers is archived once.

How many histories were explored, and what the guard page is for, is printed: ``pytest -rP`` on this file shows it.
``LOGKEEP_HISTORIES`` sets how many (2,000 if it is not set), ``LOGKEEP_FIRST_HISTORY`` the first one.
"""

import os
import random
from collections.abc import Iterator

from stream_world import REACH_S, Event, Habits, History, StreamWorld

HISTORIES = int(os.environ.get("LOGKEEP_HISTORIES", "2000"))
FIRST_HISTORY = int(os.environ.get("LOGKEEP_FIRST_HISTORY", "0"))
DAY_S = 24 * 3600


def habits_of(rng: random.Random) -> Habits:
    return Habits(
        page_size=rng.choice([1, 2, 3, 4, 5, 8, 10]),
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
    """A pass and what happens in between; it may be cut before any of its requests."""
    yield rng.choice(["regular", "regular", "nightly", "weekly"]), 0
    cut_after, lively = rng.choice([None, None, 1, 2, 3, 6, 12]), rng.choice([0, 1, 1, 2])
    while world.passing is not None:
        for _ in range(rng.randrange(lively + 1)):
            yield vendor_event(rng)
        if rng.random() < 0.2:
            yield "wait", rng.choice([1, 5, 60])
        yield "read", 0
        if world.passing is not None and world.requests == cut_after:
            yield "crash", rng.randrange(4)


def pause(rng: random.Random, *, old: bool) -> Iterator[Event]:
    for _ in range(rng.choice([0, 1, 3, 8])):
        yield vendor_event(rng)
        yield "wait", rng.choice([0, 1, 20, 300])
    yield "wait", rng.choice([1, 300, 300, 4000, 31 * DAY_S if old else DAY_S])
    for _ in range(rng.choice([0, 0, 1, 4])):
        yield vendor_event(rng)


def explored(seed: int, *, guard_pages: int = 1) -> tuple[Habits, History, StreamWorld]:
    """The history of this number, played to its end.

    Records older than the deep look's 30 days are only read again where a step could not be proven. Where none ever can
    be, what deletions hid from both looks at the history stays hidden; there everything happens within the 30 days.
    """
    rng = random.Random(seed)
    world = StreamWorld(habits_of(rng), guard_pages=guard_pages)
    old = world.habits.provable
    history: list[Event] = []

    def happen(events: Iterator[Event]) -> None:
        for event in events:
            history.append(event)
            world.apply(event)

    happen(beginning(rng, old=old))
    for _ in range(rng.randrange(1, 6)):
        happen(one_pass(rng, world))
        happen(pause(rng, old=old))
    world.settle()
    return world.habits, tuple(history), world
