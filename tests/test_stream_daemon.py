"""The daemon and its record streams: alarms, looks that fall due, a long backfill, what is told, and the end."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from lexiang_program import lexiang_installation
from lexiang_world import DAY, INTERVAL, StreamWorld, assert_whole, once, stream_world
from logkeep.daemon.archiver import Archiver
from logkeep.daemon.lifecycle import Daemon, Rhythm
from logkeep.simulator.faults import Fault

PATIENT = Rhythm(jitter_s=0.001, again_after_s=3600.0, look_again_s=0.02)
QUICK = Rhythm(jitter_s=0.001, again_after_s=0.02, look_again_s=0.02)
FINISHED = "record_pass_finished"


@pytest.fixture
def told() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


def events(told: LogCapture, name: str) -> list[Any]:
    return [entry for entry in told.entries if entry["event"] == name]


@asynccontextmanager
async def at_work(w: StreamWorld, rhythm: Rhythm) -> AsyncIterator[tuple[Daemon, Archiver]]:
    """A daemon without its alarm clock: the test rings."""
    async with w.open() as archiver:
        daemon = Daemon(archiver, random.Random(1), rhythm)
        async with archiver.working(archiver.settings.daemon.drain), asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(work) for work in daemon.work()]
            yield daemon, archiver
            for task in keeping:
                task.cancel()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.005)


async def test_an_alarm_each_interval_and_for_each_deeper_look(tmp_path: Path) -> None:
    """What the alarm clock is set to; what is due then is computed."""
    keys = {"interval": timedelta(minutes=7), "sweep": "10 2 * * *"}
    async with stream_world(tmp_path, keys=keys) as w, w.open() as archiver:
        daemon = Daemon(archiver, random.Random(1), PATIENT)
        with daemon.scheduled():
            alarms = [str(job.trigger) for job in daemon._scheduler.get_jobs()]
    assert sorted(alarms) == [
        "cron[month='*', day='*', day_of_week='*', hour='2', minute='10']",
        "cron[month='*', day='*', day_of_week='sun', hour='5', minute='0']",
        "interval[0:07:00]",
    ]


async def test_a_pass_at_the_start_and_one_at_each_alarm_deeper_when_due(tmp_path: Path, told: LogCapture) -> None:
    """Twice at night is one deeper look: an alarm that is doubled changes nothing."""
    async with stream_world(tmp_path, keys={"per_page": 5}) as w:
        w.account.populate(120, days=6, end=w.ago(hours=1))
        await w.sync()
        told.entries.clear()
        async with at_work(w, PATIENT) as (daemon, archiver):
            await until(lambda: len(events(told, FINISHED)) == 1)
            late = w.account.add_record(back=timedelta(hours=30))
            costs, found = [], []
            for after in (INTERVAL, INTERVAL, DAY, timedelta(0), timedelta(0), INTERVAL):
                w.clock.advance(after)
                w.cloud.reset()
                done = len(events(told, FINISHED))
                daemon.ring()
                await until(lambda done=done: len(events(told, FINISHED)) == done + 1)  # type: ignore[misc]
                costs.append(w.asked())
                found.append(late in w.ids())
            assert found == [False, False, True, True, True, True]
            assert max(costs[:2] + costs[3:]) <= 3 < costs[2], costs
            assert [entry["cause"] for entry in events(told, FINISHED)] == ["start", *["alarm"] * 6]
            assert_whole(w, await w.stands(archiver))


async def test_a_long_backfill_is_broken_off_for_news_at_each_interval(tmp_path: Path, told: LogCapture) -> None:
    """Each page takes ten seconds of the daemon's time: new records never wait for the end of history."""
    async with stream_world(tmp_path, keys={"per_page": 10, "interval": timedelta(minutes=1)}) as w:
        w.account.populate(400, days=100)
        fresh: list[tuple[str, int]] = []

        def pages_take_time(number: int) -> None:
            w.clock.advance(timedelta(seconds=10))
            if number % 15 == 0:
                fresh.append((w.account.add_record(), number))

        w.cloud.before_request = pages_take_time
        async with at_work(w, PATIENT) as (_, archiver):
            await until(lambda: any(not entry["cut"] for entry in events(told, FINISHED)))
            w.cloud.before_request = None
            passes = events(told, FINISHED)
            assert_whole(w, await w.stands(archiver))
        assert len(passes) > 5
        assert [entry["cut"] for entry in passes] == [*[True] * (len(passes) - 1), False]
        assert [entry["cause"] for entry in passes] == ["start", *["again"] * (len(passes) - 1)]
        assert max(entry["pages"] for entry in passes[:-1]) <= 12
        assert len(fresh) > 3
        order = [line["id"] for line in sorted(w.lines(), key=lambda line: line["archived_at"])]
        for record_id, _ in fresh[:-1]:
            assert order.index(record_id) < len(order) - 20, "it came home before the oldest records"
        assert w.asked() < 2 * 45 + 4 * len(passes)


