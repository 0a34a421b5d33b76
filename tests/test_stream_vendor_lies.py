"""A vendor whose pages cannot be trusted: each record that stays is archived once, or it is said what is wrong.

Nothing that is missing may ever look complete: where paging is not honoured the stream is failed, with its reason.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lexiang_world import DAY, INTERVAL, StreamWorld, assert_whole, stream_world
from logkeep.daemon.archiver import Archiver
from logkeep.model import StreamState
from logkeep.records.report import StreamStanding
from logkeep.simulator.faults import Fault
from logkeep.simulator.lexiang.churn import Churn
from logkeep.simulator.lexiang.traits import Habits

WEEK = timedelta(days=7)


async def lived(w: StreamWorld, archiver: Archiver) -> StreamStanding:
    """A first start, two intervals with news, some of it late, and a week later the deepest look."""
    await w.sync(archiver)
    for _ in range(2):
        w.clock.advance(INTERVAL)
        w.account.add_record()
        w.account.add_record(back=timedelta(minutes=9))
        await w.sync(archiver)
    w.clock.advance(WEEK)
    return (await w.sync(archiver))[1]


SURVIVED: dict[str, dict[str, Any]] = {
    "past the end comes page 1": {"past_end": "first"},
    "past the end comes page 1, as if asked": {"past_end": "first", "meta_page": "asked"},
    "past the end comes the last page": {"past_end": "last"},
    "past the end comes the last page, as if asked": {"past_end": "last", "meta_page": "asked"},
    "the page told is the page asked": {"meta_page": "asked"},
    "pages that are no numbers are refused": {"garbage_page": "refuse"},
    "clamped": {"per_page_cap": 9},
    "clamped, told as asked": {"per_page_cap": 9, "meta_per_page": "asked"},
    "larger pages refused": {"per_page_max": 9},
    "one size only": {"per_page_fixed": 9},
    "one size only, past the end page 1": {"per_page_fixed": 9, "past_end": "first", "meta_page": "asked"},
    "one size only, told as asked": {"per_page_fixed": 9, "meta_per_page": "asked"},
    "a row twice": {"duplicate_rows": 1},
    "many rows twice": {"duplicate_rows": 10},
    "no count": {"total": "missing"},
    "count null": {"total": "null"},
    "count wrong": {"total": "wrong"},
    "count of long ago": {"total": "stale"},
    "count wrong, no links": {"total": "wrong", "links": "missing"},
    "numbers as text": {"meta_numbers": "text"},
    "numbers as numbers": {"meta_numbers": "number"},
    "no links": {"links": "missing"},
    "links null": {"links": "null"},
    "never a next page": {"links": "no_next"},
    "always a next page": {"links": "always_next"},
    "always a next page, and no count": {"links": "always_next", "total": "missing"},
    "neither links nor count": {"links": "missing", "total": "missing"},
    "links of another host": {"links_host": "https://elsewhere.example", "links_keep_include": True},
    "nothing included": {"included": "missing"},
    "included null": {"included": "null"},
    "included empty": {"included": "empty"},
    "another content type": {"content_type": "text/html"},
    "unknown keys": {"unknown_fields": True, "doc": True, "counters": True},
    "ids now numbers, now texts": {"ids_as": "mixed"},
    "tokens of a minute": {"token_lifetime": timedelta(minutes=11), "expires_in": 7200},
    "one token at a time": {"token_limit": 1},
    "blocks of rows in another order": {"order": "blocks", "block": 3},
    "larger blocks of rows in another order": {"order": "blocks", "block": 25},
}


@pytest.mark.parametrize("quirks", [pytest.param(quirks, id=name) for name, quirks in SURVIVED.items()])
async def test_what_can_be_seen_through(tmp_path: Path, quirks: dict[str, Any]) -> None:
    async with stream_world(tmp_path, **quirks) as w, w.open() as archiver:
        w.account.populate(45, days=3)
        assert_whole(w, await lived(w, archiver))


@pytest.mark.parametrize("fixed", [None, 6])
async def test_pages_with_fewer_rows_than_they_should_have(tmp_path: Path, fixed: int | None) -> None:
    """A third of the rows is counted and paged over, but never shown."""
    async with stream_world(tmp_path, per_page_fixed=fixed, keys={"per_page": 6}) as w, w.open() as archiver:
        w.account.populate(50, days=3, habits=Habits(hidden=0.35))
        assert_whole(w, await lived(w, archiver))


async def test_pages_without_any_row_in_the_middle(tmp_path: Path) -> None:
    """Counted, and never shown: what lies below them cannot be told from an early end, and that is said."""
    async with stream_world(tmp_path, keys={"per_page": 5}) as w, w.open() as archiver:
        w.account.populate(30, days=3)
        for _ in range(14):
            w.account.add_record(w.ago(hours=30), hidden=True)
        stands = await lived(w, archiver)
        if stands.state is StreamState.FAILED:
            assert any("more rows were seen or are counted" in gap.reason for gap in stands.gaps)
        else:
            assert_whole(w, stands)


LOUD: dict[str, tuple[dict[str, Any], str]] = {
    "every page is page 1": ({"ignore_page": True}, "paging is not honoured"),
    "every page is page 1, told as asked": ({"ignore_page": True, "meta_page": "asked"}, "paging is not honoured"),
    "pages end early": ({"deepest_page": 1}, "more rows were seen or are counted"),
    "pages end early with page 1": ({"deepest_page": 1, "past_end": "first"}, "paging is not honoured"),
    "pages end early with page 1, told as asked": (
        {"deepest_page": 1, "past_end": "first", "meta_page": "asked"},
        "paging is not honoured",
    ),
    "pages end early with the last page again": ({"deepest_page": 1, "past_end": "last"}, "paging is not honoured"),
    "pages end early with the last page again, told as asked": (
        {"deepest_page": 1, "past_end": "last", "meta_page": "asked"},
        "paging is not honoured",
    ),
}


@pytest.mark.parametrize(("quirks", "reason"), [pytest.param(*case, id=name) for name, case in LOUD.items()])
async def test_what_cannot_be_seen_through_is_said(tmp_path: Path, quirks: dict[str, Any], reason: str) -> None:
    """Failed, with its reason in the gaps; what could be read is kept, and all is well once the vendor is."""
    async with stream_world(tmp_path, **quirks) as w, w.open() as archiver:
        w.account.populate(45, days=3)
        stands = await lived(w, archiver)
        assert stands.state is StreamState.FAILED
        assert reason in stands.reason
        assert stands.gaps
        assert any(gap.state == "failed" and reason in gap.reason for gap in stands.gaps)
        assert 10 <= len(w.ids()) < len(w.account)
        assert set(w.ids().values()) == {1}
        w.cloud.ignore_page, w.cloud.deepest_page = False, None
        w.clock.advance(INTERVAL)
        assert_whole(w, (await w.sync(archiver))[1])


async def test_oldest_first(tmp_path: Path) -> None:
    """Everything comes home at the first start; that news would be on the last page is seen, and said or read."""
    async with stream_world(tmp_path, order="oldest") as w, w.open() as archiver:
        w.account.populate(45, days=3)
        stands = await lived(w, archiver)
        missing = Counter(w.account.ids()) - w.ids()
        assert not missing or stands.gaps, f"{len(missing)} are missing and nothing is said"


async def test_a_limit_of_pages_is_met_only_when_history_has_grown(tmp_path: Path) -> None:
    """What was covered before stays covered; new records come home however little of the listing is served."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(45, days=3)
        await w.sync(archiver)
        w.cloud.deepest_page = 2
        for _ in range(3):
            w.clock.advance(INTERVAL)
            w.account.add_record()
            await w.sync(archiver)
        stands = await w.stands(archiver)
        assert_whole(w, stands)


