"""How the simulated Lexiang pages: honestly by default, and in every crooked way on request."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from lexiang_asker import Asker, asking, frozen_cloud
from logkeep.simulator import Habits


async def paged(asker: Asker, count: int = 45) -> list[str]:
    """A world of some records; their ids, newest first."""
    asker.account.populate(count)
    return asker.account.ids()


async def test_an_honest_walk_sees_every_record_once_newest_first() -> None:
    async with asking(frozen_cloud()) as asker:
        ids = await paged(asker)
        assert await asker.walk(10) == ids
        assert asker.cloud.pages() == [1, 2, 3, 4, 5, 6]


async def test_meta_and_links_are_those_of_the_official_sample() -> None:
    async with asking(frozen_cloud()) as asker:
        await paged(asker)
        path = "https://lxapi.lexiangla.com/cgi-bin/v1/download-logs"
        first, last, beyond = [await asker.document(page, 2) for page in (1, 23, 24)]
        assert first["links"] == {
            "first": f"{path}?per_page=2&page=1",
            "last": f"{path}?per_page=2&page=23",
            "prev": None,
            "next": f"{path}?per_page=2&page=2",
        }
        assert first["meta"] == {
            "current_page": 1,
            "from": 1,
            "last_page": 23,
            "path": path,
            "per_page": "2",
            "to": 2,
            "total": 45,
        }
        assert (last["links"]["next"], last["meta"]["from"], last["meta"]["to"]) == (None, 45, 45)
        assert (beyond["data"], beyond["links"]["next"], beyond["meta"]["current_page"]) == ([], None, 24)
        assert (beyond["meta"]["from"], beyond["meta"]["to"], beyond["included"]) == (None, None, [])


async def test_without_parameters_a_page_has_twenty_rows_and_includes_nothing() -> None:
    async with asking(frozen_cloud()) as asker:
        await paged(asker)
        got = (await asker.logs(params={})).json
        assert (len(got["data"]), got["meta"]["per_page"], got["meta"]["current_page"]) == (20, 20, 1)
        assert "included" not in got
        only_owners = await asker.document(include="owner,else")
        assert {one["type"] for one in only_owners["included"]} == {"staff"}


@pytest.mark.parametrize("page", ["0", "-1", "two", "1.5", "", "²"])
async def test_a_garbage_page_becomes_page_1_or_is_refused(page: str) -> None:
    async with asking(frozen_cloud()) as asker:
        ids = await paged(asker)
        got = await asker.document(page, 10)
        assert ([row["id"] for row in got["data"]], got["meta"]["current_page"]) == (ids[:10], 1)
        asker.cloud.garbage_page = "refuse"
        refused = await asker.logs(page, 10)
        assert (refused.status, list(refused.json["errors"])) == (422, ["page"])


@pytest.mark.parametrize(
    ("quirks", "rows", "current"),
    [
        ({"past_end": "first"}, slice(0, 10), 1),
        ({"past_end": "first", "meta_page": "asked"}, slice(0, 10), 9),
        ({"past_end": "last"}, slice(40, 45), 5),
        ({"deepest_page": 3}, slice(0, 0), 9),
        ({"deepest_page": 3, "past_end": "first"}, slice(0, 10), 1),
        ({"deepest_page": 3, "past_end": "last"}, slice(20, 30), 3),
        ({"ignore_page": True}, slice(0, 10), 1),
    ],
)
async def test_a_page_past_the_end_may_be_another_one(quirks: dict[str, Any], rows: slice, current: int) -> None:
    async with asking(frozen_cloud(**quirks)) as asker:
        ids = await paged(asker)
        got = await asker.document(9, 10)
        assert ([row["id"] for row in got["data"]], got["meta"]["current_page"]) == (ids[rows], current)
        if not quirks.get("ignore_page"):
            assert await asker.ids(2, 10) == ids[10:20]


@pytest.mark.parametrize(
    ("quirks", "rows", "told"),
    [
        ({"per_page_cap": 15}, 15, "15"),
        ({"per_page_cap": 15, "meta_per_page": "asked"}, 15, "40"),
        ({"per_page_fixed": 7}, 7, "7"),
        ({"per_page_fixed": 7, "meta_per_page": "asked"}, 7, "40"),
        ({"per_page_max": 40}, 40, "40"),
    ],
)
async def test_the_page_size_served_may_differ_from_the_one_asked(quirks: dict[str, Any], rows: int, told: str) -> None:
    async with asking(frozen_cloud(**quirks)) as asker:
        ids = await paged(asker)
        got = await asker.document(2, 40)
        assert [row["id"] for row in got["data"]] == ids[rows : 2 * rows]
        assert got["meta"]["per_page"] == told
        assert got["meta"]["last_page"] == -(-45 // int(told))


async def test_a_page_size_too_large_is_refused() -> None:
    async with asking(frozen_cloud(per_page_max=40)) as asker:
        refused = await asker.logs(1, 41)
        assert (refused.status, list(refused.json["errors"])) == (422, ["per_page"])


async def test_hidden_rows_make_short_pages_and_are_no_part_of_the_truth() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(200, habits=Habits(hidden=0.3))
        asker.account.add_record(back=timedelta(hours=1), hidden=True)
        pages = [await asker.ids(page, 20) for page in range(1, 12)]
        assert [record_id for page in pages for record_id in page] == asker.account.ids()
        assert sorted(asker.account.ids()) == sorted(record.id for record in asker.account.truth())
        assert len(set(map(len, pages[:10]))) > 1
        assert 40 < 201 - len(asker.account.ids()) < 80
        assert (await asker.document())["meta"]["total"] == 201


async def test_blocks_violate_the_order_and_oldest_first_reverses_it() -> None:
    async with asking(frozen_cloud(order="blocks", block=10)) as asker:
        ids = await paged(asker)
        assert await asker.walk(8) == ids[10:20] + ids[:10] + ids[30:40] + ids[20:30] + ids[40:]
        asker.cloud.order = "oldest"
        assert await asker.walk(8) == ids[::-1]


async def test_rows_may_stand_twice_on_a_page() -> None:
    async with asking(frozen_cloud(duplicate_rows=2)) as asker:
        ids = await paged(asker)
        assert await asker.ids(2, 3) == [ids[3], ids[3], ids[4], ids[4], ids[5]]


@pytest.mark.parametrize(
    ("total", "told"), [("true", 46), ("null", None), ("wrong", 53), ("stale", 45), ("missing", "absent")]
)
async def test_the_total_is_not_to_be_trusted(total: Any, told: object) -> None:
    async with asking(frozen_cloud(total=total)) as asker:
        await paged(asker)
        await asker.logs()
        asker.account.add_record()
        got = await asker.document(1, 10)
        assert got["meta"].get("total", "absent") == told
        assert ("last_page" in got["meta"]) == ("last" in got["links"]) == (total != "missing")
        assert got["links"]["next"] is not None
        assert (await asker.document(5, 10))["links"]["next"] is None or total == "wrong"


@pytest.mark.parametrize(("meta_numbers", "types"), [("sample", {int, str}), ("number", {int}), ("text", {str})])
async def test_numbers_in_meta_are_of_any_type(meta_numbers: Any, types: set[type]) -> None:
    async with asking(frozen_cloud(meta_numbers=meta_numbers)) as asker:
        await paged(asker)
        meta = (await asker.document(2, 10))["meta"]
        del meta["path"]
        assert {type(value) for value in meta.values()} == types
        assert {key: int(value) for key, value in meta.items()} == {
            "current_page": 2,
            "from": 11,
            "last_page": 5,
            "per_page": 10,
            "to": 20,
            "total": 45,
        }


async def test_links_may_lie_be_null_or_be_absent() -> None:
    async with asking(frozen_cloud(links="missing")) as asker:
        await paged(asker)
        assert "links" not in await asker.document()
        asker.cloud.links = "null"
        assert (await asker.document())["links"] is None
        asker.cloud.links = "no_next"
        assert (await asker.document(1, 10))["links"]["next"] is None
        asker.cloud.links, asker.cloud.links_host = "always_next", "https://else.example"
        asker.cloud.links_keep_include = True
        following = (await asker.document(9, 10))["links"]["next"]
        path = "https://else.example/cgi-bin/v1/download-logs"
        assert following == f"{path}?per_page=10&include=target%2Cowner&page=10"


@pytest.mark.parametrize(
    ("included", "told"), [("sample", "rows"), ("last", "rows"), ("missing", "absent"), ("null", None), ("empty", [])]
)
async def test_included_stands_anywhere_or_nowhere(included: Any, told: object) -> None:
    async with asking(frozen_cloud(included=included)) as asker:
        await paged(asker)
        got = await asker.document()
        assert (got.get("included", "absent") == told) == (told != "rows")
        assert (list(got)[-1] == "included") == (included == "last")
        assert (len(got.get("included") or []) > 1) == (told == "rows")


async def test_the_content_type_may_be_that_of_json_api() -> None:
    async with asking(frozen_cloud(content_type="application/vnd.api+json")) as asker:
        assert (await asker.logs()).headers["Content-Type"].startswith("application/vnd.api+json")


async def test_one_second_wide_worlds_are_walked_like_others() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(30, days=0)
        got = await asker.walk(7)
        assert got == asker.account.ids()
        moments = [asker.account.record(record_id).created_at for record_id in got]
        assert all(one == other for one, other in pairwise(moments))
