"""The whole daemon through simulated days: what holds, that it is the same history each time, that the oracle sees."""

import gc
import os
import random
import tempfile
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from simulated_loop import Crash, Deadlock, VirtualLoop
from simulated_months import START, Outcome, Simulation
from simulated_network import Network
from simulated_world import HOUR, Habits

_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing is kept there
# likewise where it is collected earlier
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BUSY = Habits(poll_hours=6, span_hours=168, interval=6 * HOUR, outages=0.3, crashes=1.5, restarts=0.5, disk=0.3)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Files are made by the thousand: in memory, where that can be had."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as made:
        yield Path(made)
    with warnings.catch_warnings():  # what crashed processes left open is closed by nobody
        warnings.simplefilter("ignore")
        gc.collect()


def history(folder: Path, seed: int, days: int, habits: Habits = BUSY) -> Outcome:
    outcome = Simulation(seed, folder / "storage", days, habits).run()
    (folder / "storage").rename(folder / f"past-{len(list(folder.iterdir()))}")
    return outcome


def test_some_days_of_outages_crashes_and_full_disks_break_no_promise(folder: Path) -> None:
    outcome = history(folder, 1, 4)
    assert outcome.violations == []
    assert min(outcome.totals[name] for name in ("files", "records", "looks", "lives")) > 1


def test_one_seed_is_one_history_to_the_last_byte(folder: Path) -> None:
    once, again = history(folder, 3, 2), history(folder, 3, 2)
    assert once.digest == again.digest
    assert once.tail == again.tail
    assert history(folder, 4, 2).digest != once.digest


def test_a_clock_that_is_set_back_by_days_stops_no_poll(folder: Path) -> None:
    """Alarms go by the host's clock; that one comes to them days late must not mean that nobody looks for days."""
    quiet = Habits(poll_hours=6, span_hours=168, interval=6 * HOUR, outages=0, crashes=0, restarts=0, disk=0, clock=0)
    simulation = Simulation(6, folder / "storage", 6, quiet)
    simulation.world.at(START + 30 * HOUR, simulation.world.set_clock, timedelta(days=-2), timedelta(days=2))
    assert simulation.run().violations == []
    assert len(simulation.oracle.listed) == 1, "never half a day without a listing"


def test_an_archive_that_loses_what_it_had_is_caught(folder: Path) -> None:
    """The oracle reads the disk: it believes no catalog."""
    simulation = Simulation(5, folder / "storage", 4, BUSY)
    oracle, close = simulation.oracle, simulation.oracle.close_books

    async def steal_first() -> None:
        paths = sorted((folder / "storage" / "pan123").glob("*/*/*/*.gz"))
        paths[len(paths) // 3].unlink()
        oracle._pending = list(simulation.world.versions)
        await close()

    oracle.close_books = steal_first  # type: ignore[method-assign]
    assert any("lost at the end" in text for text in simulation.run().violations)


def test_time_leaps_from_timer_to_timer_and_threads_end_in_between() -> None:
    loop = VirtualLoop(0.0, random.Random(1), Network(random.Random(1)))
    seen: list[float] = []
    loop.call_later(timedelta(days=40).total_seconds(), lambda: seen.append(loop.time()))
    result = loop.run_until_complete(loop.run_in_executor(None, lambda: 5))
    assert result == 5
    assert 0 < loop.time() < 1
    loop.call_later(timedelta(days=41).total_seconds(), loop.stop)
    loop.run_forever()
    assert seen == [timedelta(days=40).total_seconds()]
    loop.close()


def test_whoever_waits_for_nothing_is_found_out() -> None:
    loop = VirtualLoop(0.0, random.Random(1), Network(random.Random(1)))
    waiting = loop.create_future()
    with pytest.raises(Deadlock):
        loop.run_until_complete(waiting)
    loop.close()


def test_a_crash_comes_before_the_effect_that_was_told() -> None:
    loop = VirtualLoop(0.0, random.Random(1), Network(random.Random(1)))
    done: list[int] = []
    loop.fuse = 2
    started = [loop.run_in_executor(None, done.append, number) for number in range(5)]
    with pytest.raises(Crash):
        loop.run_forever()
    assert (len(started), len(done)) == (5, 2)
    loop.close()
