"""Where segments lie and what they are called. Pure.

    lexiang/hq/download-logs/date=2018-04-10/20180410T154008-2-6d0c0a1f4b7e.jsonl.gz

A segment's name is the time of its first record, how many it holds and the first digits of its SHA-256: names sort by
time, and the same content always gets the same one. Nothing that a vendor wrote is part of a path, except for digits.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from logkeep.model import CHINA, AccountKey
from logkeep.records.line import UNKNOWN_DAY

TEMP_PREFIX = "segment-"
"""How every staged segment is called, and nothing else that is staged."""

_SUFFIX = ".jsonl.gz"
_UNDATED = "undated"
_SHOWN_DIGITS = 12
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_FIRST = "%Y%m%dT%H%M%S"
_PATH = re.compile(
    r"(?P<vendor>[A-Za-z0-9][A-Za-z0-9._-]{0,63})/(?P<account>[A-Za-z0-9][A-Za-z0-9._-]{0,63})/"
    r"(?P<stream>[A-Za-z0-9][A-Za-z0-9._-]{0,63})/date=(?P<day>\d{4}-\d\d-\d\d|unknown)/"
    r"(?P<first>\d{8}T\d{6}|undated)-(?P<records>[1-9]\d{0,11})-(?P<digits>[0-9a-f]{12})\.jsonl\.gz",
    re.ASCII,
)
_DAY = re.compile(rf"\d{{4}}-\d\d-\d\d|{UNKNOWN_DAY}", re.ASCII)


def segment_path(key: AccountKey, stream: str, day: str, name: str) -> str:
    """Where a segment lies, relative to the storage root.

    Raises:
        ValueError: a part is not the plain word that settings and this module see to.
    """
    if not all(map(_PLAIN.fullmatch, (key.vendor, key.name, stream, name))) or not _DAY.fullmatch(day):
        raise ValueError(f"no path is made of {(str(key), stream, day, name)!r}")
    return f"{key.vendor}/{key.name}/{stream}/date={day}/{name}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class ParsedSegment:
    """What a segment's path tells; ``sha256_begin`` are the first digits of its digest."""

    key: AccountKey
    stream: str
    day: str
    first: str
    records: int
    sha256_begin: str

    @property
    def first_at(self) -> datetime | None:
        """The time of its first record, to the second; None where that has none."""
        return None if self.first == _UNDATED else datetime.strptime(self.first, _FIRST).replace(tzinfo=CHINA)


def parse_segment_path(path: str) -> ParsedSegment:
    """The inverse of ``segment_path`` and ``segment_name``.

    Raises:
        ValueError: no call of them gives this path.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path[:300]!r} is not the path of a segment")
    key = AccountKey(match["vendor"], match["account"])
    records = int(match["records"])
    parsed = ParsedSegment(key, match["stream"], match["day"], match["first"], records, match["digits"])
    if parsed.first_at is not None and parsed.day != UNKNOWN_DAY:
        datetime.fromisoformat(parsed.day)  # a day that no calendar has is refused
    return parsed


def segment_name(first: str, records: int, sha256: str) -> str:
    """A segment's name without its suffix; ``first`` is ``first_moment``'s or ``first_of``'s."""
    return f"{first}-{records}-{sha256[:_SHOWN_DIGITS]}"


def first_moment(created_at: datetime | None) -> str:
    """How the time of a segment's first record stands in its name."""
    if created_at is None:
        return _UNDATED
    moment = created_at.astimezone(CHINA)
    return f"{moment.year:04d}{moment:%m%dT%H%M%S}"


def first_of(paths: Iterable[str]) -> str:
    """The earliest ``first`` in the names of several segments of one day."""
    return min(path.rpartition("/")[2].partition("-")[0] for path in paths)


def temp_name(stream_id: int, day: str, distinction: str) -> str:
    """A name for the staging area, telling whose it is."""
    return f"{TEMP_PREFIX}{stream_id}-{day}-{distinction}"
