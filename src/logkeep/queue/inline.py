"""The work queue of one process: everything in memory, one task a running job."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic

from logkeep.clock import Clock
from logkeep.queue.port import Again, Depth, Handler, Job, PayloadT


@dataclass(slots=True)
class _Group(Generic[PayloadT]):
    """The jobs of one group that wait for a worker, soonest first, and how many of its jobs run."""

    ready: list[tuple[float, int, Job[PayloadT]]] = field(default_factory=list)
    running: int = 0


class InlineQueue(Generic[PayloadT]):
    """Implements ``WorkQueue``. Equal priorities keep the order of ``put``.

    Args:
        clock: Measures and waits out delays and the drain.
        groups: Groups known from the start, for which workers are left free; others are learnt from their first job.
    """

    def __init__(self, clock: Clock, groups: Iterable[str] = ()) -> None:
        self._clock = clock
        self._groups: dict[str, _Group[PayloadT]] = {name: _Group() for name in groups}
        self._delayed: list[tuple[float, int, Job[PayloadT]]] = []
        self._running: dict[str, asyncio.Task[None]] = {}
        self._taken: set[str] = set()
        self._arrivals = count()
        self._changed = asyncio.Event()
        self._active = False
        self._closed = False

    async def put(self, job: Job[PayloadT], *, delay_s: float = 0) -> bool:
        """See the port."""
        if self._closed or job.key in self._taken:
            return False
        self._taken.add(job.key)
        self._enqueue(job, delay_s)
        return True

    async def run(self, handler: Handler[PayloadT], workers: int) -> None:
        """See the port."""
        if self._active:
            raise RuntimeError("this queue is being worked on already")
        self._active = True
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._dispatch(handler, workers, tasks)
        finally:
            self._active = False
            self._pulse()

    async def join(self) -> None:
        """See the port."""
        await self._until(lambda: not self._taken)

    def close(self) -> None:
        """See the port."""
        self._closed = True
        self._delayed.clear()
        for group in self._groups.values():
            group.ready.clear()
        self._taken = set(self._running)
        self._pulse()

    async def drain(self, timeout_s: float) -> bool:
        """See the port."""
        self.close()
        await _first(self.join(), self._clock.sleep(timeout_s))
        late = list(self._running.values())
        for task in late:
            task.cancel()
        await self.join()
        return not late

    async def depth(self, group: str | None = None) -> Depth:
        """See the port."""
        groups = [found for name, found in self._groups.items() if group in (None, name)]
        return Depth(
            waiting=sum(len(found.ready) for found in groups),
            delayed=sum(group in (None, job.group) for _, _, job in self._delayed),
            running=sum(found.running for found in groups),
        )

    async def _dispatch(self, handler: Handler[PayloadT], workers: int, tasks: asyncio.TaskGroup) -> None:
        """Start jobs as workers come free and delays end, until the queue closes."""
        while not self._closed:
            changed = self._changed
            self._release_due()
            while job := self._choose(workers - len(self._running)):
                self._start(job, handler, tasks)
            if self._delayed:
                await _first(changed.wait(), self._clock.sleep(self._delayed[0][0] - self._clock.monotonic_s()))
            else:
                await changed.wait()

    def _start(self, job: Job[PayloadT], handler: Handler[PayloadT], tasks: asyncio.TaskGroup) -> None:
        async def work() -> None:
            again: Again | None = None
            try:
                again = await handler(job)
            finally:
                self._finished(job, task, again)

        task = tasks.create_task(work(), name=job.key)
        task.add_done_callback(lambda _: self._finished(job, task, None))  # cancelled before its first step: no finally
        self._running[job.key] = task
        self._groups[job.group].running += 1

    def _finished(self, job: Job[PayloadT], task: asyncio.Task[None], again: Again | None) -> None:
        """Release the key before anybody else moves, or keep it for the next try; once a task."""
        if self._running.get(job.key) is not task:
            return
        del self._running[job.key]
        self._groups[job.group].running -= 1
        if again is None or self._closed:
            self._taken.discard(job.key)
        else:
            priority = job.priority if again.priority is None else again.priority
            self._enqueue(replace(job, priority=priority), again.delay_s)
        self._pulse()

    def _enqueue(self, job: Job[PayloadT], delay_s: float) -> None:
        arrival = next(self._arrivals)
        group = self._groups.setdefault(job.group, _Group())
        if delay_s > 0:
            heappush(self._delayed, (self._clock.monotonic_s() + delay_s, arrival, job))
        else:
            heappush(group.ready, (job.priority, arrival, job))
        self._pulse()

    def _release_due(self) -> None:
        now = self._clock.monotonic_s()
        while self._delayed and self._delayed[0][0] <= now:
            _, arrival, job = heappop(self._delayed)
            heappush(self._groups[job.group].ready, (job.priority, arrival, job))

    def _choose(self, free: int) -> Job[PayloadT] | None:
        """Take the job that a free worker does next, if there is one that leaves enough workers to other groups."""
        if free <= 0:
            return None
        idle = sum(group.running == 0 for group in self._groups.values())
        open_to = [group for group in self._groups.values() if group.ready and (group.running == 0 or free > idle)]
        if not open_to:
            return None
        chosen = min(open_to, key=lambda group: (group.running, group.ready[0]))
        return heappop(chosen.ready)[2]

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await self._changed.wait()

    def _pulse(self) -> None:
        """Wake everyone who waits for a change, once."""
        self._changed.set()
        self._changed = asyncio.Event()


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them ends; the others are cancelled, and have ended when this returns."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
