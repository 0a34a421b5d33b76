"""What people and programs are told of a record stream, derived from the catalog alone: its state, its gaps, its sums.

The wire forms are contracts, described in docs/json.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from logkeep.catalog.care import Care, Damage
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.damages import DAMAGED
from logkeep.catalog.records import AccountRecord, StreamRecord
from logkeep.model import AccountKey, Gap, StreamState, TokenRecord, rfc3339
from logkeep.records.coverage import holes
from logkeep.records.line import UNKNOWN_DAY
from logkeep.records.plan import needs_second_look
from logkeep.records.repair import day_bounds

INTERVALS_AT_MOST = 3
"""Intervals without a complete pass that make a gap."""


def state_of(account: AccountRecord, stream: StreamRecord | None) -> tuple[StreamState, str]:
    """The state of a stream, and why."""
    if account.trouble is not None:
        return StreamState.FAILED, account.trouble.reason
    if stream is None or not stream.covered:
        failure = "" if stream is None else stream.failure
        return (StreamState.FAILED, failure) if failure else (StreamState.BACKFILLING, "nothing was read yet")
    if stream.failure:
        return StreamState.FAILED, stream.failure
    if stream.suspects:
        return StreamState.SUSPECT, stream.suspects[0].reason
    if holes(stream.covered):
        return StreamState.BACKFILLING, f"read back to {rfc3339(stream.covered[0].start) or 'the oldest record'}"
    if needs_second_look(stream):
        return StreamState.BACKFILLING, _UNPROVEN
    return StreamState.COVERED, ""


_UNPROVEN = "the first look at the whole history took steps without proof; a second one confirms it"


def stream_gaps(
    account: AccountRecord, stream: StreamRecord | None, *, now: datetime, interval: timedelta
) -> list[Gap]:
    """Whatever is not covered beyond doubt: never read, suspect, or not read for three intervals."""
    key = AccountKey(account.vendor, account.name)
    state, reason = state_of(account, stream)
    if stream is None or not stream.covered:
        return [Gap(key, None, now, state.value, reason)]
    backfilling, suspect = StreamState.BACKFILLING.value, StreamState.SUSPECT.value
    gaps = [_hole(key, start, end, stream.failure) for start, end in holes(stream.covered)]
    if needs_second_look(stream):
        gaps.append(Gap(key, None, stream.covered[-1].end, backfilling, _UNPROVEN))
    gaps += [Gap(key, found.start, found.end, suspect, found.reason) for found in stream.suspects]
    newest = max(filter(None, (stream.mark, stream.covered[-1].end)))
    if now - max(newest, stream.passed_at or newest) > INTERVALS_AT_MOST * interval:
        why = reason if state is StreamState.FAILED else "logkeep was not running, or is behind"
        gaps.append(Gap(key, newest, now, StreamState.FAILED.value, f"no complete pass for three intervals: {why}"))
    return gaps


def damage_gaps(key: AccountKey, stream: StreamRecord, damages: Iterable[Damage]) -> list[Gap]:
    """Segments that are damaged, and records that went with one and were not found again."""
    reading = any(suspect.reason.startswith(DAMAGED) for suspect in stream.suspects)
    gaps = []
    for damage in damages:
        if damage.stream_id != stream.stream_id or damage.day is None or damage.acked_at is not None:
            continue
        start, end = (None, None) if damage.day == UNKNOWN_DAY else day_bounds(damage.day)
        if damage.lacking is None:
            reason = f"{DAMAGED}: {damage.path}: {damage.what}; the next pass mends it"
        else:
            what = f"{DAMAGED}: {damage.lacking} of {damage.records} records of {damage.path} are lacking"
            reason = f"{what}, being read again" if reading else f"{what}, and the vendor showed them no more"
        gaps.append(Gap(key, start, end, DAMAGED, reason))
    return gaps


def _hole(key: AccountKey, start: datetime | None, end: datetime, failure: str) -> Gap:
    """A stretch that was not read; where pages cannot be walked, that is why."""
    if failure:
        return Gap(key, start, end, StreamState.FAILED.value, failure)
    reason = "not read yet" if start is None else "a pass was interrupted here"
    return Gap(key, start, end, StreamState.BACKFILLING.value, reason)


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """How one stream stands at one moment. ``days`` are its records by day, oldest first."""

    account: AccountRecord
    stream: StreamRecord | None
    name: str
    state: StreamState
    reason: str
    gaps: Sequence[Gap]
    records: int = 0
    segments: int = 0
    bytes: int = 0
    days: Mapping[str, int] = field(default_factory=dict)
    oddities: Mapping[str, int] = field(default_factory=dict)
    token: TokenRecord | None = None
    care: Care = field(default_factory=Care)

    @property
    def key(self) -> AccountKey:
        """The account."""
        return AccountKey(self.account.vendor, self.account.name)


async def stream_standing(
    catalog: Catalog,
    account: AccountRecord,
    name: str,
    *,
    now: datetime,
    interval: timedelta,
    token: TokenRecord | None = None,
) -> StreamStanding:
    """Read how the stream of that name stands."""
    streams = {stream.name: stream for stream in await catalog.streams.of_account(account.account_id)}
    stream = streams.get(name)
    state, reason = state_of(account, stream)
    gaps = stream_gaps(account, stream, now=now, interval=interval)
    if stream is None:
        return StreamStanding(account, None, name, state, reason, gaps, token=token)
    records, segments, size_bytes = await catalog.streams.totals(stream.stream_id)
    days = {day: count for day, _, count, _ in await catalog.streams.days(stream.stream_id)}
    oddities = await catalog.streams.oddity_counts(stream.stream_id)
    key = AccountKey(account.vendor, account.name)
    gaps += damage_gaps(key, stream, await catalog.damages.of_account(account.account_id))
    care = await catalog.checks.care(account.account_id)
    return StreamStanding(
        account, stream, name, state, reason, gaps, records, segments, size_bytes, days, oddities, token, care
    )


def stream_standing_json(standing: StreamStanding) -> dict[str, Any]:
    """One record stream of ``status --json``."""
    account, stream, trouble = standing.account, standing.stream, standing.account.trouble
    return {
        "vendor": account.vendor,
        "account": account.name,
        "stream": standing.name,
        "state": standing.state.value,
        "reason": standing.reason or None,
        "records": standing.records,
        "segments": standing.segments,
        "bytes": standing.bytes,
        "gaps": len(standing.gaps),
        "damaged": standing.care.damaged,
        "least_recently_verified_at": rfc3339(standing.care.checked_at),
        "covered": [] if stream is None else [_interval(part.start, part.end) for part in stream.covered],
        "suspect": [] if stream is None else [_interval(part.start, part.end) for part in stream.suspects],
        "read_to": rfc3339(stream.mark) if stream is not None else None,
        "passed_at": rfc3339(stream.passed_at) if stream is not None else None,
        "history_confirmed_at": rfc3339(stream.confirmed_at) if stream is not None else None,
        "oldest_record": rfc3339(stream.oldest) if stream is not None else None,
        "vendor_total": stream.total if stream is not None else None,
        "page_size": stream.page_size if stream is not None else None,
        "oddities": dict(standing.oddities),
        "days": dict(standing.days),
        "token_expires_at": rfc3339(standing.token.expires_at) if standing.token is not None else None,
        "clock_skew_seconds": account.skew_s,
        "answered_at": rfc3339(account.answered_at),
        "trouble": None
        if trouble is None
        else {"kind": trouble.kind.value, "reason": trouble.reason, "since": rfc3339(trouble.since)},
    }


def _interval(start: datetime | None, end: datetime | None) -> dict[str, str | None]:
    return {"from": rfc3339(start), "to": rfc3339(end)}
