"""The commands over a record stream, as people and programs read them."""

import gzip
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lexiang_program import LexiangInstallation, lexiang_installation
from lexiang_world import once
from logkeep.simulator.faults import Fault

RECORDS = 45


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[LexiangInstallation]:
    async with lexiang_installation(tmp_path) as installed:
        installed.hq.populate(RECORDS, days=5, end=datetime.now(UTC) - timedelta(hours=1))
        yield installed


async def test_status_before_and_after_the_first_sync(made: LexiangInstallation) -> None:
    await made.run("check", "--offline")
    blank = (await made.run("status", "--json")).json["streams"]
    assert [(row["vendor"], row["account"], row["stream"]) for row in blank] == [("lexiang", "hq", "download-logs")]
    assert (blank[0]["state"], blank[0]["records"], blank[0]["gaps"]) == ("backfilling", 0, 1)
    assert (await made.run("sync")).code == 0
    told = (await made.run("status", "--json")).json
    (row,) = told["streams"]
    assert (row["state"], row["reason"], row["records"], row["gaps"]) == ("covered", None, RECORDS, 0)
    assert row["vendor_total"] == RECORDS
    assert row["covered"][0]["from"] is None
    assert row["read_to"].endswith("+08:00")
    assert row["history_confirmed_at"] is not None
    assert sum(row["days"].values()) == RECORDS
    assert (row["oddities"], row["trouble"], told["orphans"]) == ({}, None, [])
    shown = (await made.run("status")).out
    for words in ("lexiang/hq  download-logs", "covered", f"{RECORDS} records in", "records a day", "gaps", "none"):
        assert words in shown


async def test_gaps_of_a_stream_in_the_contracts_shape(made: LexiangInstallation) -> None:
    made.base.faults.add(Fault("logs", "http_502", after=2, times=None))
    assert (await made.run("sync")).code == 5
    outcome = await made.run("gaps", "--json")
    assert outcome.code == 1
    assert outcome.json["ok"] is False
    (gap, *_) = outcome.json["gaps"]
    assert list(gap) == ["vendor", "account", "from", "to", "state", "reason", "file_id", "expires_at"]
    assert (gap["vendor"], gap["account"], gap["from"], gap["file_id"]) == ("lexiang", "hq", None, None)
    assert (gap["state"], gap["expires_at"]) == ("backfilling", None)
    assert datetime.fromisoformat(gap["to"]).utcoffset() == timedelta(hours=8)
    shown = await made.run("gaps")
    assert (shown.code, "lexiang/hq" in shown.out, "backfilling" in shown.out) == (1, True, True)
    made.base.faults.clear()
    assert (await made.run("sync")).code == 0
    clean = await made.run("gaps", "--json")
    assert (clean.code, clean.json) == (0, {"ok": True, "gaps": []})


async def test_the_plan_says_what_would_be_read_and_why(made: LexiangInstallation) -> None:
    await made.run("check", "--offline")
    (stream,) = (await made.run("plan", "--json")).json["streams"]
    assert stream["stretches"] == [{"from": None, "to": None, "why": "the whole history"}]
    assert (await made.run("sync")).code == 0
    (stream,) = (await made.run("plan", "--json")).json["streams"]
    (stretch,) = stream["stretches"]
    assert (stretch["to"], stretch["why"]) == (None, "news")
    assert "from now back to" in (await made.run("plan")).out
    assert made.base.count("logs") < 6


async def test_the_story_of_a_record_and_of_an_hour(made: LexiangInstallation) -> None:
    future = made.hq.add_record(back=-timedelta(days=30))
    made.hq.add_record(record_id="2026010100", target_name="looks like an hour")
    assert (await made.run("sync")).code == 0
    line = next(line for line in made.lines() if line["id"] == future)
    (story,) = (await made.run("explain", future, "--json")).json["stories"]
    assert story["record"]["line"] == line
    assert story["record"]["segment"] in made.segments()
    assert [odd["kind"] for odd in story["record"]["oddities"]] == ["future"]
    some = next(line for line in made.lines() if line["id"] != future)
    name = datetime.fromisoformat(some["created_at"]).strftime("%Y%m%d%H")
    (hour,) = (await made.run("explain", name, "--json")).json["stories"]
    same = [line for line in made.lines() if line["created_at"][:13] == some["created_at"][:13]]
    assert (hour["hour"], hour["records"]) == (name, len(same))
    both = (await made.run("explain", "2026010100", "--json")).json["stories"]
    assert [sorted(set(story) & {"hour", "record"}) for story in both] == [["hour"], ["record"]]
    assert "looks like an hour" in (await made.run("explain", "2026010100")).out
    unknown = await made.run("explain", "no-such-id")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)


async def test_an_account_of_each_vendor_with_the_same_name(made: LexiangInstallation) -> None:
    """Told apart by ``vendor/name``; the name alone is refused with both."""
    made.with_files, made.keys = True, {"name": "hq"}
    await made.watch(3)
    assert (await made.run("sync", "lexiang")).code in (0, 1)
    record_id = made.hq.ids(1)[0]
    for account, code in (("lexiang/hq", 0), ("pan123/hq", 2)):
        assert (await made.run("explain", record_id, "--account", account)).code == code, account
    both = await made.run("explain", record_id, "--account", "hq")
    assert (both.code, "pan123/hq, lexiang/hq" in both.err) == (2, True)


