"""From a listed row to a file in the archive: fetch, compare, publish; retries, and giving up for this pass.

A delivery is one job of the queue. A retry goes back to the queue with its delay and holds no worker; a spent address
goes back to the pass, which lists the hour again once for all who wait for it. Whatever the end, the catalog has the
outcome before the pass hears of it.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import Intent, PartialRecord, Sighting
from logkeep.clock import Clock
from logkeep.errors import FetchFailed, HomeError, NextStep, StorageFull
from logkeep.files import compare
from logkeep.files.fetch import Downloader, FetchInterrupted, Partial
from logkeep.files.naming import archive_path, quarantine_name, temp_name
from logkeep.files.publish import Publisher
from logkeep.files.repair import Mender
from logkeep.files.room import Claim, Room
from logkeep.model import AccountKey, ListedFile, StagedFile
from logkeep.queue.port import Again, Job, WorkQueue
from logkeep.store.port import Store
from logkeep.vendors.retry import RetryPolicy, next_delay

log = structlog.stdlib.get_logger("logkeep.files")

RELISTS = 2
"""Fresh addresses a file may ask for within one pass."""
RETRY = RetryPolicy()


@dataclass(slots=True)
class Batch:
    """The deliveries of one pass over one account, and what came of them."""

    ordered: set[str] = field(default_factory=set)
    under_way: set[str] = field(default_factory=set)
    spent: dict[str, ListedFile] = field(default_factory=dict)
    relists: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    partials: dict[str, Partial] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    failed: int = 0
    trouble: HomeError | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, file_id: str) -> None:
        """The file is on its way."""
        self.ordered.add(file_id)
        self.under_way.add(file_id)

    def end(self, file_id: str) -> None:
        """Its outcome is recorded, or it waits for a fresh address."""
        self.under_way.discard(file_id)
        self.changed.set()

    async def settled(self) -> None:
        """Wait until nothing is under way any more."""
        while self.under_way:
            self.changed.clear()
            await self.changed.wait()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a worker needs to bring one file home."""

    account: AccountKey
    account_id: int
    file: ListedFile
    batch: Batch = field(compare=False, repr=False)

    @property
    def key(self) -> str:
        """Names the job: one file of one account."""
        return f"{self.account}/{self.file.file_id}"


