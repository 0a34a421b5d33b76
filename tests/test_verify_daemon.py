"""The daemon verifies by itself: how much at a time, and what it does about damage."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from logkeep.daemon.lifecycle import Rhythm
from logkeep.daemon.scrub import CYCLE, LEAST_RATE_BYTES_PER_S, REST, ROUND, Scrub, share
from logkeep.model import Checked
from test_daemon_rhythm import at_work, until_runs
from test_verify_files import damages, flip

from archive_world import world

TICK = timedelta(minutes=15)
NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
QUICK = Rhythm(jitter_s=0.001, again_after_s=3600.0, look_again_s=3600.0, verify_every_s=0.02)


@given(st.integers(1, 10**7), st.integers(0, 10**14))
def test_the_shares_of_a_round_are_the_whole_archive(objects: int, size_bytes: int) -> None:
    """And the rate is enough to read one within half its time."""
    part = share(objects, size_bytes, TICK, NOW)
    assert part.objects * (ROUND / TICK) >= objects
    assert part.rate_bytes_per_s >= LEAST_RATE_BYTES_PER_S
    assert part.bytes / part.rate_bytes_per_s <= TICK.total_seconds() / 2 + 1
    assert (NOW - part.overdue, NOW - part.before) == (ROUND, REST)


async def test_every_object_is_read_at_least_once_in_seven_days(tmp_path: Path) -> None:
    """And none oftener than every three; the reading is spread over the days."""
    async with world(tmp_path) as w:
        w.watched_hours = 24
        w.account.populate(20, 3)
        await w.sync()
        read: dict[str, list[datetime]] = {}
        days: dict[int, int] = {}

        def tell(checked: Checked) -> None:
            read.setdefault(checked.path, []).append(w.clock.now())
            day = (w.clock.now() - begun).days
            days[day] = days.get(day, 0) + 1

        async with w.open() as archiver:
            begun, tick = w.clock.now(), timedelta(hours=3)
            while w.clock.now() - begun < 3 * CYCLE:
                w.clock.advance(tick)
                objects, size_bytes = await archiver.catalog.checks.totals()
                part = share(objects, size_bytes, tick, w.clock.now())
                await Scrub(archiver.catalog, archiver.store, w.clock, tell).part(part)
        assert read.keys() == w.archived().keys()
        for moments in read.values():
            apart = [later - one for one, later in zip([begun, *moments], moments, strict=False)]
            assert min(apart) >= REST
            assert max(apart) <= CYCLE
        assert max(days.values()) <= len(read) / 2


async def test_the_daemon_finds_damage_and_mends_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 6
        for back in (3, 4):
            w.account.publish(w.hour(back))
        await w.sync()
        before = w.archived()
        path = min(before)
        flip(w.root / path)
        w.clock.advance(timedelta(days=4))
        async with at_work(w, QUICK) as (_, archiver):
            await until_runs(archiver, 2)
            async with asyncio.timeout(20):
                while (w.root / path).exists() is False or (w.root / path).read_bytes() != before[path]:
                    await asyncio.sleep(0.01)
        assert await damages(w) == []
        assert len(w.quarantined()) == 1