async def test_what_endangers_a_stream_is_told_once_when_it_begins_and_once_when_it_ends(
    tmp_path: Path, told: LogCapture
) -> None:
    async with stream_world(tmp_path) as w:
        w.account.populate(20, days=3)
        async with at_work(w, PATIENT) as (daemon, archiver):
            await until(lambda: len(events(told, FINISHED)) == 1)

            async def alarm(after: timedelta) -> None:
                w.clock.advance(after)
                done = len(events(told, FINISHED))
                daemon.ring()
                await until(lambda: len(events(told, FINISHED)) == done + 1)
                await asyncio.sleep(0.02)

            w.cloud.faults.add(Fault("logs", "http_502", times=None))
            counts = []
            for after in (INTERVAL, INTERVAL, INTERVAL, INTERVAL, timedelta(hours=6), INTERVAL, INTERVAL):
                await alarm(after)
                counts.append((len(events(told, "stream_behind")), len(events(told, "vendor_long_unreachable"))))
            assert counts[0] == (0, 0)
            assert counts[3] == (1, 0)
            assert counts[4:] == [(1, 1)] * 3
            assert "HTTP 502" in events(told, "stream_behind")[0]["reason"]
            assert events(told, "danger_over") == []
            w.cloud.faults.clear()
            await alarm(INTERVAL)
            await alarm(INTERVAL)
            over = [entry["danger"] for entry in events(told, "danger_over")]
            assert over == ["stream_behind", "vendor_long_unreachable"]
            assert len(events(told, "vendor_trouble")) == len(events(told, "vendor_recovered")) == 1
            assert_whole(w, await w.stands(archiver))


async def test_trouble_is_looked_at_again_soon(tmp_path: Path, told: LogCapture) -> None:
    async with stream_world(tmp_path) as w:
        w.account.populate(20, days=3)
        w.cloud.faults.add(Fault("logs", "http_503", times=9))
        async with at_work(w, QUICK) as (_, archiver):
            await until(lambda: [entry["outcome"] for entry in events(told, FINISHED)][-1:] == ["ok"])
            assert_whole(w, await w.stands(archiver))
        causes = [entry["cause"] for entry in events(told, FINISHED)]
        assert causes == ["start", "again", "again"]


@pytest.mark.parametrize("pages", [3, 40])
async def test_told_to_stop_in_the_middle_of_a_backfill(tmp_path: Path, pages: int) -> None:
    """The process ends well and soon, everything that it read is kept, and the next start goes on from there."""
    async with lexiang_installation(tmp_path) as made:
        made.record_keys = {"requests_per_second": 100.0}
        made.hq.populate(3_000, days=60)
        running = await made.start("run")
        await made.base.until("logs", pages)
        running.send(signal.SIGTERM)
        outcome = await running.end(15)
        assert outcome.code == 0
        assert [event["event"] for event in outcome.events][-2:] == ["stopping", "stopped"]
        assert "Traceback" not in outcome.err
        asked, kept = made.base.count("logs"), len(made.lines())
        assert asked < 100
        assert kept >= (asked - 3) * 14, "all but the page in flight"
        assert made.leftovers() == []
        made.base.reset()
        made.record_keys = {}
        assert (await made.run("sync")).code == 0
        assert once([line["id"] for line in made.lines()]) == once(made.hq.ids())
        assert made.base.count("logs") < (3_000 - kept) / 20 * 1.5 + 10
        assert made.base.count("token") == 0


async def test_a_daemon_keeps_what_comes_while_it_runs(tmp_path: Path) -> None:
    """The process with its own clock: the second pass of a broken first one, without any alarm."""
    async with lexiang_installation(tmp_path) as made:
        made.hq.populate(200, days=60)
        running = await made.start("run")
        assert (await running.until_logged(FINISHED))["outcome"] == "ok"
        assert once([line["id"] for line in made.lines()]) == once(made.hq.ids())
        for args in (("status",), ("gaps",), ("plan",), ("verify",), ("explain", made.hq.ids(1)[0])):
            assert (await made.run(*args)).code == 0
        assert (await made.run("sync", "lexiang")).code == 4
        running.send(signal.SIGTERM)
        assert (await running.end()).code == 0
