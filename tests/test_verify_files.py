"""Verifying archived files, and what becomes of damage: named, set aside, fetched again, or a lasting gap."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from logkeep.catalog.care import Damage
from logkeep.daemon.scrub import Scrub
from logkeep.errors import StorageError
from logkeep.files.report import Standing
from logkeep.model import Checked, Span
from logkeep.store.local import LocalStore

from archive_world import HOUR, World, world

DAY = timedelta(days=1)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def remove(path: Path) -> None:
    path.unlink()


def other_bytes(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


HARM: dict[str, Callable[[Path], None]] = {
    "a flipped bit": flip,
    "truncated": truncate,
    "gone": remove,
    "other bytes": other_bytes,
}


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[World]:
    """Three hours with a file each, archived."""
    async with world(tmp_path) as made:
        made.watched_hours = 6
        for back in (3, 4, 5):
            made.account.publish(made.hour(back))
        await made.sync()
        assert len(made.archived()) == 3
        yield made


async def verify(kept: World, *, stop_after: int | None = None) -> list[Checked]:
    """What ``logkeep verify`` reads; cut off after so many objects."""
    read: list[Checked] = []

    def tell(checked: Checked) -> None:
        read.append(checked)
        if len(read) == stop_after:
            raise KeyboardInterrupt

    async with kept.catalog() as (catalog, _):
        scrub = Scrub(catalog, LocalStore(kept.root, create=False), kept.clock, tell)
        try:
            await scrub.everything(kept.clock.now())
        except KeyboardInterrupt:
            assert stop_after is not None
        assert scrub.unrecorded == ""
    return read


def damaged(read: list[Checked]) -> dict[str, str]:
    return {checked.path: checked.damage for checked in read if checked.damage and not checked.acknowledged}


async def damages(kept: World) -> list[Damage]:
    async with kept.catalog() as (catalog, account_id):
        return await catalog.damages.of_account(account_id)


def gaps(stands: Standing) -> list[tuple[str, str | None, str]]:
    return [(gap.state, gap.file_id, gap.reason) for gap in stands.gaps]


async def look(kept: World) -> Standing:
    async with kept.open() as archiver:
        return await kept.stands(archiver)


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
async def test_a_damaged_file_is_named_set_aside_and_fetched_again(kept: World, harm: Callable[[Path], None]) -> None:
    """The next sync puts the recorded bytes into the old place, as the same version, and nothing else is fetched."""
    before = kept.archived()
    path = sorted(before)[1]
    harm(kept.root / path)
    spoilt = (kept.root / path).read_bytes() if (kept.root / path).exists() else None
    assert list(damaged(await verify(kept))) == [path]
    (gap,) = gaps(await look(kept))
    assert gap[0] == "failed"
    assert gap[2].startswith("damaged, being fetched again: it")
    kept.clock.advance(HOUR)
    kept.cloud.reset()
    passing, stands = await kept.sync()
    assert (passing.batch.files, gaps(stands), stands.care.damaged) == (1, [], 0)
    assert kept.cloud.count("download") == 1
    assert kept.archived() == before
    assert damaged(await verify(kept)) == {}
    aside = [kept.root / ".logkeep" / "quarantine" / name for name in kept.quarantined()]
    assert [file.read_bytes() for file in aside] == ([] if spoilt is None else [spoilt])
    assert all(name.startswith("damaged-") and name.endswith(Path(path).name) for name in kept.quarantined())
    assert kept.leftovers() == []


async def test_verifying_twice_says_the_same_and_where_the_copy_lies(kept: World) -> None:
    path = min(kept.archived())
    flip(kept.root / path)
    first = damaged(await verify(kept))
    assert damaged(await verify(kept)) == first
    assert first == {path: "its digest is not the recorded one"}


async def test_a_copy_put_back_by_hand_is_no_damage_any_more(kept: World) -> None:
    """Nothing is fetched for it, and no gap is left."""
    path = kept.root / min(kept.archived())
    whole = path.read_bytes()
    flip(path)
    await verify(kept)
    path.write_bytes(whole)
    assert damaged(await verify(kept)) == {}
    kept.clock.advance(HOUR)
    passing, stands = await kept.sync()
    assert (passing.batch.files, gaps(stands), await damages(kept)) == (0, [], [])


async def test_beyond_the_vendors_retention_damage_is_a_lasting_gap(kept: World) -> None:
    """Named until a good copy is back, or somebody accepts it; nothing is asked of the vendor for it."""
    kept.clock.advance(40 * DAY)
    path = min(kept.archived())
    whole = (kept.root / path).read_bytes()
    flip(kept.root / path)
    await verify(kept)
    await kept.sync()
    _, stands = await kept.sync()
    lasting = [gap for gap in gaps(stands) if gap[0] == "damaged"]
    assert [gap[2].startswith(f"damaged for good: {path}: its digest") for gap in lasting] == [True]
    assert "the damaged copy is .logkeep/quarantine/damaged-" in lasting[0][2]
    assert path not in kept.archived()
    assert "the damaged copy is" in damaged(await verify(kept))[path]
    (kept.root / path).write_bytes(whole)
    assert damaged(await verify(kept)) == {}
    assert [gap for gap in gaps(await look(kept)) if gap[0] == "damaged"] == []


async def test_a_file_that_the_vendor_deletes_before_it_could_be_fetched_again(kept: World) -> None:
    """Its hour is no lost one; its damage stays a gap that says so, and can be accepted."""
    path = min(kept.archived())
    flip(kept.root / path)
    await verify(kept)
    kept.clock.advance(32 * DAY)
    _, stands = await kept.sync()
    lasting = [gap for gap in gaps(stands) if gap[1] is not None]
    assert [(gap[0], gap[2].startswith("damaged for good")) for gap in lasting] == [("damaged", True)]
    (damage,) = await damages(kept)
    assert (damage.fetching, damage.hour is not None) == (False, True)
    async with kept.catalog() as (catalog, account_id):
        assert damage.hour is not None
        span = Span(damage.hour, damage.hour)
        facts = {"by": "me", "reason": "so be it"}
        assert await catalog.damages.acknowledge(account_id, span, now=kept.clock.now(), **facts) == 1
    assert [gap for gap in gaps(await look(kept)) if gap[1] is not None] == []
    read = await verify(kept)
    assert (damaged(read), [checked.path for checked in read if checked.acknowledged]) == ({}, [path])


async def test_an_interrupted_verify_goes_on_with_what_was_verified_least_recently(kept: World) -> None:
    first = [checked.path for checked in await verify(kept, stop_after=2)]
    kept.clock.advance(HOUR)
    again = [checked.path for checked in await verify(kept)]
    assert set(again) == set(kept.archived())
    assert again[0] not in first
    async with kept.catalog() as (catalog, account_id):
        care = await catalog.checks.care(account_id)
    assert care.checked_at is not None
    assert care.checked_at >= kept.clock.now()


async def test_a_clock_that_was_set_back_hides_nothing(kept: World) -> None:
    kept.clock.advance(-DAY)
    assert {checked.path for checked in await verify(kept)} == set(kept.archived())


async def test_an_unmounted_storage_is_no_damage(kept: World) -> None:
    """Every object seems to be missing then; nothing of it is recorded."""
    async with kept.catalog() as (catalog, account_id):
        elsewhere = kept.root.with_name("mount-point")
        elsewhere.mkdir()
        scrub = Scrub(catalog, LocalStore(elsewhere, create=False), kept.clock, lambda _: None)
        with pytest.raises(StorageError, match="mount its disk"):
            await scrub.everything(kept.clock.now())
        assert await catalog.damages.of_account(account_id) == []


async def test_bytes_that_are_not_the_recorded_ones_become_a_new_version(kept: World) -> None:
    """The damaged version cannot be had any more, and stays named; the vendor is not asked for it for ever."""
    path = min(kept.archived())
    kept.account.replace(next(file for file in kept.account.files() if f"/{file.file_id}-" in path))
    flip(kept.root / path)
    await verify(kept)
    kept.clock.advance(HOUR)
    await kept.sync()
    newer = [other for other in kept.archived() if ".v2-" in other]
    assert (len(newer), path in kept.archived()) == (1, False)
    assert list(damaged(await verify(kept))) == [path]
    kept.clock.advance(HOUR)
    kept.cloud.reset()
    _, stands = await kept.sync()
    assert (kept.cloud.count("download"), [gap[0] for gap in gaps(stands)]) == (0, ["damaged"])


async def test_a_withdrawn_file_is_named_as_damaged_while_it_is_waited_for(kept: World) -> None:
    path = min(kept.archived())
    gone = next(file for file in kept.account.files() if f"/{file.file_id}-" in path)
    flip(kept.root / path)
    await verify(kept)
    kept.account.withdraw(gone)
    kept.clock.advance(HOUR)
    _, stands = await kept.sync()
    (gap,) = gaps(stands)
    assert (gap[0], gap[2].startswith("damaged")) == ("failed", True)


async def test_reading_at_a_rate_takes_its_time(kept: World) -> None:
    """The bytes of the archive over the rate, by the clock."""
    size_bytes = sum(map(len, kept.archived().values()))
    begun_s = kept.clock.monotonic_s()
    async with kept.catalog() as (catalog, _):
        store = LocalStore(kept.root, create=False)
        await Scrub(catalog, store, kept.clock, lambda _: None, rate_bytes_per_s=1000).everything(kept.clock.now())
    assert kept.clock.monotonic_s() - begun_s == pytest.approx(size_bytes / 1000, abs=0.1)


async def test_a_copy_that_is_set_aside_replaces_no_other_one(kept: World) -> None:
    store, (one, other, *_) = LocalStore(kept.root, create=False), sorted(kept.archived())
    held = kept.archived()
    where = [await store.set_aside(path, "damaged-x") for path in (one, other)]
    assert [(kept.root / str(name)).read_bytes() for name in where] == [held[one], held[other]]
    assert await store.set_aside(one, "damaged-x") is None
