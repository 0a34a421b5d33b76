"""The one-process queue sits the contract's exam, and its order is compared with the rules under random loads."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.queue.inline import InlineQueue
from logkeep.queue.port import Again, Depth, Job
from queue_contract import Gate, QueueContract, job, working

from manual_clock import ManualClock

START = datetime(2025, 6, 20, tzinfo=UTC)


class TestInlineQueue(QueueContract):
    def make_queue(self, groups: Iterable[str] = ()) -> InlineQueue[str]:
        return InlineQueue(ManualClock(START), groups)


async def test_delays_are_waited_out_in_the_order_of_their_ends() -> None:
    clock, gate = ManualClock(START), Gate()
    queue = InlineQueue[str](clock)
    gate.let("a", "b", "c")
    for key, delay_s in (("c", 30), ("a", 10), ("b", 20)):
        await queue.put(job(key), delay_s=delay_s)
    async with working(queue, gate, 1):
        await queue.join()
    assert gate.finished == ["a", "b", "c"]
    assert clock.monotonic_s() == 30


class StandingClock(ManualClock):
    """Nobody's sleep ends until the test moves the hands."""

    def __init__(self) -> None:
        super().__init__(START)
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.Event()
        self._sleepers.append((self.monotonic_s() + seconds, wake))
        await wake.wait()

    def reach(self, moment_s: float) -> None:
        self._passed = datetime.fromtimestamp(moment_s, UTC) - datetime.fromtimestamp(0, UTC)
        for due_s, wake in self._sleepers:
            if due_s <= moment_s:
                wake.set()


async def test_a_shorter_delay_put_later_is_not_held_up_by_a_longer_one() -> None:
    clock, gate = StandingClock(), Gate()
    queue = InlineQueue[str](clock)
    await queue.put(job("slow"), delay_s=100)
    async with working(queue, gate, 2):
        await asyncio.sleep(0)
        await queue.put(job("quick"), delay_s=10)
        for _ in range(5):
            await asyncio.sleep(0)
        clock.reach(10)
        await gate.until_started("quick")
        assert await queue.depth() == Depth(waiting=0, delayed=1, running=1)
        gate.let("quick")


async def test_a_drain_ends_with_the_last_handler_not_with_its_time() -> None:
    queue, gate = InlineQueue[str](StandingClock()), Gate()
    await queue.put(job("a"))
    async with working(queue, gate, 1):
        await gate.until_started("a")
        gate.let("a")
        assert await queue.drain(10)


async def test_a_handler_cancelled_before_its_first_step_frees_its_key() -> None:
    """The failing handler's last act starts a worker that its failure cancels at once."""
    queue, started = InlineQueue[str](ManualClock(START)), list[str]()

    async def handler(current: Job[str]) -> None:
        started.append(current.key)
        await queue.put(job("next"))
        raise LookupError(current.key)

    await queue.put(job("bad"))
    with pytest.raises(ExceptionGroup):
        await queue.run(handler, 2)
    assert started == ["bad"]
    assert await queue.depth() == Depth(0, 0, 0)
    assert await queue.put(job("next"))


async def test_a_key_is_free_the_moment_its_handler_has_returned() -> None:
    """Whoever the handler woke as its last act may put the same job again."""
    queue, done = InlineQueue[str](ManualClock(START)), asyncio.Event()

    async def handler(_: Job[str]) -> None:
        done.set()

    await queue.put(job("a"))
    async with working(queue, handler, 1):
        await done.wait()
        assert await queue.put(job("a"))


