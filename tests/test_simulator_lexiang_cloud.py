"""The simulated Lexiang as a whole: outages, a world that changes mid-walk, scale, and its command line."""

import asyncio
import signal
import time
from collections import Counter
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from lexiang_asker import NOON, Asker, asking, frozen_cloud
from logkeep.simulator import Churn, Habits, LexiangCloud
from logkeep.simulator.lexiang.churn import MOVES
from simulator_program import command

from manual_clock import ManualClock


async def test_an_outage_is_a_stop_and_a_start_on_the_same_port_with_the_same_world() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(5)
        ids, base = await asker.ids(), asker.cloud.base_url
        await asker.cloud.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await asker.logs()
        await asker.cloud.start()
        assert asker.cloud.base_url == base
        assert await asker.ids() == ids
        assert asker.cloud.count("token") == 1


async def test_the_date_is_the_clouds_own_and_may_be_wrong() -> None:
    async with asking(frozen_cloud(date_offset=timedelta(minutes=7))) as asker:
        told = parsedate_to_datetime((await asker.logs()).headers["Date"])
        assert told == NOON + timedelta(minutes=7)


async def test_accounts_have_records_of_their_own() -> None:
    async with asking(frozen_cloud()) as asker:
        other = Asker(asker.cloud, asker.cloud.add_account("other"), asker.session)
        asker.account.populate(10)
        other.account.populate(10)
        assert not set(await asker.ids()) & set(await other.ids())
        assert await other.ids(2, 4) == other.account.ids()[4:8]
        assert asker.cloud.pages("other") == [1, 2]
        with pytest.raises(ValueError, match="'other'"):
            asker.cloud.add_account("other")


async def test_the_hook_comes_before_each_request_for_logs_with_its_number() -> None:
    async with asking(frozen_cloud()) as asker:
        called: list[int] = []

        def hook(number: int) -> None:
            called.append(number)
            asker.account.add_record(NOON + timedelta(seconds=number), record_id=f"before {number}")

        asker.cloud.before_request = hook
        await asker.token()
        assert (await asker.ids())[0] == "before 1"
        asker.cloud.reset()
        assert (await asker.ids())[0] == "before 2"
        assert called == [1, 2]
        assert asker.account.record("before 2").since_request == 1


async def missed(*moves: Any, forwards: bool = True, newest: int | None = 10) -> tuple[int, int]:
    """Walk pages of 10 over 200 records while the world changes: how many rows come twice, how many never."""
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(200)
        asker.cloud.before_request = Churn(account=asker.account, seed=2, every=2, moves=moves, newest=newest)
        pages = range(20, 0, -1)
        seen = await asker.walk(10) if forwards else [one for page in pages for one in await asker.ids(page, 10)]
        there = [record for record in asker.account.truth() if record.until is None and record.since_request == 0]
        return len(seen) - len(set(seen)), len({record.id for record in there} - set(seen))


async def test_a_walk_over_a_changing_world_repeats_rows_for_inserts_and_loses_one_for_each_delete() -> None:
    assert await missed("insert") == (11, 0)
    assert await missed("delete") == (0, 9)
    assert await missed("insert", forwards=False) == (0, 10)
    assert await missed("pair") == (0, 0), "both in what was read already"
    assert (await missed("pair", newest=None))[0] > 0, "though the total never changes"


async def test_churn_makes_every_kind_of_move_and_ends_at_its_limit() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(100, ties=0.5)
        churn = Churn(account=asker.account, every=3, limit=40)
        asker.cloud.before_request = churn
        for _ in range(150):
            await asker.logs(1, 1)
        assert [number for number, _ in churn.done] == list(range(3, 123, 3))
        made = Counter(move for _, move in churn.done)
        assert set(made) == set(MOVES)
        assert len(asker.account) == 100 + made["insert"] + made["backdate"] - made["delete"]
        gone = [record for record in asker.account.truth() if record.until_request is not None]
        assert len(gone) == made["delete"] + made["pair"]
        with pytest.raises(ValueError, match="explode"):
            Churn(account=asker.account, moves=("explode",))  # type: ignore[arg-type]


async def test_an_empty_world_survives_every_move() -> None:
    async with asking(frozen_cloud()) as asker:
        for number, move in enumerate(MOVES):
            Churn(account=asker.account, moves=(move,))(number)
            asker.account.delete_random(10)
        got = await asker.document()
        assert (got["data"], got["meta"]["total"], got["meta"]["last_page"]) == ([], 0, 1)


async def test_a_million_records_cost_little_memory_and_a_page_little_time() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(1_000_000, days=1_000)
        records = asker.account.records
        assert (records.order.itemsize * len(records.order)) + (records.created_s.itemsize * len(records)) == 16_000_000
        await asker.headers()
        began = time.process_time()
        pages = [await asker.ids(number, 100) for number in range(1, 10_000, 500)]
        assert (time.process_time() - began) / len(pages) < 0.05, "both sides of the socket; about 2 ms when idle"
        assert len({record_id for page in pages for record_id in page}) == 2_000
        assert asker.account.delete_random(1)
        asker.account.add_record(back=timedelta(days=500))
        assert (await asker.document(10_000, 100))["meta"]["total"] == 1_000_000


async def test_records_come_as_time_goes_some_late_some_deleted() -> None:
    clock = ManualClock(NOON)
    cloud = frozen_cloud(now=clock.now)
    account = cloud.add_account()
    async with asyncio.TaskGroup() as tasks:
        recording = cloud.keep_recording(account, every=timedelta(seconds=1), check_every=timedelta())
        task = tasks.create_task(recording)
        await asyncio.sleep(0)
        assert len(account) == 0
        for _ in range(500):
            clock.advance(timedelta(seconds=1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        task.cancel()
    truth = list(account.truth())
    assert len(truth) == 500
    assert 0 < sum(record.until is not None for record in truth) < 50
    assert 5 < sum(record.since - record.created_at > timedelta(seconds=1) for record in truth) < 60


async def test_the_program_serves_lexiang_until_a_signal_comes() -> None:
    arguments = ("--vendor", "lexiang", "--records", "70", "--days", "3", "--per-page-cap", "50", "--churn", "1")
    live = ("--live", "--speed", "1000", "--record-every", "10")
    async with command(*arguments, *live) as (process, said), aiohttp.ClientSession() as session:
        assert said["records"] == 70
        assert said["base_url"].startswith("http://127.0.0.1:")
        cloud = LexiangCloud()
        cloud.base_url = said["base_url"]
        asker = Asker(cloud, cloud.add_account(said["app_key"], said["app_secret"]), session)
        headers = {"Authorization": f"Bearer {(await asker.token()).json['access_token']}"}
        deadline = asyncio.get_running_loop().time() + 10
        total = 0
        while total < 75 and asyncio.get_running_loop().time() < deadline:
            got = (await asker.logs(headers=headers)).json
            assert len(got["data"]) == 50
            total = got["meta"]["total"]
        assert total >= 75
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_habits_are_remembered_with_the_records_drawn_by_them() -> None:
    account = frozen_cloud().add_account()
    account.populate(10, habits=Habits(ids="number"))
    account.add_record()
    account.populate(10, habits=Habits(ids="uuid4"))
    lengths = Counter(len(record.id) for record in account.truth())
    assert lengths == {8: 10, 32: 11}
