"""What a listing proves, and what it changes. Pure.

Theory. An hour is *complete* or *empty* only on evidence, and evidence is a successful listing made after the hour
had settled **by the vendor's clock** and that *proves* the hour. A listing of one hour proves that hour. A listing of
many hours proves an hour when it shows a row of it, or rows on both sides of it: a server that silently answers only
part of the span it was asked (some clamp to one hour) never shows both sides. Everything else - an hour at the blank
edge of a long span - is no proof: it counts as one *blank* look, and the planner asks again with other boundaries and
at last for the hour alone. So a clamp costs requests, never an hour.

*Empty* needs two blank looks of different spans, one of them proof. (Asked strictly hour by hour there is only one
span an hour can have; then two looks at different times serve.)

A listing that shows none of an hour's known rows without proving the hour *contradicts* what is known: for that hour
it counts for nothing, and the caller asks shorter spans from then on.

A row whose id cannot be read may be anybody's: the hours of its span are *failed* until a listing without such a row
proves them; rows beside it are taken as usual. So are the rows of a walk that broke off: it proves nothing, but what
it showed can be had.

A row may claim an hour that no ledger holds, in the future or long ago. Its file lies under that hour, but the books
keep track of it like of one whose hour is unknown; otherwise nothing would ever name it should it not arrive.

Rejected: trusting a blank answer of any length (a clamping server would make 23 of 24 hours "empty"), and asking every
hour alone (720 requests where 60 do).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from logkeep.catalog.records import Changes, FileRecord, HourRecord, Mutation
from logkeep.files.ledger import GRACE, RETENTION
from logkeep.model import Hour, ListedFile, Span

WITHDRAWN = "the vendor no longer offers it"
UNREADABLE = "unreadable row: the vendor listed something without an id"


@dataclass(frozen=True, slots=True)
class Listing:
    """A walk over one span: what was shown, and when by the vendor's clock."""

    span: Span
    vendor_now: datetime
    rows: tuple[ListedFile, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def shown(self) -> frozenset[Hour]:
        """Hours of which the listing has a row, those outside the span it was asked for included."""
        return frozenset(row.hour for row in self.rows if row.hour is not None)


def proves(span: Span, shown: frozenset[Hour], hour: Hour) -> bool:
    """Whether a successful listing of ``span`` that showed rows of ``shown`` settles what ``hour`` holds."""
    if hour not in span:
        return False
    if hour in shown or len(span) == 1:
        return True
    return any(other < hour for other in shown) and any(other > hour for other in shown)


def contradicts(span: Span, shown: frozenset[Hour], record: HourRecord) -> bool:
    """Whether the listing hides rows that the hour is known to have, without proving that they are gone."""
    return record.offered > 0 and record.hour in span and not proves(span, shown, record.hour)


def absorb(
    listing: Listing,
    hours: Mapping[Hour, HourRecord],
    files: Mapping[str, FileRecord],
    *,
    now: datetime,
    settle: timedelta,
    hour_by_hour: bool = False,
) -> Changes:
    """What a successful listing changes.

    Args:
        listing: the walk's result.
        hours: the records there are of the span's hours and of every hour shown.
        files: the records there are of the ids shown and of every file of the span's hours.
        now: this host's time, for the record.
        settle: how long after its end an hour's listing is taken as final, by the vendor's clock.
        hour_by_hour: only spans of one hour are asked.
    """
    shown = listing.shown
    rows = {row.file_id: row for row in listing.rows}
    glimpsed = glimpse(listing, files, now=now)
    gone = [
        file
        for file in files.values()
        if file.file_id not in rows
        and file.withdrawn_at is None
        and file.hour is not None
        and proves(listing.span, shown, file.hour)
    ]
    late = {hour: lateness for hour in shown if (lateness := _lateness(hour, rows, files, hours, now)) is not None}
    counts = {hour: sum(row.hour == hour for row in rows.values()) for hour in shown}
    return Changes(
        hours=tuple(
            _absorb_hour(
                hours.get(hour, HourRecord(hour)),
                listing,
                counts.get(hour, 0),
                late.get(hour),
                now,
                settle,
                hour_by_hour=hour_by_hour,
            )
            for hour in sorted({*listing.span, *shown})
        ),
        files=(*glimpsed.files, *(_withdraw(file, now) for file in gone)),
        mutations=(
            *glimpsed.mutations,
            *(Mutation(file.file_id, file.hour, "withdrawn", "no longer listed with its hour") for file in gone),
            *_late_files(rows, files, hours, now),
        ),
        unreadable=listing.unreadable,
        lateness_s=max(late.values(), default=None),
    )


def glimpse(listing: Listing, files: Mapping[str, FileRecord], *, now: datetime) -> Changes:
    """What the rows of a listing change by themselves, be it whole or broken off: no hour's evidence."""
    rows = {row.file_id: row for row in listing.rows}
    taken = [_absorb_row(row, files.get(file_id), listing, now) for file_id, row in rows.items()]
    return Changes(
        files=tuple(file for file, _ in taken),
        mutations=tuple(mutation for _, mutations in taken for mutation in mutations),
        unreadable=listing.unreadable,
    )


def contradicted(listing: Listing, hours: Mapping[Hour, HourRecord]) -> bool:
    """Whether the listing hides anything known: the server answers less than it is asked, so ask shorter spans."""
    return any(contradicts(listing.span, listing.shown, hours[hour]) for hour in listing.span if hour in hours)


def fail(
    span: Span,
    hours: Mapping[Hour, HourRecord],
    reason: str,
    *,
    now: datetime,
    own: bool = False,
    refused: bool = False,
    alone: bool = False,
) -> tuple[HourRecord, ...]:
    """What a failed listing changes: the hours that still lack evidence bear the reason.

    Args:
        span: what was asked.
        hours: the records there are of its hours.
        reason: one line for a person.
        now: this host's time.
        own: the failure is the hours' own (the vendor answered, but these hours cannot be read from it): even earlier
            evidence no longer stands against it.
        refused: the vendor would not list them.
        alone: any of them may be at fault: all are asked alone until a listing proves them.
    """
    return tuple(
        replace(
            record,
            failure=reason if own or record.attested_at is None else record.failure,
            failed_at=now,
            ask_alone=record.ask_alone or alone or own or refused,
            refused_at=now if refused else record.refused_at,
        )
        for record in (hours.get(hour, HourRecord(hour)) for hour in span)
        if (own or alone or record.attested_at is None) and record.lost_at is None
    )


def _absorb_row(
    row: ListedFile, known: FileRecord | None, listing: Listing, now: datetime
) -> tuple[FileRecord, list[Mutation]]:
    hour = row.hour if known is not None and row.hour == known.hour else _in_books(row.hour, listing.vendor_now)
    if known is None:
        return FileRecord(row.file_id, row.name, row.size_bytes, hour, listing.span, now, now), []
    told = []
    resized = row.size_bytes is not None and row.size_bytes != known.size_bytes
    if resized and known.versions:
        told.append(("resized", f"{known.size_bytes} bytes before, {row.size_bytes} now"))
    if row.name != known.name:
        told.append(("renamed", f"{known.name[:100]!r} before, {row.name[:100]!r} now"))
    if hour != known.hour:
        told.append(("moved", f"{known.hour or 'hour unknown'} before, {row.hour or 'hour unknown'} now"))
    if known.withdrawn_at is not None:
        told.append(("returned", "listed again"))
    record = replace(
        known,
        name=row.name,
        size_bytes=row.size_bytes if row.size_bytes is not None else known.size_bytes,
        hour=hour,
        seen_in=listing.span,
        last_seen_at=now,
        wanted=known.wanted or (resized and known.versions > 0),
        withdrawn_at=None,
        lost_at=None,
        acked_at=None,
        acked_by="",
        ack_reason="",
        failure="" if known.failure == WITHDRAWN else known.failure,
    )
    return record, [Mutation(row.file_id, row.hour, kind, detail) for kind, detail in told]


def _in_books(hour: Hour | None, vendor_now: datetime) -> Hour | None:
    """The hour, if it can be in a ledger now."""
    if hour is None or hour.start > vendor_now or hour.end + RETENTION + GRACE <= vendor_now:
        return None
    return hour


def _withdraw(file: FileRecord, now: datetime) -> FileRecord:
    return replace(file, withdrawn_at=now, failure=WITHDRAWN if file.wanted else file.failure)


def _new_rows(rows: Mapping[str, ListedFile], files: Mapping[str, FileRecord]) -> Iterable[ListedFile]:
    return (row for file_id, row in rows.items() if file_id not in files and row.hour is not None)


def _lateness(
    hour: Hour,
    rows: Mapping[str, ListedFile],
    files: Mapping[str, FileRecord],
    hours: Mapping[Hour, HourRecord],
    now: datetime,
) -> float | None:
    """Seconds from the hour's end to the first sight of a new row, where an earlier listing lacked it."""
    listed_before = hour in hours and hours[hour].listed_at is not None
    if not listed_before or all(row.hour != hour for row in _new_rows(rows, files)):
        return None
    return (now - hour.end).total_seconds()


def _late_files(
    rows: Mapping[str, ListedFile],
    files: Mapping[str, FileRecord],
    hours: Mapping[Hour, HourRecord],
    now: datetime,
) -> Iterable[Mutation]:
    for row in _new_rows(rows, files):
        record = hours.get(row.hour) if row.hour is not None else None
        if record is not None and record.attested_at is not None:
            late_s = (now - record.hour.end).total_seconds()
            yield Mutation(row.file_id, row.hour, "late", f"first listed {late_s:.0f} s after its hour ended")


def _absorb_hour(
    record: HourRecord,
    listing: Listing,
    offered: int,
    lateness_s: float | None,
    now: datetime,
    settle: timedelta,
    *,
    hour_by_hour: bool,
) -> HourRecord:
    if offered:
        record = _reopen(record)
    if record.hour not in listing.span:
        return replace(record, offered=max(record.offered, offered))
    if listing.unreadable:
        return replace(record, offered=max(record.offered, offered), failure=UNREADABLE, failed_at=now, ask_alone=True)
    if contradicts(listing.span, listing.shown, record):
        return record
    record = replace(record, listed_at=now, listings=record.listings + 1, lateness_s=_longer(record, lateness_s))
    settled = listing.vendor_now >= record.hour.end + settle
    if offered:
        record = replace(record, blanks=0, blank_span=None)
    elif settled:
        record = _count_blank(record, listing.span, hour_by_hour=hour_by_hour)
    if proves(listing.span, listing.shown, record.hour):
        attested_at = now if settled else record.attested_at
        return replace(_clear_failure(record), offered=offered, attested_at=attested_at)
    if not record.ask_alone:
        record = _clear_failure(record)
    return record


def _reopen(record: HourRecord) -> HourRecord:
    return replace(record, lost_at=None, lost_reason="", acked_at=None, acked_by="", ack_reason="")


def _clear_failure(record: HourRecord) -> HourRecord:
    return replace(record, failure="", failed_at=None, ask_alone=False, refused_at=None)


def _longer(record: HourRecord, lateness_s: float | None) -> float | None:
    return max((s for s in (record.lateness_s, lateness_s) if s is not None), default=None)


def _count_blank(record: HourRecord, span: Span, *, hour_by_hour: bool) -> HourRecord:
    if record.blanks == 0:
        return replace(record, blanks=1, blank_span=span)
    if record.blanks == 1 and (span != record.blank_span or hour_by_hour):
        return replace(record, blanks=2)
    return record
