"""Between the walk and the disk: what pages bring gathers while the batch before it is made durable.

A page's records come with the stream's state *after* that page. Whatever waits goes together with the latest state, so
a slow disk makes larger commits, not more of them, and the walk goes on asking meanwhile. Only so much may wait, which
also bounds what a kill costs: those pages are read again.
"""

import asyncio
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Self

from logkeep.catalog.records import Oddity, StreamRecord
from logkeep.errors import HomeError, StorageError
from logkeep.model import AccountKey, ListedRecord
from logkeep.records.segment import SegmentKeeper
from logkeep.store.blocking import settled

_MOST_RECORDS = 2_000
_MOST_PAGES = 4


class Intake:
    """The way from one walk to its keeper. ``run`` does the work, in the caller's TaskGroup or as a context manager.

    Leaving the context keeps what was put first, also when it is left because of an error; where that fails, leaving
    raises the keeper's error unless another one is under way.
    """

    def __init__(self, keeper: SegmentKeeper, key: AccountKey) -> None:
        self._keeper = keeper
        self._key = key
        self._change = asyncio.Condition()
        self._records: list[ListedRecord] = []
        self._oddities: list[Oddity] = []
        self._stream: StreamRecord | None = None
        self._pages = 0
        self._busy = False
        self._finishing = False
        self._ended = False
        self._failure: HomeError | None = None
        self._pending: set[str] = set()
        self._tasks = asyncio.TaskGroup()
        self._worker: asyncio.Task[None] | None = None

    @property
    def pending(self) -> AbstractSet[str]:
        """Ids handed over and not durable yet.

        Look here *before* asking the catalog which ids it knows: one that is durable by the time of its answer is
        missing here.
        """
        return self._pending

    async def put(
        self, records: Collection[ListedRecord], stream: StreamRecord, oddities: Sequence[Oddity] = ()
    ) -> None:
        """Hand over a page's new records and the stream's state after it; waits while too much waits already.

        Cancelled while it waits, nothing was handed over.

        Raises:
            StorageError: an earlier batch could not be kept, and nothing more will be.
            CatalogError: likewise.
        """
        async with self._change:
            await self._change.wait_for(self._has_room)
            self._raise_failure()
            if self._finishing:
                raise AssertionError("put after finish")
            self._records += records
            self._oddities += oddities
            self._stream = stream
            self._pages += 1
            self._pending.update(record.record_id for record in records)
            self._change.notify_all()

    async def settled(self) -> None:
        """Wait until everything put so far is durable.

        Raises:
            StorageError: it could not be kept.
            CatalogError: likewise.
        """
        async with self._change:
            await self._change.wait_for(lambda: self._ended or not (self._pages or self._busy))
        self._raise_failure()

    async def run(self) -> None:
        """Keep what is put until ``finish``; ends early, without raising, when something cannot be kept."""
        try:
            while (batch := await self._next()) is not None:
                await self._keep(*batch)
        except HomeError as failure:
            self._failure = failure
        except BaseException:
            self._failure = StorageError("the intake was cut off before everything was durable")
            raise
        finally:
            self._busy = False
            self._ended = True
            async with self._change:
                self._change.notify_all()

    async def finish(self) -> None:
        """Let ``run`` return once everything put so far is durable."""
        async with self._change:
            self._finishing = True
            self._change.notify_all()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._worker = self._tasks.create_task(self.run(), name="intake")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._worker is not None
        try:
            await settled(self._drain(self._worker))
        finally:
            await self._tasks.__aexit__(None, None, None)
        if error is None:
            self._raise_failure()

    async def _drain(self, worker: asyncio.Task[None]) -> None:
        await self.finish()
        await asyncio.wait((worker,))

    async def _next(self) -> tuple[StreamRecord, list[ListedRecord], list[Oddity]] | None:
        async with self._change:
            await self._change.wait_for(lambda: self._pages or self._finishing)
            if not self._pages:
                return None
            assert self._stream is not None
            batch = self._stream, self._records, self._oddities
            self._records, self._oddities, self._pages, self._busy = [], [], 0, True
            self._change.notify_all()
            return batch

    async def _keep(self, stream: StreamRecord, records: list[ListedRecord], oddities: list[Oddity]) -> None:
        await self._keeper.keep(self._key, stream, records, oddities)
        self._pending.difference_update(record.record_id for record in records)
        self._busy = False
        async with self._change:
            self._change.notify_all()

    def _has_room(self) -> bool:
        return self._ended or (self._pages < _MOST_PAGES and len(self._records) < _MOST_RECORDS)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
