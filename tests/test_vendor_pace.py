import asyncio
import time
from datetime import timedelta

import pytest

from logkeep.vendors.pace import Pace
from vendor_world import FAST, NOW

from manual_clock import ManualClock


class Taker:
    """Takes slots and notes when each began and how many were held together."""

    def __init__(self, pace: Pace, clock: ManualClock) -> None:
        self.pace = pace
        self.clock = clock
        self.begun: list[tuple[int, float]] = []
        self.held = self.most_held = 0

    async def take(self, number: int, *, pause_s: float = 0) -> None:
        async with self.pace.slot():
            self.held += 1
            self.most_held = max(self.most_held, self.held)
            self.begun.append((number, self.clock.monotonic_s()))
            await asyncio.sleep(0)
            if pause_s:
                self.pace.pause_for(pause_s)
            self.held -= 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def taker(clock: ManualClock) -> Taker:
    return Taker(Pace(per_second=FAST, clock=clock), clock)


async def test_callers_pass_one_at_a_time_in_the_order_they_came(taker: Taker) -> None:
    await asyncio.gather(*(taker.take(number) for number in range(20)))
    assert [number for number, _ in taker.begun] == list(range(20))
    assert taker.most_held == 1


async def test_calls_are_spaced_by_the_rate_even_when_it_is_a_fraction(clock: ManualClock) -> None:
    """2.5 a second is one in 0.4 s, not three at once: the throttle would round the rate up."""
    taker = Taker(Pace(per_second=12.5, clock=clock), clock)
    begun_s = time.monotonic()
    await asyncio.gather(*(taker.take(number) for number in range(4)))
    assert time.monotonic() - begun_s >= 3 * 0.08


async def test_a_pause_holds_everybody_back(taker: Taker, clock: ManualClock) -> None:
    await asyncio.gather(taker.take(1, pause_s=30), taker.take(2), taker.take(3))
    assert [at_s for _, at_s in taker.begun] == [0, 30, 30]
    assert clock.slept == [30]


async def test_a_pause_is_never_shortened(taker: Taker, clock: ManualClock) -> None:
    taker.pace.pause_for(60)
    taker.pace.pause_for(5)
    taker.pace.pause_until(clock.monotonic_s() + 10)
    await taker.take(1)
    assert taker.begun == [(1, 60)]


async def test_a_pause_that_is_over_costs_nothing(taker: Taker, clock: ManualClock) -> None:
    taker.pace.pause_for(10)
    clock.advance(timedelta(seconds=11))
    await taker.take(1)
    assert clock.slept == []


class PausingClock(ManualClock):
    """While one pause is slept through, another and longer one is asked for."""

    pace: Pace

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if len(self.slept) == 1:
            self.pace.pause_for(100)


async def test_a_pause_that_begins_during_another_is_waited_out_as_well() -> None:
    clock = PausingClock(NOW)
    clock.pace = Pace(per_second=FAST, clock=clock)
    clock.pace.pause_for(10)
    async with clock.pace.slot():
        assert clock.monotonic_s() == 110


class StuckClock(ManualClock):
    """Sleeping never ends."""

    asleep: asyncio.Event

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.asleep.set()
        await asyncio.Event().wait()


async def test_a_cancelled_waiter_leaves_its_place_and_the_next_one_passes() -> None:
    clock = StuckClock(NOW)
    clock.asleep = asyncio.Event()
    pace = Pace(per_second=FAST, clock=clock)
    taker = Taker(pace, clock)
    pace.pause_for(30)
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(taker.take(1))
        queued = group.create_task(taker.take(2))
        last = group.create_task(taker.take(3))
        await clock.asleep.wait()
        queued.cancel()
        clock.advance(timedelta(seconds=31))
        sleeper.cancel()
        await asyncio.wait((last,))
    assert [number for number, _ in taker.begun] == [3]


async def test_a_call_that_fails_or_is_cancelled_frees_its_slot(taker: Taker) -> None:
    for failure in (ValueError, asyncio.CancelledError):
        with pytest.raises(failure):
            async with taker.pace.slot():
                raise failure
    await taker.take(1)
    assert len(taker.begun) == 1


async def test_a_pause_of_a_fraction_of_a_microsecond_ends(taker: Taker, clock: ManualClock) -> None:
    taker.pace.pause_until(clock.monotonic_s() + 3e-7)
    await taker.take(1)
    assert clock.monotonic_s() >= 3e-7


async def test_a_pause_that_begins_while_the_spacing_is_waited_for_counts(clock: ManualClock) -> None:
    taker = Taker(Pace(per_second=20, clock=clock), clock)
    await taker.take(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(taker.take(2))
        await asyncio.sleep(0)
        taker.pace.pause_for(30)
    assert taker.begun == [(1, 0), (2, 30)]
