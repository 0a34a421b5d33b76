"""Every command ends with the code that its contract says, and says why in plain lines."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from logkeep.simulator.faults import Fault
from logkeep.store.lock import StorageLock
from program import Installation, Outcome, installation, run

from config_text import SECRET, toml

LOOKING = (("status",), ("gaps",), ("plan",), ("explain", "2026031007"))
EVERY = (*LOOKING, ("sync",), ("run",), ("check",), ("check", "--offline"))


def plain(outcome: Outcome) -> None:
    """What is told is for a person: no traceback, nothing half-said."""
    assert "Traceback" not in outcome.err + outcome.out
    assert "Exception ignored" not in outcome.err


def second_account(made: Installation, **keys: Any) -> None:
    """Another account of the same cloud; named through the environment, which replaces the file's whole list."""
    first = made.tree()["pan123"][0]
    made.environ["LOGKEEP_PAN123"] = json.dumps([first, {**first, "name": "second", **keys}])


@pytest.mark.parametrize(
    "args", [(), ("--nonsense",), ("nonsense",), ("sync", "nowhere"), ("explain",), ("gaps", "1", "2")]
)
async def test_a_call_that_cannot_be_understood(tmp_path: Path, args: tuple[str, ...]) -> None:
    outcome = await run(*args, cwd=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Usage: logkeep" in outcome.err
    plain(outcome)


async def test_help_and_version(tmp_path: Path) -> None:
    told = await run("--help", cwd=tmp_path)
    assert told.code == 0
    for command in ("run", "sync", "status", "gaps", "plan", "explain", "check", "demo"):
        assert f" {command} " in told.out
    assert "0 well, 1 gaps or damage, 2 bad usage" in " ".join(told.out.split())
    assert (await run("gaps", "--help", cwd=tmp_path)).code == 0
    version = await run("--version", cwd=tmp_path)
    assert (version.code, version.out.split()[0]) == (0, "logkeep")


@pytest.mark.parametrize("args", EVERY)
async def test_a_settings_file_that_is_missing(tmp_path: Path, args: tuple[str, ...]) -> None:
    outcome = await run("--config", "nowhere.toml", *args, cwd=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"logkeep: {tmp_path}/nowhere.toml: no such file; create it")
    assert outcome.err.count("\n") == 1


async def test_every_problem_with_the_settings_is_told_at_once(tmp_path: Path) -> None:
    """One line each, with the key's path; secrets are not in them, and nothing was made."""
    account = {"name": "main", "client_id": "", "client_secret": SECRET, "poll": "5 * * * 1", "pagesize": 3}
    tree = {
        "storage": {"path": "relative", "min_free": "much"},
        "download": {"concurrency": 0},
        "nonsense": {"key": SECRET},
        "pan123": [account, {"name": "MAIN", "client_id": "x", "client_secret": SECRET, "base_url": SECRET}],
    }
    (tmp_path / "config.toml").write_text(toml(tree), encoding="utf-8")
    environ = {"LOGKEEP_CONFIG": "config.toml", "LOGKEEP_STORAGE__PTH": SECRET, "LOGKEEP_WEB__LISTEN": "nowhere"}
    outcome = await run("sync", cwd=tmp_path, environ=environ)
    assert (outcome.code, outcome.out) == (2, "")
    lines = outcome.err.splitlines()
    assert all(line.startswith("logkeep: ") for line in lines)
    told = [line.removeprefix("logkeep: ").split(": ")[0] for line in lines]
    assert told == [
        "storage.path",
        "storage.min_free",
        "download.concurrency",
        "nonsense",
        "pan123[0].client_id",
        "pan123[0].poll",
        "pan123[0].pagesize",
        "pan123[1].name",
        "pan123[1].base_url",
        "LOGKEEP_WEB__LISTEN",
        "LOGKEEP_STORAGE__PTH",
    ]
    assert SECRET not in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "printed"]


