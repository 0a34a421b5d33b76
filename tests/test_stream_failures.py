"""Every way in which the vendor or the disk fails: it passes by itself, or it is a gap with its reason, never silent.

The tables name every kind of fault that the simulator knows; one that no table has fails its own test.
"""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lexiang_world import DAY, HOUR, INTERVAL, StreamWorld, assert_whole, once, stream_world
from logkeep.errors import (
    AccountPaused,
    FatalVendorError,
    NotEntitled,
    RateLimited,
    StorageFull,
    Unreachable,
    UnreadableReply,
)
from logkeep.model import StreamState
from logkeep.records.report import StreamStanding
from logkeep.simulator.faults import Fault
from logkeep.simulator.lexiang.api_faults import KINDS

SMALL = 45


def reasons(stands: StreamStanding) -> str:
    return " | ".join(gap.reason for gap in stands.gaps)


# --- the listing, for a moment

LOGS_PASSING = (
    *("http_401", "http_404", "http_408", "http_429", "http_500", "http_502", "http_503", "http_504", "http_400"),
    *("html_200", "xml_200", "top_level_list", "top_level_null", "malformed_json", "truncated_json", "bad_utf8"),
    *("deep_json", "empty_body", "content_type", "drop", "drop_body", "reset", "slow", "huge_body", "too_many"),
    *("envelope", "unauthorized", "errors_list", "errors_text", "errors_map", "errors_in_200", "data_missing"),
    *("data_null", "data_object", "data_text", "empty_page", "empty_last", "rows_twice", "row_of_another_type"),
    *("row_without_relationships", "meta_missing", "meta_null", "meta_list", "meta_garbage", "total_negative"),
    *("total_float", "links_missing", "links_null", "links_text", "included_missing", "included_null"),
    *("included_object", "code_zero", "code_beside_data", "wrong_page", "wrong_page_disguised"),
    *("rows_reversed", "created_zoned"),
)
"""Struck once, anywhere, these leave a complete archive at the end of the same sync or of the next one."""
UNDATED = (
    *("row_without_attributes", "created_missing", "created_null", "created_garbage", "created_number"),
    "created_impossible",
)
"""A record that once came without its time stays without: kept, flagged, complete."""
WITHOUT_ID = ("row_text", "row_null", "row_without_id", "row_id_null", "row_id_empty", "row_id_object")
ONLY_DEEPER = ("rows_missing",)
"""Nothing on the page tells; the nightly and weekly looks find what was left out (``test_stream_vendor_lies``)."""
REFUSING = ("http_403", "forbidden", "needs_upgrade")
SILENT = ("stall", "stall_body")
"""Minutes of real silence; the client's limits are tried where they can be made short."""


def test_every_kind_of_fault_of_the_listing_has_its_test() -> None:
    tried = {*LOGS_PASSING, *UNDATED, *WITHOUT_ID, *REFUSING, *SILENT, *ONLY_DEEPER}
    assert set(KINDS["logs"].known) - tried == {"patch"}
    assert set(KINDS["token"].known) - {*TOKEN_PASSING, *TOKEN_REFUSING, *SILENT} == {"patch"}


@pytest.mark.parametrize("kind", LOGS_PASSING)
async def test_a_listing_that_fails_for_a_moment(tmp_path: Path, kind: str) -> None:
    """On the first page, on one in the middle, and in the first interval; complete at the latest one sync later."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        bytes_added = 9 * 1024 * 1024 if kind == "huge_body" else None
        strikes = (2,) if kind in ("http_401", "unauthorized") else (0, 2, 4)  # three in a row are a storm
        for skipped in strikes:
            w.cloud.faults.add(Fault("logs", kind, after=skipped, at=bytes_added, pause=timedelta(milliseconds=0.2)))
        for _ in range(3):
            w.clock.advance(INTERVAL)
            w.account.add_record()
            await w.sync(archiver)
        assert w.cloud.faults.struck["logs", kind] >= len(strikes)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        assert w.asked("token") <= 2


@pytest.mark.parametrize("kind", UNDATED)
async def test_a_row_that_lacks_its_time_once(tmp_path: Path, kind: str) -> None:
    """It is kept as it first came, on one line, and found to be known when it comes whole."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        w.cloud.faults.add(Fault("logs", kind, page=1))
        for _ in range(2):
            await w.sync(archiver)
            w.clock.advance(INTERVAL)
        stands = await w.stands(archiver)
        assert_whole(w, stands)
        assert stands.oddities["undated"] == 1
        assert [path for path in w.segments() if "date=unknown" in path]


