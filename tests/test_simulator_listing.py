"""The simulated listing: each quirk that the vendor shows, or may show, is really there."""

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from logkeep.simulator import OMIT
from pan123_asker import NOON, asking, frozen_cloud

from manual_clock import ManualClock

OFFICIAL_ROWS = [
    {"id": 12, "fileName": "202506201516.gz", "fileSize": 317, "logTimeRange": "2025-06-20 15:00~16:00"},
    {"id": 11, "fileName": "202506201516.gz", "fileSize": 195, "logTimeRange": "2025-06-20 15:00~16:00"},
    {"id": 10, "fileName": "202506201314.log.gz", "fileSize": 208, "logTimeRange": "2025-06-20 13:00~14:00"},
    {"id": 8, "fileName": "202506201213.gz", "fileSize": 195, "logTimeRange": "2025-06-20 12:00~13:00"},
    {"id": 7, "fileName": "202506201213.gz", "fileSize": 195, "logTimeRange": "2025-06-20 12:00~13:00"},
]


async def test_the_official_sample_is_served_verbatim_and_its_files_are_as_large_as_it_says() -> None:
    async with asking(frozen_cloud()) as asker:
        files = asker.account.publish_official_sample()
        answer = await asker.listing("2025062001", "2025062023", 1, 5)
        assert list(answer.json) == ["code", "message", "data", "x-traceID"]
        assert (answer.json["code"], answer.json["message"]) == (0, "ok")
        assert list(answer.json["data"]) == ["list", "total"]
        assert answer.json["data"]["total"] == 0
        rows = answer.json["data"]["list"]
        assert [list(row) for row in rows] == [["id", "fileName", "fileSize", "logTimeRange", "downloadURL"]] * 5
        assert [{key: row[key] for key in row if key != "downloadURL"} for row in rows] == OFFICIAL_ROWS
        assert all("/123-direct-link-logs/2025" in row["downloadURL"] for row in rows)
        bodies = [(await asker.download(row["downloadURL"])).body for row in rows]
        assert [len(body) for body in bodies] == [317, 195, 208, 195, 195]
        assert len({gzip.decompress(body) for body in bodies}) == 5
        assert [file.file_id for file in files] == [12, 11, 10, 8, 7]
        assert await asker.ids("2025062001", "2025062023", 2, 5) == []


