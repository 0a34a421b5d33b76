"""Where segments lie and what they are called. Pure.

    lexiang/hq/download-logs/date=2018-04-10/20180410T154008-2-6d0c0a1f4b7e.jsonl.gz

A segment's name is the time of its first record, how many it holds and the first digits of its SHA-256: names sort by
time, and the same content always gets the same one. Nothing that a vendor wrote is part of a path, except for digits.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from logkeep.model import CHINA, AccountKey
from logkeep.records.line import UNKNOWN_DAY

TEMP_PREFIX = "segment-"
"""How every staged segment is called, and nothing else that is staged."""

_SUFFIX = ".jsonl.gz"
_UNDATED = "undated"
_SHOWN_DIGITS = 12
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_DAY = re.compile(rf"\d{{4}}-\d\d-\d\d|{UNKNOWN_DAY}", re.ASCII)


def segment_path(key: AccountKey, stream: str, day: str, name: str) -> str:
    """Where a segment lies, relative to the storage root.

    Raises:
        ValueError: a part is not the plain word that settings and this module see to.
    """
    if not all(map(_PLAIN.fullmatch, (key.vendor, key.name, stream, name))) or not _DAY.fullmatch(day):
        raise ValueError(f"no path is made of {(str(key), stream, day, name)!r}")
    return f"{key.vendor}/{key.name}/{stream}/date={day}/{name}{_SUFFIX}"


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
