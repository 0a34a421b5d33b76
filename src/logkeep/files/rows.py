"""What the rows of a listing tell about files: new, changed, moved, back again, or no longer offered. Pure.

A row may claim an hour that no ledger holds, in the future or long ago. Its file lies under that hour, but the books
keep track of it like of one whose hour is unknown; otherwise nothing would ever name it should it not arrive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from logkeep.catalog.records import Changes, FileRecord, HourRecord, Mutation
from logkeep.files.ledger import GRACE, RETENTION, may_be_gone_from
from logkeep.files.naming import decorated
from logkeep.model import Hour, ListedFile, Span

WITHDRAWN = "the vendor no longer offers it"


@dataclass(frozen=True, slots=True)
class Listing:
    """A walk over one span: what was shown, and when by the vendor's clock."""

    span: Span
    vendor_now: datetime
    rows: tuple[ListedFile, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def by_id(self) -> dict[str, ListedFile]:
        """The rows; of several with one id the last."""
        return {row.file_id: row for row in self.rows}

    @property
    def shown(self) -> frozenset[Hour]:
        """Hours of which the listing has a row, those outside the span it was asked for included."""
        return frozenset(row.hour for row in self.by_id.values() if row.hour is not None)

    def in_books(self, hour: Hour) -> bool:
        """Whether a ledger can hold the hour when the listing was made."""
        return hour.start <= self.vendor_now < hour.end + RETENTION + GRACE


def glimpse(listing: Listing, files: Mapping[str, FileRecord], *, now: datetime) -> Changes:
    """What the rows change by themselves, be the walk whole or broken off: no hour's evidence.

    Args:
        listing: the walk.
        files: the records there are of the ids shown.
        now: this host's time, for the record.
    """
    taken = [_absorb_row(row, files.get(file_id), listing, now) for file_id, row in listing.by_id.items()]
    return Changes(
        files=tuple(file for file, _ in taken),
        mutations=tuple(mutation for _, mutations in taken for mutation in mutations),
        unreadable=listing.unreadable,
    )


def unshown(
    listing: Listing, files: Mapping[str, FileRecord], proven: Iterable[Hour], *, now: datetime
) -> tuple[list[FileRecord], list[Mutation]]:
    """What becomes of known files that the listing does not show: withdrawn, where it proves their hour.

    That an archived file vanishes when its time is over is no news.
    A lost file whose hour is shown again counts as missing again, and is judged anew with its hour.
    """
    changed, told = [], []
    ids, shown, settled = listing.by_id.keys(), listing.shown, frozenset(proven)
    for file in files.values():
        if file.file_id in ids or file.hour is None:
            continue
        record = file
        if file.lost_at is not None and file.hour in shown and listing.in_books(file.hour):
            record = replace(record, lost_at=None)
        expired = listing.vendor_now >= may_be_gone_from(file.hour)
        if file.withdrawn_at is None and file.hour in settled and (file.wanted or not expired):
            record = replace(record, withdrawn_at=now, failure=WITHDRAWN if file.wanted else file.failure)
            told.append(Mutation(file.file_id, file.hour, "withdrawn", "no longer listed with its hour"))
        if record != file:
            changed.append(record)
    return changed, told


def lateness(
    hour: Hour,
    listing: Listing,
    files: Mapping[str, FileRecord],
    hours: Mapping[Hour, HourRecord],
    *,
    now: datetime,
) -> float | None:
    """Seconds from the hour's end to the first sight of a new row, where an earlier listing lacked it."""
    listed_before = hour in hours and hours[hour].listed_at is not None
    if not listed_before or all(row.hour != hour for row in _new_rows(listing, files)):
        return None
    return (now - hour.end).total_seconds()


def late_files(
    listing: Listing, files: Mapping[str, FileRecord], hours: Mapping[Hour, HourRecord], *, now: datetime
) -> Iterable[Mutation]:
    """New rows of hours whose content was taken as final."""
    for row in _new_rows(listing, files):
        record = hours.get(row.hour) if row.hour is not None else None
        if record is not None and record.attested_at is not None:
            late_s = (now - record.hour.end).total_seconds()
            yield Mutation(row.file_id, row.hour, "late", f"first listed {late_s:.0f} s after its hour ended")


def _new_rows(listing: Listing, files: Mapping[str, FileRecord]) -> Iterable[ListedFile]:
    return (row for file_id, row in listing.by_id.items() if file_id not in files and row.hour is not None)


def _absorb_row(
    row: ListedFile, known: FileRecord | None, listing: Listing, now: datetime
) -> tuple[FileRecord, list[Mutation]]:
    kept = row.hour is not None and (listing.in_books(row.hour) or (known is not None and known.hour == row.hour))
    hour = row.hour if kept else None
    if known is None:
        return FileRecord(row.file_id, row.name, row.size_bytes, hour, listing.span, now, now), []
    told = []
    resized = row.size_bytes is not None and row.size_bytes != known.size_bytes
    if resized and known.versions:
        told.append(("resized", f"{known.size_bytes} bytes before, {row.size_bytes} now"))
    if known.name not in (row.name, decorated(row.name)):  # the latter where it is known from the archive only
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
