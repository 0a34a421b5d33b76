"""Download records come home: every one on one line, in its day's folder, told as the vendor told it."""

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lexiang_world import DAY, HOUR, INTERVAL, START, DatelessCloud, StreamWorld, assert_whole, once, stream_world
from logkeep.model import StreamState, rfc3339
from logkeep.simulator.lexiang.quirks import NEWER
from logkeep.simulator.lexiang.traits import GONE, Habits
from logkeep.simulator.omit import OMIT

FIELDS = [
    *("id", "created_at", "owner_id", "owner_name", "target_type", "target_id", "target_name"),
    *("record", "included", "archived_at"),
]


async def test_the_vendors_own_sample(tmp_path: Path) -> None:
    """Two records of 2018, field by field as design and vendor write them, in the folder of their day."""
    async with stream_world(tmp_path) as w:
        newer, older = w.account.add_official_sample()
        _, stands = await w.sync()
        assert_whole(w, stands)
        ((path, lines),) = w.segments().items()
        assert Path(path).parent.as_posix() == "lexiang/hq/download-logs/date=2018-04-10"
        assert [line["id"] for line in lines] == [older, newer]
        assert [list(line) for line in lines] == [FIELDS, FIELDS]
        assert lines[1] == {
            "id": "f59de3063c9311e8b64995597300a871",
            "created_at": "2018-04-10T15:51:21+08:00",
            "owner_id": "ThreeZhang",
            "owner_name": "张三",
            "target_type": "file",
            "target_id": "10a18f022c2411e8802db53e40a56056",
            "target_name": "投票结果",
            "record": w.account.row(newer),
            "included": w.account.linked(newer),
            "archived_at": "2026-03-10T12:05:00+08:00",
        }
        assert lines[0] == {
            "id": "64d8df663c9211e8a6d56f2588dac9b6",
            "created_at": "2018-04-10T15:40:08+08:00",
            "owner_id": "FourLee",
            "owner_name": "李四",
            "target_type": "file",
            "target_id": "10a18f022c2411e8802db53e40a56056",
            "target_name": "投票结果",
            "record": w.account.row(older),
            "included": w.account.linked(older),
            "archived_at": "2026-03-10T12:05:00+08:00",
        }
        assert stands.oddities == {}
        assert all(request.params["include"] == "target,owner" for request in w.cloud.witness.requests("logs"))


async def test_the_first_start_reads_the_whole_history_and_says_when_it_is_sure(tmp_path: Path) -> None:
    async with stream_world(tmp_path, keys={"per_page": 100}) as w, w.open() as archiver:
        w.account.populate(400, days=900, habits=Habits(ids="mixed", linked_ids="mixed", gone=0.3, unknown_types=0.2))
        passing, stands = await w.sync(archiver)
        assert_whole(w, stands)
        stream = await w.stream(archiver)
        assert (passing.records, stream.looks, stream.confirmed_at) == (400, 1, START)
        assert stream.oldest == min(record.created_at for record in w.account.truth())
        assert w.asked() <= 400 / 100 + 2


async def test_nothing_to_read_at_all(tmp_path: Path) -> None:
    """An account without a single record is covered, and its first record is found."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        w.clock.advance(INTERVAL)
        w.account.add_record()
        assert_whole(w, (await w.sync(archiver))[1])
        assert len(w.lines()) == 1


@pytest.mark.parametrize(("newest", "most"), [(HOUR, 2), (timedelta(0), 3)], ids=["all old", "some in the look-back"])
async def test_an_interval_with_nothing_new_costs_two_requests_or_three(
    tmp_path: Path, newest: timedelta, most: int
) -> None:
    """Counted at the server, over an hour; the token is asked for no second time."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(300, days=3, end=w.clock.now() - newest)
        await w.sync(archiver)
        counts = []
        for _ in range(12):
            w.cloud.reset()
            await w.look(archiver, INTERVAL)
            counts.append(w.asked())
            assert w.asked("token") == 0
        assert max(counts) <= most, counts
        assert max(counts[4:]) <= 2, counts
        assert_whole(w, await w.stands(archiver))


