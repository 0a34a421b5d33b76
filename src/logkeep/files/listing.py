"""List one span: walk its pages, record what came of it, whichever way it went."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.contact import Contact
from logkeep.catalog.records import AccountRecord, Changes, FileRecord, HourRecord, ListingRecord
from logkeep.clock import Clock
from logkeep.errors import SpanRefused, UnreadableReply, VendorError
from logkeep.files.evidence import Listing, absorb, contradicted, fail, glimpse
from logkeep.files.ledger import first_watched
from logkeep.files.pages import Broken, PageRequest, Step, Walk
from logkeep.files.plan import Ask, Policy, span_limit
from logkeep.model import CLOCK_TOLERANCE, AccountKey, Hour, ListedFile, Span
from logkeep.vendors.port import FileVendor

log = structlog.stdlib.get_logger("logkeep.files")


@dataclass(frozen=True, slots=True)
class FileAccount:
    """A configured account of a vendor that publishes files."""

    key: AccountKey
    account_id: int
    policy: Policy
    page_size: int
    vendor: FileVendor


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing brought: rows to fetch from, what they changed, and whether the rest of a plan is stale by it.

    ``error`` is why the walk broke off, if it did; its rows can be fetched all the same.
    """

    rows: tuple[ListedFile, ...]
    changes: Changes
    stale_plan: bool
    error: VendorError | None = None


class Lister:
    """Lists spans of one account for the length of one pass."""

    def __init__(self, account: FileAccount, catalog: Catalog, clock: Clock) -> None:
        self._account = account
        self._catalog = catalog
        self._clock = clock
        self._log = log.bind(account=str(account.key))
        self.contact = Contact(catalog.accounts, account.account_id, account.key, clock)
        self._fullest = 0

    def now(self) -> datetime:
        """The vendor's time where this host's clock is off, this host's otherwise."""
        return self.contact.now()

    async def list(self, ask: Ask) -> Listed:
        """List one span and record it; where it fails, the hours that lack evidence bear the reason."""
        begun, calls_before, expected_now = self._clock.now(), self._account.vendor.calls_made, self.now()
        walk = Walk(self._account.page_size, self._fullest)
        trace_id, failure = "", None
        vendor_now = begun
        try:
            vendor_now, trace_id = await self._walk(ask.span, walk)
        except VendorError as error:
            failure = error
        self._fullest = walk.fullest
        record = ListingRecord(
            span=ask.span,
            why=ask.why,
            asked_at=begun,
            finished_at=self._clock.now(),
            calls=self._account.vendor.calls_made - calls_before,
            rows=len(walk.rows) + len(walk.unreadable),
            trace_id=trace_id,
            error="" if failure is None else str(failure),
        )
        listing = Listing(ask.span, vendor_now, tuple(walk.rows.values()), tuple(walk.unreadable))
        if failure is not None:
            return await self._failed(record, listing, failure)
        changes, hidden = await self._take_in(listing, record)
        jumped = abs(self.now() - expected_now) > CLOCK_TOLERANCE + (record.finished_at - begun)
        return Listed(listing.rows, changes, stale_plan=hidden or jumped)

    async def _walk(self, span: Span, walk: Walk) -> tuple[datetime, str]:
        """Feed the walk until it ends; returns the vendor's time at its first page, and the trace id."""
        step: Step = walk.start()
        vendor_now, trace_id = self._clock.now(), ""
        while isinstance(step, PageRequest):
            page = await self._account.vendor.list_page(span.first, span.last + 1, step.page_num, step.page_size)
            if walk.pages == 0:
                await self._answered(page.skew_s)
                vendor_now = page.vendor_date or vendor_now
            trace_id = page.trace_id or trace_id
            step = walk.feed(page.files, page.unreadable)
        if isinstance(step, Broken):
            raise WalkBroken(step.reason)
        return vendor_now, trace_id

    async def _take_in(self, listing: Listing, record: ListingRecord) -> tuple[Changes, bool]:
        limit = span_limit(await self._known(), self._account.policy, self.now())
        hidden = False

        def decide(hours: Mapping[Hour, HourRecord], files: Mapping[str, FileRecord]) -> Changes:
            nonlocal hidden
            hidden = contradicted(listing, hours)
            settle = self._account.policy.settle
            return absorb(listing, hours, files, now=record.finished_at, settle=settle, hour_by_hour=limit == 1)

        ids = [row.file_id for row in listing.rows]
        changes = await self._catalog.hours.absorb(self._account.account_id, record, listing.shown, ids, decide)
        self._log.info("listed", span=str(record.span), why=record.why, rows=record.rows, calls=record.calls)
        for mutation in changes.mutations:
            self._log.warning("vendor_mutation", file_id=mutation.file_id, kind=mutation.kind, detail=mutation.detail)
        if changes.unreadable:
            self._log.error("unreadable_rows", span=str(record.span), count=len(changes.unreadable))
        if hidden:
            await self._shorten(record.span, "files known there were not shown")
        return changes, hidden

    async def _failed(self, record: ListingRecord, listing: Listing, failure: VendorError) -> Listed:
        span, reason = record.span, str(failure)
        self._log.warning("listing_failed", span=str(span), why=record.why, reason=reason)
        shorter = isinstance(failure, SpanRefused) and len(span) > 1
        broken = isinstance(failure, WalkBroken)
        watched_from = (await self._known()).watched_from

        def decide(hours: Mapping[Hour, HourRecord], files: Mapping[str, FileRecord]) -> Changes:
            glimpsed = glimpse(listing, files, now=record.finished_at)
            if shorter or span.last < watched_from:
                return glimpsed
            failed = fail(
                Span(max(span.first, watched_from), span.last),
                hours,
                reason,
                now=record.finished_at,
                own=broken,
                refused=isinstance(failure, SpanRefused) and not broken,
                alone=isinstance(failure, UnreadableReply),
            )
            return replace(glimpsed, hours=failed)

        ids = [row.file_id for row in listing.rows]
        changes = await self._catalog.hours.absorb(self._account.account_id, record, listing.shown, ids, decide)
        if shorter:
            await self._shorten(span, reason)
        return Listed(listing.rows, changes, stale_plan=shorter, error=failure)

    async def _shorten(self, span: Span, reason: str) -> None:
        hours = max(len(span) // 2, 1)
        self._log.info("span_shortened", span=str(span), hours=hours, reason=reason)
        await self._catalog.accounts.limit_span(self._account.account_id, hours, now=self.now())

    async def _answered(self, skew_s: float | None) -> None:
        """The vendor answered; at its first answer ever, its clock says which hours are still to be had."""
        known, skew = await self.contact.answered(skew_s), self.contact.skew
        if known.answered_at is None and skew is not None and abs(skew) > CLOCK_TOLERANCE:
            await self._catalog.accounts.watch_from(known.account_id, first_watched(self.now()))

    async def _known(self) -> AccountRecord:
        return await self._catalog.accounts.get(self._account.account_id)


class WalkBroken(SpanRefused):
    """The pages of a span cannot be walked to their end (``files.pages``)."""
