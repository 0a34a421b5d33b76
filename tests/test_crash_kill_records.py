"""kill -9 at any moment of a long backfill: nothing lost, nothing twice, and hardly anything read again."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lexiang_world import read_segments
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.cloud import LexiangCloud
from program import Outcome, Running, start

from config_text import write_config

RECORDS = 50_000
KILLS = 20
PER_PAGE = 100
PER_SECOND = 80.0
"""Far above what the vendor is asked in earnest, and slow enough that pages become durable while the next ones come."""
OVERHEAD_AT_MOST = 1.3
END = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)


class History:
    """A vendor with a long history, and a folder that it is archived into."""

    def __init__(self, folder: Path, cloud: LexiangCloud, account: LexiangAccount) -> None:
        self.folder, self.cloud, self.account = folder, cloud, account
        self.storage = folder / "storage"
        self.per_second = PER_SECOND

    async def start(self, *args: str) -> Running:
        """Call the program."""
        lexiang = {
            "name": "hq",
            "app_key": self.account.app_key,
            "app_secret": self.account.app_secret,
            "base_url": self.cloud.base_url,
            "per_page": PER_PAGE,
            "requests_per_second": self.per_second,
        }
        sections = {
            "storage": {"path": str(self.storage), "min_free": 0},
            "download": {"allow_http": True, "allow_private_addresses": True},
            "web": {"listen": ""},
            "log": {"format": "json"},
            "lexiang": [lexiang],
        }
        return await start("--config", str(write_config(self.folder, sections)), *args, cwd=self.folder)

    async def run(self, *args: str) -> Outcome:
        return await (await self.start(*args)).end()

    async def killed_after(self, requests: int, rng: random.Random) -> bool:
        """Read so many pages more, and be killed a moment later; False where it came to its end before."""
        running = await self.start("sync", "lexiang")
        arrived = asyncio.ensure_future(self.cloud.until("logs", self.cloud.count("logs") + requests))
        await asyncio.wait((arrived, running.ended), return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        await asyncio.sleep(rng.uniform(0, 0.02))
        return await running.kill() == -signal.SIGKILL


@asynccontextmanager
async def history(folder: Path, records: int) -> AsyncIterator[History]:
    folder.mkdir()
    async with LexiangCloud() as cloud:
        account = cloud.add_account()
        account.populate(records, days=120, end=END)
        yield History(folder, cloud, account)


async def test_a_backfill_killed_twenty_times_is_complete_and_cost_little_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every id on exactly one line; fewer than 1.3 times the requests of a backfill that nobody interrupted."""
    rng = random.Random(20)
    async with history(tmp_path / "calm", RECORDS) as calm:
        calm.per_second = 500.0
        assert (await calm.run("sync", "lexiang")).code == 0
        undisturbed = calm.cloud.count("logs")
    async with history(tmp_path / "killed", RECORDS) as made:
        share = RECORDS // PER_PAGE / KILLS
        kills = [await made.killed_after(round(rng.uniform(0.2, 1.7) * share), rng) for _ in range(KILLS)]
        last = await made.run("sync", "lexiang")
        assert last.code == 0, last.err
        requests = made.cloud.count("logs")
        with capsys.disabled():
            print(f"\n{RECORDS} records: {undisturbed} requests, {requests} with {sum(kills)} kills")  # noqa: T201
        assert all(kills)
        assert_complete(made)
        for command in ("gaps", "verify"):
            assert (await made.run(command)).code == 0
        assert undisturbed < RECORDS / PER_PAGE * 1.2
        assert requests < undisturbed * OVERHEAD_AT_MOST
        assert made.cloud.count("token") == 1


@pytest.mark.parametrize("seed", range(2))
async def test_killed_while_it_opens_publishes_records_and_compacts(tmp_path: Path, seed: int) -> None:
    """At moments that time chooses, not the vendor: twenty kills within a short history."""
    rng = random.Random(seed)
    async with history(tmp_path / "short", 3_000) as made:
        made.per_second = 100.0
        for _ in range(KILLS // 2):
            running = await made.start("sync", "lexiang")
            await asyncio.sleep(rng.uniform(0.05, 0.5))
            await running.kill()
            made.account.add_record()
            made.account.add_record(END, record_id=f"late-{rng.random()}")
        last = await made.run("sync", "lexiang")
        assert last.code == 0, last.err
        assert_complete(made)
        assert (await made.run("verify")).code == 0


def assert_complete(made: History) -> None:
    ids = Counter(line["id"] for lines in read_segments(made.storage).values() for line in lines)
    assert ids == Counter(made.account.ids())
    assert list((made.storage / ".logkeep" / "tmp").iterdir()) == []
    assert made.cloud.violations == []