WRONG_PAGES = ("wrong_page", "wrong_page_disguised", "rows_missing", "rows_twice", "rows_reversed", "empty_page")


@pytest.mark.parametrize("kind", [*WRONG_PAGES, "empty_last", "meta_garbage", "links_text", "total_negative"])
async def test_pages_that_are_wrong_now_and_then(tmp_path: Path, kind: str) -> None:
    """Every fourth answer, in the first reading as in the others; a week of quiet later nothing is missing."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(80, days=25)
        strike = Fault("logs", kind, times=None, match=lambda _: w.asked() % 4 == 0)
        w.cloud.faults.add(strike, replace(strike, page=3, match=None, times=1))
        await w.sync(archiver)
        for _ in range(3):
            w.clock.advance(INTERVAL)
            w.account.add_record()
            await w.sync(archiver)
        assert w.cloud.faults.struck["logs", kind] > 2
        w.cloud.faults.clear()
        w.clock.advance(WEEK)
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)


CHURN: dict[str, dict[str, Any]] = {
    "inserts": {"moves": ["insert"]},
    "late ones": {"moves": ["backdate"]},
    "deletes": {"moves": ["delete"]},
    "deletes of the newest": {"moves": ["delete"], "newest": 20},
    "an insert for each delete": {"moves": ["pair"]},
    "an insert for each delete of the newest": {"moves": ["pair"], "newest": 15},
    "ties": {"moves": ["ties"]},
    "everything": {},
    "everything, now and then": {"every": 3},
}


@pytest.mark.parametrize("quirks", [{}, {"per_page_fixed": 12}, {"total": "missing", "links": "missing"}], ids=str)
@pytest.mark.parametrize("churn", [pytest.param(churn, id=name) for name, churn in CHURN.items()])
async def test_a_world_that_changes_between_any_two_requests(
    tmp_path: Path, churn: dict[str, Any], quirks: dict[str, Any]
) -> None:
    """While the first start reads, and afterwards; a week of quiet and its deep look later, all that stayed is there.

    History reaches further back than any look, so what slipped by at the first start would never be found again.
    """
    async with stream_world(tmp_path, **quirks) as w, w.open() as archiver:
        w.account.populate(100, days=90, ties=0.3)
        w.cloud.before_request = Churn(account=w.account, seed=len(str(churn)), limit=40, **churn)
        await w.sync(archiver)
        for _ in range(3):
            w.clock.advance(INTERVAL)
            await w.sync(archiver)
        assert w.cloud.before_request.done
        w.cloud.before_request = None
        w.clock.advance(WEEK)
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)


async def test_a_delete_before_every_single_page_of_the_first_reading(tmp_path: Path) -> None:
    """Always of the newest, so that every row below moves up across each page's edge, and ``total`` never tells."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(100, days=300)

        def shift(_: int) -> None:
            w.account.delete(w.account.ids(1)[0])
            w.account.add_record(w.ago(days=300, seconds=1))

        w.cloud.before_request = shift
        await w.sync(archiver)
        w.cloud.before_request = None
        w.clock.advance(DAY)
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