async def test_sync_of_one_vendor_touches_only_that_one(made: LexiangInstallation) -> None:
    made.with_files = True
    await made.watch(3)
    made.account.populate(3, 1)
    await made.run("sync", "lexiang")
    assert (made.cloud.count(), made.base.count("logs") > 2, made.archived()) == (0, True, {})
    made.base.reset()
    await made.run("sync", "pan123")
    assert (made.cloud.count("list") > 0, made.base.count()) == (True, 0)
    told = await made.run("sync")
    assert told.code == 0
    assert "lexiang/hq: 0 records archived" in told.out
    assert "pan123/main: 0 files archived" in told.out


async def test_check_asks_for_a_token_and_one_small_page(made: LexiangInstallation) -> None:
    good = await made.run("check", "--json")
    assert (good.code, good.json["ok"]) == (0, True)
    (row,) = (row for row in good.json["checks"] if row["name"] == "lexiang/hq")
    assert f"{RECORDS} counted" in row["detail"]
    assert (made.base.count("token"), made.base.count("logs")) == (1, 1)
    made.base.faults.add(Fault("token", "unauthorized", times=None))
    made.hq.app_secret = "another"
    refused = await made.run("check")
    assert (refused.code, "FAILED  lexiang/hq" in refused.out) == (3, True)
    await made.base.stop()
    made.hq.app_secret = "a third"
    away = await made.run("check")
    assert (away.code, "no connection" in away.out) == (5, True)
    assert (await made.run("check", "--offline")).code == 0


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("token", "unauthorized", times=None), 3),
        (Fault("logs", "needs_upgrade", times=None), 3),
        (Fault("logs", "data_missing", times=None), 1),
        (Fault("logs", "empty_page", times=None), 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
async def test_how_sync_ends_when_the_vendor_refuses(made: LexiangInstallation, fault: Fault, code: int) -> None:
    """The contract's code, one line with the reason, and the gap named."""
    made.base.faults.add(fault)
    outcome = await made.run("sync")
    assert outcome.code == code
    assert [line for line in outcome.err.splitlines() if line.startswith("lexiang/hq: ")]
    assert "Traceback" not in outcome.err
    assert (await made.run("gaps")).code == 1


def flipped(data: bytes) -> bytes:
    return data[:30] + bytes([data[30] ^ 1]) + data[31:]


def with_line_more(data: bytes) -> bytes:
    text = gzip.decompress(data)
    return gzip.compress(text + text.splitlines(keepends=True)[0])


def with_line_less(data: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(data).splitlines(keepends=True)[:-1]))


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "a flipped byte": flipped,
    "truncated": lambda data: data[:-7],
    "a line more": with_line_more,
    "a line less": with_line_less,
    "bytes behind it": lambda data: data + b"\0",
    "empty": lambda _data: b"",
    "missing": lambda _data: None,
}


async def test_verify_reads_everything_again_and_names_each_damage(made: LexiangInstallation) -> None:
    """Of a segment, and of a file of 123pan; all well before, and again once it is put back."""
    made.with_files = True
    await made.watch(3)
    made.account.populate(3, 1)
    assert (await made.run("sync")).code == 0
    well = await made.run("verify", "--json")
    segments, files = sorted(made.segments()), sorted(made.archived())
    assert (well.code, well.json["ok"], well.json["damaged"]) == (0, True, [])
    assert (well.json["objects"], well.json["records"]) == (len(segments) + len(files), RECORDS)
    assert "all as recorded" in (await made.run("verify")).out
    for damage, change in DAMAGES.items():
        for name, vendor in ((segments[0], "lexiang"), (files[0], "pan123")):
            path = made.storage / name
            whole, mode = path.read_bytes(), path.stat().st_mode
            changed = change(whole)
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            outcome = await made.run("verify", "--json")
            assert outcome.code == 1, damage
            (found,) = outcome.json["damaged"]
            assert (found["vendor"], found["path"]) == (vendor, name), damage
            assert found["damage"], damage
            path.write_bytes(whole)
            path.chmod(mode)
    told = await made.run("verify")
    assert (told.code, "0 damaged" in told.out) == (0, False)


async def test_acknowledging_is_not_for_streams(made: LexiangInstallation) -> None:
    assert (await made.run("sync")).code == 0
    for hours in ((), ("2026010100",)):
        refused = await made.run("gaps", "--ack", "hq", *hours, "--reason", "r", "--by", "b")
        assert (refused.code, refused.err.count("\n"), refused.out) == (2, 1, "")
        assert "a record stream has no lost hours" in refused.err


async def test_an_account_that_left_the_configuration(made: LexiangInstallation) -> None:
    """Shown until somebody says that it is meant; what it archived stays and is still verified."""
    made.records["old"] = made.base.add_account("old-key")
    made.records["old"].populate(5, days=1)
    assert (await made.run("sync")).code == 0
    account = made.records.pop("old")
    assert (await made.run("status", "--json")).json["orphans"] == ["lexiang/old"]
    orphaned = await made.run("gaps", "--json")
    assert [(gap["account"], gap["state"]) for gap in orphaned.json["gaps"]] == [("old", "orphaned")]
    done = await made.run("gaps", "--ack", "lexiang/old", "--reason", "closed", "--by", "me")
    assert (done.code, "its absence from the configuration is acknowledged" in done.out) == (0, True)
    assert (await made.run("gaps")).code == 0
    assert once(account.ids()) == once([line["id"] for line in made.lines("old")])
    assert (await made.run("verify", "--json")).json["records"] == RECORDS + 5
