"""A vendor in memory and a pass over it, to drive the deciders without any I/O."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from logkeep.catalog.records import AccountRecord, FileFacts, FileRecord, HourRecord
from logkeep.files.evidence import Listing, absorb, contradicted, fail
from logkeep.files.ledger import Judged, assess, losses
from logkeep.files.plan import Ask, Moment, Policy, plan, span_limit
from logkeep.model import Hour, ListedFile, SignedUrl, Span

POLICY = Policy(settle=timedelta(hours=2), lookback=timedelta(hours=48), span_hours=24)


@dataclass
class Vendor:
    """Files by hour, answered as truly or falsely as the knobs say."""

    files: dict[Hour, dict[str, datetime]] = field(default_factory=dict)
    clamp_hours: int | None = None
    clamp_keeps_last: bool = False
    refuses_beyond: int | None = None
    end_inclusive: bool = False
    refuses_older: bool = False
    calls: int = 0

    def publish(self, hour: Hour, file_id: str, visible_from: datetime) -> None:
        self.files.setdefault(hour, {})[file_id] = visible_from

    def offered(self, now: datetime) -> dict[str, Hour]:
        oldest = Hour.of(now - timedelta(days=30))
        return {
            file_id: hour
            for hour, files in self.files.items()
            for file_id, visible_from in files.items()
            if hour >= oldest and visible_from <= now
        }

    def list(self, span: Span, now: datetime) -> tuple[ListedFile, ...] | None:
        """Rows, or None for a refusal. Every request is counted: a non-empty span takes a second, empty page."""
        self.calls += 1
        if self.refuses_beyond is not None and len(span) > self.refuses_beyond:
            return None
        if self.refuses_older and span.first.start < now - timedelta(days=30):
            return None
        last = span.last + (1 if self.end_inclusive else 0)
        asked = Span(span.first, last)
        if self.clamp_hours is not None and len(asked) > self.clamp_hours:
            keep = self.clamp_hours - 1
            asked = Span(last + -keep, last) if self.clamp_keeps_last else Span(span.first, span.first + keep)
        oldest = Hour.of(now - timedelta(days=30))
        rows = tuple(
            ListedFile(file_id, f"{hour}.gz", 10, hour, SignedUrl("https://cdn.example/x"))
            for hour in asked
            if hour >= oldest
            for file_id, visible_from in self.files.get(hour, {}).items()
            if visible_from <= now
        )
        self.calls += bool(rows)
        return rows


@dataclass
class World:
    """One account's knowledge, and passes that work on it as files.run does."""

    vendor: Vendor
    account: AccountRecord
    policy: Policy = POLICY
    hours: dict[Hour, HourRecord] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    asked: list[Ask] = field(default_factory=list)

    @classmethod
    def begin(cls, vendor: Vendor, now: datetime, policy: Policy = POLICY) -> "World":
        first = Hour.of(now) + -719
        return cls(vendor, AccountRecord(1, "pan123", "main", now, first, first, skew_s=0.0), policy)

    def facts(self) -> dict[Hour, FileFacts]:
        facts: dict[Hour, FileFacts] = {}
        for file in self.files.values():
            if file.hour is not None:
                known = facts.get(file.hour, FileFacts())
                facts[file.hour] = replace(
                    known, archived=known.archived + (file.versions > 0), missing=known.missing + file.wanted
                )
        return facts

    def plan(self, now: datetime, poll_since: datetime, sweep_since: datetime) -> list[Ask]:
        return plan(self.account, self.hours, self.facts(), [], self.policy, Moment(now, poll_since, sweep_since, now))

    def run_pass(
        self, now: datetime, *, poll_since: datetime | None = None, sweep_since: datetime | None = None
    ) -> int:
        """List what is due until nothing is; returns the number of requests."""
        before, times_asked = self.vendor.calls, dict[Span, int]()
        poll_since, sweep_since = poll_since or now, sweep_since or now - timedelta(days=1)
        for _ in range(200):
            asks = [a for a in self.plan(now, poll_since, sweep_since) if times_asked.get(a.span, 0) < 2]
            if not asks:
                break
            for ask in asks:
                times_asked[ask.span] = times_asked.get(ask.span, 0) + 1
                self.asked.append(ask)
                if not self._list(ask.span, now):
                    break
        return self.vendor.calls - before

    def _list(self, span: Span, now: datetime) -> bool:
        rows = self.vendor.list(span, now)
        if rows is None:
            if len(span) == 1:
                self._save(fail(span, self.hours, "refused", now=now, refused=True))
                return True
            self._limit(span, now)
            return False
        listing = Listing(span, now, rows)
        hidden = contradicted(listing, self.hours)
        strict = span_limit(self.account, self.policy, now) == 1
        changes = absorb(listing, self.hours, self.files, now=now, settle=self.policy.settle, hour_by_hour=strict)
        self._save(changes.hours)
        for file in changes.files:
            self.files[file.file_id] = replace(file, wanted=False, versions=1)
            self.archived.add(file.file_id)
        if hidden:
            self._limit(span, now)
        return not hidden

    def _limit(self, span: Span, now: datetime) -> None:
        self.account = replace(self.account, span_limit=max(len(span) // 2, 1), span_limited_at=now)

    def _save(self, records: tuple[HourRecord, ...]) -> None:
        self.hours.update((r.hour, r) for r in records if r.hour >= self.account.watched_from or not r.failure)

    def ledger(self, now: datetime) -> list[Judged]:
        return assess(self.account, self.hours, self.facts(), now=now, settle=self.policy.settle)

    def judge(self, now: datetime) -> None:
        for record in losses(self.ledger(now), now, self.account.skew_s):
            self.hours[record.hour] = record
