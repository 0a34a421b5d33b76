"""The exam that every work queue sits; a test module subclasses it with its own ``make_queue``."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from logkeep.queue.port import Again, Depth, Handler, Job, WorkQueue


def job(key: str, group: str = "main", priority: float = 0, payload: str = "") -> Job[str]:
    return Job(key, group, priority, payload)


class Gate:
    """A handler that holds each job until it is told to let it pass, and knows who is inside."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self._open: dict[str, asyncio.Event] = {}
        self._moved = asyncio.Event()

    def let(self, *keys: str) -> None:
        for key in keys:
            self._open.setdefault(key, asyncio.Event()).set()

    async def until_started(self, *keys: str) -> None:
        while not set(keys) <= set(self.started):
            self._moved.clear()
            await self._moved.wait()

    async def __call__(self, job: Job[str]) -> None:
        self.started.append(job.key)
        self._moved.set()
        try:
            await self._open.setdefault(job.key, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(job.key)
            raise
        self.finished.append(job.key)


@asynccontextmanager
async def working(queue: WorkQueue[str], handler: Handler[str], workers: int) -> AsyncIterator[None]:
    """Workers beside the test; the queue is closed and they have gone when it ends."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(queue.run(handler, workers))
        yield
        queue.close()


class QueueContract:
    """Subclasses are collected, this is not."""

    delay_s: ClassVar[float] = 0.05

    def make_queue(self, groups: Iterable[str] = ()) -> WorkQueue[str]:
        raise AssertionError(f"a subclass makes the queue for {groups}")

    async def test_a_job_put_is_run_with_its_payload(self) -> None:
        queue, seen = self.make_queue(), []

        async def handler(job: Job[str]) -> None:
            seen.append(job)

        async with working(queue, handler, 2):
            assert await queue.put(job("a", payload="12"))
            await queue.join()
        assert seen == [job("a", payload="12")]

    async def test_jobs_put_before_the_workers_come_are_run(self) -> None:
        queue, gate = self.make_queue(), Gate()
        gate.let("a", "b")
        await queue.put(job("a"))
        await queue.put(job("b"))
        async with working(queue, gate, 1):
            await queue.join()
        assert gate.finished == ["a", "b"]

    async def test_the_same_job_is_refused_while_it_waits_and_while_it_runs_and_accepted_after(self) -> None:
        queue, gate = self.make_queue(), Gate()
        assert await queue.put(job("a"))
        assert not await queue.put(job("a", priority=-1))
        assert not await queue.put(job("a"), delay_s=self.delay_s)
        async with working(queue, gate, 2):
            await gate.until_started("a")
            assert not await queue.put(job("a"))
            gate.let("a")
            await queue.join()
            assert await queue.put(job("a"))
            await queue.join()
        assert gate.finished == ["a", "a"]

    async def test_no_more_jobs_run_at_once_than_there_are_workers(self) -> None:
        queue, gate = self.make_queue(), Gate()
        for key in "abcd":
            await queue.put(job(key))
        async with working(queue, gate, 3):
            await gate.until_started("a", "b", "c")
            assert await queue.depth() == Depth(waiting=1, delayed=0, running=3)
            gate.let(*"abcd")
            await queue.join()

    async def test_one_worker_takes_what_expires_soonest_first(self) -> None:
        queue, gate = self.make_queue(["x", "y"]), Gate()
        gate.let(*"abcdef")
        for key, group, priority in [("a", "x", 5), ("b", "y", 1), ("c", "x", 3.5), ("d", "y", 4), ("e", "x", -2)]:
            await queue.put(job(key, group, priority))
        async with working(queue, gate, 1):
            await queue.join()
        assert gate.finished == list("ebcda")

    async def test_a_slow_group_leaves_a_worker_to_every_other(self) -> None:
        """Four jobs of the slow one, all expiring first, hold only what the two others can spare."""
        queue, gate = self.make_queue(["slow", "b", "c"]), Gate()
        gate.let("b1", "b2", "c1")
        for number in range(4):
            await queue.put(job(f"slow{number}", "slow", -1))
        async with working(queue, gate, 4):
            await gate.until_started("slow0", "slow1")
            for key in ("b1", "b2", "c1"):
                await queue.put(job(key, key[0]))
            await gate.until_started("b1", "b2", "c1")
            assert sorted(gate.started) == ["b1", "b2", "c1", "slow0", "slow1"]
            gate.let(*(f"slow{number}" for number in range(4)))
            await queue.join()

    async def test_a_lone_group_may_have_every_worker(self) -> None:
        queue, gate = self.make_queue(["only"]), Gate()
        for key in "abc":
            await queue.put(job(key, "only"))
        async with working(queue, gate, 3):
            await gate.until_started(*"abc")
            gate.let(*"abc")
            await queue.join()

    async def test_a_delayed_job_holds_no_worker_and_runs_when_its_time_has_come(self) -> None:
        queue, gate = self.make_queue(), Gate()
        gate.let("now", "later")
        await queue.put(job("later", priority=-1), delay_s=self.delay_s)
        await queue.put(job("now"))
        assert await queue.depth() == Depth(waiting=1, delayed=1, running=0)
        async with working(queue, gate, 1):
            await queue.join()
        assert gate.finished == ["now", "later"]

    async def test_a_handler_that_wants_its_job_again_keeps_the_key_and_holds_no_worker(self) -> None:
        queue, seen = self.make_queue(), list[str]()
        accepted = list[bool]()

        async def handler(current: Job[str]) -> Again | None:
            seen.append(f"{current.key}{current.priority}")
            accepted.append(await queue.put(job("a")))
            return Again(self.delay_s, priority=-7) if len(seen) == 1 else None

        await queue.put(job("a"))
        await queue.put(job("b", priority=5))
        async with working(queue, handler, 1):
            await queue.join()
        assert seen == ["a0", "b5", "a-7"]
        assert accepted == [False, False, False]

    async def test_join_on_an_idle_queue_returns(self) -> None:
        await self.make_queue().join()

    async def test_a_closed_queue_starts_nothing_and_lets_the_running_finish(self) -> None:
        queue, gate = self.make_queue(), Gate()
        for key in ("a", "b"):
            await queue.put(job(key))
        await queue.put(job("c"), delay_s=self.delay_s)
        async with working(queue, gate, 1):
            await gate.until_started("a")
            queue.close()
            assert not await queue.put(job("d"))
            gate.let("a", "b", "c")
            await queue.join()
        assert gate.finished == ["a"]
        assert await queue.depth() == Depth(0, 0, 0)

    async def test_a_wish_to_see_the_job_again_ends_with_the_queue(self) -> None:
        queue = self.make_queue()

        async def handler(_: Job[str]) -> Again:
            queue.close()
            return Again(0)

        await queue.put(job("a"))
        async with working(queue, handler, 1):
            await queue.join()
        assert (await queue.depth()).total == 0

    async def test_draining_waits_for_the_running(self) -> None:
        queue, gate = self.make_queue(), Gate()
        await queue.put(job("a"))
        async with working(queue, gate, 1):
            await gate.until_started("a")
            gate.let("a")
            assert await queue.drain(10)
        assert gate.finished == ["a"]

    async def test_draining_cancels_what_is_too_slow_and_waits_for_its_end(self) -> None:
        queue, gate = self.make_queue(), Gate()
        for key in ("a", "b", "c"):
            await queue.put(job(key))
        async with working(queue, gate, 2):
            await gate.until_started("a", "b")
            assert not await queue.drain(self.delay_s)
            assert sorted(gate.cancelled) == ["a", "b"]
        assert gate.started == ["a", "b"]

    async def test_an_exception_that_escapes_a_handler_ends_the_run_and_the_others(self) -> None:
        queue, gate = self.make_queue(), Gate()

        async def handler(job: Job[str]) -> None:
            if job.key == "bad":
                await gate.until_started("a")
                raise LookupError(job.key)
            await gate(job)

        await queue.put(job("a"))
        await queue.put(job("bad"))
        with pytest.raises(ExceptionGroup) as caught:
            await queue.run(handler, 2)
        assert caught.group_contains(LookupError, match="bad")
        assert gate.cancelled == ["a"]
        assert (await queue.depth()).running == 0

    async def test_cancelling_the_run_cancels_the_handlers_and_frees_their_keys(self) -> None:
        queue, gate = self.make_queue(), Gate()
        await queue.put(job("a"))
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            run = group.create_task(queue.run(gate, 1))
            await gate.until_started("a")
            run.cancel()
        assert run.cancelled()
        assert gate.cancelled == ["a"]
        assert await queue.put(job("a"))

    async def test_a_second_run_beside_the_first_is_refused(self) -> None:
        queue = self.make_queue()
        async with working(queue, Gate(), 1):
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await queue.run(Gate(), 1)

    async def test_depth_tells_groups_apart(self) -> None:
        queue, gate = self.make_queue(), Gate()
        for key, group in (("a", "x"), ("b", "x"), ("c", "y")):
            await queue.put(job(key, group))
        await queue.put(job("d", "y"), delay_s=60)
        async with working(queue, gate, 1):
            await gate.until_started("a")
            assert await queue.depth("x") == Depth(waiting=1, delayed=0, running=1)
            assert (await queue.depth("z")).total == 0
            assert (await queue.depth()).total == 4
            gate.let("a")

    def test_a_priority_without_order_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'a'"):
            job("a", priority=float("nan"))
