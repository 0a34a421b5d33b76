"""The words logkeep thinks in: hours, spans, listed rows, stored files, states, gaps.

Hours are the vendor's: China Standard Time, fixed at +08:00, never the host's zone (vendors/pan123: no zone is
printed anywhere, and every sample agrees with +08:00). An hour is named by its start, ``YYYYMMDDHH``.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Self

CHINA = timezone(timedelta(hours=8), "+08:00")
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far this host's clock may be from a vendor's before it is not believed."""
_SECONDS = 3600
_YEARS = (1970, 9998)
_HOUR_NAME = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Hour:
    """One clock hour of the vendor. ``index`` counts hours since 1970-01-01T00:00Z, so arithmetic is exact."""

    index: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYYMMDDHH`` (+08:00).

        Raises:
            ValueError: the text is no such hour.
        """
        match = _HOUR_NAME.fullmatch(text)
        if match is None or not _YEARS[0] <= int(match[1]) <= _YEARS[1]:
            raise ValueError(f"{text!r} is not an hour; write YYYYMMDDHH, for example 2025062015")
        return cls.of(datetime(*map(int, match.groups()), tzinfo=CHINA))  # type: ignore[arg-type,misc]

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The hour that contains an aware moment."""
        return cls(int(moment.timestamp() // _SECONDS))

    @property
    def start(self) -> datetime:
        """First moment of the hour, aware, +08:00."""
        return datetime.fromtimestamp(self.index * _SECONDS, CHINA)

    @property
    def end(self) -> datetime:
        """First moment after the hour."""
        return (self + 1).start

    def __str__(self) -> str:
        return f"{self.start:%Y%m%d%H}"

    def __add__(self, hours: int) -> "Hour":
        return Hour(self.index + hours)

    def __sub__(self, other: "Hour") -> int:
        return self.index - other.index


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A run of hours, both ends included; never empty."""

    first: Hour
    last: Hour

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"a span cannot end ({self.last}) before it starts ({self.first})")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[Hour]:
        return map(Hour, range(self.first.index, self.last.index + 1))

    def __contains__(self, hour: Hour) -> bool:
        return self.first <= hour <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def halves(self) -> tuple["Span", "Span"]:
        """Two spans that together cover this one; only for spans of two hours or more."""
        middle = Hour((self.first.index + self.last.index) // 2)
        return Span(self.first, middle), Span(middle + 1, self.last)


def runs(hours: Iterable[Hour]) -> list[Span]:
    """Join hours into the fewest spans, in order."""
    spans: list[Span] = []
    for hour in sorted(set(hours)):
        if spans and hour - spans[-1].last == 1:
            spans[-1] = Span(spans[-1].first, hour)
        else:
            spans.append(Span(hour, hour))
    return spans


class HourState(StrEnum):
    """The seven states of the ledger; docs/ledger.md says how each is reached."""

    OPEN = "open"
    PENDING = "pending"
    FAILED = "failed"
    COMPLETE = "complete"
    EMPTY = "empty"
    LOST = "lost"
    ACKNOWLEDGED = "acknowledged"


class StreamState(StrEnum):
    """The four states of a record stream; docs/ledger.md says how each is reached."""

    BACKFILLING = "backfilling"
    COVERED = "covered"
    SUSPECT = "suspect"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A configured account: unique by vendor and name."""

    vendor: str
    name: str

    def __str__(self) -> str:
        return f"{self.vendor}/{self.name}"


class SignedUrl(str):
    """A download address whose query is a credential: its ``repr`` and ``redacted`` show only scheme, host and path.

    It lives in memory only: never in the catalog, a log, an error or a metric.
    """

    __slots__ = ()

    @property
    def redacted(self) -> str:
        """The address without its query and fragment, at most 200 characters."""
        return re.split(r"[?#]", self, maxsplit=1)[0][:200]

    def __repr__(self) -> str:
        return f"SignedUrl({self.redacted!r})"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One row of a listing, as the vendor gave it and as we read it.

    ``hour`` is None when neither the row's time range nor its name tells one; ``size_bytes`` is None when the row
    states none. ``raw`` is the row without its download address.
    """

    file_id: str
    name: str
    size_bytes: int | None
    hour: Hour | None
    url: SignedUrl
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """One row of a record listing. Identity is ``record_id`` alone; what is linked never changes it.

    ``created_at`` is aware (+08:00), None when it cannot be read. ``record`` is the vendor's object and ``included``
    a JSON list of the vendor's linked objects, both as the vendor wrote them, in UTF-8 without line breaks. Owner and
    target are None where the vendor names none.
    """

    record_id: str
    created_at: datetime | None
    record: bytes
    included: bytes = b"[]"
    owner_id: str | None = None
    owner_name: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    target_name: str | None = None


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A verified download waiting under its temporary name, not yet visible."""

    file_id: str
    temp_name: str
    size_bytes: int
    sha256: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One version of a file under its final name. ``path`` is relative to the storage root."""

    file_id: str
    version: int
    path: str
    size_bytes: int
    sha256: str
    stored_at: datetime
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """One archived object, read again. ``records`` counts the lines of a segment; ``damage`` is "" for none.

    ``known``: the damage was on record before; ``acknowledged``: somebody accepted it.
    """

    account: AccountKey
    path: str
    size_bytes: int
    records: int = 0
    file_id: str | None = None
    damage: str = ""
    known: bool = False
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is remembered of one credential's access token, shared by every process that uses the catalog.

    ``refusals`` counts refusals in a row since the last token that worked; ``last_attempt_at`` is when a token was
    last asked for, recorded before the request went out.
    """

    access_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    issued_at: datetime | None = None
    last_attempt_at: datetime | None = None
    refusals: int = 0
    paused_until: datetime | None = None
    pause_reason: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should be in the archive and is not; the wire form is in docs/json.md."""

    account: AccountKey
    start: datetime | None
    end: datetime | None
    state: str
    reason: str
    file_id: str | None = None
    expires_at: datetime | None = None


def rfc3339(moment: datetime | None) -> str | None:
    """Seconds precision, +08:00: the form of every time in JSON output."""
    return None if moment is None else moment.astimezone(CHINA).isoformat(timespec="seconds")


def utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return moment.astimezone(UTC)
