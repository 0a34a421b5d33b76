"""What a listing proves, and what it changes. Pure.

Theory. An hour is *complete* or *empty* only on evidence, and evidence is a successful listing made after the hour
had settled **by the vendor's clock** and that *proves* the hour. A listing of one hour proves that hour. A listing of
many hours proves an hour when it shows a row of it, or rows on both sides of it (within the span, or of the hour after
it, which some servers include): a server that silently answers only part of the span it was asked (some clamp to one
hour) never shows both sides. Everything else - an hour at the blank edge of a long span - is no proof: it counts as
one *blank* look, and the planner asks again with other boundaries and at last for the hour alone. So a clamp costs
requests, never an hour.

*Empty* needs two blank looks of different spans, one of them proof. (Asked strictly hour by hour there is only one
span an hour can have; then two looks at different times serve.)

A listing that shows none of an hour's known rows without proving the hour *contradicts* what is known: the server
answers less than it was asked. For that hour, and for every other one that it does not prove, it counts for nothing,
and the caller asks shorter spans from then on.

A blank look made when the vendor may have deleted the hour already says nothing about what it held: it counts neither
as a blank nor as proof, and an hour with no better evidence is lost in the end, not empty.

A row whose id cannot be read may be anybody's: the hours of its span are *failed* until a listing without such a row
proves them; rows beside it are taken as usual. So are the rows of a walk that broke off: it proves nothing, but what
it showed can be had.

Rejected: trusting a blank answer of any length (a clamping server would make 23 of 24 hours "empty"), and asking every
hour alone (720 requests where 60 do).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from logkeep.catalog.records import Changes, FileRecord, HourRecord
from logkeep.files.ledger import may_be_gone_from
from logkeep.files.rows import Listing, glimpse, late_files, lateness, unshown
from logkeep.model import Hour, Span

__all__ = ["UNREADABLE", "Listing", "absorb", "contradicted", "contradicts", "fail", "glimpse", "proves"]

UNREADABLE = "unreadable row: the vendor listed something without an id"


def proves(span: Span, shown: frozenset[Hour], hour: Hour) -> bool:
    """Whether a successful listing of ``span`` that showed rows of ``shown`` settles what ``hour`` holds."""
    if hour not in span:
        return False
    if hour in shown or len(span) == 1:
        return True
    sides = [other for other in shown if span.first <= other <= span.last + 1]
    return any(other < hour for other in sides) and any(other > hour for other in sides)


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
        files: the records there are of the ids shown and of every file of those hours.
        now: this host's time, for the record.
        settle: how long after its end an hour's listing is taken as final, by the vendor's clock.
        hour_by_hour: only spans of one hour are asked.
    """
    shown, glimpsed = listing.shown, glimpse(listing, files, now=now)
    # a row without an id may be any file of these hours: then none is taken for withdrawn
    proven = () if listing.unreadable else [hour for hour in listing.span if proves(listing.span, shown, hour)]
    others, told = unshown(listing, files, proven, now=now)
    late = {hour: s for hour in shown if (s := lateness(hour, listing, files, hours, now=now)) is not None}
    counts = Counter(row.hour for row in listing.by_id.values())
    hidden = contradicted(listing, hours)
    return Changes(
        hours=tuple(
            _absorb_hour(
                hours.get(hour, HourRecord(hour)),
                listing,
                counts[hour],
                lateness_s=late.get(hour),
                now=now,
                settle=settle,
                hour_by_hour=hour_by_hour,
                hidden=hidden,
            )
            for hour in sorted({*listing.span, *shown})
        ),
        files=(*glimpsed.files, *others),
        mutations=(*glimpsed.mutations, *told, *late_files(listing, files, hours, now=now)),
        unreadable=listing.unreadable,
        lateness_s=max(late.values(), default=None),
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
    failed = []
    for record in (hours.get(hour, HourRecord(hour)) for hour in span):
        if record.lost_at is not None:
            continue
        refused_at = now if refused else record.refused_at
        changed = replace(record, ask_alone=record.ask_alone or own or refused or alone, refused_at=refused_at)
        if own or record.attested_at is None:
            changed = replace(changed, failure=reason, failed_at=now)
        if changed != record:
            failed.append(changed)
    return tuple(failed)


def _absorb_hour(
    record: HourRecord,
    listing: Listing,
    offered: int,
    *,
    lateness_s: float | None,
    now: datetime,
    settle: timedelta,
    hour_by_hour: bool,
    hidden: bool,
) -> HourRecord:
    if offered and listing.in_books(record.hour):
        record = _reopen(record)
    if record.hour not in listing.span:
        return replace(record, offered=max(record.offered, offered))
    if listing.unreadable:
        return replace(record, offered=max(record.offered, offered), failure=UNREADABLE, failed_at=now, ask_alone=True)
    proven = proves(listing.span, listing.shown, record.hour)
    if hidden and not proven:
        return record
    record = replace(record, listed_at=now, listings=record.listings + 1, lateness_s=_longer(record, lateness_s))
    if not (offered or record.offered) and listing.vendor_now >= may_be_gone_from(record.hour):
        return record if record.ask_alone else _clear_failure(record)
    settled = listing.vendor_now >= record.hour.end + settle
    if offered:
        record = replace(record, blanks=0, blank_span=None)
    elif settled:
        record = _count_blank(record, listing.span, hour_by_hour=hour_by_hour)
    if proven:
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
