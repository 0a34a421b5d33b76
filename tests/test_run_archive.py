"""What a pass brings home from a vendor in good health."""

from datetime import timedelta
from pathlib import Path

import pytest

from logkeep.model import HourState

from archive_world import HOUR, state_of, states, truth, world


async def test_thirty_days_with_three_files_an_hour_are_archived_and_a_second_sync_downloads_nothing(
    tmp_path: Path,
) -> None:
    """720 hours, 2160 files: all there, byte for byte; then a poll costs what a poll costs and fetches nothing."""
    async with world(tmp_path, retention=timedelta(days=30, hours=1)) as w:
        w.watched_hours = 0
        offered = w.account.populate(720, 3)
        first, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert first.error is None
        assert stands.gaps == []
        assert w.leftovers() == []
        assert w.cloud.count("token") + w.cloud.count("list") <= 80
        assert w.cloud.violations == []
        w.cloud.reset()
        second, _ = await w.sync()
        assert second.batch.files == 0
        assert (w.cloud.count("token"), w.cloud.count("list"), w.cloud.count("download")) == (0, 6, 0)


async def test_the_official_sample_gives_five_files_although_two_share_name_size_and_hour(tmp_path: Path) -> None:
    async with world(tmp_path, retention=timedelta(days=400)) as w:
        w.watched_hours = 0
        offered = w.account.publish_official_sample()
        w.clock.advance(offered[0].hour + 5 * HOUR - w.clock.now())
        await w.sync()
        assert sorted(w.archived()) == [
            "pan123/main/date=2025-06-20/hour=12/7-202506201213.gz",
            "pan123/main/date=2025-06-20/hour=12/8-202506201213.gz",
            "pan123/main/date=2025-06-20/hour=13/10-202506201314.log.gz",
            "pan123/main/date=2025-06-20/hour=15/11-202506201516.gz",
            "pan123/main/date=2025-06-20/hour=15/12-202506201516.gz",
        ]
        assert w.digests() == truth(offered)


async def test_a_file_that_grows_after_it_was_archived_is_kept_in_both_versions(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        hour = w.hour(5)
        file = w.account.publish(hour, file_id=12)
        await w.sync()
        before = file.sha256()
        w.account.grow(file)
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        names = sorted(Path(path).name.split("-")[0] for path in w.archived())
        assert names == ["12", "12.v2"]
        assert w.digests() == sorted([before, file.sha256()])
        assert state_of(stands, hour)[0] is HourState.COMPLETE


async def test_a_late_file_reopens_its_hour_and_is_archived_by_the_next_poll(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.account.populate(60, 1)
        await w.sync()
        hour = w.hour(20)
        late = w.account.publish(hour, visible_from=w.clock.now() + timedelta(minutes=30))
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert late.sha256() in w.digests()
        assert passing.batch.files == 1
        lateness_s = stands.books.account.lateness_s
        assert lateness_s == pytest.approx((w.clock.now() - hour).total_seconds() - 3600, abs=60)


async def test_an_hour_without_files_is_empty_after_two_looks_and_open_until_it_settled(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.account.populate(30, 1)
        w.clock.advance(4 * HOUR)
        _, stands = await w.sync()
        assert state_of(stands, w.hour(1))[0] is HourState.OPEN
        assert state_of(stands, w.hour(3))[0] is HourState.EMPTY
        assert set(states(stands)) == {HourState.OPEN, HourState.EMPTY, HourState.COMPLETE}
