"""What people and programs are told, derived from the ledger alone: gaps, and how each account stands.

The wire forms are contracts, described in docs/json.md.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from logkeep.catalog.care import Care, Damage
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.damages import DAMAGED
from logkeep.catalog.records import AccountRecord, FileRecord, HourRecord
from logkeep.files.books import Books, read_books
from logkeep.files.ledger import RETENTION, Judged, expires_at
from logkeep.model import AccountKey, Gap, HourState, TokenRecord, rfc3339

_MISSING = (HourState.PENDING, HourState.FAILED)


def gaps_of(ledger: Iterable[Judged], account: AccountKey, *, now: datetime, patience: timedelta) -> list[Gap]:
    """The gaps of one account's ledger: lost hours, and hours closed more than ``patience`` ago that lack something.

    Hours in a row with one state and one reason are one gap; a file that cannot be fetched is a gap of its own.
    """
    gaps: list[Gap] = []
    for judged in ledger:
        overdue = judged.state in _MISSING and now - judged.hour.end > patience
        if not overdue and judged.state is not HourState.LOST:
            continue
        failing = judged.files.failing if judged.state is HourState.FAILED and not judged.record.failure else ()
        if failing:
            gaps.extend(_file_gap(account, judged, file) for file in failing)
        else:
            _extend(gaps, _hour_gap(account, judged))
    return gaps


def _hour_gap(account: AccountKey, judged: Judged) -> Gap:
    hour, lost = judged.hour, judged.state is HourState.LOST
    return Gap(
        account, hour.start, hour.end, judged.state.value, judged.reason, None, None if lost else expires_at(hour)
    )


def _file_gap(account: AccountKey, judged: Judged, file: FileRecord) -> Gap:
    hour = judged.hour
    return Gap(account, hour.start, hour.end, judged.state.value, file.failure, file.file_id, expires_at(hour))


def _extend(gaps: list[Gap], gap: Gap) -> None:
    """Append, or join with the gap before it where that says the same of the hours just before."""
    last = gaps[-1] if gaps else None
    if (
        last is not None
        and last.file_id is None
        and (last.end, last.state, last.reason) == (gap.start, gap.state, gap.reason)
    ):
        gaps[-1] = Gap(last.account, last.start, gap.end, last.state, last.reason, None, last.expires_at)
    else:
        gaps.append(gap)


def adrift_gaps(account: AccountKey, wanted: Iterable[FileRecord], lost: Iterable[FileRecord]) -> list[Gap]:
    """Files that are not archived and whose hour cannot be read, or is none that a ledger holds."""
    missing = [
        Gap(
            account,
            None,
            None,
            HourState.FAILED.value if file.failure else HourState.PENDING.value,
            file.failure or "listed without an hour that a ledger holds; still to fetch",
            file.file_id,
            file.first_seen_at + RETENTION,
        )
        for file in wanted
    ]
    gone = [
        Gap(account, None, None, HourState.LOST.value, file.failure or "its window is over", file.file_id)
        for file in lost
    ]
    return missing + gone


def with_damage(account: AccountKey, gaps: Sequence[Gap], damages: Iterable[Damage]) -> list[Gap]:
    """The gaps, and one for each damaged file that is none of them yet and that nobody accepted.

    Where a file cannot be fetched again, its reason tells that it was damaged.
    """
    told = {gap.file_id: number for number, gap in enumerate(gaps) if gap.file_id is not None}
    whole = list(gaps)
    for damage in damages:
        if damage.file_id is None or damage.acked_at is not None:
            continue
        number = told.get(damage.file_id) if damage.fetching else None
        if number is None:
            whole.append(_damage_gap(account, damage))
        elif not whole[number].reason.startswith(DAMAGED):
            whole[number] = replace(whole[number], reason=f"{DAMAGED}: {damage.what}; {whole[number].reason}")
    return whole


def _damage_gap(account: AccountKey, damage: Damage) -> Gap:
    hour = damage.hour
    start, end = (None, None) if hour is None else (hour.start, hour.end)
    if damage.fetching:
        expiry = None if hour is None else expires_at(hour)
        reason = f"{DAMAGED}, being fetched again: {damage.what}"
        return Gap(account, start, end, HourState.FAILED.value, reason, damage.file_id, expiry)
    return Gap(account, start, end, DAMAGED, f"{DAMAGED} for good: {told_damage(damage)}", damage.file_id)


def told_damage(damage: Damage) -> str:
    """What is wrong with an object, which one it is, and where the damaged copy lies."""
    aside = f"; the damaged copy is {damage.aside}" if damage.aside else ""
    return f"{damage.path}: {damage.what}{aside}"


def orphan_gap(account: AccountRecord) -> Gap:
    """An account that the catalog knows and the configuration does not."""
    key = AccountKey(account.vendor, account.name)
    reason = (
        "the account left the configuration: put it back, or acknowledge it with "
        f"`logkeep gaps --ack {key} --reason TEXT --by NAME`"
    )
    return Gap(key, None, None, "orphaned", reason)


def gap_json(gap: Gap) -> dict[str, Any]:
    """One entry of ``gaps --json``."""
    return {
        "vendor": gap.account.vendor,
        "account": gap.account.name,
        "from": rfc3339(gap.start),
        "to": rfc3339(gap.end),
        "state": gap.state,
        "reason": gap.reason,
        "file_id": gap.file_id,
        "expires_at": rfc3339(gap.expires_at),
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """How one account stands at one moment."""

    key: AccountKey
    books: Books
    ledger: Sequence[Judged]
    gaps: Sequence[Gap]
    files: int
    bytes: int
    token: TokenRecord | None = None
    care: Care = field(default_factory=Care)

    @property
    def counts(self) -> dict[HourState, int]:
        """Hours in each of the seven states."""
        counted = Counter(judged.state for judged in self.ledger)
        return {state: counted[state] for state in HourState}

    @property
    def newest(self) -> HourRecord | None:
        """The newest hour that is complete or empty."""
        done = (HourState.COMPLETE, HourState.EMPTY)
        return next((judged.record for judged in reversed(self.ledger) if judged.state in done), None)

    @property
    def endangered(self) -> Judged | None:
        """The hour that lacks something and that the vendor deletes soonest."""
        return next((judged for judged in self.ledger if judged.state in _MISSING), None)


async def standing(
    catalog: Catalog,
    account: AccountRecord,
    *,
    now: datetime,
    settle: timedelta,
    patience: timedelta,
    token: TokenRecord | None = None,
) -> Standing:
    """Read how a configured account stands."""
    key = AccountKey(account.vendor, account.name)
    books = await read_books(catalog, account.account_id, now)
    ledger = books.ledger(now=now, settle=settle)
    files, size_bytes = await catalog.files.totals(account.account_id)
    lost = await catalog.files.lost(account.account_id)
    gaps = [*gaps_of(ledger, key, now=now, patience=patience), *adrift_gaps(key, books.adrift, lost)]
    gaps = with_damage(key, gaps, await catalog.damages.of_account(account.account_id))
    care = await catalog.checks.care(account.account_id)
    return Standing(key, books, ledger, gaps, files, size_bytes, token, care)


def standing_json(standing: Standing) -> dict[str, Any]:
    """One account of ``status --json``."""
    account, newest, next_to_go = standing.books.account, standing.newest, standing.endangered
    trouble = account.trouble
    return {
        "vendor": account.vendor,
        "account": account.name,
        "hours": {state.value: count for state, count in standing.counts.items()},
        "files": standing.files,
        "bytes": standing.bytes,
        "gaps": len(standing.gaps),
        "damaged": standing.care.damaged,
        "least_recently_verified_at": rfc3339(standing.care.checked_at),
        "newest_hour": None if newest is None else str(newest.hour),
        "next_to_expire": None
        if next_to_go is None
        else {
            "hour": str(next_to_go.hour),
            "state": next_to_go.state.value,
            "reason": next_to_go.reason,
            "expires_at": rfc3339(expires_at(next_to_go.hour)),
        },
        "token_expires_at": rfc3339(standing.token.expires_at) if standing.token is not None else None,
        "lateness_seconds": account.lateness_s,
        "clock_skew_seconds": account.skew_s,
        "answered_at": rfc3339(account.answered_at),
        "trouble": None
        if trouble is None
        else {"kind": trouble.kind.value, "reason": trouble.reason, "since": rfc3339(trouble.since)},
        "map": {str(judged.hour): judged.state.value for judged in standing.ledger},
    }
