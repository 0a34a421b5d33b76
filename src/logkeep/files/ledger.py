"""The ledger: the state of every hour, derived from its evidence (``files.evidence``), its files and the time. Pure.

It is computed over the product (account x hours of its window), never over the rows that happen to exist, so an hour
that nobody ever asked about is a gap like any other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from logkeep.catalog.records import AccountRecord, FileFacts, HourRecord
from logkeep.model import CLOCK_TOLERANCE, Hour, HourState

RETENTION = timedelta(days=30)
"""The vendor lists and serves the last 30 days (official page, read 2025-06-28)."""
GRACE = timedelta(hours=24)
"""How far beyond the retention an hour may still be had: the vendor's edge is not documented to the hour."""


def expires_at(hour: Hour) -> datetime:
    """When the vendor is expected to delete the hour's files."""
    return hour.end + RETENTION


NO_FILES = FileFacts()
TWO_LOOKS = 2
"""Blank looks of different spans that make an hour empty."""


def may_be_gone_from(hour: Hour) -> datetime:
    """From when on a strict vendor no longer lists the hour: thirty days after it began, an hour before it expires."""
    return hour.start + RETENTION


def first_watched(now: datetime) -> Hour:
    """The first hour answered for on a first start: the oldest that the vendor still offers in full."""
    return Hour.of(now - RETENTION) + 1


@dataclass(frozen=True, slots=True)
class Judged:
    """One hour of the ledger: its state and the reason, in words for a person."""

    record: HourRecord
    state: HourState
    reason: str
    files: FileFacts

    @property
    def hour(self) -> Hour:
        """The hour judged."""
        return self.record.hour


def judge(record: HourRecord, files: FileFacts, account: AccountRecord, now: datetime, settle: timedelta) -> Judged:
    """The state of one closed hour.

    A failure of the account as a whole stands in for the reason of every hour that still needs something.
    """
    state, reason = _state(record, files, now, settle)
    if state is HourState.PENDING and account.trouble is not None:
        state, reason = HourState.FAILED, account.trouble.reason
    return Judged(record, state, reason, files)


def _state(record: HourRecord, files: FileFacts, now: datetime, settle: timedelta) -> tuple[HourState, str]:
    if record.lost_at is not None:
        if record.acked_at is not None:
            return (
                HourState.ACKNOWLEDGED,
                f"{record.lost_reason}; acknowledged by {record.acked_by}: {record.ack_reason}",
            )
        return HourState.LOST, record.lost_reason
    if now < record.hour.end + settle:
        return HourState.OPEN, "closed so recently that files may still appear"
    if record.failure:
        return HourState.FAILED, record.failure
    if files.failing:
        first = files.failing[0]
        return HourState.FAILED, f"{len(files.failing)} file(s) cannot be fetched; {first.file_id}: {first.failure}"
    if files.missing:
        return HourState.PENDING, f"{files.missing} file(s) still to fetch"
    if not attested(record, files):
        return HourState.PENDING, _lack(record)
    if record.offered or files.archived:
        return HourState.COMPLETE, "listed after it settled, every listed file archived"
    return HourState.EMPTY, "no row in two successful listings with different spans"


def attested(record: HourRecord, files: FileFacts) -> bool:
    """Whether the evidence for the hour's content suffices; whether its files are archived is another matter."""
    return record.attested_at is not None and (
        record.offered > 0 or record.blanks >= TWO_LOOKS or files.archived > 0 or files.missing > 0
    )


def _lack(record: HourRecord) -> str:
    if record.listed_at is None:
        return "not listed yet"
    if record.offered:
        return "listed only before it settled"
    if record.listed_at >= may_be_gone_from(record.hour):
        return "nothing was shown of it, at a time when the vendor may have deleted it already"
    if record.attested_at is None:
        return "no listing proves it yet"
    return "seen empty once; a second listing with other boundaries is due"


def watched_hours(account: AccountRecord, now: datetime, records: Mapping[Hour, HourRecord]) -> list[Hour]:
    """The hours the ledger is computed over, in order.

    Every closed, watched hour not yet judged for good, whether anything is on record of it or not; older ones that
    were lost; and an hour before the watch (the window's edge at the first start) once it was seen to hold files.
    """
    first = max(account.watched_from, account.judged_to)
    window = map(Hour, range(first.index, Hour.of(now).index))
    kept = (hour for hour, record in records.items() if hour < first and _outlives_the_window(record, account))
    return sorted({*window, *kept})


def _outlives_the_window(record: HourRecord, account: AccountRecord) -> bool:
    still_young = account.judged_to == account.watched_from
    return record.lost_at is not None or (still_young and record.offered > 0)


def assess(
    account: AccountRecord,
    records: Mapping[Hour, HourRecord],
    files: Mapping[Hour, FileFacts],
    *,
    now: datetime,
    settle: timedelta,
) -> list[Judged]:
    """The ledger of one account, oldest hour first."""
    return [
        judge(records.get(hour, HourRecord(hour)), files.get(hour, NO_FILES), account, now, settle)
        for hour in watched_hours(account, now, records)
    ]


def losses(ledger: Iterable[Judged], now: datetime, skew_s: float | None) -> list[HourRecord]:
    """Hours that can no longer be had, as records marked so; none while this host's clock is in doubt.

    An hour is lost when it is older than retention and grace together, or older than the retention and a listing
    since refused it or no longer offers what is missing.
    """
    if skew_s is None or abs(skew_s) > CLOCK_TOLERANCE.total_seconds():
        return []
    lost = []
    for judged in ledger:
        if judged.state in (HourState.PENDING, HourState.FAILED) and _gone(judged, now):
            reason = f"the vendor deleted it before it could be kept: {judged.reason}"
            lost.append(replace(judged.record, lost_at=now, lost_reason=reason))
    return lost


def _gone(judged: Judged, now: datetime) -> bool:
    gone_from = expires_at(judged.hour)
    if now >= gone_from + GRACE:
        return True
    record = judged.record
    refused = record.refused_at is not None and record.refused_at >= gone_from
    withdrawn = judged.files.missing > 0 and record.offered == 0
    looked_since = record.attested_at is not None and record.attested_at >= gone_from
    return now >= gone_from and (refused or (withdrawn and looked_since))
