"""Reading the archive again, the least recently verified object first, and recording what is damaged.

``logkeep verify`` reads all of it; the daemon reads a share of it every quarter of an hour, so that every object is
read at least once in seven days. Nothing is moved and nothing is mended here: what is found is written into the
catalog, and the next pass of the one who holds the storage lock mends it (``files.repair``, ``records.repair``).
"""

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from logkeep.catalog.care import Damage, Due
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import AccountRecord
from logkeep.clock import Clock
from logkeep.errors import CatalogError, StorageFull
from logkeep.files.repair import may_be_had
from logkeep.files.verify import damage_of as damage_of_file
from logkeep.model import AccountKey, Checked
from logkeep.records.verify import damage_of as damage_of_segment
from logkeep.store.paced import Paced
from logkeep.store.port import Store

CYCLE = timedelta(days=7)
"""Within which the daemon reads every object again."""
ROUND = timedelta(days=6)
"""What it plans for, so that a day of standing still breaks no promise."""
REST = timedelta(days=3)
"""An object that was read or written this lately is not read again yet, however small the archive."""
LEAST_RATE_BYTES_PER_S = 4 * 2**20
_AT_ONCE = 64
_GRAIN = timedelta(microseconds=1)
_RECORD_EVERY_S = 5.0

log = structlog.stdlib.get_logger("logkeep.daemon")


@dataclass(frozen=True, slots=True)
class Share:
    """What is read in one go: objects not verified since ``before``, until so much of them is read; how fast.

    What was not verified since ``overdue`` is read in any case.
    """

    before: datetime
    overdue: datetime
    objects: int
    bytes: int
    rate_bytes_per_s: float


def share(objects: int, size_bytes: int, tick: timedelta, now: datetime) -> Share:
    """The daemon's share of an archive for one tick; pure. The rate is twice what a round needs, at least 4 MiB/s."""
    part = tick / ROUND
    rate = max(LEAST_RATE_BYTES_PER_S, 2 * size_bytes / ROUND.total_seconds())
    return Share(now - REST, now - ROUND, max(round(objects * part + 0.5), 1), round(size_bytes * part), rate)


@dataclass(slots=True)
class Scrub:
    """One reading. ``unrecorded`` is why the catalog did not take its findings, "" when it did.

    ``tell`` hears of every object once it is read.
    """

    catalog: Catalog
    store: Store
    clock: Clock
    tell: Callable[[Checked], None]
    account_ids: Collection[int] | None = None
    rate_bytes_per_s: float | None = None
    unrecorded: str = ""
    _read: list[Due] = field(default_factory=list)
    _recorded_at_s: float = 0.0
    _accounts: dict[int, AccountRecord] = field(default_factory=dict)
    _standing: dict[str, Damage] = field(default_factory=dict)

    async def everything(self, begun_at: datetime) -> None:
        """Read all there is at ``begun_at``, also what bears a later moment because the clock was wrong.

        Cut off anywhere, what was read is recorded as such, and the next reading begins with the rest.

        Raises:
            StorageError: the storage as a whole is gone.
            CatalogError: the catalog cannot be read.
        """
        newest = await self.catalog.checks.newest()
        before = max(begun_at, newest or begun_at) + _GRAIN
        await self._go(before=before, enough=lambda _due, _objects, _bytes: False)

    async def part(self, part: Share) -> None:
        """Read one share; raises as ``everything``."""
        self.rate_bytes_per_s = part.rate_bytes_per_s

        def enough(due: Due, objects: int, size_bytes: int) -> bool:
            return due.checked_at >= part.overdue and objects >= part.objects and size_bytes >= part.bytes

        await self._go(before=part.before, enough=enough)

    async def _go(self, before: datetime, enough: Callable[[Due, int, int], bool]) -> None:
        await self._learn()
        paced = Paced(self.store, self.clock, self.rate_bytes_per_s)
        after: Due | None = None
        objects = size_bytes = 0
        try:
            while some := await self.catalog.checks.oldest(before=before, after=after, account_ids=self.account_ids):
                for due in some:
                    if enough(due, objects, size_bytes):
                        return
                    await self._look(due, paced)
                    objects, size_bytes = objects + 1, size_bytes + due.size_bytes
                    await self._now_and_then(before)
                after = some[-1]
        finally:
            await self._record(before)

    async def _learn(self) -> None:
        self._accounts = {account.account_id: account for account in await self.catalog.accounts.all()}
        for account_id in self._accounts:
            self._standing |= {d.path: d for d in await self.catalog.damages.of_account(account_id)}

    async def _look(self, due: Due, paced: Paced) -> None:
        if due.stored is not None:
            what: str | None = await damage_of_file(paced, due.stored)
        else:
            assert due.segment is not None, "one of them"
            what = await damage_of_segment(self.catalog, paced, due.segment)
        self._read.append(due)
        if what is None:
            return
        known = self._standing.get(due.path)
        if what:
            await self._damaged(due, what)
        elif known is not None and await self._written(self.catalog.damages.whole(due.path)):
            log.info("damage_repaired", account=str(self._key(due)), path=due.path, how="found whole again")
        if what and known is not None and known.aside:
            what = f"{known.what}; the damaged copy is {known.aside}"
        self.tell(
            Checked(
                self._key(due),
                due.path,
                due.size_bytes,
                records=0 if due.segment is None else due.segment.records,
                file_id=None if due.stored is None else due.stored.file_id,
                damage=what,
                known=known is not None,
                acknowledged=known is not None and known.acked_at is not None,
            )
        )

    async def _damaged(self, due: Due, what: str) -> None:
        await self.store.present()
        fetch = await self._may_be_had(due)
        now = self.clock.now()
        if await self._written(self.catalog.damages.found(due, what, now=now, fetch=fetch)):
            log.error("damage_found", account=str(self._key(due)), path=due.path, damage=what)

    async def _may_be_had(self, due: Due) -> bool:
        if due.stored is None:
            return False
        file = await self.catalog.files.get(due.account_id, due.stored.file_id)
        assert file is not None, "every version belongs to a file"
        hour = None
        if file.hour is not None:
            hour = (await self.catalog.hours.window(due.account_id, file.hour)).get(file.hour)
        return may_be_had(file, hour, self._accounts[due.account_id], self.clock)

    async def _now_and_then(self, before: datetime) -> None:
        late = self.clock.monotonic_s() - self._recorded_at_s >= _RECORD_EVERY_S
        if len(self._read) >= _AT_ONCE or late:
            await self._record(before)

    async def _record(self, before: datetime) -> None:
        """A clock that was set back must not let an object come twice."""
        read, self._read = self._read, []
        self._recorded_at_s = self.clock.monotonic_s()
        if read:
            await self._written(self.catalog.checks.checked(read, at=max(self.clock.now(), before)))

    async def _written(self, writing: Coroutine[Any, Any, bool | None]) -> bool:
        """What the catalog says of a change, False where it takes none: reading goes on, and its caller is told why."""
        if self.unrecorded:
            writing.close()
            return False
        try:
            return bool(await writing)
        except (CatalogError, StorageFull) as error:
            self.unrecorded = str(error)
            log.warning("verifying_unrecorded", reason=str(error))
            return False

    def _key(self, due: Due) -> AccountKey:
        account = self._accounts[due.account_id]
        return AccountKey(account.vendor, account.name)
