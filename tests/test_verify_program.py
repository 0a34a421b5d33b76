"""``verify`` and ``rebuild`` as people and programs meet them: exit codes, options, beside a daemon."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logkeep.model import Hour
from program import Installation, installation
from test_verify_files import flip


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose three files are archived."""
    async with installation(tmp_path) as made:
        await made.watch(6)
        for back in (3, 4, 5):
            made.account.publish((Hour.of(datetime.now(UTC)) + -back).start)
        await made.run("sync")
        assert len(made.archived()) == 3
        yield made


async def test_beside_a_daemon_verify_records_and_the_daemon_mends(home: Installation) -> None:
    before = home.archived()
    path = min(before)
    daemon = await home.start("run")
    await daemon.until_logged("pass_finished")
    flip(home.storage / path)
    outcome = await home.run("verify", "--json")
    assert (outcome.code, outcome.json["recorded"], outcome.json["objects"]) == (1, True, 3)
    assert [found["path"] for found in outcome.json["damaged"]] == [path]
    assert (home.storage / path).read_bytes() != before[path], "it moves nothing"
    (row,) = (await home.run("status", "--json")).json["accounts"]
    assert (row["damaged"], row["least_recently_verified_at"] is not None) == (1, True)
    shown = (await home.run("status")).out
    assert "every object within the last" in shown
    (gap,) = (await home.run("gaps", "--json")).json["gaps"]
    assert (gap["state"], gap["reason"].startswith("damaged, being fetched again: ")) == ("failed", True)
    assert await daemon.kill() != 0
    await home.run("sync")
    assert home.archived() == before
    clean = await home.run("verify", "--json")
    assert (clean.code, clean.json["damaged"]) == (0, [])


@pytest.mark.parametrize("rate", ["fast", "0", "-1", "20MB"])
async def test_a_rate_that_is_none_is_refused(home: Installation, rate: str) -> None:
    outcome = await home.run("verify", "--rate", rate)
    assert (outcome.code, outcome.out, outcome.err.startswith("logkeep: --rate: ")) == (2, "", True)


async def test_one_account_at_a_rate(home: Installation) -> None:
    outcome = await home.run("verify", "--rate", "20MiB", "--account", "main")
    assert (outcome.code, "3 objects" in outcome.out) == (0, True)
    unknown = await home.run("verify", "--account", "nobody")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)


async def test_rebuild_refuses_what_it_must_and_says_what_it_did(home: Installation) -> None:
    refused = await home.run("rebuild")
    assert (refused.code, refused.err.count("\n"), "--replace" in refused.err) == (4, 1, True)
    daemon = await home.start("run")
    await daemon.until_logged("ready")
    held = await home.run("rebuild", "--replace")
    assert (held.code, "in use by process" in held.err) == (4, True)
    await daemon.kill()
    done = await home.run("rebuild", "--replace")
    assert (done.code, "the catalog knows 3 files" in done.out) == (0, True)
    assert "catalog.sqlite3.before-rebuild-" in done.out
    before, fetched = home.archived(), home.cloud.count("download")
    await home.run("sync")
    assert (home.archived(), home.cloud.count("download")) == (before, fetched)