@pytest.mark.parametrize("kind", WITHOUT_ID)
async def test_a_row_without_an_id(tmp_path: Path, kind: str) -> None:
    """Kept raw as evidence, and a gap for as long as it comes like that; then the record itself is archived."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3, end=w.ago(minutes=1))
        w.cloud.faults.add(Fault("logs", kind, times=None, match=lambda seen: seen.page == 1))
        for _ in range(3):
            _, stands = await w.sync(archiver)
            w.clock.advance(INTERVAL)
            assert stands.state is StreamState.SUSPECT
            assert "without a usable id" in reasons(stands)
        raw = [odd.detail for odd in await w.oddities(archiver) if odd.kind == "unreadable"]
        assert raw
        assert kind == "row_null" or "download_log" in raw[0]
        w.cloud.faults.clear()
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)


@pytest.mark.parametrize("kind", WITHOUT_ID)
async def test_the_only_row_there_is_has_no_id(tmp_path: Path, kind: str) -> None:
    """Nothing tells when it was, so all of the stream is in doubt, which is said."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.add_record(back=HOUR)
        w.cloud.faults.add(Fault("logs", kind, times=None))
        for _ in range(2):
            _, stands = await w.sync(archiver)
            w.clock.advance(INTERVAL)
            assert "without a usable id" in reasons(stands)
        w.cloud.faults.clear()
        for _ in range(2):
            await w.sync(archiver)
        stands = await w.stands(archiver)
        assert_whole(w, stands)


# --- the listing, for as long as it lasts

LASTING: dict[str, tuple[dict[str, Any], type[Exception], int, str]] = {
    "a gateway's page": ({"kind": "html_200"}, Unreachable, 5, "not the API"),
    "502": ({"kind": "http_502"}, Unreachable, 5, "502"),
    "connections cut": ({"kind": "drop"}, Unreachable, 5, "without an answer"),
    "plain 429": ({"kind": "too_many"}, RateLimited, 5, "Too Many Attempts"),
    "an error in a success": ({"kind": "errors_in_200"}, Unreachable, 5, "内部错误"),
    "an envelope's code": ({"kind": "envelope", "code": 50_001}, Unreachable, 5, "50001"),
    "no list of rows": ({"kind": "data_missing"}, UnreadableReply, 1, "no list under 'data'"),
    "broken JSON": ({"kind": "truncated_json"}, UnreadableReply, 1, "no well-formed JSON"),
    "no right": ({"kind": "forbidden"}, NotEntitled, 3, "Forbidden"),
    "no plan for it": ({"kind": "needs_upgrade"}, NotEntitled, 3, "版本需升级后启用"),
    "a gateway's 403": ({"kind": "http_403"}, FatalVendorError, 3, "403"),
    "an empty first page": ({"kind": "empty_page"}, UnreadableReply, 1, "an empty first page"),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in LASTING.items()])
async def test_a_listing_that_goes_on_failing(
    tmp_path: Path, case: tuple[dict[str, Any], type[Exception], int, str]
) -> None:
    """Failed, and why; three intervals later a gap with that reason; complete again once it is over."""
    fault, kind, code, reason = case
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        await w.sync(archiver)
        w.cloud.faults.add(Fault("logs", times=None, **fault))
        w.account.add_record()
        with capture_logs() as told:
            for _ in range(4):
                w.clock.advance(INTERVAL)
                passing, stands = await w.sync(archiver)
                assert isinstance(passing.error, kind)
                assert passing.error.exit_code == code
                assert stands.state is StreamState.FAILED
                assert reason in stands.reason
        stands = await w.stands(archiver)
        assert "no complete pass for three intervals" in reasons(stands)
        assert reason in reasons(stands)
        events = Counter(entry["event"] for entry in told)
        assert events["vendor_trouble"] + events["stream_failed"] == 1
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        assert_whole(w, (await w.sync(archiver))[1])


