"""Which spans to list now, and why. Pure.

Theory. What is due is computed for every hour from its evidence, never from an alarm: an alarm that is late, missing
or doubled changes nothing. Reasons, in the order they are looked for:

    newest      the newest closed hour, once a poll, alone: the cheapest way to see a file the moment it appears
    never       nothing is known of the hour: first start, or after an outage
    failed      its last listing failed
    fetch       files of it are missing, and addresses live only as long as a listing
    settled     it was listed only before it had settled
    second      seen empty once: a second look with other boundaries
    proof       seen empty, but never provably (see files.evidence): alone
    lookback    closed within ``lookback``: once a poll, for late files
    sweep       within the vendor's window: once a sweep, for very late, changed and withdrawn files
    last        near deletion and not proven since it came within five days of it: no hour expires without a last
                provable look (the sweep usually has done it; hours it could not prove are asked alone)

Due hours are then covered by the fewest spans of at most ``span_hours``. Hours that must be asked alone are kept out
of their neighbours' spans: the newest, those that failed by themselves, those that need proof, and those that reach
beyond the vendor's retention, which may be refused. What expires soonest is asked first.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from logkeep.catalog.records import AccountRecord, FileFacts, FileRecord, HourRecord
from logkeep.files.ledger import GRACE, NO_FILES, RETENTION, TWO_LOOKS, expires_at, may_be_gone_from
from logkeep.model import CLOCK_TOLERANCE, Hour, Span, runs

DANGER = timedelta(days=5)
"""An hour this close to its deletion gets a last provable look, and an alert if anything of it is missing."""
SPAN_LIMIT_LASTS = timedelta(days=1)
"""How long a smaller span that the vendor forced upon us is remembered before longer ones are tried again."""
A_SWEEP = timedelta(days=1)
"""The daily sweep gets this long to make the last look before it is planned by itself."""
FEW_HOURS = 2
"""Up to this many blank hours in a row are cheaper to ask alone (one request each) than in a shifted span (two)."""


class Why(StrEnum):
    """Why an hour is due."""

    NEWEST = "newest closed hour"
    NEVER = "never listed"
    FAILED = "its last listing failed"
    FETCH = "files still to fetch"
    SETTLED = "listed only before it settled"
    SECOND = "seen empty once; a second look with other boundaries"
    PROOF = "seen empty, not yet provably"
    LOOKBACK = "look-back"
    SWEEP = "daily sweep"
    LAST = "last look before the vendor deletes it"


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that planning obeys."""

    settle: timedelta
    lookback: timedelta
    span_hours: int


@dataclass(frozen=True, slots=True)
class Moment:
    """When the plan is made: ``now`` by the vendor's clock, the others by this host's, like every stamp on record.

    The look-back is due for what was not listed since ``poll_since``, the sweep for what was not listed since
    ``sweep_since``. Stamps later than ``host_now`` come from a clock that was wrong and count for nothing.
    """

    now: datetime
    poll_since: datetime
    sweep_since: datetime
    host_now: datetime

    def stands(self, stamp: datetime | None, since: datetime) -> bool:
        """Whether something was done at or after ``since``."""
        return stamp is not None and since <= stamp <= self.host_now + CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class Ask:
    """One span to list, with the reason (the first due hour's) and the soonest deletion among its due hours."""

    span: Span
    why: str
    expires_at: datetime


def span_limit(account: AccountRecord, policy: Policy, now: datetime) -> int:
    """Hours per request: the policy's, or what the vendor was seen to accept within the last day."""
    learned = account.span_limit
    fresh = account.span_limited_at is not None and now - account.span_limited_at < SPAN_LIMIT_LASTS
    return min(learned, policy.span_hours) if learned is not None and fresh else policy.span_hours


