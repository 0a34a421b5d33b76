"""What a pass over a record stream is to read, from what was read before. Pure.

Every pass reads from the top of the listing down to the look-back before the newest interval that is covered; nightly
and weekly it goes 48 hours and 30 days down. Below, it reads each hole that an interruption left, the history that was
never read, and what became suspect. A first look at the whole history that took a step without proof is followed by
a second one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from logkeep.catalog.records import StreamRecord
from logkeep.records.coverage import holes, whole
from logkeep.records.stretch import Stretch

SWEEP = timedelta(hours=48)
DEEP_SWEEP = timedelta(days=30)
LOOKBACK_AT_LEAST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a stream is read, and how far below what is known each time."""

    interval: timedelta
    lookback: timedelta

    @property
    def reach(self) -> timedelta:
        """The look-back, never less than ten minutes and two intervals."""
        return max(self.lookback, 2 * self.interval, LOOKBACK_AT_LEAST)


@dataclass(frozen=True, slots=True)
class Moment:
    """``now`` by the vendor's clock; ``sweep_since`` and ``deep_since``: when the nightly and weekly looks were due."""

    now: datetime
    sweep_since: datetime
    deep_since: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass reads, the newest first, and what its completion will count as."""

    stretches: tuple[Stretch, ...]
    sweep: bool
    deep: bool
    second: bool


def plan(stream: StreamRecord, policy: Policy, moment: Moment) -> Plan:
    """The stretches of the next pass; the first begins at the top of the listing."""
    read_once = stream.looks > 0  # until then, the way through the history is a deeper look than any
    sweep = read_once and (stream.swept_at is None or stream.swept_at < moment.sweep_since)
    deep = read_once and (stream.deep_swept_at is None or stream.deep_swept_at < moment.deep_since)
    if not stream.covered:
        return Plan((Stretch(None, None, why="the whole history"),), sweep, deep, second=False)
    second = stream.looks > 0 and stream.confirmed_at is None
    stretches = [_head(stream, policy, moment, sweep=sweep, deep=deep)]
    stretches += _holes(stream, policy)
    stretches += [
        Stretch(suspect.end, suspect.start, _above(stream, suspect.end), f"suspect: {suspect.reason}")
        for suspect in stream.suspects
    ]
    if second:
        stretches.append(_second(stream))
    return Plan(tuple(_joined(stretches)), sweep, deep, second)


def _head(stream: StreamRecord, policy: Policy, moment: Moment, *, sweep: bool, deep: bool) -> Stretch:
    floor, why = stream.covered[-1].end - policy.reach, "news"
    for due, reach, name in ((sweep, SWEEP, "the last 48 hours"), (deep, DEEP_SWEEP, "the last 30 days")):
        if due and moment.now - reach < floor:
            floor, why = moment.now - reach, name
    return Stretch(None, floor, why=why)


def _holes(stream: StreamRecord, policy: Policy) -> list[Stretch]:
    return [
        Stretch(
            top,
            None if floor is None else floor - policy.reach,
            _above(stream, top),
            "the history" if floor is None else "left by an interruption",
        )
        for floor, top in holes(stream.covered)
    ]


def _second(stream: StreamRecord) -> Stretch:
    top = stream.second[0].start if stream.second else None
    return Stretch(top, None, stream.second[0].records if stream.second else 0, "the whole history, a second time")


def _above(stream: StreamRecord, moment: datetime | None) -> int:
    """About how many archived records are newer."""
    if moment is None:
        return 0
    return sum(
        interval.records for interval in stream.covered if interval.start is not None and interval.start >= moment
    )


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    """Newest first, and one where they meet."""
    ordered = sorted(stretches, key=lambda s: (s.top is None, s.top.timestamp() if s.top else 0.0), reverse=True)
    joined = ordered[:1]
    for stretch in ordered[1:]:
        above = joined[-1]
        if above.bottom is None or stretch.top is None or above.bottom <= stretch.top:
            joined[-1] = Stretch(above.top, _deeper(above.bottom, stretch.bottom), above.above, _both(above, stretch))
        else:
            joined.append(stretch)
    return joined


def _both(above: Stretch, below: Stretch) -> str:
    return above.why if above.bottom is None or below.why in above.why else f"{above.why}; {below.why}"


def _deeper(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else min(one, other)


def needs_second_look(stream: StreamRecord) -> bool:
    """Whether the whole history was read, but not yet beyond doubt."""
    return whole(stream.covered) and stream.confirmed_at is None
