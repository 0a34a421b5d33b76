"""The simulated cloud as a whole: outages, live publishing, scale, reproducibility, and its command line."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from logkeep.simulator import Account, Pan123Cloud, TimeLapse
from pan123_asker import NOON, Asker, asking, frozen_cloud
from simulator_program import command

from manual_clock import ManualClock


async def test_an_outage_is_a_stop_and_a_start_on_the_same_ports_with_the_same_world() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010")
        url, bases = await asker.url(file), (asker.cloud.base_url, asker.cloud.download_base)
        await asker.cloud.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await asker.listing()
        await asker.cloud.start()
        assert (asker.cloud.base_url, asker.cloud.download_base) == bases
        assert await asker.ids() == [file.file_id]
        assert (await asker.download(url)).status == 200


async def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    async with frozen_cloud() as first:
        second = frozen_cloud()
        with pytest.raises(OSError, match="address already in use"):
            await second.start(api_port=int(first.base_url.rpartition(":")[2]))
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(second.download_base)


def world(cloud: Pan123Cloud) -> list[tuple[object, ...]]:
    account = cloud.add_account()
    files = [*account.populate(50, 3), account.publish("2025062010", size=9_000_000)]
    account.grow(files[0])
    return [(file.file_id, file.name, file.sha256(), file.midnight, file.path) for file in files]


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    assert world(frozen_cloud(seed=5)) == world(frozen_cloud(seed=5))
    digests = {row[2] for row in world(frozen_cloud(seed=5))} & {row[2] for row in world(frozen_cloud(seed=6))}
    assert len(digests) <= 1, "only the files without content may be equal"


@asynccontextmanager
async def publishing(cloud: Pan123Cloud, account: Account, **how: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(cloud.keep_publishing(account, check_every=timedelta(), **how))
        await settled()
        yield
        task.cancel()


async def settled() -> None:
    """Let every ready task run a few rounds."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_hours_are_published_as_they_close() -> None:
    clock = ManualClock(NOON + timedelta(minutes=30))
    cloud = frozen_cloud(now=clock.now)
    account = cloud.add_account()
    async with publishing(cloud, account, files_per_hour=2):
        assert account.files() == []
        clock.advance(timedelta(minutes=29))
        await settled()
        assert account.files() == []
        clock.advance(timedelta(minutes=121))
        await settled()
        assert [file.hour_name for file in account.offered()] == ["2025062112"] * 2 + ["2025062113"] * 2 + [
            "2025062114"
        ] * 2


async def test_late_files_come_for_recent_hours() -> None:
    clock = ManualClock(NOON)
    cloud = frozen_cloud(now=clock.now)
    account = cloud.add_account()
    async with publishing(cloud, account, files_per_hour=0, late_every=timedelta(minutes=1)):
        for _ in range(59):
            clock.advance(timedelta(minutes=1))
            await settled()
        late = account.offered()
        assert len(late) == 59
        assert all(NOON - timedelta(hours=24) <= file.hour < NOON for file in late)
        assert len({file.hour for file in late}) > 10


def test_a_time_lapse_runs_as_fast_as_told() -> None:
    lapse = TimeLapse(1_000_000.0, NOON)
    first, second = lapse(), lapse()
    assert NOON < first < second
    assert first.tzinfo is UTC
    assert abs(TimeLapse(1.0)() - datetime.now(UTC)) < timedelta(seconds=5)


async def walk(asker: Asker, spans: list[tuple[str, str]]) -> list[object]:
    ids: list[object] = []
    for start, end in spans:
        page = 1
        while rows := await asker.ids(start, end, page):
            ids += rows
            page += 1
    return ids


async def test_thirty_days_of_three_files_an_hour_are_listed_quickly() -> None:
    async with asking(frozen_cloud()) as asker:
        files = asker.account.populate(720, 3)
        days = [NOON + timedelta(hours=8) - timedelta(days=back) for back in range(30, -1, -1)]
        spans = [(f"{day:%Y%m%d}00", f"{day + timedelta(days=1):%Y%m%d}00") for day in days]
        began = asyncio.get_running_loop().time()
        ids = await walk(asker, spans)
        assert asyncio.get_running_loop().time() - began < 10
        assert sorted(map(str, ids)) == sorted(str(file.file_id) for file in files)
        assert len(files) == 2160


async def test_ten_thousand_files_in_one_hour_and_a_span_of_a_thousand_years() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.publish("2025062010", count=10_000, size=23)
        assert len(await asker.ids("1025062010", "2999062010", 1, 10_000)) == 10_000
        assert len(await asker.ids("1025062010", "2999062010", 3, 4_000)) == 2_000


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_says_where_it_serves_and_ends_on_a_signal(stop: signal.Signals) -> None:
    async with command("--hours", "5", "--files-per-hour", "2", "--seed", "3") as (process, said):
        assert said["files"] == 10
        async with aiohttp.ClientSession() as session:
            credentials = {"clientID": said["client_id"], "clientSecret": said["client_secret"]}
            asked = session.post(
                f"{said['base_url']}/api/v1/access_token", json=credentials, headers={"Platform": "open_platform"}
            )
            async with asked as answer:
                assert (await answer.json())["code"] == 0
        process.send_signal(stop)
        assert await process.wait() == 0


async def test_the_program_publishes_while_it_runs_when_told_to_be_live() -> None:
    arguments = ("--hours", "1", "--files-per-hour", "1", "--live", "--speed", "36000", "--late-every", "60")
    async with command(*arguments) as (process, said), aiohttp.ClientSession() as session:
        cloud = Pan123Cloud()
        cloud.base_url = said["base_url"]
        asker = Asker(cloud, cloud.add_account(), session)
        token = (await asker.token()).json["data"]["accessToken"]
        headers = {"Platform": "open_platform", "Authorization": f"Bearer {token}"}
        deadline = asyncio.get_running_loop().time() + 10
        rows: list[Any] = []
        while len(rows) < 5 and asyncio.get_running_loop().time() < deadline:
            answer = await asker.listing("2000010100", "2999010100", headers=headers)
            assert answer.json["code"] == 0, answer.json
            rows = answer.json["data"]["list"]
        assert len({row["logTimeRange"] for row in rows}) > 1
        process.terminate()
        assert await process.wait() == 0