async def test_new_records_are_there_after_the_next_interval(tmp_path: Path) -> None:
    """One, none, and more than a page of them; nothing is read that is known, but for the look-back."""
    async with stream_world(tmp_path, keys={"per_page": 100}) as w, w.open() as archiver:
        w.account.populate(60, days=3, end=w.ago(hours=1))
        await w.sync(archiver)
        for count in (1, 0, 145, 3):
            w.clock.advance(INTERVAL)
            for _ in range(count):
                w.account.add_record(back=timedelta(seconds=count))
            w.cloud.reset()
            passing, stands = await w.sync(archiver)
            assert passing.records == count
            assert w.asked() <= count // 100 + 4
            assert_whole(w, stands)
        assert w.asked("token") == 0


async def test_late_records_are_found_by_the_look_that_reaches_so_far_back(tmp_path: Path) -> None:
    """Within the look-back at the next interval, within 48 hours at night, within 30 days on Sunday."""
    async with stream_world(tmp_path, keys={"per_page": 5}) as w, w.open() as archiver:
        w.account.populate(120, days=40, end=w.ago(minutes=30))
        await w.sync(archiver)
        soon = w.account.add_record(back=timedelta(minutes=8))
        night = w.account.add_record(back=timedelta(hours=30))
        week = w.account.add_record(back=timedelta(days=20))
        found = []
        for moment in (INTERVAL, DAY, timedelta(days=5)):
            await w.look(archiver, moment)
            found.append([record_id in w.ids() for record_id in (soon, night, week)])
        assert found == [[True, False, False], [True, True, False], [True, True, True]]
        assert_whole(w, await w.stands(archiver))


async def test_nightly_and_weekly_looks_are_made_once_each(tmp_path: Path) -> None:
    """By the vendor's calendar: 04:00 each night, 05:00 on Sunday; all other looks cost a few requests."""
    async with stream_world(tmp_path, keys={"per_page": 10}) as w, w.open() as archiver:
        w.account.populate(200, days=40, end=w.ago(hours=3))
        await w.sync(archiver)
        nights, weeks, costs = [], [], []
        for _ in range(6 * 8):
            before = await w.stream(archiver)
            w.cloud.reset()
            w.account.add_record()
            await w.look(archiver, 3 * HOUR)
            after = await w.stream(archiver)
            if after.swept_at != before.swept_at:
                nights.append(rfc3339(after.swept_at))
            elif after.deep_swept_at == before.deep_swept_at:
                costs.append(w.asked())
            if after.deep_swept_at != before.deep_swept_at:
                weeks.append((rfc3339(after.deep_swept_at), w.asked() > 15))
        assert nights == [f"2026-03-{day}T06:05:01+08:00" for day in range(11, 17)]
        assert weeks == [("2026-03-15T06:05:01+08:00", True)]
        assert max(costs) <= 3
        assert_whole(w, await w.stands(archiver))


async def test_many_records_of_one_second(tmp_path: Path) -> None:
    """More than two pages of them, in an order that changes with each request; some come later, in that very second.

    No reading can tell that it has them all while the order changes; the look-back finds the rest.
    """
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(30, days=1, end=w.ago(hours=2))
        crowded = w.ago(minutes=1)
        for _ in range(50):
            w.account.add_record(crowded)
        for _ in range(30):
            w.account.add_record(w.ago(seconds=20))
        w.cloud.before_request = lambda _: w.account.reorder()
        await w.sync(archiver)
        w.cloud.before_request = None
        for _ in range(7):
            w.account.add_record(crowded)
        w.clock.advance(INTERVAL)
        assert_whole(w, (await w.sync(archiver))[1])
        assert len(w.lines()) == 117


