"""Bytes that arrived complete but disagree with what was promised: the vendor's object, or an accident? Pure.

One arrival may be damage on the way. The same bytes (by SHA-256) in three arrivals an hour apart are what the vendor
has, whatever ``fileSize`` or gzip say: they are archived as received and flagged. What never repeats stays set aside.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from logkeep.catalog.records import Sighting

ARRIVALS = 3
APART = timedelta(minutes=55)
"""An hour, less what two hourly polls may drift."""
KEPT = 3
"""Different arrivals of one file that stay set aside for a person to look at."""


def arrivals(sightings: Iterable[Sighting], sha256: str) -> int:
    """How many arrivals of the same bytes count: each an hour or more after the one counted before."""
    count, last = 0, None
    for sighting in sorted(sightings, key=lambda s: s.seen_at):
        if sighting.sha256 == sha256 and (last is None or sighting.seen_at - last >= APART):
            count, last = count + 1, sighting.seen_at
    return count


def counts(sightings: Iterable[Sighting], sha256: str, now: datetime) -> bool:
    """Whether an arrival now would count beside those before it."""
    return all(now - sighting.seen_at >= APART for sighting in sightings if sighting.sha256 == sha256)


def outdated(sightings: Iterable[Sighting]) -> list[str]:
    """Digests whose bytes need not stay set aside: all but the latest few, so that they cannot fill the disk."""
    last_seen = {sighting.sha256: sighting.seen_at for sighting in sorted(sightings, key=lambda s: s.seen_at)}
    return sorted(last_seen, key=last_seen.__getitem__)[:-KEPT]
