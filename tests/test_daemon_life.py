"""``logkeep run`` as a service manager sees it: ready, at work, told to stop, gone."""

import asyncio
import hashlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.offered import OfferedFile
from program import Installation, Outcome, Running, installation

LARGE_BYTES = 12 * 1024 * 1024
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@asynccontextmanager
async def daemon(made: Installation) -> AsyncIterator[Running]:
    """The daemon, told to log as JSON and to listen at a port of its own; killed if the test does not end it."""
    made.sections.setdefault("web", {"listen": "127.0.0.1:0"})
    running = await made.start("run")
    try:
        yield running
    finally:
        await running.kill()


async def probe(running: Running, path: str) -> tuple[int, Any]:
    """Ask the web endpoint."""
    port = (await running.until_logged("web_listening"))["port"]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.json()


async def until_probe(running: Running, path: str, status: int) -> Any:
    async with asyncio.timeout(20):
        while (answer := await probe(running, path))[0] != status:
            await asyncio.sleep(0.05)
    return answer[1]


async def until(running: Running, reached: Callable[[], bool]) -> None:
    """Wait for what the daemon does to its files."""
    for _ in range(12_000):
        if reached():
            return
        assert not running.ended.done(), running.err
        await asyncio.sleep(0.005)
    pytest.fail(f"it never came to that: {running.err[-3000:]}")


def events(outcome: Outcome) -> Counter[str]:
    return Counter(event["event"] for event in outcome.events)


def whole(made: Installation, offered: list[OfferedFile]) -> list[str]:
    """The digests of what is visible; each must be of a file that is offered."""
    found = sorted(hashlib.sha256(data).hexdigest() for data in made.archived().values())
    assert not set(found) - {file.sha256() for file in offered}, "something partial is visible"
    return found


@BOTH
async def test_it_catches_up_at_the_start_answers_probes_and_ends_when_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with installation(tmp_path) as made:
        await made.watch(6)
        offered = made.account.populate(6, 2)
        async with daemon(made) as running:
            await running.until_logged("ready")
            assert await probe(running, "/livez") == (200, {"live": True})
            await running.until_logged("pass_finished")
            ready = await until_probe(running, "/readyz", 200)
            assert ready["checks"] == {"storage": "ok", "catalog": "ok", "scheduler": "ok"}
            assert whole(made, offered) == sorted(file.sha256() for file in offered)
            running.send(number)
            outcome = await running.end(10)
        assert outcome.code == 0
        assert [event["event"] for event in outcome.events][-2:] == ["stopping", "stopped"]
        assert "Traceback" not in outcome.err
        assert outcome.out == ""
        assert made.leftovers() == []