async def test_pages_follow_one_another_newest_first_and_end_with_an_empty_one() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(24, 3)
        newest_first = [file.file_id for file in reversed(asker.account.offered())]
        pages = [await asker.ids("2025061000", "2025062200", page, 30) for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [30, 30, 12, 0]
        assert list(chain.from_iterable(pages)) == newest_first


async def test_the_end_hour_is_excluded() -> None:
    async with asking(frozen_cloud()) as asker:
        files = [asker.account.publish(f"20250620{hour:02d}") for hour in (14, 15, 16)]
        assert await asker.ids("2025062014", "2025062016") == [files[1].file_id, files[0].file_id]
        assert await asker.ids("2025062014", "2025062014") == []


async def test_the_end_hour_is_included_where_the_cloud_says_so() -> None:
    async with asking(frozen_cloud(end_inclusive=True)) as asker:
        files = [asker.account.publish(f"20250620{hour:02d}") for hour in (14, 15, 16)]
        assert await asker.ids("2025062014", "2025062015") == [files[1].file_id, files[0].file_id]
        assert await asker.ids("2025062014", "2025062014") == [files[0].file_id]


async def test_hours_are_chinese_whatever_the_zone_they_were_published_in() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish(datetime(2025, 6, 20, 7, 59, tzinfo=UTC))
        row = (await asker.rows("2025062015", "2025062016"))[0]
        assert row["id"] == file.file_id
        assert row["logTimeRange"] == "2025-06-20 15:00~16:00"


async def test_a_page_size_cap_makes_short_pages_that_are_not_the_end() -> None:
    async with asking(frozen_cloud(page_cap=4)) as asker:
        asker.account.publish("2025062010", count=10)
        assert [len(await asker.ids(page=page, size=100)) for page in (1, 2, 3, 4)] == [4, 4, 2, 0]
        assert [len(await asker.ids(page=page, size=3)) for page in (1, 4)] == [3, 1]


async def test_a_span_beyond_the_maximum_is_refused_inside_http_200() -> None:
    async with asking(frozen_cloud(max_span_hours=24)) as asker:
        asker.account.publish("2025062010")
        assert len(await asker.ids("2025062000", "2025062100")) == 1
        refused = await asker.listing("2025062000", "2025062101")
        assert refused.status == 200
        assert (refused.json["code"], refused.json["data"]) == (1, None)
        assert "24" in refused.json["message"]


@pytest.mark.parametrize(("keeps", "hour"), [("first", 10), ("last", 13)])
async def test_a_clamped_span_silently_shows_only_one_end(keeps: Any, hour: int) -> None:
    async with asking(frozen_cloud(clamp_span_hours=1, clamp_keeps=keeps)) as asker:
        files = {hour: asker.account.publish(f"20250620{hour}") for hour in (10, 11, 12, 13)}
        assert await asker.ids("2025062010", "2025062014") == [files[hour].file_id]


async def test_a_server_that_ignores_page_numbers_repeats_page_one() -> None:
    async with asking(frozen_cloud(ignore_page_num=True)) as asker:
        asker.account.publish("2025062010", count=5)
        assert await asker.ids(page=1, size=2) == await asker.ids(page=2, size=2) == await asker.ids(page=9, size=2)


async def test_a_server_that_repeats_its_last_page_does_so_past_the_end_only() -> None:
    async with asking(frozen_cloud(repeat_last_page=True)) as asker:
        assert await asker.ids() == []
        asker.account.publish("2025062010", count=5)
        pages = [await asker.ids(page=page, size=2) for page in (1, 2, 3, 4, 50)]
        assert [len(page) for page in pages] == [2, 2, 1, 1, 1]
        assert pages[2] == pages[3] == pages[4]


async def test_the_page_past_the_end_may_be_null() -> None:
    async with asking(frozen_cloud(null_list_at_end=True)) as asker:
        asker.account.publish("2025062010", count=2)
        assert len((await asker.listing(page=1)).json["data"]["list"]) == 2
        assert (await asker.listing(page=2)).json["data"] == {"list": None, "total": 0}


async def test_ids_are_numbers_or_texts_or_both_in_turn() -> None:
    async with asking(frozen_cloud()) as asker:
        file, text = asker.account.publish("2025062010"), asker.account.publish("2025062010", file_id="x-1")
        number = file.file_id
        assert await asker.ids() == [text.file_id, number]
        asker.cloud.ids_as = "text"
        assert await asker.ids() == ["x-1", str(number)]
        asker.cloud.ids_as = "mixed"
        assert {type((await asker.ids())[1]) for _ in range(2)} == {int, str}


async def test_midnight_is_written_both_ways_and_names_agree() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.publish("2025062023", count=2)
        rows = await asker.rows("2025062023", "2025062100")
        assert {row["logTimeRange"] for row in rows} == {"2025-06-20 23:00~24:00", "2025-06-20 23:00~00:00"}
        assert {row["fileName"][:12] for row in rows} == {"202506202324", "202506202300"}
        asker.cloud.midnight = "24:00"
        assert asker.account.publish("2025061923").name.startswith("202506192324")
        assert asker.account.publish("2025061923", midnight="00:00").name.startswith("202506192300")


async def test_populated_hours_have_equal_names_both_suffixes_and_gaps_in_their_ids() -> None:
    async with asking(frozen_cloud()) as asker:
        files = asker.account.populate(200, 3)
        assert len(files) == 600
        assert files[-1].hour_name == "2025062111"
        assert files[0].hour_name == "2025061304"
        assert {file.name.partition(".")[2] for file in files} == {"gz", "log.gz"}
        assert all(len({f.name for f in files if f.hour == file.hour}) < 3 for file in files[::30])
        ids = [int(file.file_id) for file in files]
        assert ids == sorted(set(ids))
        assert ids[-1] - ids[0] > 700
        for file in files:
            gzip.decompress(file.content.read(0, file.size_bytes))
        assert any(not gzip.decompress(f.content.read(0, f.size_bytes)) for f in files)
        assert {members(file.content.read(0, file.size_bytes)) for file in files} == {1, 2}


def members(data: bytes) -> int:
    """How many gzip members there are."""
    count = 0
    while data:
        inflater = zlib.decompressobj(wbits=31)
        inflater.decompress(data)
        data, count = inflater.unused_data, count + 1
    return count


async def test_rows_can_be_overridden_extended_and_robbed_of_keys() -> None:
    async with asking(frozen_cloud()) as asker:
        odd = {"id": OMIT, "logTimeRange": "sometime", "fileSize": "12", "extra": {"deep": [1]}, "downloadURL": None}
        asker.account.publish("2025062010", name="../../etc/passwd\n", overrides=odd)
        row = (await asker.rows())[0]
        assert row == {
            "fileName": "../../etc/passwd\n",
            "fileSize": "12",
            "logTimeRange": "sometime",
            "downloadURL": None,
            "extra": {"deep": [1]},
        }


async def test_a_hostile_name_is_still_downloadable() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", name="../..//日志 a+b%2F~.gz")
        answer = await asker.fetch(file)
        assert (answer.status, len(answer.body)) == (200, file.size_bytes)


async def test_a_listed_size_may_lie() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=500, listed_size=501)
        assert (await asker.rows())[0]["fileSize"] == 501
        assert len((await asker.fetch(file)).body) == file.size_bytes == 500