async def test_a_storage_path_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place, or a place below one; commands that only look find no catalog there, which is no error."""
    async with installation(tmp_path) as made:
        made.storage.write_text("a file")
        for path in (made.storage, made.storage / "below"):
            made.sections = {"storage": {"path": str(path)}}
            for args in (("sync",), ("run",), ("check", "--offline")):
                outcome = await made.run(*args)
                assert outcome.code == 4
                assert str(path) in (outcome.err or outcome.out)
                plain(outcome)
        assert made.storage.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_storage_path_that_this_user_may_not_write(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        made.storage.mkdir(mode=0o500)
        outcome = await made.run("sync")
        assert outcome.code == 4
        assert "Permission denied" in outcome.err


async def test_an_unmounted_disk_is_not_filled_up(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        made.sections = {"storage": {"create": False}}
        for exists in (False, True):
            if exists:
                made.storage.mkdir()
            for args in (("sync",), ("run",), ("check", "--offline")):
                outcome = await made.run(*args)
                assert outcome.code == 4
                assert "holds no .logkeep folder: mount its disk" in outcome.err + outcome.out
        assert list(made.storage.iterdir()) == []


async def test_a_storage_that_another_process_keeps(tmp_path: Path) -> None:
    """``sync`` and ``run`` name the holder; everything that only looks works beside it."""
    async with installation(tmp_path) as made:
        await made.watch(2)
        with StorageLock(made.storage / ".logkeep" / "lock"):
            for command in ("sync", "run"):
                outcome = await made.run(command)
                assert outcome.code == 4
                told = [line for line in outcome.err.splitlines() if not line.startswith("{")]
                assert [
                    f"logkeep: the storage is in use by process {os.getpid()} on host" in line for line in told
                ] == [True]
            for args in (("status",), ("plan",), ("check", "--offline"), ("check",)):
                assert (await made.run(*args)).code == 0
            assert f"kept by process {os.getpid()}" in (await made.run("status")).out
            assert f"kept by process {os.getpid()}" in (await made.run("check", "--offline")).out
            assert (await made.run("status", "--json")).json["keeper"].startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize("args", EVERY)
async def test_a_catalog_that_is_damaged_or_newer(tmp_path: Path, args: tuple[str, ...]) -> None:
    async with installation(tmp_path) as made:
        await made.watch(2)
        with closing(sqlite3.connect(made.catalog)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        newer = await made.run(*args)
        made.catalog.write_bytes(b"no database at all, just some text " * 100)
        damaged = await made.run(*args)
        for outcome, words in ((newer, "schema 9999 was written by a newer logkeep"), (damaged, "restore a backup")):
            assert outcome.code == 4
            assert [
                words in line for line in (outcome.err + outcome.out).splitlines() if "catalog.sqlite3" in line
            ] == [True]
            plain(outcome)


async def test_sync_when_all_is_well(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(3)
        made.account.populate(3, 2)
        outcome = await made.run("sync")
        assert outcome.code == 0
        assert outcome.out.startswith("pan123/main: 6 files archived (")
        assert outcome.out.endswith("no gaps\n")
        assert len(made.archived()) == 6
        assert (await made.run("sync", "pan123")).out.startswith("pan123/main: 0 files archived (0 B), 0 failed")
        assert (await made.run("gaps")).code == 0


async def test_sync_with_a_file_that_cannot_be_fetched(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(6)
        files = made.account.populate(6, 1)
        made.cloud.faults.add(Fault("download", "http_302", times=None, file_id=files[1].file_id, to="file"))
        outcome = await made.run("sync")
        assert outcome.code == 1
        assert "5 files archived" in outcome.out
        assert "1 gap(s); `logkeep gaps` names them" in outcome.out
        gap = (await made.run("gaps", "--json")).json["gaps"][0]
        assert (gap["state"], gap["file_id"]) == ("failed", str(files[1].file_id))
        assert gap["reason"].startswith("address_refused: ")


async def test_sync_with_credentials_that_are_refused(tmp_path: Path) -> None:
    """Said once; and no second attempt is made within half an hour, not by another process either."""
    async with installation(tmp_path) as made:
        await made.watch(6)
        made.keys = {"client_secret": "not-the-secret"}
        first, second = await made.run("sync"), await made.run("sync")
        for outcome in (first, second):
            assert outcome.code == 3
            plain(outcome)
        assert "paused until" in second.err
        assert (await made.run("check")).code == 3
        assert made.cloud.count("token") == 1
        assert (await made.run("gaps")).code == 1
        assert made.cloud.count("list") == 0


async def test_sync_without_the_right_to_logs(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(3)
        made.account.developer_rights = False
        assert (await made.run("sync")).code == 3


async def test_sync_with_the_vendor_down(tmp_path: Path) -> None:
    """It is not waited for, and told in one line."""
    async with installation(tmp_path) as made:
        await made.watch(6)
        await made.cloud.stop()
        outcome = await made.run("sync")
        assert outcome.code == 5
        assert outcome.err.splitlines()[-1].endswith("no connection (Connection refused)")
        assert (
            (await made.run("gaps", "--json")).json["gaps"][0]["reason"].endswith("no connection (Connection refused)")
        )


async def test_check_with_the_vendor_down(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.cloud.stop()
        outcome = await made.run("check", "--json")
        assert outcome.code == 5
        assert outcome.json["ok"] is False
        assert [check["ok"] for check in outcome.json["checks"]] == [True, True, True, False]
        assert (await made.run("check", "--offline")).code == 0


async def test_refused_credentials_outrank_a_vendor_that_is_down_and_gaps(tmp_path: Path) -> None:
    """2, 4, 3, 5, 1: the first that applies."""
    async with installation(tmp_path) as made, installation(tmp_path / "elsewhere") as other:
        await other.cloud.stop()
        second_account(made, base_url=other.cloud.base_url)
        made.account.client_secret = "changed-meanwhile"
        assert (await made.run("sync")).code == 3
        assert (await made.run("gaps")).code == 1


async def test_a_vendor_that_is_down_outranks_gaps_and_the_other_account_is_archived(tmp_path: Path) -> None:
    async with installation(tmp_path) as made, installation(tmp_path / "elsewhere") as other:
        await made.watch(3)
        files = made.account.populate(3, 1)
        await other.cloud.stop()
        second_account(made, base_url=other.cloud.base_url)
        outcome = await made.run("sync")
        assert outcome.code == 5
        assert len(made.archived()) == len(files)
        assert "pan123/main: 3 files archived" in outcome.out
        assert "pan123/second: 0 files archived" in outcome.out


async def test_the_lock_outranks_refused_credentials(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.watch(2)
        made.keys = {"client_secret": "not-the-secret"}
        with StorageLock(made.storage / ".logkeep" / "lock"):
            assert (await made.run("sync")).code == 4
        assert made.cloud.count("token") == 0


async def test_a_web_address_that_is_taken(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        made.sections = {"web": {"listen": made.cloud.base_url.removeprefix("http://")}}
        outcome = await made.run("run")
        assert outcome.code == 2
        assert "logkeep: web.listen: 127.0.0.1:" in outcome.err
        assert "is in use; choose another" in outcome.err
        plain(outcome)
