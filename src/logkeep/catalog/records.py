"""What the catalog remembers, as frozen values: the deciders read these and return changed copies. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from logkeep.model import Hour, Span


class TroubleKind(StrEnum):
    """Why an account as a whole gets nowhere; each maps to an exit code of the commands."""

    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An account-wide failure that lasts since ``since``."""

    kind: TroubleKind
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One account ever configured.

    ``watched_from`` is the first hour logkeep answers for: the oldest one the vendor still offered in full when the
    account was first seen. Hours before ``judged_to`` have their final state. ``span_limit`` is what the vendor was
    seen to accept, valid for a day from ``span_limited_at``. ``skew_s`` is the vendor's ``Date`` minus this host's
    clock at the last answer.
    """

    account_id: int
    vendor: str
    name: str
    first_seen_at: datetime
    watched_from: Hour
    judged_to: Hour
    configured: bool = True
    span_limit: int | None = None
    span_limited_at: datetime | None = None
    skew_s: float | None = None
    answered_at: datetime | None = None
    lateness_s: float | None = None
    trouble: Trouble | None = None
    orphan_acked_at: datetime | None = None
    orphan_acked_by: str = ""
    orphan_ack_reason: str = ""


@dataclass(frozen=True, slots=True)
class HourRecord:
    """The evidence for one hour of one account.

    ``listed_at``: last successful listing that covered the hour and did not contradict what is known of it.
    ``attested_at``: last listing that *proved* the hour's content after it had settled (``ledger.proves``).
    ``blanks``: 0, 1 or 2 successful listings after settling, of different spans, that showed no row of the hour;
    ``blank_span`` is the first one's. ``refused_at``: the vendor would not list it. ``failure`` is what stands
    between the hour and its evidence, and is cleared by the next listing that proves the hour; ``ask_alone`` says
    that the failure is the hour's own, so that it must not spoil its neighbours' listing. ``offered`` is the number
    of rows at the last listing that proved the hour.
    """

    hour: Hour
    listed_at: datetime | None = None
    attested_at: datetime | None = None
    blanks: int = 0
    blank_span: Span | None = None
    offered: int = 0
    listings: int = 0
    lateness_s: float | None = None
    failure: str = ""
    failed_at: datetime | None = None
    ask_alone: bool = False
    refused_at: datetime | None = None
    lost_at: datetime | None = None
    lost_reason: str = ""
    acked_at: datetime | None = None
    acked_by: str = ""
    ack_reason: str = ""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One id the vendor ever listed.

    ``hour`` is None where the row tells none, or one that no ledger could hold.
    ``wanted``: bytes the vendor promises are not archived yet (never fetched, or listed with another size since).
    ``seen_in`` is the last listing's span, where a fresh address can be had. ``withdrawn_at``: no longer offered.
    """

    file_id: str
    name: str
    size_bytes: int | None
    hour: Hour | None
    seen_in: Span
    first_seen_at: datetime
    last_seen_at: datetime
    wanted: bool = True
    versions: int = 0
    withdrawn_at: datetime | None = None
    attempts: int = 0
    attempted_at: datetime | None = None
    failure: str = ""
    lost_at: datetime | None = None
    acked_at: datetime | None = None
    acked_by: str = ""
    ack_reason: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """How one hour's files stand: ``missing`` are wanted and not archived; ``failing`` of them have a failure."""

    archived: int = 0
    missing: int = 0
    failing: tuple[FileRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Mutation:
    """The vendor changed its story about a file: ``kind`` is withdrawn, returned, resized, renamed, moved or late."""

    file_id: str
    hour: Hour | None
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class ListingRecord:
    """One walk over the pages of one span, successful or not: the evidence itself."""

    span: Span
    why: str
    asked_at: datetime
    finished_at: datetime
    calls: int
    rows: int
    trace_id: str
    error: str = ""
    listing_id: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before a publication, removed with its outcome; what start-up has to reconcile."""

    account_id: int
    file_id: str
    version: int
    temp_name: str
    path: str
    sha256: str
    size_bytes: int
    listed_bytes: int | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartialRecord:
    """A large download that can go on after a restart."""

    account_id: int
    file_id: str
    temp_name: str
    validator: str
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Bytes that arrived complete but disagree with what was promised, set aside to be compared with the next."""

    sha256: str
    seen_at: datetime
    disagreement: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What one listing changes; applied in one transaction."""

    hours: tuple[HourRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    mutations: tuple[Mutation, ...] = ()
    unreadable: tuple[str, ...] = ()
    lateness_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One pass over one account. ``outcome`` is empty while it lasts, "ok", or what stopped it."""

    run_id: int
    account_id: int
    cause: str
    started_at: datetime
    finished_at: datetime | None = None
    listings: int = 0
    calls: int = 0
    files: int = 0
    bytes: int = 0
    outcome: str = ""
    records: int = 0


@dataclass(frozen=True, slots=True)
class Covered:
    """Every record created after ``start`` and not after ``end`` that the vendor offered is archived.

    ``start`` None: back to the oldest. ``records`` is how many were archived in it, for finding the way to its bottom.
    """

    start: datetime | None
    end: datetime
    records: int = 0


@dataclass(frozen=True, slots=True)
class Suspect:
    """A covered stretch in which drift or disorder was seen and that has to be read again."""

    start: datetime | None
    end: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What is known of one record stream of one account.

    ``mark``: the vendor's own time at the begin of the newest complete pass; everything up to it was read.
    ``looks``: complete looks at the whole history. ``unproven``: the first one stepped from page to page without
    proof that nothing moved in between. ``confirmed_at``: when a second look confirmed the whole history.
    ``page_size``: what the vendor was last seen to serve at most, with ``page_size_at``. ``passed_at``,
    ``swept_at``, ``deep_swept_at``: begin of the last complete pass of each kind, by this host's clock.
    ``failure``: why the last pass did not complete, "" when it did. ``oldest``: the oldest record's time.
    ``covered`` is sorted, oldest first, and disjoint; ``second`` is how far the second look has come.
    """

    stream_id: int
    account_id: int
    name: str
    mark: datetime | None = None
    looks: int = 0
    unproven: bool = False
    confirmed_at: datetime | None = None
    page_size: int | None = None
    page_size_at: datetime | None = None
    passed_at: datetime | None = None
    swept_at: datetime | None = None
    deep_swept_at: datetime | None = None
    failure: str = ""
    failed_at: datetime | None = None
    oldest: datetime | None = None
    total: int | None = None
    covered: tuple[Covered, ...] = ()
    second: tuple[Covered, ...] = ()
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """One immutable file of record lines, all of one day (``YYYY-MM-DD``, +08:00, or ``unknown``)."""

    stream_id: int
    day: str
    path: str
    sha256: str
    size_bytes: int
    records: int
    stored_at: datetime
    segment_id: int = 0


@dataclass(frozen=True, slots=True)
class SegmentIntent:
    """Written before a segment is published. ``replaces``: the segments that it holds all lines of, when compacting."""

    stream_id: int
    day: str
    temp_name: str
    path: str
    sha256: str
    size_bytes: int
    records: int
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something about a stream that a person may want to know.

    ``kind`` is future, undated, unreadable, disorder, drift or zone; ``detail`` says what, for an unreadable row the
    row itself.
    """

    at: datetime
    kind: str
    detail: str
    record_id: str | None = None