def plan(
    account: AccountRecord,
    hours: Mapping[Hour, HourRecord],
    files: Mapping[Hour, FileFacts],
    wanting: Iterable[FileRecord],
    policy: Policy,
    moment: Moment,
) -> list[Ask]:
    """The spans to list now, what expires soonest first.

    Args:
        account: whose hours.
        hours: every record of the window.
        files: how the files of those hours stand.
        wanting: files that need a fresh address now; where their hour is unknown, the span they were last seen in.
        policy: the settings.
        moment: the time.
    """
    limit = span_limit(account, policy, moment.now)
    files_wanted = list(wanting)
    fetching = {file.hour for file in files_wanted if file.hour is not None}
    due = {
        hour: why
        for hour in _window(account, moment.now)
        if (why := _why(hours.get(hour, HourRecord(hour)), files.get(hour, NO_FILES), hour in fetching, policy, moment))
        is not None
    }
    second = {hour for hour, why in due.items() if why is Why.SECOND}
    few = {hour for run in runs(second) if len(run) <= FEW_HOURS for hour in run}
    alone = {hour for hour, why in due.items() if hour in few or _asked_alone(hours.get(hour), why, hour, moment.now)}
    walls = alone | {hour for hour, record in hours.items() if record.ask_alone}
    shared = set(due) - alone
    first_length = max(limit // 2, 1) if shared and shared <= second else limit
    spans = [_single(hour, hours.get(hour), limit, moment.now) for hour in alone]
    for span in cover(shared, limit, walls, first_length=first_length):
        spans.extend(_with_new_boundaries(span, [hours[h] for h in span if h in second]))
    asks = [_ask(span, due) for span in spans]
    asks.extend(_adrift_asks([file for file in files_wanted if file.hour is None], spans, limit))
    return sorted(asks, key=lambda ask: (ask.expires_at, ask.span))


def _window(account: AccountRecord, now: datetime) -> list[Hour]:
    """Closed hours that the vendor may still list; when the watch began, also the one at the window's edge."""
    first = max(Hour.of(now - RETENTION - GRACE), account.watched_from)
    edge = account.watched_from + -1
    hours = [hour for hour in map(Hour, range(first.index, Hour.of(now).index)) if expires_at(hour) + GRACE > now]
    return [edge, *hours] if expires_at(edge) > now else hours


def _why(record: HourRecord, files: FileFacts, fetching: bool, policy: Policy, moment: Moment) -> Why | None:
    now, hour = moment.now, record.hour
    if record.lost_at is not None:
        return None
    age = now - hour.end
    unseen_since_poll = not moment.stands(record.listed_at, moment.poll_since)
    if hour + 1 == Hour.of(now):
        return Why.NEWEST if unseen_since_poll else None
    if record.failure:
        return Why.FAILED
    if record.listed_at is None:
        return Why.NEVER
    if fetching:
        return Why.FETCH
    in_time = now < may_be_gone_from(hour) or unseen_since_poll
    if age >= policy.settle and in_time and (why := _lacks_evidence(record, files)) is not None:
        return why
    if age <= policy.lookback and unseen_since_poll:
        return Why.LOOKBACK
    if age <= RETENTION and not moment.stands(record.listed_at, moment.sweep_since):
        return Why.SWEEP
    return Why.LAST if _needs_last_look(record, moment) else None


def _needs_last_look(record: HourRecord, moment: Moment) -> bool:
    left = expires_at(record.hour) - moment.now
    proven = moment.stands(record.attested_at, expires_at(record.hour) - DANGER)
    return moment.now < may_be_gone_from(record.hour) and left <= DANGER - A_SWEEP and not proven


def _lacks_evidence(record: HourRecord, files: FileFacts) -> Why | None:
    if record.offered:
        return Why.SETTLED if record.attested_at is None else None
    if record.blanks == 0:
        return None if record.attested_at is not None and files.archived else Why.SETTLED
    if record.blanks < TWO_LOOKS:
        return Why.SECOND
    return Why.PROOF if record.attested_at is None else None


def _asked_alone(record: HourRecord | None, why: Why, hour: Hour, now: datetime) -> bool:
    own_failure = record is not None and record.ask_alone
    return (
        own_failure
        or now >= may_be_gone_from(hour)
        or why in (Why.NEWEST, Why.PROOF)
        or (why is Why.LAST and record is not None and not record.offered)
    )


def cover(
    hours: Iterable[Hour], limit: int, walls: Iterable[Hour] = (), *, first_length: int | None = None
) -> list[Span]:
    """The fewest spans of at most ``limit`` hours that hold every hour and no wall, laid from the newest back.

    ``first_length`` shortens the first one, which shifts the boundaries of all. Hours between two due ones may be
    covered too: asking them again costs nothing.
    """
    fence = set(walls)
    spans: list[Span] = []
    length = first_length or limit
    for hour in sorted(set(hours) - fence, reverse=True):
        if spans and spans[-1].last - hour < length and not any(h in fence for h in Span(hour, spans[-1].first)):
            spans[-1] = Span(hour, spans[-1].last)
        else:
            length = limit if spans else length
            spans.append(Span(hour, hour))
    return spans


def _single(hour: Hour, record: HourRecord | None, limit: int, now: datetime) -> Span:
    """The hour alone; with a neighbour where alone it was seen blank already and a second look must differ."""
    alone = Span(hour, hour)
    if record is None or record.blanks != 1 or record.blank_span != alone or limit == 1:
        return alone
    return Span(hour, hour + 1) if hour + 1 < Hour.of(now) else Span(hour + -1, hour)


def _with_new_boundaries(span: Span, seen_blank: Sequence[HourRecord]) -> Iterable[Span]:
    """The span itself, or its halves where it would only repeat the look that some hour already had."""
    if len(span) > 1 and any(record.blank_span == span for record in seen_blank):
        return span.halves()
    return (span,)


def _ask(span: Span, due: Mapping[Hour, Why]) -> Ask:
    first = next(hour for hour in span if hour in due)
    return Ask(span, due[first].value, expires_at(first))


def _adrift_asks(files: Iterable[FileRecord], spans: Sequence[Span], limit: int) -> list[Ask]:
    asks: dict[Span, Ask] = {}
    for file in files:
        if any(file.seen_in.first in span and file.seen_in.last in span for span in spans):
            continue
        for span in cover(file.seen_in, limit):
            asks[span] = Ask(span, Why.FETCH.value, file.first_seen_at + RETENTION)
    return list(asks.values())


def expected_calls(span: Span, hours: Mapping[Hour, HourRecord], page_size: int) -> int:
    """Requests that listing the span will take, if it holds what it held last: every page and the one that ends it."""
    rows = sum(hours[hour].offered for hour in span if hour in hours)
    return math.ceil(rows / page_size) + 1
