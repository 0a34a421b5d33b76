"""What the commands print: JSON in the documented shapes; plain text where nobody watches, colours for a terminal."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logkeep.model import Hour, HourState
from logkeep.simulator.faults import Fault
from program import Installation, installation

ANSI = re.compile(r"\x1b\[")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00")
GAP_KEYS = ["vendor", "account", "from", "to", "state", "reason", "file_id", "expires_at"]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Installation]:
    """Archived but for one file that cannot be fetched; the hours of no other account are looked at."""
    async with installation(tmp_path) as prepared:
        await prepared.watch(6)
        files = prepared.account.populate(6, 1)
        prepared.cloud.faults.add(Fault("download", "http_302", times=None, file_id=files[1].file_id, to="file"))
        assert (await prepared.run("sync")).code == 1
        yield prepared


async def test_gaps_in_json(made: Installation) -> None:
    """``{"ok", "gaps": [...]}`` with exactly the documented keys; times in RFC 3339 at +08:00."""
    outcome = await made.run("gaps", "--json")
    assert (outcome.code, outcome.err) == (1, "")
    failing = made.account.files()[1]
    hour = Hour.of(failing.hour)
    assert list(outcome.json) == ["ok", "gaps"]
    assert outcome.json["ok"] is False
    (gap,) = outcome.json["gaps"]
    assert list(gap) == GAP_KEYS
    assert gap["reason"].startswith("address_refused: ")
    assert gap | {"reason": ""} == {
        "vendor": "pan123",
        "account": "main",
        "from": hour.start.isoformat(),
        "to": hour.end.isoformat(),
        "state": "failed",
        "reason": "",
        "file_id": str(failing.file_id),
        "expires_at": (hour.end + timedelta(days=30)).isoformat(),
    }
    assert all(TIME.fullmatch(gap[key]) for key in ("from", "to", "expires_at"))


async def test_gaps_in_json_when_nothing_is_missing(made: Installation) -> None:
    made.cloud.faults.clear()
    assert (await made.run("sync")).code == 0
    outcome = await made.run("gaps", "--json")
    assert (outcome.code, outcome.json) == (0, {"ok": True, "gaps": []})


async def test_status_in_json(made: Installation) -> None:
    outcome = await made.run("status", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert list(outcome.json) == ["now", "keeper", "accounts", "streams", "orphans"]
    assert (outcome.json["keeper"], outcome.json["orphans"]) == (None, [])
    (account,) = outcome.json["accounts"]
    assert list(account["hours"]) == [state.value for state in HourState]
    assert account["hours"]["complete"] + account["hours"]["open"] == 5
    assert account["hours"]["failed"] == 1
    assert (account["files"], account["gaps"], account["trouble"]) == (5, 1, None)
    assert account["bytes"] == sum(map(len, made.archived().values()))
    assert account["next_to_expire"]["state"] == "failed"
    assert TIME.fullmatch(account["token_expires_at"])
    assert list(account["map"]) == [str(Hour.of(file.hour)) for file in made.account.files()]


async def test_status_for_a_person(made: Installation) -> None:
    """The seven states, what is archived, what expires next, and one mark for each hour."""
    told = (await made.run("status")).out
    assert "no daemon is running" in told
    for state in HourState:
        assert re.search(rf"\d+ {state.value}", told)
    assert "5 files" in told
    assert re.search(r"gaps +1", told)
    days = re.findall(r"^    \d{4}-\d\d-\d\d  (.*)$", told, re.MULTILINE)
    assert len(days) == 31
    marks = "".join(days).replace(" ", "")
    assert (len(marks), marks.count("!")) == (6, 1)
    assert "# complete" in told


async def test_plan_says_what_would_be_asked_and_asks_nothing(made: Installation) -> None:
    made.cloud.reset()
    outcome = await made.run("plan", "--json")
    assert (outcome.code, outcome.err, made.cloud.count()) == (0, "", 0)
    (account,) = outcome.json["accounts"]
    assert list(account) == ["vendor", "account", "calls", "listings"]
    assert all(list(ask) == ["from", "to", "hours", "calls", "why", "expires_at"] for ask in account["listings"])
    assert account["listings"][-1]["why"] == "newest closed hour"
    assert account["calls"] == sum(ask["calls"] for ask in account["listings"])
    told = (await made.run("plan")).out
    assert told.startswith(f"pan123/main: {len(account['listings'])} listings, about {account['calls']} API calls")


async def test_the_story_of_an_hour_and_of_a_file(made: Installation) -> None:
    failing, fine = made.account.files()[1:3]
    hour = str(Hour.of(failing.hour))
    (story,) = (await made.run("explain", hour, "--json")).json["stories"]
    assert (story["hour"], story["state"]) == (hour, "failed")
    assert story["evidence"]["rows_offered"] == 1
    assert story["listings"][0]["why"]
    (file,) = story["files"]
    assert (file["id"], file["versions"], file["wanted"]) == (str(failing.file_id), [], True)
    assert file["failed_attempts"][0]["reason"].startswith("address_refused: ")
    (story,) = (await made.run("explain", str(fine.file_id), "--account", "main", "--json")).json["stories"]
    (version,) = story["file"]["versions"]
    assert version["sha256"] == fine.sha256()
    assert (made.storage / version["path"]).stat().st_size == version["bytes"]
    told = (await made.run("explain", str(fine.file_id))).out
    assert fine.sha256() in told
    assert "None" not in told


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("12345678",), "'12345678' is no hour (YYYYMMDDHH) and no id that is on record"),
        (
            ("2026031007", "--account", "other"),
            "--account: 'other' names none of the configured accounts, or several: pan123/main",
        ),
    ],
)
async def test_something_that_nobody_can_explain(made: Installation, args: tuple[str, ...], words: str) -> None:
    refused = await made.run("explain", *args)
    assert (refused.code, refused.out, refused.err) == (2, "", f"logkeep: {words}\n")


async def test_commands_that_only_look_before_anything_was_archived(tmp_path: Path) -> None:
    """Every hour of the window is missing, and says so; nothing is made on disk by looking."""
    async with installation(tmp_path) as made:
        gaps = await made.run("gaps", "--json")
        assert gaps.code == 1
        (gap,) = gaps.json["gaps"]
        assert (gap["state"], gap["reason"]) == ("pending", "not listed yet")
        assert datetime.fromisoformat(gap["to"]) - datetime.fromisoformat(gap["from"]) > timedelta(days=29)
        assert (await made.run("status")).code == 0
        assert (await made.run("plan")).code == 0
        hour = str(Hour.of(datetime.now(UTC)) + -5)
        assert (await made.run("explain", hour, "--json")).json["stories"][0]["state"] == "pending"
        assert not made.storage.exists()


@contextmanager
def terminal() -> Iterator[tuple[Path, int]]:
    """A terminal: its name, and the end at which a person sits."""
    seat, screen = os.openpty()
    try:
        yield Path(os.ttyname(screen)), seat
    finally:
        os.close(seat)
        os.close(screen)


async def seen(made: Installation, *args: str, **environ: str) -> str:
    """What a person at a terminal sees, of standard output and standard error."""
    made.environ = {"TERM": "xterm-256color", **environ}
    shown = bytearray()
    with terminal() as (name, seat):
        loop = asyncio.get_running_loop()
        loop.add_reader(seat, lambda: shown.extend(os.read(seat, 65536)))
        await made.run(*args, out=name, err=name)
        await asyncio.sleep(0)
        loop.remove_reader(seat)
    return shown.decode()


LOOKING: tuple[tuple[str, ...], ...] = (("status",), ("gaps",), ("plan",), ("check",))


async def test_colours_at_a_terminal_and_nowhere_else(made: Installation) -> None:
    for args in LOOKING:
        away = await made.run(*args)
        assert not ANSI.search(away.out + away.err)
    assert ANSI.search(await seen(made, "status"))
    assert ANSI.search(await seen(made, "gaps"))


async def test_no_colours_for_those_who_do_not_want_them(made: Installation) -> None:
    for args in (("status",), ("gaps",)):
        shown = await seen(made, *args, NO_COLOR="1")
        assert shown
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", shown)


async def test_sync_shows_bars_at_a_terminal_and_lines_elsewhere(made: Installation) -> None:
    shown = await seen(made, "sync")
    assert "pan123/main" in shown
    assert ANSI.search(shown)
    assert '"level": "info"' not in shown, "what the bars show need not be told twice"
    away = await made.run("sync")
    assert not ANSI.search(away.out + away.err)


async def test_json_is_never_decorated(made: Installation) -> None:
    for args in (("status", "--json"), ("gaps", "--json"), ("plan", "--json"), ("check", "--json")):
        assert not ANSI.search(await seen(made, *args))


@pytest.mark.parametrize("command", ["status", "gaps --json", "explain {hour} --json", "--help"])
async def test_a_reader_who_leaves_early_costs_no_words(made: Installation, command: str) -> None:
    """``logkeep … | head -1``: quiet, whether the reader left before or after the first line."""
    call = f"--config {made.configure()} {command.format(hour=Hour.of(made.account.files()[0].hour))}"
    for reader in ("head -1", "true"):
        line = f"set -o pipefail; {sys.executable} -m logkeep {call} | {reader}"
        ran: Any = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert ran.stderr == ""
        assert ran.returncode in (0, 1)