async def test_records_from_the_future_are_kept_and_flagged_and_move_nothing(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(50, days=3, end=w.ago(hours=1))
        ahead = [w.account.add_record(back=-timedelta(days=days)) for days in (1, 2, 300)]
        await w.sync(archiver)
        assert (await w.stream(archiver)).mark == START
        w.clock.advance(INTERVAL)
        w.account.add_record()
        w.account.add_record(back=timedelta(minutes=9))
        w.cloud.reset()
        _, stands = await w.sync(archiver)
        assert w.asked() <= 3
        assert_whole(w, stands)
        mark = (await w.stream(archiver)).mark
        assert mark is not None
        assert START + INTERVAL <= mark <= w.clock.now()
        assert stands.oddities == {"future": 3}
        assert {odd.record_id for odd in await w.oddities(archiver)} == set(ahead)
        assert w.line(ahead[2])["created_at"] == rfc3339(START + timedelta(days=300))
        assert any("date=2027-01-04" in path for path in w.segments())


@pytest.mark.parametrize("told", [OMIT, None, "昨天", 1_523_346_681, "2018-02-30 25:61:61"], ids=str)
async def test_records_without_a_readable_time(tmp_path: Path, told: Any) -> None:
    """Kept once, below ``date=unknown``, word for word; their neighbours are none the worse for it."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(60, days=3)
        undated = [w.account.add_record(w.ago(hours=hours), attributes={"created_at": told}) for hours in (0, 20, 60)]
        for _ in range(3):
            w.clock.advance(INTERVAL)
            await w.sync(archiver)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        unknown = {path: lines for path, lines in w.segments().items() if "date=unknown/" in path}
        lines = [line for found in unknown.values() for line in found]
        assert sorted(line["id"] for line in lines) == sorted(undated)
        assert {line["created_at"] for line in lines} == {None}
        assert [line["record"] for line in lines] == [w.account.row(line["id"]) for line in lines]
        assert stands.oddities == {"undated": 3}


async def test_no_record_has_a_readable_time(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        for minutes in range(50):
            w.account.add_record(w.ago(minutes=minutes), attributes={"created_at": "?"})
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        w.account.add_record(attributes={"created_at": "?"})
        w.clock.advance(INTERVAL)
        assert_whole(w, (await w.sync(archiver))[1])


@pytest.mark.parametrize("ids_as", ["number", "text", "mixed"])
async def test_ids_that_are_numbers(tmp_path: Path, ids_as: str) -> None:
    """A number in one answer and a text in the next is one record; the archive says text."""
    async with stream_world(tmp_path, ids_as=ids_as) as w, w.open() as archiver:
        w.account.populate(70, days=3, habits=Habits(ids="number", linked_ids="mixed"))
        for _ in range(3):
            await w.sync(archiver)
            w.clock.advance(INTERVAL)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        assert all(isinstance(line["id"], str) and line["id"].isdigit() for line in w.lines())
        assert all(isinstance(line["owner_id"], str | None) for line in w.lines())


async def test_targets_and_owners_that_are_gone_in_every_way(tmp_path: Path) -> None:
    """What is told is kept as it was told, and the columns hold as much as is known."""
    async with stream_world(tmp_path) as w:
        made = {}
        for shape in GONE:
            made[shape] = w.account.add_record(
                target_type="file", target_id=f"t-{shape}", owner_id=f"o-{shape}", target_shape=shape, owner_shape=shape
            )
            w.account.add_record(target_id=f"t2-{shape}", owner_id=f"o2-{shape}", target_shape=shape)
            w.account.add_record(target_id=f"t3-{shape}", owner_id=f"o3-{shape}", owner_shape=shape)
        strange = w.account.add_record(target_type="mind-map", target_id=7, target_name="x")
        _, stands = await w.sync()
        assert_whole(w, stands)
        for line in w.lines():
            assert line["record"] == w.account.row(line["id"])
            assert line["included"] == w.account.linked(line["id"])
        for shape, record_id in made.items():
            line, linked = w.line(record_id), shape not in ("absent", "empty", "null")
            assert (line["target_name"], line["owner_name"]) == (None, None)
            named = (f"t-{shape}", f"o-{shape}") if linked else (None, None)
            assert (line["target_id"], line["owner_id"]) == named
        kept = w.line(strange)
        assert (kept["target_type"], kept["target_id"], kept["target_name"]) == ("mind-map", "7", "x")


async def test_answers_as_newer_ones_of_the_vendor_are(tmp_path: Path) -> None:
    """Another relationship, other types in ``meta``, counters that change: kept, and no record twice for it."""
    async with stream_world(tmp_path, **NEWER) as w, w.open() as archiver:
        w.account.populate(70, days=2)
        for _ in range(3):
            await w.sync(archiver)
            w.clock.advance(INTERVAL)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        assert {"download_count", "read_count"} <= w.lines()[0]["included"][0]["attributes"].keys()
        assert w.lines()[0]["record"]["relationships"]["doc"]["data"]["type"] == "doc"


async def test_what_the_vendor_deletes_stays(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(80, days=2)
        before = once(w.account.ids())
        await w.sync(archiver)
        w.account.delete_random(30)
        for after in (INTERVAL, DAY, timedelta(days=7)):
            w.clock.advance(after)
            await w.sync(archiver)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        assert w.ids() == before


async def test_one_account_is_refused_and_the_other_goes_on(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w:
        w.account.populate(50, days=2)
        w.others["barred"] = w.cloud.add_account("other-key", permitted=False)
        w.others["barred"].populate(50, days=2)
        both = await w.sync_all()
        assert_whole(w, both["hq"][1])
        barred = both["barred"][1]
        assert (barred.state, barred.records, w.lines("barred")) == (StreamState.FAILED, 0, [])
        assert "版本需升级后启用" in barred.reason
        w.others["barred"].permitted = True
        w.clock.advance(HOUR)
        both = await w.sync_all()
        assert both["barred"][1].state is StreamState.COVERED
        assert w.ids("barred") == once(w.others["barred"].ids())


async def test_two_accounts_with_one_credential_share_its_pace_and_its_token(tmp_path: Path) -> None:
    """One token, one request in flight, and together no more a second than the slower of them may make."""
    async with stream_world(tmp_path) as w:
        w.account.populate(200, days=2)
        w.others["second"] = w.account
        w.keys = {"requests_per_second": 40.0}
        begun_s = time.monotonic()
        both = await w.sync_all()
        took_s = time.monotonic() - begun_s
        assert_whole(w, both["hq"][1])
        assert w.ids("second") == w.ids()
        assert (w.asked("token"), w.cloud.peak("logs")) == (1, 1)
        assert w.asked() > 20
        assert took_s >= (w.asked() + w.asked("token") - 1) / 40


PAGE_SIZES: dict[str, dict[str, Any]] = {
    "clamped": {"per_page_cap": 7},
    "clamped and misstated": {"per_page_cap": 7, "meta_per_page": "asked"},
    "refused": {"per_page_max": 7},
    "fixed, smaller": {"per_page_fixed": 7},
    "fixed, larger": {"per_page_fixed": 33},
    "fixed and misstated": {"per_page_fixed": 7, "meta_per_page": "asked"},
    "fixed, larger and misstated": {"per_page_fixed": 33, "meta_per_page": "asked"},
    "one row": {"per_page_max": 1},
}


@pytest.mark.parametrize("quirks", [pytest.param(quirks, id=name) for name, quirks in PAGE_SIZES.items()])
async def test_pages_of_another_size_than_asked(tmp_path: Path, quirks: dict[str, Any]) -> None:
    """Everything comes home, and what size is served is remembered: an interval costs no more for it."""
    async with stream_world(tmp_path, **quirks) as w, w.open() as archiver:
        w.account.populate(60, days=2, end=w.ago(hours=1))
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        for _ in range(2):
            w.cloud.reset()
            w.clock.advance(INTERVAL)
            w.account.add_record()
            _, stands = await w.sync(archiver)
            assert_whole(w, stands)
            assert w.asked() <= 6 or quirks.get("per_page_max") == 1
            assert {request.status for request in w.cloud.witness.requests("logs")} == {200}


async def test_answers_without_a_date(tmp_path: Path) -> None:
    """The mark stays behind what the newest record proves, and nothing is missed for it."""
    async with stream_world(tmp_path, kind=DatelessCloud) as w, w.open() as archiver:
        w.account.populate(50, days=2, end=w.ago(minutes=20))
        newest = max(record.created_at for record in w.account.truth())
        await w.sync(archiver)
        assert (await w.stream(archiver)).mark == newest
        for _ in range(3):
            w.clock.advance(INTERVAL)
            w.account.add_record(back=timedelta(minutes=3))
            _, stands = await w.sync(archiver)
            assert_whole(w, stands)


@pytest.mark.parametrize("off", [timedelta(hours=9), -timedelta(hours=9)], ids=["ahead", "behind"])
async def test_the_vendors_clock_is_hours_off(tmp_path: Path, off: timedelta) -> None:
    """Its own ``Date`` rules, not this host's clock."""
    async with stream_world(tmp_path, date_offset=off) as w, w.open() as archiver:
        w.account.populate(50, days=2, end=w.clock.now() + off)
        await w.sync(archiver)
        assert (await w.stream(archiver)).mark == START + off
        for _ in range(3):
            w.clock.advance(INTERVAL)
            w.account.add_record(w.clock.now() + off, back=timedelta(minutes=1))
            passing, _ = await w.sync(archiver)
            assert passing.records == 1
        stands = await w.stands(archiver)
        assert (stands.state, stands.oddities) == (StreamState.COVERED, {})
        assert w.ids() == once(w.account.ids())


async def test_closed_days_become_one_segment_each_and_a_late_record_joins_its_day(tmp_path: Path) -> None:
    async with stream_world(tmp_path, keys={"per_page": 10}) as w, w.open() as archiver:
        w.account.populate(300, days=6)
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        for _ in range(5):
            w.clock.advance(INTERVAL)
            w.account.add_record()
            await w.sync(archiver)
        by_day = segments_by_day(w)
        assert {day: len(paths) for day, paths in by_day.items() if day <= "2026-03-07"} == dict.fromkeys(
            ["2026-03-04", "2026-03-05", "2026-03-06", "2026-03-07"], 1
        )
        assert len(by_day["2026-03-10"]) > 3
        late = w.account.add_record(back=timedelta(days=4))
        w.clock.advance(timedelta(days=6))
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        assert [len(paths) for paths in segments_by_day(w).values()] == [1] * 7
        (path,) = segments_by_day(w)["2026-03-06"]
        assert path != by_day["2026-03-06"][0]
        assert late in [line["id"] for line in w.segments()[path]]
        moments = [line["created_at"] for line in w.segments()[path]]
        assert {moment[:10] for moment in moments} == {"2026-03-06"}


def segments_by_day(w: StreamWorld) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for path in w.segments():
        days.setdefault(Path(path).parent.name.removeprefix("date="), []).append(path)
    return days


async def test_the_archive_read_by_duckdb(tmp_path: Path) -> None:
    """Every id once, and days as a column, without logkeep."""
    async with stream_world(tmp_path) as w:
        w.account.populate(300, days=9, habits=Habits(gone=0.5, unknown_types=0.2, linked_ids="mixed"))
        w.account.add_record(attributes={"created_at": None})
        _, stands = await w.sync()
        assert_whole(w, stands)
        counts = "SELECT count(*) AS lines, count(DISTINCT id) AS ids, count(DISTINCT date) AS days"
        archive = f"FROM read_json_auto('{w.root}/lexiang/*/*/date=*/*.jsonl.gz', hive_partitioning = true)"
        command = [str(Path(sys.executable).with_name("duckdb")), "-json", "-c", f"{counts} {archive}"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: ASYNC221
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout) == [{"lines": 301, "ids": 301, "days": len(segments_by_day(w))}]