class Deliveries:
    """The workers' side: hands files from the queue through fetch and publish."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        store: Store,
        downloader: Downloader,
        publisher: Publisher,
        room: Room,
        queue: WorkQueue[Delivery],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._downloader = downloader
        self._publisher = publisher
        self._room = room
        self._queue = queue
        self._clock = clock
        self._rng = rng
        self.mender = Mender(catalog, store, clock)
        self.resumable: dict[tuple[int, str], PartialRecord] = {}

    async def open(self) -> None:
        """Learn which large parts an earlier process left to go on with."""
        self.resumable = {(p.account_id, p.file_id): p for p in await self._catalog.transfers.partials()}

    async def order(self, delivery: Delivery, expires_at: datetime) -> None:
        """Queue a file; what the vendor deletes soonest is fetched first. A file already under way is left alone."""
        file_id = delivery.file.file_id
        if file_id in delivery.batch.under_way:
            return
        delivery.batch.begin(file_id)
        group = str(delivery.account)
        job = Job(key=delivery.key, group=group, priority=expires_at.timestamp(), payload=delivery)
        if not await self._queue.put(job):
            delivery.batch.end(file_id)

    async def handle(self, job: Job[Delivery]) -> Again | None:
        """One attempt at one file; every failure ends in the catalog, none escapes but cancellation."""
        delivery = job.payload
        again: Again | None = None
        try:
            try:
                await self._deliver(delivery)
            except FetchFailed as failure:
                again = await self._after(delivery, failure)
        except StorageFull as failure:
            if not self._room.low:
                self._room.full()
            await self._wait(delivery, failure)
        except HomeError as failure:
            facts = {"account": str(delivery.account), "file_id": delivery.file.file_id}
            log.error("storage_failed", reason=str(failure), **facts)  # noqa: TRY400 - a known failure, no traceback
            await self._wait(delivery, failure)
        finally:
            self._room.release(delivery.key)
            if again is None:
                delivery.batch.end(delivery.file.file_id)
        return again

    async def _deliver(self, delivery: Delivery) -> None:
        file, account_id = delivery.file, delivery.account_id
        name = temp_name(delivery.account.vendor, delivery.account.name, file.file_id, "")
        partial = delivery.batch.partials.pop(file.file_id, None) or await self._left_behind(account_id, file.file_id)
        claim = Claim(self._room, delivery.key, got_bytes=partial.size_bytes if partial is not None else 0)

        async def on_partial(partial: Partial) -> None:
            await self._catalog.transfers.save_partial(
                PartialRecord(account_id, file.file_id, partial.temp_name, partial.validator, partial.total_bytes)
            )

        try:
            fetched = await self._downloader.fetch(
                file,
                name,
                partial=partial,
                progress=claim.got,
                on_partial=on_partial,
                admit=claim.total,
            )
        except StorageFull:
            if partial is not None:
                self._remember(account_id, file.file_id, partial)
            raise
        if fetched.disagreement is not None and not await self._mends(delivery, fetched.staged):
            accepted = await self._compare(delivery, fetched.staged, fetched.disagreement)
            if accepted is None:
                return
            await self._archive(delivery, accepted)
        else:
            await self._archive(delivery, fetched.staged)

    async def _mends(self, delivery: Delivery, staged: StagedFile) -> bool:
        """Whether these very bytes were accepted before, however odd they are, and their copy is damaged."""
        known = await self._catalog.files.versions(delivery.account_id, delivery.file.file_id)
        same = [version for version in known if version.sha256 == staged.sha256]
        return bool(same) and await self._catalog.damages.at(same[0].path) is not None

    async def _left_behind(self, account_id: int, file_id: str) -> Partial | None:
        left = self.resumable.pop((account_id, file_id), None)
        size = (await self._store.staged_sizes()).get(left.temp_name) if left is not None else None
        if left is None or size is None:
            return None
        return Partial(left.temp_name, size, left.validator, left.total_bytes)

    async def _archive(self, delivery: Delivery, staged: StagedFile) -> None:
        account, file, account_id = delivery.account, delivery.file, delivery.account_id
        now = self._clock.now()
        aside = await self._catalog.transfers.sightings(account_id, file.file_id)
        await self._publisher.catch_up(account_id, file.file_id)
        known = await self._catalog.files.versions(account_id, file.file_id)
        same = next((version for version in known if version.sha256 == staged.sha256), None)
        if same is not None and not await self.mender.must_replace(account, same):
            await self._catalog.transfers.unchanged(account_id, file.file_id, listed_bytes=file.size_bytes, now=now)
            await self._store.discard(staged.temp_name)
        else:
            if same is not None:
                version, path, flags = same.version, same.path, same.flags
            else:
                version, flags = max((old.version for old in known), default=0) + 1, staged.flags
                path = archive_path(account.vendor, account.name, file.hour, file.file_id, version, file.name)
            await self._publisher.publish(
                Intent(
                    account_id=account_id,
                    file_id=file.file_id,
                    version=version,
                    temp_name=staged.temp_name,
                    path=path,
                    sha256=staged.sha256,
                    size_bytes=staged.size_bytes,
                    listed_bytes=file.size_bytes,
                    flags=flags,
                )
            )
            delivery.batch.files += 1
            delivery.batch.bytes += staged.size_bytes
            log.info(
                "file_archived",
                account=str(account),
                file_id=file.file_id,
                version=version,
                path=path,
                size_bytes=staged.size_bytes,
                **({"flags": list(staged.flags)} if staged.flags else {}),
            )
            if same is not None:
                log.info("damage_repaired", account=str(account), path=path, how="fetched again")
        for sighting in aside:
            await self._store.drop_quarantined(_aside_name(delivery, sighting.sha256))

    async def _compare(self, delivery: Delivery, staged: StagedFile, disagreement: str) -> StagedFile | None:
        """The staged file with its flag once it counts as the vendor's object; None while it has to prove itself."""
        file, account_id, now = delivery.file, delivery.account_id, self._clock.now()
        seen = await self._catalog.transfers.sightings(account_id, file.file_id)
        if compare.counts(seen, staged.sha256, now):
            sighting = Sighting(staged.sha256, now, disagreement, staged.size_bytes)
            await self._catalog.transfers.add_sighting(account_id, file.file_id, sighting)
            seen = [*seen, sighting]
        arrived = compare.arrivals(seen, staged.sha256)
        if arrived >= compare.ARRIVALS:
            facts = {"account": str(delivery.account), "flags": list(staged.flags)}
            log.warning("vendor_object_accepted", file_id=file.file_id, **facts)
            return staged
        await self._store.quarantine(staged.temp_name, _aside_name(delivery, staged.sha256))
        for sha256 in compare.outdated(seen):
            await self._store.drop_quarantined(_aside_name(delivery, sha256))
        reason = (
            f"{disagreement}: {staged.size_bytes} bytes arrived, {file.size_bytes} were listed; set aside, "
            f"seen {arrived} of {compare.ARRIVALS} times an hour apart"
        )
        await self._fail(delivery, reason)
        return None

    async def _after(self, delivery: Delivery, failure: FetchFailed) -> Again | None:
        """What follows a failed attempt: the same again later, a fresh address, or the end for this pass."""
        batch, file_id = delivery.batch, delivery.file.file_id
        if isinstance(failure, FetchInterrupted):
            batch.partials[file_id] = failure.partial
        relists = batch.relists.get(file_id, 0)
        if failure.step is NextStep.RELIST and relists < RELISTS:
            batch.relists[file_id] = relists + 1
            batch.spent[file_id] = delivery.file
            return None
        attempt = batch.attempts[file_id] = batch.attempts.get(file_id, 0) + 1
        delay_s = next_delay(failure, attempt, self._rng, RETRY)
        if delay_s is None:
            await self._fail(delivery, str(failure))
            return None
        log.info("fetch_retried", account=str(delivery.account), file_id=file_id, reason=failure.reason)
        return Again(delay_s)

    async def _wait(self, delivery: Delivery, trouble: HomeError) -> None:
        """Name on record what the file waits for; no fault of its own, so it stays due."""
        delivery.batch.trouble = trouble
        with suppress(HomeError):  # the catalog may be what is in trouble; then the pass alone tells
            await self._catalog.files.waits(delivery.account_id, delivery.file.file_id, str(trouble))

    async def _fail(self, delivery: Delivery, reason: str) -> None:
        file_id = delivery.file.file_id
        await self._catalog.files.failed(delivery.account_id, file_id, reason, now=self._clock.now())
        log.warning("fetch_failed", account=str(delivery.account), file_id=file_id, reason=reason)
        delivery.batch.failed += 1
        partial = delivery.batch.partials.pop(file_id, None)
        if partial is not None:
            self._remember(delivery.account_id, file_id, partial)

    def _remember(self, account_id: int, file_id: str, partial: Partial) -> None:
        """A later attempt can go on where this one stopped, unless the part is gone by then."""
        self.resumable[account_id, file_id] = PartialRecord(
            account_id, file_id, partial.temp_name, partial.validator, partial.total_bytes
        )


def _aside_name(delivery: Delivery, sha256: str) -> str:
    account = delivery.account
    return quarantine_name(account.vendor, account.name, delivery.file.file_id, sha256)