async def test_commands_that_look_work_beside_it_and_a_second_one_is_refused(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(6)
        (file, *_) = made.account.populate(6, 1)
        async with daemon(made) as running:
            await running.until_logged("pass_finished")
            for args in (("status",), ("gaps",), ("plan",), ("explain", str(file.file_id)), ("check",)):
                assert (await made.run(*args)).code == 0
            assert f"kept by process {running.pid} on host" in (await made.run("status")).out
            for command in ("run", "sync"):
                refused = await made.run(command)
                assert refused.code == 4
                assert f"in use by process {running.pid} on host" in refused.err
            running.send(signal.SIGTERM)
            assert (await running.end()).code == 0
        assert (await made.run("sync")).code == 0, "the lock went with it"


async def test_told_to_stop_while_it_opens(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        made.account.populate(3, 1)
        async with daemon(made) as running:
            await until(running, made.storage.exists)
            running.send(signal.SIGTERM)
            outcome = await running.end(10)
        assert outcome.code in (0, -signal.SIGTERM), "before it can listen to signals, the signal's own way"
        assert "Traceback" not in outcome.err


async def test_downloads_in_flight_may_finish_and_no_other_begins(tmp_path: Path) -> None:
    """Within ``drain``: those two are archived, and the daemon, not ready any more, still answers meanwhile."""
    async with installation(tmp_path) as made:
        made.sections = {"download": {"concurrency": 2}}
        await made.watch(6)
        offered = made.account.populate(6, 2)
        slow = Fault("download", "slow", times=None, at=400, pause=timedelta(milliseconds=400))
        made.cloud.faults.add(slow)
        async with daemon(made) as running:
            await made.cloud.until("download", 2)
            running.send(signal.SIGTERM)
            await running.until_logged("stopping")
            assert (await probe(running, "/readyz"))[0] == 503
            assert (await probe(running, "/livez"))[0] == 200
            outcome = await running.end(20)
        assert outcome.code == 0
        assert made.cloud.count("download") <= 4
        assert events(outcome)["file_archived"] == len(whole(made, offered)) >= 2
        assert events(outcome)["downloads_cut_off"] == 0
        assert made.leftovers() == []
        made.cloud.faults.clear()
        assert (await made.run("sync")).code == 0
        assert len(whole(made, offered)) == len(offered)


async def test_downloads_that_take_longer_than_the_drain_are_cut_off_cleanly(tmp_path: Path) -> None:
    """Small ones leave nothing; of the large one the part stays, unseen, and the next start goes on with it."""
    async with installation(tmp_path) as made:
        made.sections = {"daemon": {"drain": "1s"}, "download": {"idle_timeout": "30s"}}
        await made.watch(6)
        offered = made.account.populate(6, 1)
        large = made.account.publish(offered[2].hour, size=LARGE_BYTES)
        made.cloud.faults.add(
            Fault("download", "stall", file_id=large.file_id, at=10 * 1024 * 1024),
            Fault("download", "silence", file_id=offered[1].file_id),
            Fault("download", "stall", file_id=offered[2].file_id, at=20),
        )
        async with daemon(made) as running:
            await until(running, lambda: len(made.archived()) == 4 and made.leftovers_bytes() > 9 * 1024 * 1024)
            running.send(signal.SIGTERM)
            outcome = await running.end(10)
        assert outcome.code == 0
        assert events(outcome)["downloads_cut_off"] == 1
        assert "Traceback" not in outcome.err
        assert len(whole(made, [*offered, large])) == 4
        (part,) = made.leftovers()
        made.cloud.reset()
        assert (await made.run("sync")).code == 0
        assert whole(made, [*offered, large]) == sorted(file.sha256() for file in [*offered, large])
        assert made.leftovers() == []
        (again,) = (request for request in made.cloud.requests if str(request.file_id) == str(large.file_id))
        assert int(again.headers["Range"].removeprefix("bytes=").removesuffix("-")) > 8 * 1024 * 1024, part


async def test_refused_credentials_do_not_end_it(tmp_path: Path) -> None:
    """Said loudly, once; it stays ready, because restarting it would not help."""
    async with installation(tmp_path) as made:
        await made.watch(6)
        made.keys = {"client_secret": "not-the-secret"}
        async with daemon(made) as running:
            assert (await running.until_logged("pass_finished"))["outcome"]
            assert (await probe(running, "/readyz"))[0] == 200
            assert (await made.run("gaps", "--json")).json["gaps"][0]["state"] == "failed"
            running.send(signal.SIGTERM)
            outcome = await running.end()
        assert outcome.code == 0
        assert events(outcome)["credentials_refused"] == 1
        assert made.cloud.count("token") == 1


async def test_a_vendor_that_is_down_does_not_end_it(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(6)
        await made.cloud.stop()
        async with daemon(made) as running:
            assert "no connection" in (await running.until_logged("pass_finished"))["outcome"]
            assert (await running.until_logged("vendor_trouble"))["kind"] == "unreachable"
            assert (await probe(running, "/readyz"))[0] == 200
            running.send(signal.SIGINT)
            assert (await running.end()).code == 0


async def test_a_storage_that_vanishes_and_comes_back_shows_in_its_readiness(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(6)
        async with daemon(made) as running:
            await running.until_logged("pass_finished")
            away = made.storage.rename(tmp_path / "away")
            made.storage.mkdir()
            checks = (await until_probe(running, "/readyz", 503))["checks"]
            assert "is no longer the folder it was at the start" in checks["storage"]
            assert list(made.storage.iterdir()) == [], "the folder below the mount point stays empty"
            made.storage.rmdir()
            away.rename(made.storage)
            await until_probe(running, "/readyz", 200)
            running.send(signal.SIGTERM)
            outcome = await running.end()
        assert outcome.code == 0
        assert (events(outcome)["readiness_lost"], events(outcome)["readiness_regained"]) == (1, 1)


@BOTH
async def test_sync_told_to_stop_leaves_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """It ends at once and without a traceback, with nothing partial visible; another sync completes the archive."""
    async with installation(tmp_path) as made:
        made.sections = {"daemon": {"drain": "0s"}}
        await made.watch(6)
        offered = made.account.populate(6, 1)
        made.cloud.faults.add(Fault("download", "silence", file_id=offered[3].file_id))
        running = await made.start("sync")
        await made.cloud.until("download", 6)
        running.send(number)
        outcome = await running.end(10)
        assert outcome.code == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
        assert "Traceback" not in outcome.err
        whole(made, offered)
        assert (await made.run("sync")).code == 0
        assert len(whole(made, offered)) == 6
        assert made.leftovers() == []
