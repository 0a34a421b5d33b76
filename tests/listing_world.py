"""A vendor's listing in memory: rows newest first, served by page number while they come and go between requests."""

import random
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from logkeep.model import CHINA
from logkeep.records.sight import Sight
from logkeep.records.stretch import Step, Stretch
from logkeep.records.walk import GUARD_PAGES, Walk
from logkeep.records.windows import Window

NOON = datetime(2026, 3, 10, 12, tzinfo=CHINA)

Twist = Callable[[int, Sight], Sight]
"""Changes what is served; told which request it is, from 1, and the honest page."""


def at(second: float) -> datetime:
    """That many seconds after noon."""
    return NOON + timedelta(seconds=second)


@dataclass(frozen=True, slots=True)
class Row:
    record_id: str
    created_at: datetime | None


def rows(count: int, *, gap_s: float = 60, newest_s: float = 0) -> list[Row]:
    """Rows r0, r1, … from the newest down, ``gap_s`` apart."""
    return [Row(f"r{n}", at(newest_s - n * gap_s)) for n in range(count)]


@dataclass(slots=True)
class Listing:
    """What the vendor holds, in the order it is shown, and its habits.

    Attributes:
        rows: The listing, top first.
        clamp: The most rows to a page.
        fixed: The rows to a page, whatever is asked.
        refuses_above: Larger pages are refused.
        states_size: Whether the size that was served is stated; ``echoes_size``: the asked one is stated instead.
        total: What is counted, given how many there are.
    """

    rows: list[Row] = field(default_factory=list)
    clamp: int | None = None
    fixed: int | None = None
    refuses_above: int | None = None
    states_size: bool = True
    echoes_size: bool = False
    total: Callable[[int], int | None] = lambda count: count

    def insert(self, record_id: str, created_at: datetime) -> Row:
        """A record appears in its place, above those of its own second."""
        row = Row(record_id, created_at)
        not_newer = (n for n, other in enumerate(self.rows) if other.created_at and other.created_at <= created_at)
        self.rows.insert(next(not_newer, len(self.rows)), row)
        return row

    def delete(self, start: int, count: int = 1) -> None:
        """Some rows are gone, and those below move up."""
        del self.rows[start : start + count]

    def shuffle_ties(self, rng: random.Random) -> None:
        """Rows of one second have no order: they come in another one."""
        chance = {row: rng.random() for row in self.rows}
        oldest = datetime.min.replace(tzinfo=CHINA)
        self.rows.sort(key=lambda row: chance[row])
        self.rows.sort(key=lambda row: row.created_at or oldest, reverse=True)

    def shown(self) -> list[Row]:
        """The rows as they are served now."""
        return self.rows

    def serves(self, asked: int) -> int:
        """How many rows a page has where ``asked`` are asked for."""
        return self.fixed or min(asked, self.clamp or asked)

    def page(self, asked: Window, known: AbstractSet[str] = frozenset()) -> Sight | None:
        """The honest page, or None where its size is refused."""
        if self.refuses_above is not None and asked.size > self.refuses_above:
            return None
        window = Window(asked.page, self.serves(asked.size))
        served = self.shown()[window.start : window.end]
        return Sight(
            [row.record_id for row in served],
            [row.created_at for row in served],
            known & {row.record_id for row in served},
            page=asked.page,
            per_page=(asked.size if self.echoes_size else window.size) if self.states_size else None,
            total=self.total(len(self.rows)),
            has_next=window.end < len(self.rows),
        )


@dataclass(slots=True)
class Trip:
    """A walk that is over: what was asked, what it said, which ids it was shown."""

    walk: Walk
    asked: list[Window] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    @property
    def error(self) -> str:
        return self.steps[-1].error

    @property
    def unproven(self) -> bool:
        return any(step.unproven for step in self.steps)

    @property
    def suspects(self) -> list[str]:
        return [suspect.reason.split(":")[0] for step in self.steps for suspect in step.suspects]

    @property
    def finished(self) -> list[Stretch]:
        return [stretch for step in self.steps for stretch in step.finished]

    @property
    def why(self) -> list[str]:
        return [step.why for step in self.steps]

    def missed(self, listing: Listing) -> list[str]:
        """Rows that are there at the end and were never seen."""
        return [row.record_id for row in listing.rows if row.record_id not in self.read]


def travel(
    listing: Listing,
    *stretches: Stretch,
    size: int = 10,
    known: Iterable[str] = (),
    before: Mapping[int, Callable[[], object]] | Callable[[int], object] | None = None,
    twist: Twist | None = None,
    guard_pages: int = GUARD_PAGES,
    at_most: int = 1000,
) -> Trip:
    """Walk the stretches (the whole history if none is named) to the end, archiving every page at once.

    ``before`` is what happens before the request of that number, or is called before each.
    """
    walk = Walk(stretches or (Stretch(None, None),), size, guard_pages=guard_pages)
    trip, archive = Trip(walk), set(known)
    ask: Window | None = walk.first
    while ask is not None:
        assert len(trip.asked) < at_most, f"no end after {at_most} requests: {trip.asked[-6:]}, {trip.why[-6:]}"
        trip.asked.append(ask)
        _happen(before, len(trip.asked))
        sight = listing.page(ask, archive)
        if sight is not None and twist is not None:
            served = twist(len(trip.asked), sight)
            sight = replace(served, known=archive & set(served.ids))
        step = walk.refused() if sight is None else walk.tell(sight)
        seen = set() if sight is None else set(sight.ids)
        trip.read |= seen
        archive |= seen
        trip.steps.append(step)
        ask = step.ask
    return trip


def _happen(before: Mapping[int, Callable[[], object]] | Callable[[int], object] | None, request: int) -> None:
    if callable(before):
        before(request)
    elif before is not None and request in before:
        before[request]()
