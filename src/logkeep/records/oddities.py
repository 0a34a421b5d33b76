"""What a page holds that a person may want to know of. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from logkeep.catalog.records import Oddity, Suspect
from logkeep.model import ListedRecord, rfc3339
from logkeep.records.stretch import Step

UNREADABLE = "unreadable"
_SECOND = timedelta(seconds=1)
_AHEAD = timedelta(minutes=1)
"""The vendor's ``Date`` and its records come from different machines."""


def odd_records(new: Iterable[ListedRecord], *, vendor_now: datetime, at: datetime) -> list[Oddity]:
    """Records that are kept although something is off with their time: from the future, or without any."""
    found = []
    for record in new:
        if record.created_at is None:
            found.append(Oddity(at, "undated", "its created_at cannot be read", record.record_id))
        elif record.created_at > vendor_now + _AHEAD:
            ahead = f"created_at {rfc3339(record.created_at)} lies ahead of the vendor's clock, {rfc3339(vendor_now)}"
            found.append(Oddity(at, "future", ahead, record.record_id))
    return found


def odd_rows(unreadable: Sequence[str], at: datetime) -> list[Oddity]:
    """Rows without an id, kept as they came."""
    return [Oddity(at, UNREADABLE, row) for row in unreadable]


def odd_steps(step: Step, at: datetime) -> list[Oddity]:
    """Disorder and drift that the walk saw."""
    return [
        Oddity(at, suspect.reason.split(":", 1)[0], suspect.reason)
        for suspect in step.suspects
        if not suspect.reason.startswith(UNREADABLE)
    ]


def with_unreadable(step: Step, times: Iterable[datetime | None], unreadable: Sequence[str], below: datetime) -> Step:
    """The step, with the page's stretch of time suspect where it holds rows without an id.

    Where no row of the page tells a time, that is everything from ``below`` on down.
    """
    if not unreadable:
        return step
    known = [moment for moment in times if moment is not None]
    start, end = (min(known) - _SECOND, max(known)) if known else (None, below)
    suspect = Suspect(start, end, f"{UNREADABLE}: {len(unreadable)} row(s) without a usable id")
    return replace(step, suspects=(*step.suspects, suspect))
