"""One pass over one record stream, from top to bottom: plan, walk, take in, compact.

The only way back is the catalog: each plan reads what the passes before it covered. So a pass may be cut off anywhere,
repeated, or run twice, and nothing is lost by it. What a page brought and how far the stream is read become durable
together (``records.intake``).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.contact import Contact
from logkeep.catalog.records import RunRecord, StreamRecord
from logkeep.clock import Clock
from logkeep.errors import HomeError, SkippableVendorError, VendorError
from logkeep.records.account import Pass, RecordAccount
from logkeep.records.compact import Compactor
from logkeep.records.intake import Intake
from logkeep.records.plan import needs_second_look
from logkeep.records.reader import Reader
from logkeep.records.repair import SegmentMender
from logkeep.records.segment import SegmentKeeper
from logkeep.store.port import Store

log = structlog.stdlib.get_logger("logkeep.records")


class RecordRun:
    """Runs passes over one stream, one at a time. ``admit`` raises ``StorageFull`` where there is no room to write."""

    def __init__(
        self,
        account: RecordAccount,
        *,
        catalog: Catalog,
        store: Store,
        clock: Clock,
        admit: Callable[[], Awaitable[None]],
    ) -> None:
        self.account = account
        self._catalog = catalog
        self._clock = clock
        self._admit = admit
        self._keeper = SegmentKeeper(store, catalog, clock)
        self._compactor = Compactor(store, catalog, clock)
        self._mender = SegmentMender(catalog, store, clock)
        self._log = log.bind(account=str(account.key))

    async def run(self, passing: Pass) -> Pass:
        """Read what is due. A vendor's failure ends in the catalog and in ``passing.error``; the storage's only there.

        Raises:
            CatalogError: not even that could be recorded.
        """
        account, started_at = self.account, self._clock.now()
        calls_before, pages_before, records_before = account.vendor.calls_made, passing.pages, passing.records
        run_id = await self._catalog.runs.begin(account.account_id, passing.cause, now=started_at)
        contact = Contact(self._catalog.accounts, account.account_id, account.key, self._clock)
        try:
            await self._mender.mend(account.key, await self._stream())
            await self._read(passing, contact)
            await self._mender.recount(account.key, account.stream_id)
            await self._compactor.compact_closed(account.key, await self._stream(), contact.now())
        except (VendorError, HomeError) as error:
            await self._stopped(passing, contact, error)
        run = RunRecord(
            run_id=run_id,
            account_id=account.account_id,
            cause=passing.cause,
            started_at=started_at,
            finished_at=self._clock.now(),
            listings=passing.pages - pages_before,
            calls=account.vendor.calls_made - calls_before,
            records=passing.records - records_before,
            outcome="ok" if passing.error is None else str(passing.error),
        )
        await self._catalog.runs.end(run)
        facts = {name: getattr(run, name) for name in ("cause", "calls", "records", "outcome")}
        self._log.info("record_pass_finished", pages=run.listings, cut=passing.cut, **facts)
        return passing

    async def _read(self, passing: Pass, contact: Contact) -> None:
        """Walk, and make durable what the walk brought, however it ends."""
        before = await self._stream()
        async with Intake(self._keeper, self.account.key) as intake:
            reader = Reader(
                self.account,
                passing,
                before,
                catalog=self._catalog,
                intake=intake,
                contact=contact,
                clock=self._clock,
                admit=self._admit,
            )
            await reader.read()
            await intake.settled()
        after = await self._stream()
        if after.failure:
            await self._catalog.streams.save(replace(after, failure="", failed_at=None))
            self._log.info("stream_recovered")
        if after.confirmed_at is not None and before.confirmed_at is None:
            self._log.info("history_confirmed", oldest=after.oldest, looks=after.looks)
        passing.again = passing.cut or bool(after.suspects) or needs_second_look(after)

    async def _stopped(self, passing: Pass, contact: Contact, error: VendorError | HomeError) -> None:
        """Remember what stopped the pass: the account's trouble, or the stream's own."""
        passing.error = error
        if isinstance(error, SkippableVendorError):
            stream = await self._stream()
            await self._catalog.streams.save(replace(stream, failure=str(error), failed_at=self._clock.now()))
            if not stream.failure:
                self._log.error("stream_failed", reason=str(error))
        elif isinstance(error, VendorError):
            await contact.failed(error)

    async def _stream(self) -> StreamRecord:
        return await self._catalog.streams.get(self.account.stream_id)
