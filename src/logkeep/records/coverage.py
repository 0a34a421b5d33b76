"""Covered intervals: which stretches of time of a stream have been read. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from logkeep.catalog.records import Covered, Suspect


def covering(covered: Iterable[Covered], start: datetime | None, end: datetime, records: int) -> tuple[Covered, ...]:
    """Add the interval after ``start`` and up to ``end``, in which ``records`` were archived, to disjoint ones.

    What overlaps or touches becomes one; an interval that is none (``start`` not before ``end``) changes nothing.
    """
    if start is not None and start >= end:
        return tuple(covered)
    apart = []
    for other in covered:
        if (start is not None and other.end < start) or (other.start is not None and other.start > end):
            apart.append(other)
        else:
            start = None if start is None or other.start is None else min(start, other.start)
            end, records = max(end, other.end), records + other.records
    return tuple(sorted((*apart, Covered(start, end, records)), key=lambda interval: interval.end))


def whole(covered: Sequence[Covered]) -> bool:
    """Whether everything is covered, back to the oldest record."""
    return len(covered) == 1 and covered[0].start is None


def holes(covered: Sequence[Covered]) -> list[tuple[datetime | None, datetime]]:
    """What lies below and between the intervals, the newest first: after one moment (None: ever) and up to another."""
    floors: list[datetime | None] = [None, *(interval.end for interval in covered)]
    found = [(floor, above.start) for floor, above in zip(floors, covered, strict=False) if above.start is not None]
    return found[::-1]


def concerns(suspect: Suspect, moment: datetime) -> bool:
    """Whether a record of this moment lies in the suspect stretch."""
    after = suspect.start is None or suspect.start < moment
    return after and (suspect.end is None or moment <= suspect.end)


def within(suspect: Suspect, start: datetime | None, end: datetime | None) -> bool:
    """Whether a reading after ``start`` and up to ``end`` (None: without bound) has read the suspect stretch again."""
    slack = timedelta(seconds=1)
    deep_enough = start is None or (suspect.start is not None and start <= suspect.start + slack)
    return deep_enough and (end is None or (suspect.end is not None and suspect.end <= end))
