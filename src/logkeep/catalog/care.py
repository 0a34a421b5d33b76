"""What the catalog remembers of verifying: what is due to be read again, and what was found damaged. Pure."""

from dataclasses import dataclass
from datetime import datetime

from logkeep.catalog.records import SegmentRecord
from logkeep.model import Hour, StoredFile


@dataclass(frozen=True, slots=True)
class Due:
    """An archived object, a file's version or a segment, and when it was last read or written whole."""

    account_id: int
    checked_at: datetime
    stored: StoredFile | None = None
    segment: SegmentRecord | None = None

    @property
    def _object(self) -> StoredFile | SegmentRecord:
        found = self.stored or self.segment
        assert found is not None, "one of them"
        return found

    @property
    def path(self) -> str:
        """Where it lies."""
        return self._object.path

    @property
    def size_bytes(self) -> int:
        """As recorded."""
        return self._object.size_bytes

    @property
    def sha256(self) -> str:
        """As recorded."""
        return self._object.sha256


@dataclass(frozen=True, slots=True)
class Care:
    """How well an account's archive is looked after: its least recently verified object, None when it has none."""

    checked_at: datetime | None = None
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Damage:
    """An archived object that is not what was recorded.

    ``aside`` is where the damaged copy was set aside, "" while it lies in its place or is gone. ``fetching``: the
    vendor may still have the file, and it is asked for. Of a segment, ``lacking`` is how many of its records were lost
    with it and not found again; None while it was not looked into yet.
    """

    damage_id: int
    account_id: int
    path: str
    what: str
    found_at: datetime
    size_bytes: int
    aside: str = ""
    file_id: str | None = None
    version: int | None = None
    hour: Hour | None = None
    stream_id: int | None = None
    segment_id: int | None = None
    day: str | None = None
    records: int = 0
    lacking: int | None = None
    acked_at: datetime | None = None
    acked_by: str = ""
    ack_reason: str = ""
    fetching: bool = False
