"""What calls for passes: the start, alarms, trouble that may be over, a disk that has room again."""

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from logkeep.catalog.records import RunRecord
from logkeep.daemon.archiver import Archiver
from logkeep.daemon.lifecycle import Daemon, Rhythm
from logkeep.model import Hour
from logkeep.simulator.faults import Fault

from archive_world import HOUR, World, truth, world

QUICK = Rhythm(jitter_s=0.001, again_after_s=0.05, look_again_s=0.02)
PATIENT = Rhythm(jitter_s=0.001, again_after_s=3600.0, look_again_s=0.02)
MIB = 1024 * 1024


@pytest.fixture
def told() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


@asynccontextmanager
async def at_work(w: World, rhythm: Rhythm) -> AsyncIterator[tuple[Daemon, Archiver]]:
    """A daemon without its cron lines: the test rings."""
    async with w.open() as archiver:
        daemon = Daemon(archiver, random.Random(1), rhythm)
        async with archiver.working(archiver.settings.daemon.drain), asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(work) for work in daemon.work()]
            yield daemon, archiver
            for task in keeping:
                task.cancel()


async def runs(archiver: Archiver) -> list[RunRecord]:
    """Passes that ended, oldest first."""
    return [run for run in reversed(await archiver.catalog.runs.latest(1, limit=100)) if run.finished_at is not None]


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.005)


async def until_runs(archiver: Archiver, count: int) -> list[RunRecord]:
    async with asyncio.timeout(20):
        while len(found := await runs(archiver)) < count:
            await asyncio.sleep(0.005)
    return found


async def test_a_pass_at_the_start_and_one_at_each_alarm(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 6
        w.account.populate(6, 1)
        async with at_work(w, PATIENT) as (daemon, archiver):
            assert [run.cause for run in await until_runs(archiver, 1)] == ["start"]
            late = w.account.publish(w.hour(2), visible_from=w.clock.now())
            w.clock.advance(HOUR)
            daemon.ring()
            assert [run.cause for run in await until_runs(archiver, 2)] == ["start", "alarm"]
            assert late.sha256() in w.digests()


async def test_an_alarm_that_is_doubled_while_a_pass_goes_on_makes_one_more_pass(tmp_path: Path) -> None:
    """Never two at a time, and never one that is not followed by a look at what came meanwhile."""
    async with world(tmp_path) as w:
        w.watched_hours = 6
        (file, *_) = w.account.populate(6, 1)
        w.cloud.faults.add(Fault("download", "silence", file_id=file.file_id))
        async with at_work(w, PATIENT) as (daemon, archiver):
            await w.cloud.until("download", 6)
            for _ in range(5):
                daemon.ring()
            await asyncio.sleep(0.1)
            assert len(await archiver.catalog.runs.latest(1)) == 1
            await until_runs(archiver, 2)
            await asyncio.sleep(0.2)
            assert [run.cause for run in await runs(archiver)] == ["start", "alarm"]


async def test_trouble_with_the_vendor_is_looked_at_again_soon(tmp_path: Path, told: LogCapture) -> None:
    """Long before the next cron line; said when it begins and when it is over, not each time."""
    async with world(tmp_path) as w:
        w.watched_hours = 6
        offered = w.account.populate(6, 1)
        async with w.open():
            await w.cloud.stop()
        async with at_work(w, QUICK) as (_, archiver):
            await until_runs(archiver, 3)
            await w.cloud.start()
            await until(lambda: w.digests() == truth(offered))
            await until(lambda: any(entry["event"] == "vendor_recovered" for entry in told.entries))
        causes = [run.cause for run in await finished(w)]
        assert causes == ["start", *["again"] * (len(causes) - 1)]
        assert [entry["event"] for entry in told.entries].count("vendor_trouble") == 1


async def finished(w: World) -> list[RunRecord]:
    async with w.catalog() as (catalog, account_id):
        return list(reversed(await catalog.runs.latest(account_id, limit=100)))


async def test_while_the_storage_is_gone_nothing_is_asked_of_the_vendor(tmp_path: Path, told: LogCapture) -> None:
    """Said once; the pass that waited goes on by itself when the disk is back, with its archive on it."""
    async with world(tmp_path) as w:
        w.watched_hours = 6
        offered = w.account.populate(6, 1)
        async with at_work(w, PATIENT) as (daemon, archiver):
            await until_runs(archiver, 1)
            away = w.root.rename(tmp_path / "away")
            w.root.mkdir()
            w.cloud.reset()
            daemon.ring()
            await until(lambda: any(entry["event"] == "storage_gone" for entry in told.entries))
            await asyncio.sleep(0.1)
            assert w.cloud.count() == 0
            w.root.rmdir()
            away.rename(w.root)
            await until_runs(archiver, 2)
        events = [entry["event"] for entry in told.entries]
        assert (events.count("storage_gone"), events.count("storage_back")) == (1, 1)
        assert w.digests() == truth(offered)


@pytest.mark.system
async def test_downloads_wait_for_room_and_go_on_by_themselves(tmp_path: Path, told: LogCapture) -> None:
    """A real disk that fills up: listing and the ledger go on, it is said once, and room brings the files home."""
    point = tmp_path / "storage"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "logkeep-test", str(point)]
    mounted = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    try:
        async with world(tmp_path) as w:
            await w.watch_from(Hour.of(w.clock.now()) + -6)
            w.account.populate(6, 1)
            async with at_work(w, PATIENT) as (daemon, archiver):
                await until_runs(archiver, 1)
                filler = point / "filler"
                filler.write_bytes(b"\0" * ((await archiver.store.free_bytes()) - 2 * MIB))
                large = w.account.publish(w.hour(2), size=6 * MIB, visible_from=w.clock.now())
                w.clock.advance(HOUR)
                daemon.ring()
                await until_runs(archiver, 2)
                assert large.sha256() not in w.digests()
                late = w.account.publish(w.hour(3), visible_from=w.clock.now())
                w.clock.advance(HOUR)
                daemon.ring()
                await until_runs(archiver, 3)
                async with w.catalog() as (catalog, account_id):
                    assert await catalog.files.get(account_id, str(late.file_id)) is not None, "listing went on"
                filler.unlink()
                await until(lambda: {large.sha256(), late.sha256()} <= set(w.digests()))
        events = [entry["event"] for entry in told.entries]
        assert (events.count("disk_low"), events.count("disk_has_room_again")) == (1, 1)
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(point)], check=True)
