"""``gaps --ack``: what cannot be had any more is vouched for by name, and nothing else can be."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from logkeep.catalog.records import Changes, FileRecord, HourRecord, ListingRecord
from logkeep.model import AccountKey, Hour, Span
from program import Installation, installation

WHO = ("--reason", "disk stolen", "--by", "Li Na")


@dataclass
class Lossy:
    """An installation in which the hours ``first`` to ``first + 3`` are lost."""

    made: Installation
    first: Hour

    def hour(self, after: int) -> str:
        return str(self.first + after)

    async def gaps(self) -> list[tuple[str, str, str]]:
        told = (await self.made.run("gaps", "--json")).json
        assert told["ok"] is (told["gaps"] == [])
        return [(gap["from"], gap["to"], gap["state"]) for gap in told["gaps"]]

    async def states(self) -> list[str]:
        told = [(await self.made.run("explain", self.hour(after), "--json")).json for after in range(4)]
        return [answer["stories"][0]["state"] for answer in told]


@pytest.fixture
async def lossy(tmp_path: Path) -> AsyncIterator[Lossy]:
    now = datetime.now(UTC)
    async with installation(tmp_path) as made:
        await made.watch(2)
        first = Hour.of(now) + -24 * 40
        async with made.opened() as catalog:
            reason = "the vendor deleted it before it could be kept: not listed yet"
            lost = [HourRecord(first + after, lost_at=now, lost_reason=reason) for after in range(4)]
            await catalog.hours.save(1, lost)
        yield Lossy(made, first)


async def test_lost_hours_are_gaps_until_somebody_accepts_them_one_or_many_at_a_time(lossy: Lossy) -> None:
    assert [state for _, _, state in await lossy.gaps()] == ["lost"]
    one = await lossy.made.run("gaps", "--ack", "main", lossy.hour(1), *WHO)
    assert (one.code, one.out, one.err) == (0, "pan123/main: 1 lost hour(s) acknowledged\n", "")
    assert await lossy.states() == ["lost", "acknowledged", "lost", "lost"]
    assert len(await lossy.gaps()) == 2
    rest = await lossy.made.run("gaps", "--ack", "pan123/main", f"{lossy.hour(0)}..{lossy.hour(3)}", *WHO)
    assert (rest.code, rest.out) == (0, "pan123/main: 4 lost hour(s) acknowledged\n")
    assert await lossy.gaps() == []
    story = (await lossy.made.run("explain", lossy.hour(2), "--json")).json["stories"][0]
    assert story["evidence"]["acknowledged"]["by"] == "Li Na"
    assert story["evidence"]["acknowledged"]["reason"] == "disk stolen"
    assert story["reason"].endswith("acknowledged by Li Na: disk stolen")


async def test_only_what_is_lost_can_be_acknowledged(lossy: Lossy) -> None:
    """A range that reaches beyond the loss changes nothing at all, and says what is not lost."""
    newest = str(Hour.of(datetime.now(UTC)) + -1)
    for hours, not_lost in (
        (newest, newest),
        (f"{lossy.hour(2)}..{lossy.hour(5)}", f"{lossy.hour(4)}..{lossy.hour(5)}"),
    ):
        refused = await lossy.made.run("gaps", "--ack", "main", hours, *WHO)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == f"logkeep: HOUR: only lost hours can be acknowledged; not lost: {not_lost}\n"
    assert await lossy.states() == ["lost"] * 4


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--ack", "main", "2026031007", "--by", "Li Na"), "--reason: say it"),
        (("--ack", "main", "2026031007", "--reason", "x"), "--by: say it"),
        (("--ack", "main", "2026031007", "--reason", " ", "--by", "Li Na"), "--reason: say it"),
        (("--ack", "main", *WHO), "--ack main: name the lost hours"),
        (("--ack", "other", "2026031007", *WHO), "--ack other: the catalog knows no such account"),
        (("--ack", "main", "yesterday", *WHO), "HOUR: 'yesterday' is not an hour; write YYYYMMDDHH"),
        (("--ack", "main", "2026031024", *WHO), "HOUR: "),
        (("--ack", "main", "2026031009..2026031007", *WHO), "HOUR: a span cannot end"),
        (("2026031007",), "HOUR, --reason and --by go with --ack ACCOUNT"),
        (WHO, "HOUR, --reason and --by go with --ack ACCOUNT"),
    ],
)
async def test_an_acknowledgement_that_lacks_something(lossy: Lossy, args: tuple[str, ...], words: str) -> None:
    refused = await lossy.made.run("gaps", *args)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"logkeep: {words}")
    assert refused.err.count("\n") == 1


async def test_lost_files_without_an_hour_are_acknowledged_as_unknown(lossy: Lossy) -> None:
    now = datetime.now(UTC)
    span = Span(lossy.first, lossy.first)
    seen = now - timedelta(days=40)
    files = tuple(FileRecord(f"x{n}", "odd", 3, None, span, seen, seen, lost_at=now) for n in range(2))
    async with lossy.made.opened() as catalog:
        listing = ListingRecord(span, "test", now, now, 1, 2, "")
        await catalog.hours.absorb(1, listing, [], [], lambda *_: Changes(files=files))
    gaps = (await lossy.made.run("gaps", "--json")).json["gaps"]
    assert [(gap["file_id"], gap["from"], gap["state"]) for gap in gaps[1:]] == [
        ("x0", None, "lost"),
        ("x1", None, "lost"),
    ]
    done = await lossy.made.run("gaps", "--ack", "main", "unknown", *WHO)
    assert (done.code, done.out) == (0, "pan123/main: 2 lost or damaged file(s) acknowledged\n")
    assert len(await lossy.gaps()) == 1, "the hours are another matter"


async def test_an_account_that_left_the_configuration(lossy: Lossy) -> None:
    """It shows as orphaned, whatever else is well, until somebody says that it is meant so."""
    now = datetime.now(UTC)
    async with lossy.made.opened() as catalog:
        await catalog.accounts.enrol([AccountKey("pan123", "sold")], now=now, watched_from=Hour.of(now))
        await catalog.hours.acknowledge(1, Span(lossy.first, lossy.first + 3), by="Li Na", reason="x", now=now)
    told = await lossy.made.run("gaps", "--json")
    assert told.code == 1
    assert [(gap["account"], gap["state"], gap["from"]) for gap in told.json["gaps"]] == [("sold", "orphaned", None)]
    assert (await lossy.made.run("status", "--json")).json["orphans"] == ["pan123/sold"]
    assert "pan123/sold: in the catalog, not in the configuration" in (await lossy.made.run("status")).out
    refused = await lossy.made.run("gaps", "--ack", "main", *WHO)
    assert refused.code == 2, "an account that is configured is no orphan"
    done = await lossy.made.run("gaps", "--ack", "sold", *WHO)
    assert (done.code, done.out) == (0, "pan123/sold: its absence from the configuration is acknowledged\n")
    assert (await lossy.made.run("gaps")).code == 0
    again = await lossy.made.run("gaps", "--ack", "sold", *WHO)
    assert again.code == 2