async def test_a_file_appears_when_its_hour_closes_or_later_and_vanishes_when_withdrawn() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, publish_delay=timedelta(minutes=30))) as asker:
        usual = asker.account.publish("2025062112")
        late = asker.account.publish("2025062010", visible_from=NOON + timedelta(hours=2))
        span = ("2025062000", "2025062123")
        assert await asker.ids(*span) == []
        clock.advance(timedelta(minutes=89))
        assert await asker.ids(*span) == []
        clock.advance(timedelta(minutes=1))
        assert await asker.ids(*span) == [usual.file_id]
        clock.advance(timedelta(minutes=30))
        assert await asker.ids(*span) == [late.file_id, usual.file_id]
        clock.advance(timedelta(minutes=1))
        asker.account.withdraw(late)
        asker.account.withdraw(usual, NOON + timedelta(hours=3))
        assert await asker.ids(*span) == [usual.file_id]
        assert asker.account.offered() == [usual]
        clock.advance(timedelta(hours=1))
        assert await asker.ids(*span) == []
        assert asker.account.files() == [usual, late]
        assert asker.account.offered(NOON + timedelta(hours=2)) == [usual, late]


async def test_a_file_grows_or_changes_under_the_same_id() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=400)
        first, first_etag = file.sha256(), (await asker.fetch(file)).headers["ETag"]
        asker.account.grow(file)
        row = (await asker.rows())[0]
        assert (row["id"], row["fileSize"]) == (file.file_id, 497)
        grown = await asker.fetch(file)
        assert len(gzip.decompress(grown.body)) > 0
        assert (len(grown.body), grown.headers["ETag"] != first_etag) == (497, True)
        asker.account.replace(file)
        swapped = await asker.fetch(file)
        assert (await asker.rows())[0]["fileSize"] == 497
        assert gzip.decompress(swapped.body) != gzip.decompress(grown.body)
        assert len({first, file.sha256(), *(old.sha256() for old in file.history)}) == 3
        asker.account.grow(file, b"other")
        assert (await asker.fetch(file)).body == b"other"


async def test_what_is_older_than_the_retention_is_gone_from_listings_and_downloads() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, url_lifetime=timedelta(days=99))) as asker:
        file = asker.account.publish("2025062010")
        url = await asker.url(file)
        clock.advance(timedelta(days=28, hours=22))
        assert await asker.ids("2025062010", "2025062011") == [file.file_id]
        clock.advance(timedelta(minutes=1))
        assert await asker.ids("2025062010", "2025062011") == []
        assert (await asker.download(url)).status == 404
        assert asker.account.offered() == []


async def test_a_listing_that_starts_before_the_retention_may_be_an_error() -> None:
    async with asking(frozen_cloud(refuse_older="error")) as asker:
        fresh = asker.account.publish("2025052213")
        assert await asker.ids("2025052212", "2025052214") == [fresh.file_id]
        refused = await asker.listing("2025052211", "2025052214")
        assert (refused.status, refused.json["code"]) == (200, 1)
        asker.cloud.refuse_older = "empty"
        assert await asker.ids("2025052211", "2025052214") == [fresh.file_id]


@pytest.mark.parametrize("order", ["oldest", "shuffled"])
async def test_other_orders_still_page_through_every_row_once(order: Any) -> None:
    async with asking(frozen_cloud(order=order)) as asker:
        files = asker.account.populate(10, 3)
        pages = [await asker.ids("2025062000", "2025062200", page, 7) for page in range(1, 6)]
        ids = list(chain.from_iterable(pages))
        truth = [file.file_id for file in files]
        assert sorted(ids, key=str) == sorted(truth, key=str)
        assert ids != truth[::-1]
        assert (ids == truth) is (order == "oldest")
