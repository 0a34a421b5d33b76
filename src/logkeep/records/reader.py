"""Reads the stretches of one pass: page by page, each taken in before the next is told of. All I/O, no decisions."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.contact import Contact
from logkeep.catalog.records import StreamRecord
from logkeep.clock import Clock
from logkeep.errors import PageRefused, UnreadableReply
from logkeep.model import CLOCK_TOLERANCE
from logkeep.records.account import PAGE_SIZE_HOLDS, Pass, RecordAccount
from logkeep.records.intake import Intake
from logkeep.records.oddities import odd_records, odd_rows, odd_steps, with_unreadable
from logkeep.records.plan import Moment, plan
from logkeep.records.progress import Progress
from logkeep.records.sight import Sight
from logkeep.records.stretch import Step
from logkeep.records.walk import Walk
from logkeep.records.windows import Window
from logkeep.vendors.port import RecordPage

log = structlog.stdlib.get_logger("logkeep.records")


class Reader:
    """One walk over one stream. ``stream`` is what is known of it by now."""

    def __init__(
        self,
        account: RecordAccount,
        passing: Pass,
        stream: StreamRecord,
        *,
        catalog: Catalog,
        intake: Intake,
        contact: Contact,
        clock: Clock,
        admit: Callable[[], Awaitable[None]],
    ) -> None:
        self._account = account
        self._passing = passing
        self._catalog = catalog
        self._intake = intake
        self._contact = contact
        self._clock = clock
        self._admit = admit
        self._begun_at = clock.now()
        self._begun_s = clock.monotonic_s()
        self._progress: Progress | None = None
        self._stream = stream
        moment = Moment(self._vendor_now(), passing.sweep_since, passing.deep_since)
        self._plan = plan(stream, account.policy, moment)
        self._walk = Walk(self._plan.stretches, self._page_size())
        self._log = log.bind(account=str(account.key))

    @property
    def stream(self) -> StreamRecord:
        """What is known of the stream by now, durable or not."""
        return self._stream if self._progress is None else self._progress.stream

    async def read(self) -> None:
        """Walk to the end, or to the break that ``passing.news_after`` asks for.

        Raises:
            VendorError: the vendor gave no answer, or none that helps; what was read before stays read.
            UnreadableReply: its pages cannot be walked.
            HomeError: what was read could not be kept.
        """
        window: Window | None = self._walk.first
        while window is not None:
            try:
                page = await self._account.vendor.read_page(window.page, window.size)
            except PageRefused as refusal:
                step = self._walk.refused()
                self._log.info("page_size_lowered", page_size=self._walk.page_size, reason=str(refusal))
            else:
                step = await self._take(page)
            if step.error:
                raise UnreadableReply(step.error)
            window, self._passing.why = step.ask, step.why
            if window is not None and self._time_for_news(step):
                self._passing.cut = True
                break

    async def _take(self, page: RecordPage) -> Step:
        """Tell the walk of the page, and hand over what is new with what is known of the stream after it."""
        now = self._clock.now()
        if self._progress is None:
            await self._contact.answered(page.skew_s)
            top, reach = self._top(page), self._account.policy.reach
            self._progress = Progress(self._stream, self._plan, top, self._begun_at, reach)
        ids = {record.record_id for record in page.records}
        known = ids & self._intake.pending
        known |= await self._catalog.streams.known(self._stream.stream_id, ids - known)
        sight = _sight(page, known)
        step = self._walk.tell(sight)
        below = step.reached or self._passing.reached or self._progress.top
        step = with_unreadable(step, sight.times, page.unreadable, below)
        new = list({r.record_id: r for r in page.records if r.record_id not in known}.values())
        if new:
            await self._admit()
        self._progress.take(step, new)
        self._remember_page(page)
        oddities = odd_records(new, vendor_now=self._progress.top, at=now)
        oddities += odd_rows(page.unreadable, now) + odd_steps(step, now)
        for suspect in step.suspects:
            self._log.warning("stream_suspect", reason=suspect.reason)
        await self._intake.put(new, self._progress.stream, oddities)
        self._passing.pages += 1
        self._passing.records += len(new)
        self._passing.reached = step.reached or self._passing.reached
        self._passing.total = page.total
        return step

    def _remember_page(self, page: RecordPage) -> None:
        """What the vendor's page says of the stream as a whole."""
        assert self._progress is not None, "made before"
        stream = self._progress.stream
        smaller = self._walk.page_size if self._walk.page_size != self._account.page_size else None
        at = self._clock.now() if smaller is not None and stream.page_size != smaller else stream.page_size_at
        self._progress.stream = replace(stream, total=page.total, page_size=smaller, page_size_at=at)

    def _page_size(self) -> int:
        """What was seen to be served, while that is fresh; what is configured, otherwise."""
        size, at = self._stream.page_size, self._stream.page_size_at
        fresh = size is not None and at is not None and self._begun_at - at < PAGE_SIZE_HOLDS
        return min(size, self._account.page_size) if fresh and size is not None else self._account.page_size

    def _vendor_now(self) -> datetime:
        return self._contact.now()

    def _top(self, page: RecordPage) -> datetime:
        """The vendor's time at the first request; without a ``Date``, what its newest record proves."""
        if page.vendor_date is not None:
            return page.vendor_date
        past = [r.created_at for r in page.records if r.created_at is not None and r.created_at <= self._begun_at]
        return max(past, default=self._begun_at - CLOCK_TOLERANCE)

    def _time_for_news(self, step: Step) -> bool:
        """Whether history can wait, which it can because the catalog remembers how far it is read."""
        after, stretch = self._passing.news_after, step.stretch
        history = stretch.top is not None or stretch.bottom is None
        late = after is not None and self._clock.monotonic_s() - self._begun_s >= after.total_seconds()
        return history and late and step.reached is not None


def _sight(page: RecordPage, known: set[str]) -> Sight:
    """The page as the walk sees it; a row without an id stands for itself, and is never news.

    A row that stands on it twice is one row: else the page would seem to reach further down than it does.
    """
    rows: dict[str, datetime | None] = {}
    for record in page.records:
        rows.setdefault(record.record_id, record.created_at)
    nameless = [f"\0{hashlib.sha256(row.encode()).hexdigest()}" for row in page.unreadable]
    rows |= dict.fromkeys(nameless)
    return Sight(
        ids=list(rows),
        times=list(rows.values()),
        known=known | set(nameless),
        page=page.page,
        per_page=page.per_page,
        total=page.total,
        has_next=page.has_next,
    )