async def test_a_try_that_follows_at_once_is_not_mistaken_for_the_one_before() -> None:
    queue, tries = InlineQueue[str](ManualClock(START)), list[int]()

    async def handler(_: Job[str]) -> Again | None:
        tries.append((await queue.depth()).running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tries.append((await queue.depth()).running)
        return Again(0) if len(tries) < 6 else None

    await queue.put(job("a"))
    async with working(queue, handler, 2):
        await queue.join()
    assert tries == [1] * 6


@dataclass(frozen=True)
class Load:
    """What one accepted job does: how long each of its tries takes, and after which delay the next one comes."""

    job: Job[str]
    delay_s: float
    steps: int
    retries: tuple[float, ...]


GROUPS = ("x", "y", "z")
delays = st.sampled_from([0, 0, 0, 1, 5])
loads = st.builds(
    Load,
    st.builds(job, st.sampled_from("abcdefghijkl"), st.sampled_from(GROUPS), st.integers(0, 9)),
    delays,
    st.integers(0, 6),
    st.lists(delays, max_size=2).map(tuple),
)


class Witness:
    """Runs loads and notes every breach of the port's promises."""

    def __init__(self, queue: InlineQueue[str], workers: int) -> None:
        self.queue, self.workers = queue, workers
        self.accepted = Counter[str]()
        self.tries, self.wanted = Counter[str](), Counter[str]()
        self.running: dict[str, Job[str]] = {}
        self._plans: dict[str, tuple[int, list[float]]] = {}

    async def put(self, load: Load) -> None:
        taken = load.job.key in self._plans
        if await self.queue.put(load.job, delay_s=load.delay_s):
            assert not taken
            self._plans[load.job.key] = (load.steps, list(load.retries))
            self.accepted[load.job.key] += 1
            self.wanted[load.job.key] += 1 + len(load.retries)

    async def __call__(self, current: Job[str]) -> Again | None:
        assert current.key not in self.running
        assert len(self.running) < self.workers
        self.running[current.key] = current
        self.tries[current.key] += 1
        groups = Counter(job.group for job in self.running.values())
        if groups[current.group] > 1:
            idle = sum(groups[group] == 0 for group in GROUPS)
            assert self.workers - len(self.running) >= idle, "a worker is left for every idle group"
        steps, retries = self._plans[current.key]
        for _ in range(steps):
            await asyncio.sleep(0)
        del self.running[current.key]
        if retries:
            return Again(retries.pop())
        del self._plans[current.key]
        return None


@given(st.lists(loads, max_size=40), st.integers(1, 5), st.integers(0, 3))
def test_every_accepted_job_runs_to_its_end_and_no_promise_breaks_on_the_way(
    plan: list[Load], workers: int, pause: int
) -> None:
    """Once an acceptance, never two of a key, never more than the workers, a worker left for every idle group."""

    async def scenario() -> Witness:
        queue = InlineQueue[str](ManualClock(START), GROUPS)
        witness = Witness(queue, workers)
        async with working(queue, witness, workers):
            for load in plan:
                await witness.put(load)
                for _ in range(pause):
                    await asyncio.sleep(0)
            await queue.join()
            assert await queue.depth() == Depth(0, 0, 0)
        return witness

    witness = asyncio.run(scenario())
    assert witness.tries == witness.wanted
    assert not witness.running


@given(st.lists(st.tuples(st.sampled_from(GROUPS), st.integers(0, 5)), max_size=30))
def test_one_worker_keeps_the_order_of_priority_and_of_arrival(rows: list[tuple[str, int]]) -> None:
    async def scenario() -> list[str]:
        queue, gate = InlineQueue[str](ManualClock(START)), Gate()
        for number, (group, priority) in enumerate(rows):
            gate.let(f"{number}")
            await queue.put(job(f"{number}", group, priority))
        async with working(queue, gate, 1):
            await queue.join()
        return gate.finished

    expected = sorted(range(len(rows)), key=lambda number: (rows[number][1], number))
    assert asyncio.run(scenario()) == [str(number) for number in expected]


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@given(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=20), st.integers(2, 6), st.data())
def test_the_next_job_comes_from_the_group_with_fewest_running(
    groups: list[str], workers: int, data: st.DataObject
) -> None:
    """Whichever running job ends, its worker goes to one of the groups that had fewest running and still waited."""

    async def scenario() -> None:
        queue, gate = InlineQueue[str](ManualClock(START)), Gate()
        for number, group in enumerate(groups):
            await queue.put(job(f"{number}", group))
        async with working(queue, gate, workers):
            await settled()
            while running := sorted(set(gate.started) - set(gate.finished)):
                ended, started = data.draw(st.sampled_from(running)), len(gate.started)
                busy = Counter(groups[int(key)] for key in running if key != ended)
                waiting = [busy[name] for name in GROUPS if (await queue.depth(name)).waiting]
                gate.let(ended)
                await settled()
                for key in gate.started[started : started + 1]:
                    assert busy[groups[int(key)]] == min(waiting)
            assert len(gate.finished) == len(groups)

    asyncio.run(scenario())
