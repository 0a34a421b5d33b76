"""One pass over one account, from top to bottom: plan, list, take in, fetch, judge.

The only way back is the catalog: each plan reads what the listings before it recorded. So a pass may be cut off
anywhere, repeated, or run twice, and nothing is lost by it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import RunRecord
from logkeep.clock import Clock
from logkeep.errors import (
    HomeError,
    RetriableVendorError,
    SkippableVendorError,
    UnreadableReply,
    VendorError,
)
from logkeep.files.books import close_books, is_due, read_books
from logkeep.files.delivery import Batch, Deliveries, Delivery
from logkeep.files.ledger import RETENTION, expires_at
from logkeep.files.listing import FileAccount, Listed, Lister
from logkeep.files.plan import Ask, Moment, cover, plan
from logkeep.model import Hour, ListedFile, Span
from logkeep.vendors.http import NoConnection

log = structlog.stdlib.get_logger("logkeep.files")

ASKED_AT_MOST = 2
"""Times one span is asked within a pass for evidence; hour by hour, a second look repeats the first."""
UNANSWERED_AT_MOST = 2
"""Listings in a row that may go without an answer before the pass takes the vendor for unreachable."""
UNREADABLE_AT_MOST = 30
"""Likewise without a readable one: more than the hours of a long span that are asked one by one after it."""
FRESH_ADDRESSES = "fresh addresses"


@dataclass(slots=True)
class Pass:
    """How a pass goes, and in the end how it went. ``error`` is what stopped it, if anything did."""

    cause: str
    poll_since: datetime
    sweep_since: datetime
    asks_planned: int = 0
    listings: int = 0
    rows: int = 0
    batch: Batch = field(default_factory=Batch)
    error: VendorError | HomeError | None = None


class FileRun:
    """Runs passes over one account, one at a time."""

    def __init__(self, account: FileAccount, catalog: Catalog, deliveries: Deliveries, clock: Clock) -> None:
        self.account = account
        self._catalog = catalog
        self._deliveries = deliveries
        self._clock = clock
        self._log = log.bind(account=str(account.key))

    async def run(self, passing: Pass) -> Pass:
        """List whatever is due, fetch whatever is wanted, judge what is lost.

        A vendor's failure ends in the catalog and in ``passing.error``; trouble with the storage in the latter.

        Raises:
            CatalogError: not even that could be recorded.
        """
        account_id, started_at = self.account.account_id, self._clock.now()
        calls_before = self.account.vendor.calls_made
        run_id = await self._catalog.runs.begin(account_id, passing.cause, now=started_at)
        lister = Lister(self.account, self._catalog, self._clock)
        try:
            await self._deliveries.mender.set_aside(self.account.key, account_id)
            await self._list_what_is_due(passing, lister)
        except (VendorError, HomeError) as error:
            await self._stop_listing(passing, lister, error)
        await passing.batch.settled()
        try:
            await self._renew_addresses(passing, lister)
        except (VendorError, HomeError) as error:
            await self._stop_listing(passing, lister, error)
        await passing.batch.settled()
        passing.error = passing.batch.trouble or passing.error
        skew = lister.contact.skew
        if skew is not None:
            settle = self.account.policy.settle
            await close_books(self._catalog, account_id, now=lister.now(), skew=skew, settle=settle)
        run = RunRecord(
            run_id=run_id,
            account_id=account_id,
            cause=passing.cause,
            started_at=started_at,
            finished_at=self._clock.now(),
            listings=passing.listings,
            calls=self.account.vendor.calls_made - calls_before,
            files=passing.batch.files,
            bytes=passing.batch.bytes,
            outcome="ok" if passing.error is None else str(passing.error),
        )
        await self._catalog.runs.end(run)
        facts = {name: getattr(run, name) for name in ("cause", "listings", "calls", "files", "bytes", "outcome")}
        self._log.info("pass_finished", failed=passing.batch.failed, **facts)
        return passing

    async def _list_what_is_due(self, passing: Pass, lister: Lister) -> None:
        """Plan, list what is planned, plan again; until nothing is due that was not asked already."""
        asked: dict[Span, int] = {}
        unanswered = unreadable = 0
        while asks := [ask for ask in await self._plan(passing, lister) if asked.get(ask.span, 0) < ASKED_AT_MOST]:
            passing.asks_planned = passing.listings + len(asks)
            for ask in asks:
                asked[ask.span] = asked.get(ask.span, 0) + 1
                try:
                    listed = await self._list(ask, passing, lister)
                except NoConnection:
                    raise  # it was tried again and again already, and the next span is asked of the same host
                except RetriableVendorError:
                    unanswered += 1
                    if unanswered >= UNANSWERED_AT_MOST:
                        raise
                    continue
                unanswered = 0
                unreadable = unreadable + 1 if isinstance(listed.error, UnreadableReply) else 0
                if listed.error is not None and unreadable >= UNREADABLE_AT_MOST:
                    raise listed.error
                if listed.stale_plan:
                    break

    async def _plan(self, passing: Pass, lister: Lister) -> list[Ask]:
        moment = self._moment(passing, lister)
        books = await read_books(self._catalog, self.account.account_id, moment.now)
        wanting = books.wanting(moment, passing.batch.ordered)
        return plan(books.account, books.hours, books.facts, wanting, self.account.policy, moment)

    def _moment(self, passing: Pass, lister: Lister) -> Moment:
        return Moment(lister.now(), passing.poll_since, passing.sweep_since, self._clock.now())

    async def _list(self, ask: Ask, passing: Pass, lister: Lister) -> Listed:
        """List one span and order what it shows; a failure that concerns this span only is no error.

        Raises:
            VendorError: the vendor gives no answer, or none that helps.
        """
        listed = await lister.list(ask)
        moment = self._moment(passing, lister)
        passing.listings += 1
        passing.rows += len(listed.rows)
        records = {file.file_id: file for file in listed.changes.files}
        for row in listed.rows:
            waiting = passing.batch.spent.pop(row.file_id, None) is not None
            untried = row.file_id not in passing.batch.ordered and is_due(records[row.file_id], moment)
            if waiting or untried:
                first_seen_at = records[row.file_id].first_seen_at
                expiry = expires_at(row.hour) if row.hour is not None else first_seen_at + RETENTION
                delivery = Delivery(self.account.key, self.account.account_id, row, passing.batch)
                await self._deliveries.order(delivery, expiry)
        if listed.error is not None and not isinstance(listed.error, SkippableVendorError):
            raise listed.error
        return listed

    async def _renew_addresses(self, passing: Pass, lister: Lister) -> None:
        """List again, once for all files that wait, what holds them; in the end give those up that got no address."""
        batch = passing.batch
        for where_seen in (False, True, True):
            if not batch.spent or passing.error is not None or batch.trouble is not None:
                break
            for span in await self._spans_of(list(batch.spent.values()), where_seen=where_seen):
                await self._list(Ask(span, FRESH_ADDRESSES, expires_at(span.first)), passing, lister)
            await batch.settled()
        if passing.error is not None or batch.trouble is not None:
            return  # they are still wanted, and no attempt was made with a fresh address
        for file_id in list(batch.spent):
            reason = "url_refused: no address that the vendor gave for it was accepted"
            await self._catalog.files.failed(self.account.account_id, file_id, reason, now=self._clock.now())
            self._log.warning("fetch_failed", file_id=file_id, reason=reason)
            batch.failed += 1

    async def _spans_of(self, files: Iterable[ListedFile], *, where_seen: bool) -> list[Span]:
        hours: set[Hour] = set()
        spans: dict[Span, None] = {}
        for file in files:
            if file.hour is not None and not where_seen:
                hours.add(file.hour)
            elif (record := await self._catalog.files.get(self.account.account_id, file.file_id)) is not None:
                spans[record.seen_in] = None
        return [*cover(hours, 1), *spans]

    async def _stop_listing(self, passing: Pass, lister: Lister, error: VendorError | HomeError) -> None:
        """Remember why the account gets nowhere."""
        passing.error = passing.error or error
        if isinstance(error, VendorError):
            await lister.contact.failed(error)