async def test_an_account_without_the_right_says_so_and_is_well_once_it_has_it(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        w.account.permitted = False
        passing, stands = await w.sync(archiver)
        assert isinstance(passing.error, NotEntitled)
        assert (w.asked(), w.asked("token")) == (1, 1)
        assert stands.account.trouble is not None
        assert stands.account.trouble.kind.value == "credentials"
        w.account.permitted = True
        assert_whole(w, (await w.sync(archiver))[1])


@pytest.mark.parametrize("refusal", ["object", "list", "map", "envelope", "text", "html"])
async def test_a_token_that_is_refused_between_two_pages(tmp_path: Path, refusal: Any) -> None:
    """One new token, one repeated request; the pass goes on where it was."""
    async with stream_world(tmp_path, refusal=refusal) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        w.cloud.before_request = lambda number: w.account.tokens.evict_all() if number == 3 else None
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        assert w.asked("token") == 2


async def test_a_storm_of_refused_tokens(tmp_path: Path) -> None:
    """However long it lasts: never more than 20 token calls in 10 minutes, and the account is paused and says so."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(SMALL, days=3)
        w.cloud.before_request = lambda _: w.account.tokens.evict_all()
        for _ in range(6):
            await w.sync(archiver)
            w.clock.advance(timedelta(minutes=1))
        passing, stands = await w.sync(archiver)
        assert isinstance(passing.error, AccountPaused)
        assert "refused" in stands.reason
        calls = [request.at for request in w.cloud.witness.requests("token")]
        assert len(calls) <= 4
        w.cloud.before_request = None
        w.clock.advance(HOUR)
        _, stands = await w.sync(archiver)
        assert_whole(w, stands)


# --- the token

TOKEN_PASSING = (
    *("http_404", "http_408", "http_429", "http_500", "http_502", "http_503", "http_504", "http_400"),
    *("html_200", "xml_200", "top_level_list", "top_level_null", "malformed_json", "truncated_json", "bad_utf8"),
    *("deep_json", "empty_body", "content_type", "drop", "drop_body", "reset", "slow", "huge_body", "too_many"),
    *("envelope", "errors_list", "errors_text", "errors_map", "errors_in_200", "token_missing", "token_number"),
    *("token_empty", "token_split", "expiry_missing", "expiry_text", "expiry_garbage", "expiry_zero"),
    *("expiry_negative", "expiry_endless"),
)
TOKEN_REFUSING = ("http_401", "http_403", "unauthorized", "forbidden", "needs_upgrade")


@pytest.mark.parametrize("kind", TOKEN_PASSING)
async def test_a_token_endpoint_that_fails_for_a_moment(tmp_path: Path, kind: str) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(5, days=3)
        bytes_added = 9 * 1024 * 1024 if kind == "huge_body" else None
        w.cloud.faults.add(Fault("token", kind, at=bytes_added))
        passing, stands = await w.sync(archiver)
        if passing.error is not None:
            assert stands.reason == str(passing.error)
            w.clock.advance(INTERVAL)
            _, stands = await w.sync(archiver)
        assert_whole(w, stands)
        assert w.asked("token") <= 2


@pytest.mark.parametrize("kind", TOKEN_REFUSING)
async def test_credentials_that_are_refused(tmp_path: Path, kind: str) -> None:
    """Paused to one attempt in half an hour, recorded before it is sent, told once; mended, it goes on by itself."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(5, days=3)
        w.cloud.faults.add(Fault("token", kind, times=None))
        with capture_logs() as told:
            for number in range(12):
                passing, stands = await w.sync(archiver)
                assert isinstance(passing.error, FatalVendorError)
                assert isinstance(passing.error, AccountPaused) is (number not in (0, 6))
                assert passing.error.exit_code == 3
                assert stands.state is StreamState.FAILED
                w.clock.advance(INTERVAL)
        assert w.asked("token") == 2
        assert w.asked() == 0
        assert [entry["event"] for entry in told].count("credentials_refused") == 1
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        assert_whole(w, (await w.sync(archiver))[1])


async def test_a_crash_loop_never_asks_for_too_many_tokens(tmp_path: Path) -> None:
    """A start each ten seconds against an endpoint that answers nothing useful."""
    async with stream_world(tmp_path) as w:
        w.cloud.faults.add(Fault("token", "http_502", times=None))
        begun = w.clock.now()
        while w.clock.now() - begun < timedelta(minutes=10):
            await w.sync()
            w.clock.advance(timedelta(seconds=10))
        assert 5 < w.asked("token") <= 20


# --- interrupted passes


async def test_a_pass_that_breaks_off_keeps_what_it_read_and_the_next_goes_on_by_time(tmp_path: Path) -> None:
    """Counted at the server: the way back to the hole costs a few requests, not the pages that were read."""
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(600, days=200)
        fault = Fault("logs", "http_502", after=20, times=None)
        w.cloud.faults.add(fault)
        passing, stands = await w.sync(archiver)
        assert isinstance(passing.error, Unreachable)
        kept = len(w.lines())
        assert kept > 200
        assert (stands.state, [gap.end for gap in stands.gaps] != []) == (StreamState.FAILED, True)
        for seconds in range(30):
            w.account.add_record(back=timedelta(seconds=seconds))
        w.cloud.faults.clear()
        w.cloud.reset()
        w.clock.advance(INTERVAL)
        passing, stands = await w.sync(archiver)
        assert passing.records == 630 - kept
        assert_whole(w, stands)
        assert w.asked() <= (630 - kept) / 20 * 1.5 + 8


async def test_a_pass_over_news_that_breaks_off_leaves_a_hole_that_is_named_and_then_filled(tmp_path: Path) -> None:
    async with stream_world(tmp_path) as w, w.open() as archiver:
        w.account.populate(60, days=20, end=w.ago(hours=1))
        await w.sync(archiver)
        w.clock.advance(DAY)
        for minutes in range(100):
            w.account.add_record(back=timedelta(minutes=10 * minutes))
        w.cloud.faults.add(Fault("logs", "http_502", after=3, times=None))
        _, stands = await w.sync(archiver)
        hole = next(gap for gap in stands.gaps if gap.state == "backfilling")
        assert hole.start is not None
        assert hole.end is not None
        assert hole.end - hole.start > timedelta(hours=6)
        w.cloud.faults.clear()
        w.clock.advance(INTERVAL)
        assert_whole(w, (await w.sync(archiver))[1])


@pytest.mark.parametrize("intervals", [2, 4])
async def test_three_intervals_without_a_complete_pass_are_a_gap(tmp_path: Path, intervals: int) -> None:
    """Also where logkeep simply was not there."""
    async with stream_world(tmp_path) as w:
        w.account.populate(5, days=1)
        await w.sync()
        w.clock.advance(INTERVAL * intervals)
        async with w.open() as archiver:
            stands = await w.stands(archiver)
        assert (len(stands.gaps), "no complete pass for three intervals" in reasons(stands)) == (
            (1, True) if intervals > 3 else (0, False)
        )
        assert_whole(w, (await w.sync())[1])


# --- this side


async def test_a_disk_without_room(tmp_path: Path) -> None:
    """Said once; nothing is written, nothing counts as read, and with room the archive is completed."""
    async with stream_world(tmp_path) as w:
        w.account.populate(SMALL, days=3)
        w.min_free_bytes = 2 * shutil.disk_usage(tmp_path).total
        async with w.open() as archiver:
            with capture_logs() as told:
                for _ in range(4):
                    passing, _ = await w.sync(archiver)
                    w.clock.advance(INTERVAL)
                    assert isinstance(passing.error, StorageFull)
            assert [entry["event"] for entry in told].count("disk_low") == 1
            assert w.lines() == []
            stands = await w.stands(archiver)
            assert stands.gaps
            assert (await w.stream(archiver)).covered == ()
        w.min_free_bytes = 0
        assert_whole(w, (await w.sync())[1])


async def test_a_disk_that_fills_up_later(tmp_path: Path) -> None:
    """What was read stays; an interval with nothing new needs no room, and news waits for some."""
    async with stream_world(tmp_path) as w:
        w.account.populate(SMALL, days=3, end=w.ago(hours=1))
        await w.sync()
        w.min_free_bytes = 2 * shutil.disk_usage(tmp_path).total
        async with w.open() as archiver:
            w.clock.advance(INTERVAL)
            passing, stands = await w.sync(archiver)
            assert passing.error is None
            assert_whole(w, stands)
            w.account.add_record()
            for _ in range(4):
                w.clock.advance(INTERVAL)
                passing, stands = await w.sync(archiver)
                assert isinstance(passing.error, StorageFull)
            assert "no complete pass for three intervals" in reasons(stands)
        w.min_free_bytes = 0
        assert_whole(w, (await w.sync())[1])


@pytest.mark.parametrize("statement", ["INSERT ON records", "UPDATE ON streams", "INSERT ON segments"])
async def test_a_catalog_that_refuses_to_write(tmp_path: Path, statement: str) -> None:
    """An error of this side, exit code 4; when it writes again everything is there once."""
    async with stream_world(tmp_path) as w:
        w.account.populate(SMALL, days=3)
        async with w.open() as archiver:
            change(w, f"CREATE TRIGGER broken BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END")
            passing, _ = await w.sync(archiver)
            assert passing.error is not None
            assert passing.error.exit_code == 4
            change(w, "DROP TRIGGER broken")
            w.clock.advance(INTERVAL)
            _, stands = await w.sync(archiver)
            assert_whole(w, stands)
            assert w.ids() == once(w.account.ids())


def change(w: StreamWorld, statement: str) -> None:
    with closing(sqlite3.connect(w.root / ".logkeep" / "catalog.sqlite3")) as connection, connection:
        connection.execute(statement)


async def test_a_daemon_that_was_away_for_weeks(tmp_path: Path) -> None:
    """It reads down to where it was, however many pages that takes."""
    async with stream_world(tmp_path) as w:
        w.account.populate(40, days=10)
        await w.sync()
        for day in range(60):
            w.clock.advance(DAY)
            w.account.add_record(back=timedelta(minutes=day))
            w.account.add_record(back=timedelta(hours=3))
        assert_whole(w, (await w.sync())[1])
