"""Verified downloads become visible: flush, intent, rename, outcome; many small files together.

Each round takes whatever waits, up to a limit, so a lone file waits for nobody and a crowd shares its fsyncs and its
two transactions. A kill between any two steps leaves either an open intent, which start-up reconciles
(``files.reconcile``), or a staged file that nothing points to, which it sweeps. Never a partial object, never a lost
one, never one twice.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import Intent
from logkeep.clock import Clock
from logkeep.errors import HomeError
from logkeep.store.port import Publication, Store

_MOST_AT_ONCE = 64


@dataclass(slots=True)
class _Waiting:
    intent: Intent
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: HomeError) -> None:
        """Tell the caller; it counts as told even where the caller has gone."""
        self.done.set_exception(error)
        self.done.exception()


class Publisher:
    """The one way into the archive. ``run`` does the work; ``publish`` asks for it and waits."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._unrecorded: dict[tuple[int, str], Intent] = {}

    async def publish(self, intent: Intent) -> None:
        """Make one staged file visible and recorded; durable when this returns.

        Cancelling the caller does not stop a publication that has begun.

        Raises:
            StorageError: it could not be published; nothing of it is visible, and its intent is withdrawn.
            CatalogError: it could not be recorded; ``catch_up`` or start-up will do that.
        """
        waiting = _Waiting(intent)
        self._queue.put_nowait(waiting)
        await asyncio.shield(waiting.done)

    async def run(self) -> None:
        """Work until ``finish``."""
        while (first := await self._queue.get()) is not None:
            batch = [first]
            while len(batch) < _MOST_AT_ONCE and not self._queue.empty():
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put_nowait(None)
                    break
                batch.append(more)
            await self._settle(batch)

    async def catch_up(self, account_id: int, file_id: str) -> None:
        """Give the file's last publication its outcome, should it have failed half-way; the next one depends on it.

        Raises:
            StorageError: that cannot be done yet.
            CatalogError: likewise.
        """
        intent = self._unrecorded.get((account_id, file_id))
        if intent is None:
            return
        if await self._store.digest(intent.path) == intent.sha256:
            await self._catalog.transfers.archived([intent], now=self._clock.now())
        else:
            await self._catalog.transfers.drop_intents([intent])
        del self._unrecorded[account_id, file_id]

    def finish(self) -> None:
        """Let ``run`` return once everything asked for so far is done."""
        self._queue.put_nowait(None)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._store.flush([waiting.intent.temp_name for waiting in batch])
        except HomeError as error:
            # no second try: after a failed fsync the kernel may call lost bytes clean; they must be staged anew
            for waiting in batch:
                waiting.fail(error)
            return
        await self._publish(batch)

    async def _publish(self, batch: Sequence[_Waiting]) -> None:
        """Publish flushed files together; where that fails, one by one, so that one bad file holds up no other."""
        intents = [waiting.intent for waiting in batch]
        try:
            await self._catalog.transfers.intend(intents)
            await self._store.publish([Publication(i.temp_name, i.path, i.sha256) for i in intents])
            await self._catalog.transfers.archived(intents, now=self._clock.now())
        except HomeError as error:
            if len(batch) > 1:
                for waiting in batch:
                    await self._publish([waiting])
                return
            await self._withdraw(batch[0].intent)
            batch[0].fail(error)
        else:
            for waiting in batch:
                waiting.done.set_result(None)

    async def _withdraw(self, intent: Intent) -> None:
        """Take an intent back unless its object is visible already: that one is recorded when the catalog can again."""
        self._unrecorded[intent.account_id, intent.file_id] = intent
        with suppress(HomeError):  # then the next publication of this file tries again, or start-up does
            if await self._store.digest(intent.path) != intent.sha256:
                await self._catalog.transfers.drop_intents([intent])
                del self._unrecorded[intent.account_id, intent.file_id]
