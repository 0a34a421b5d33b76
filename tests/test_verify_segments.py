"""Verifying segments, and what becomes of damage: readable lines are kept, the others are read once more."""

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lexiang_world import DAY, HOUR, StreamWorld, stream_world
from logkeep.catalog.care import Damage
from logkeep.daemon.scrub import Scrub
from logkeep.model import Checked
from logkeep.records.report import StreamStanding
from logkeep.store.local import LocalStore
from test_verify_files import damaged, flip, other_bytes, remove, truncate

RECORDS = 60


def lose_a_line(path: Path) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))


def add_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


HARM: dict[str, Callable[[Path], None]] = {
    "a flipped bit": flip,
    "truncated": truncate,
    "gone": remove,
    "other bytes": other_bytes,
    "a line less": lose_a_line,
    "bytes behind it": add_bytes,
}


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[StreamWorld]:
    """A stream of several closed days, read and compacted."""
    async with stream_world(tmp_path) as made:
        made.account.populate(RECORDS, days=6, end=made.ago(hours=1))
        await made.sync()
        made.clock.advance(4 * DAY)
        await made.sync()
        yield made


async def verify(kept: StreamWorld) -> list[Checked]:
    read: list[Checked] = []
    async with kept.catalog() as catalog:
        scrub = Scrub(catalog, LocalStore(kept.root, create=False), kept.clock, read.append)
        await scrub.everything(kept.clock.now())
        assert scrub.unrecorded == ""
    return read


async def standing_damage(kept: StreamWorld) -> list[Damage]:
    async with kept.catalog() as catalog:
        return await catalog.damages.of_account(1)


def of_damage(stands: StreamStanding) -> list[str]:
    return [gap.reason for gap in stands.gaps if gap.state == "damaged"]


def busiest(kept: StreamWorld) -> tuple[str, int]:
    """The segment with the most lines, and how many."""
    lines = {path: len(found) for path, found in kept.segments().items()}
    path = max(lines, key=lambda name: (lines[name], name))
    return path, lines[path]


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
async def test_a_damaged_segment_is_named_and_its_records_come_back(
    kept: StreamWorld, harm: Callable[[Path], None]
) -> None:
    """Every record is on exactly one line again after the next sync, and nothing is damaged."""
    path, _ = busiest(kept)
    harm(kept.root / path)
    spoilt = (kept.root / path).read_bytes() if (kept.root / path).exists() else None
    assert list(damaged(await verify(kept))) == [path]
    kept.clock.advance(HOUR)
    _, stands = await kept.sync()
    assert (set(kept.ids().values()), set(kept.ids())) == ({1}, set(kept.account.ids()))
    assert (list(stands.gaps), await standing_damage(kept)) == ([], [])
    assert damaged(await verify(kept)) == {}
    aside = list((kept.root / ".logkeep" / "quarantine").iterdir())
    assert [file.read_bytes() for file in aside] == ([] if spoilt is None else [spoilt])
    assert list((kept.root / ".logkeep" / "tmp").iterdir()) == []


async def test_whole_lines_are_kept_although_the_vendor_has_them_no_more(kept: StreamWorld) -> None:
    """Only the line that is gone is lacking, and that is a lasting gap that says how many."""
    path, count = busiest(kept)
    last = kept.segments()[path][-1]["id"]
    lose_a_line(kept.root / path)
    await verify(kept)
    day = {line["id"] for line in kept.segments()[path]} | {last}
    whole = (kept.root / path).read_bytes()
    for record_id in day:
        kept.account.delete(record_id)
    kept.clock.advance(HOUR)
    _, stands = await kept.sync()
    (reason,) = of_damage(stands)
    assert reason == f"damaged: 1 of {count} records of {path} are lacking, and the vendor showed them no more"
    assert set(kept.ids()) == {*kept.account.ids(), *day} - {last}
    assert set(kept.ids().values()) == {1}
    (damage,) = await standing_damage(kept)
    assert (damage.lacking, damage.records) == (1, count)
    assert (kept.root / damage.aside).read_bytes() == whole
    kept.clock.advance(HOUR)
    _, again = await kept.sync()
    assert of_damage(again) == [reason]


async def test_a_segment_that_is_gone_and_a_vendor_without_it(kept: StreamWorld) -> None:
    path, count = busiest(kept)
    day = [line["id"] for line in kept.segments()[path]]
    remove(kept.root / path)
    await verify(kept)
    for record_id in day:
        kept.account.delete(record_id)
    kept.clock.advance(HOUR)
    _, stands = await kept.sync()
    assert [reason.startswith(f"damaged: {count} of {count} records") for reason in of_damage(stands)] == [True]
    assert set(kept.ids()) == set(kept.account.ids())


async def test_a_segment_put_back_by_hand_is_no_damage_any_more(kept: StreamWorld) -> None:
    path, _ = busiest(kept)
    whole = (kept.root / path).read_bytes()
    flip(kept.root / path)
    await verify(kept)
    (kept.root / path).write_bytes(whole)
    kept.clock.advance(HOUR)
    passing, stands = await kept.sync()
    assert (passing.records, list(stands.gaps), await standing_damage(kept)) == (0, [], [])
