"""Every way in which the vendor is known or believed to fail ends in a complete archive, or in a gap with its reason.

The tables say what each failure leads to. One that passes must leave a complete archive at once, or by the next sync;
one that stays must be named in ``gaps``, and be forgotten once it ends.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from logkeep.errors import CredentialsRefused, NotEntitled, StorageFull, Unreachable, VendorError
from logkeep.files.report import Standing
from logkeep.model import Hour, HourState
from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.offered import OMIT, OfferedFile

from archive_world import HOUR, World, reasons, state_of, truth, world

HOURS = 6
FINE = {HourState.COMPLETE, HourState.EMPTY, HourState.OPEN}


def small(w: World) -> list[OfferedFile]:
    """A world that one sync of few requests brings home: a file an hour."""
    w.watched_hours = HOURS
    return w.account.populate(HOURS, 1)


def assert_complete(w: World, stands: Standing, offered: Sequence[OfferedFile]) -> None:
    assert w.digests() == truth(list(offered))
    assert stands.gaps == []
    assert {judged.state for judged in stands.ledger} <= FINE
    assert w.leftovers() == []
    assert w.cloud.violations == []


def due(w: World) -> list[datetime]:
    """Starts of the hours whose lack counts as a gap by now."""
    return [w.hour(back) for back in range(HOURS, 3, -1)]


def gap_words(stands: Standing) -> dict[str | None, str]:
    """The word that begins the reason of each file's gap."""
    return {gap.file_id: gap.reason.split(":")[0] for gap in stands.gaps}


def hours_of(stands: Standing) -> list[datetime]:
    """Starts of all hours that are in some gap."""
    named = [gap for gap in stands.gaps if gap.start is not None and gap.end is not None]
    hours: set[Hour] = set()
    for gap in named:
        assert gap.start is not None
        assert gap.end is not None
        hours |= {Hour(index) for index in range(Hour.of(gap.start).index, Hour.of(gap.end).index)}
    return [hour.start for hour in sorted(hours)]


# --- the API, for a moment

Shape = dict[str, Any]

SURVIVED_AT_ONCE: dict[str, list[Shape]] = {
    "the gateway's statuses": [
        *({"kind": f"http_{status}", "times": 2} for status in (404, 408, 429, 500, 502, 503, 504)),
        {"kind": "http_401"},
        {"kind": "http_429", "retry_after": "7"},
    ],
    "the envelope's codes": [
        *({"kind": f"code_{code}", "times": 2} for code in (429, 1, 5066, 20103)),
        {"kind": "code_401"},
        {"kind": "code_401", "status": 401},
        {"kind": "code_429", "status": 429, "retry_after": "7"},
        {"kind": "evicted"},
    ],
    "pages in place of answers": [
        *({"kind": kind, "times": 2} for kind in ("html_200", "xml_200", "empty_body", "deep_json", "bad_utf8")),
        *(
            {"kind": kind, "times": 2}
            for kind in ("malformed_json", "truncated_json", "top_level_list", "content_type")
        ),
    ],
    "answers of another shape": [
        *({"kind": kind, "times": 2} for kind in ("top_level_null", "code_missing", "code_null", "code_text")),
        *({"kind": kind, "times": 2} for kind in ("data_missing", "data_null", "data_text", "data_list")),
        *({"kind": kind, "times": 2} for kind in ("list_missing", "list_text", "list_object", "total_wrong")),
    ],
    "connections that break": [
        *({"kind": kind, "times": 2} for kind in ("drop", "drop_body", "reset", "trace_missing")),
        {"kind": "slow"},
        {"kind": "huge_body", "at": 9 * 2**20},
    ],
    "the token's gateway": [
        *({"where": "token", "kind": f"http_{status}"} for status in (404, 429, 500, 502, 503, 504)),
    ],
    "the token's answers": [
        *({"where": "token", "kind": kind} for kind in ("code_429", "html_200", "malformed_json", "drop", "reset")),
        *({"where": "token", "kind": kind} for kind in ("data_null", "token_missing", "expiry_garbage", "expiry_past")),
    ],
}


@pytest.mark.parametrize("shapes", SURVIVED_AT_ONCE.values(), ids=SURVIVED_AT_ONCE.keys())
async def test_an_answer_that_fails_and_then_does_not_is_survived_within_the_same_sync(
    tmp_path: Path, shapes: list[Shape]
) -> None:
    """One after the other, an hour apart, each with a new file to miss."""
    async with world(tmp_path) as w:
        offered = small(w)
        await w.sync()
        for shape in shapes:
            w.clock.advance(HOUR)
            offered.append(w.account.publish(w.hour(1)))
            fault = Fault(**{"where": "list", **shape})
            if fault.where == "token":
                w.account.tokens.evict_all()
            w.cloud.faults.add(fault)
            passing, stands = await w.sync()
            assert w.cloud.faults.pending == [], "the fault did not happen"
            assert passing.error is None, shape
            assert_complete(w, stands, offered)


STOPS_THE_PASS: list[tuple[Shape, type[VendorError], str]] = [
    ({"kind": "code_5113", "times": 1}, NotEntitled, "code 5113: 流量已超出限制"),
    ({"kind": "no_rights", "times": 1}, NotEntitled, "code 1: 无效的登录信息"),
    ({"kind": "http_403", "times": 1}, NotEntitled, "HTTP 403"),
    ({"kind": "http_503"}, Unreachable, "HTTP 503"),
    ({"kind": "drop"}, Unreachable, "the connection was closed without an answer"),
    ({"kind": "html_200"}, Unreachable, "HTTP 200: not the API's answer (text/html)"),
    ({"where": "token", "kind": "code_401", "times": 1}, CredentialsRefused, "code 401"),
    ({"where": "token", "kind": "http_403", "times": 1}, NotEntitled, "HTTP 403"),
    ({"where": "token", "kind": "http_503"}, Unreachable, "HTTP 503"),
]


@pytest.mark.parametrize(("shape", "error", "words"), STOPS_THE_PASS, ids=lambda value: str(value)[:60])
async def test_an_answer_that_stops_the_pass_names_every_due_hour_and_the_next_sync_completes_it(
    tmp_path: Path, shape: Shape, error: type[VendorError], words: str
) -> None:
    async with world(tmp_path) as w:
        offered = small(w)
        w.cloud.faults.add(Fault(**{"where": "list", "times": None, **shape}))
        passing, stands = await w.sync()
        assert isinstance(passing.error, error)
        assert hours_of(stands) == due(w)
        assert all(words in reason for reason in reasons(stands))
        assert {gap.state for gap in stands.gaps} == {"failed"}
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.error is None
        assert_complete(w, stands, offered)


REFUSES_EVERY_SPAN: list[tuple[dict[str, Any], str]] = [
    ({"kind": "http_400"}, "HTTP 400"),
    ({"kind": "envelope", "code": 9_999, "message": "no such luck"}, "code 9999: no such luck"),
    ({"kind": "envelope", "message": "查询时间范围错误"}, "查询时间范围错误"),
    ({"kind": "list_missing"}, "'list' is missing"),
    ({"kind": "malformed_json"}, "no well-formed JSON"),
    ({"kind": "list_of_texts"}, "unreadable row"),
]


@pytest.mark.parametrize(("what", "words"), REFUSES_EVERY_SPAN, ids=lambda value: str(value)[:60])
async def test_an_answer_about_every_span_fails_every_hour_with_its_reason_until_it_ends(
    tmp_path: Path, what: dict[str, Any], words: str
) -> None:
    """Never taken for "no files"; and bounded: a vendor that is broken altogether is not asked for ever."""
    async with world(tmp_path) as w:
        offered = small(w)
        w.cloud.faults.add(Fault("list", times=None, **what))
        _, stands = await w.sync()
        assert hours_of(stands) == due(w)
        assert all(words in reason for reason in reasons(stands))
        assert w.cloud.count("list") <= 150
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.error is None
        assert_complete(w, stands, offered)


async def test_a_vendor_whose_every_reply_is_unreadable_is_given_up_for_the_pass(tmp_path: Path) -> None:
    """Thirty days of hours are not asked one by one of an API that answers nothing that can be read."""
    async with world(tmp_path) as w:
        w.watched_hours = 200
        w.cloud.faults.add(Fault("list", "data_text", times=None))
        passing, _ = await w.sync()
        assert passing.error is not None
        assert passing.listings <= 30
        _, stands = await w.sync()
        assert w.cloud.count("list") <= 2 * 30 * 4
        assert {judged.state for judged in stands.ledger} == {HourState.FAILED, HourState.OPEN}


async def test_refusals_as_real_http_statuses_mean_what_they_mean_in_an_envelope(tmp_path: Path) -> None:
    async with world(tmp_path, real_http_status=True) as w:
        offered = small(w)
        await w.sync()
        w.account.tokens.evict_all()
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.error is None
        assert_complete(w, stands, offered)


async def test_a_fourth_holder_that_evicts_our_token_again_and_again_costs_a_pause_and_no_hour(tmp_path: Path) -> None:
    """A fleet elsewhere logs in all the time: the account pauses, says so, and catches up when that ends."""
    async with world(tmp_path) as w:
        offered = small(w)
        w.cloud.faults.add(Fault("list", "evicted", times=None))
        for _ in range(2):
            await w.sync()
            w.clock.advance(timedelta(minutes=2))
        passing, stands = await w.sync()
        assert passing.error is not None
        assert passing.error.exit_code == 3
        assert "exceeded the limit" in reasons(stands)[0]
        assert w.cloud.count("token") <= 4
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.error is None
        assert_complete(w, stands, offered)


async def test_a_rate_limit_that_names_its_wait_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        offered = small(w)
        w.cloud.faults.add(Fault("list", "http_429", retry_after="40"))
        begun = w.clock.now()
        _, stands = await w.sync()
        assert_complete(w, stands, offered)
        assert w.clock.now() - begun >= timedelta(seconds=40)


# --- what the vendor may do and is allowed to


@pytest.mark.parametrize(
    "quirks",
    [
        {"null_list_at_end": True},
        {"ids_as": "text"},
        {"ids_as": "mixed"},
        {"order": "shuffled"},
        {"order": "oldest"},
        {"content_encoding": True},
        {"offer_etag": False},
        {"page_cap": 1},
        {"midnight": "24:00"},
        {"midnight": "00:00"},
    ],
    ids=str,
)
async def test_a_vendors_habit_that_nobody_promised_otherwise_loses_nothing(
    tmp_path: Path, quirks: dict[str, Any]
) -> None:
    """Around midnight, so that the hour 23 is among them; a second sync fetches nothing again."""
    async with world(tmp_path, **quirks) as w:
        w.clock.advance(14 * HOUR)  # 02:05 in China
        w.pan123["page_size"] = 3
        offered = small(w)
        await w.sync()
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.batch.files == 0
        assert_complete(w, stands, offered)
        assert any("hour=23/" in path for path in w.archived())


async def test_whatever_a_file_is_called_it_is_archived_in_its_hour(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        hour = w.hour(5)
        usual = f"{hour:%Y%m%d%H}{hour.hour + 1:02}"
        names = (f"{usual}.gz", f"{usual}.log.gz", usual, "../../etc/passwd", "日志 1.gz", "", "a" * 1_500, "x\x00y\t")
        offered = [w.account.publish(hour, name=name) for name in names]
        _, stands = await w.sync()
        assert_complete(w, stands, offered)
        folder = f"pan123/main/date={hour:%Y-%m-%d}/hour={hour:%H}/"
        assert {path[: len(folder)] for path in w.archived()} == {folder}


ODD_MEMBERS: list[dict[str, Any]] = [
    {"fileSize": OMIT},
    {"fileSize": None},
    {"fileSize": "many"},
    {"fileSize": -1},
    {"fileName": OMIT},
    {"fileName": 7},
    {"id": "no number at all"},
    {"id": 10**30},
    {"extra": {"deep": [1, 2]}},
]


async def test_a_row_with_odd_members_beside_its_id_and_hour_is_archived(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        offered = [w.account.publish(w.hour(5), overrides=overrides) for overrides in ODD_MEMBERS]
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


async def test_a_row_without_a_usable_address_is_a_gap_until_it_has_one(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        addresses = [OMIT, None, "", "not an address", "ftp://example.com/x", 7]
        offered = [w.account.publish(w.hour(5), overrides={"downloadURL": address}) for address in addresses]
        _, stands = await w.sync()
        assert {gap.file_id for gap in stands.gaps} == {str(file.file_id) for file in offered}
        assert {gap.reason.split(":")[0] for gap in stands.gaps} == {"address_refused"}
        for file in offered:
            file.overrides = {}
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


async def test_a_size_that_is_no_longer_stated_is_no_other_size(tmp_path: Path) -> None:
    """The file is fetched once, and is not wanted for ever because a number is missing."""
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        file = w.account.publish(w.hour(5), file_id=900)
        w.cloud.faults.add(Fault("download", "http_500", times=4))
        await w.sync()
        file.overrides = {"fileSize": OMIT}
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, [file])
        w.cloud.reset()
        w.clock.advance(HOUR)
        await w.sync()
        assert w.cloud.count("download") == 0


Carrier = Literal["query", "body", "both", "any"]


@pytest.mark.parametrize(
    ("sent", "read"),
    [("query", "query"), ("body", "body"), ("both", "query"), ("both", "body"), ("query", "any"), ("body", "any")],
)
async def test_the_parameters_arrive_by_a_carrier_that_the_vendor_reads(
    tmp_path: Path, sent: Carrier, read: Carrier
) -> None:
    async with world(tmp_path, carrier=read) as w:
        w.pan123["carrier"] = sent
        offered = small(w)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


@pytest.mark.parametrize(("sent", "read"), [("query", "body"), ("body", "query")])
async def test_a_carrier_that_the_vendor_does_not_read_is_refused_by_name_and_nothing_is_taken_for_empty(
    tmp_path: Path, sent: Carrier, read: Carrier
) -> None:
    async with world(tmp_path, carrier=read) as w:
        w.pan123["carrier"] = sent
        offered = small(w)
        _, stands = await w.sync()
        assert hours_of(stands) == due(w)
        assert "参数错误" in reasons(stands)[0]
        w.pan123["carrier"] = "both"
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


# --- the download host

PASSES: list[dict[str, Any]] = [
    *({"kind": f"http_{status}"} for status in (302, 301, 303, 307, 308, 210)),
    {"kind": "http_302", "hops": 5},
    {"kind": "http_210", "hops": 5},
    {"kind": "http_302", "to": "relative"},
    {"kind": "http_302", "to": "host"},
    *({"kind": f"http_{status}"} for status in (400, 401, 403, 404, 410, 429, 500, 502, 503, 504)),
    {"kind": "http_403_geo"},
    {"kind": "http_403_html"},
    {"kind": "http_429", "retry_after": "30"},
    {"kind": "http_503", "retry_after": "Tue, 10 Mar 2026 04:06:00 GMT"},
    *({"kind": kind} for kind in ("xml_200", "html_200", "json_200", "redirect_nowhere")),
    {"kind": "redirect_nowhere", "status": 302},
    {"kind": "http_302", "to": "loop"},
    {"kind": "http_210", "to": "loop"},
    {"kind": "http_302", "location": "https://files.invalid/x"},
    *({"kind": kind} for kind in ("drop", "drop_reset", "silence", "truncate", "reset", "stall")),
    *({"kind": kind} for kind in ("wrong_length", "chunked_cut", "no_content_length", "unasked_206")),
    *({"kind": kind} for kind in ("no_etag", "changed_etag", "content_encoding")),
    {"kind": "slow", "at": 200},
    {"kind": "zeros", "at": 0},
]


async def test_downloads_that_fail_and_then_do_not_are_survived_within_the_same_sync(tmp_path: Path) -> None:
    """Each row of the table strikes a file of its own, twice."""
    async with world(tmp_path) as w:
        w.watched_hours, w.download["idle_timeout"] = 4, timedelta(milliseconds=100)
        offered = w.account.publish(w.hour(4), count=len(PASSES))
        for file, what in zip(offered, PASSES, strict=True):
            w.cloud.faults.add(Fault("download", **{"times": 2, "file_id": file.file_id, **what}))
        passing, stands = await w.sync()
        assert passing.error is None
        assert reasons(stands) == []
        assert_complete(w, stands, offered)
        assert {kind for _, kind in w.cloud.faults.struck} == {what["kind"] for what in PASSES}


SET_ASIDE: dict[str, str] = {
    "corrupt": "corrupt_gzip",
    "short_length": "truncated_gzip",
    "junk": "trailing_junk",
    "empty": "not_gzip",
    "grows": "size_differs",
    "zeros": "size_differs",
}


async def test_bytes_that_arrive_complete_but_damaged_are_set_aside_and_fetched_again_by_the_next_sync(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        offered = w.account.publish(w.hour(4), count=len(SET_ASIDE), size=500)
        for file, kind in zip(offered, SET_ASIDE, strict=True):
            w.cloud.faults.add(Fault("download", kind, file_id=file.file_id))
        _, stands = await w.sync()
        assert gap_words(stands) == {str(f.file_id): w for f, w in zip(offered, SET_ASIDE.values(), strict=True)}
        assert len(w.quarantined()) == len(offered)
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)
        assert w.quarantined() == []


STAYS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "http_403"}, "url_refused: HTTP 403, code AccessDenied"),
    ({"kind": "http_404"}, "url_refused: HTTP 404, code NoSuchKey"),
    ({"kind": "http_410"}, "url_refused: HTTP 410"),
    ({"kind": "http_400"}, "url_refused: HTTP 400"),
    ({"kind": "http_403_geo"}, "egress_mismatch: HTTP 403, code 1010"),
    ({"kind": "http_403_html"}, "url_refused: HTTP 403"),
    ({"kind": "http_429"}, "rate_limited: HTTP 429"),
    ({"kind": "http_500"}, "server_error: HTTP 500"),
    ({"kind": "http_502"}, "server_error: HTTP 502"),
    ({"kind": "xml_200"}, "error_page: a success that holds xml, code AccessDenied"),
    ({"kind": "html_200"}, "error_page: a success that holds html"),
    ({"kind": "json_200"}, "error_page: a success that holds json, code 5066"),
    ({"kind": "http_302", "to": "loop"}, "redirect_loop: "),
    ({"kind": "http_210", "to": "loop"}, "redirect_loop: "),
    ({"kind": "http_302", "hops": 40}, "redirect_loop: "),
    ({"kind": "redirect_nowhere"}, "url_refused: HTTP 210"),
    ({"kind": "http_302", "to": "file"}, "address_refused: "),
    ({"kind": "http_302", "location": "http://files.invalid/x"}, "unreachable: "),
    ({"kind": "drop"}, "unreachable: "),
    ({"kind": "drop_reset"}, "unreachable: "),
    ({"kind": "silence"}, "stalled: no answer in time"),
    ({"kind": "stall"}, "stalled: the body fell silent"),
    ({"kind": "truncate"}, "truncated: "),
    ({"kind": "reset"}, "truncated: "),
    ({"kind": "wrong_length"}, "truncated: "),
    ({"kind": "chunked_cut"}, "truncated: "),
    ({"kind": "unasked_206"}, "bad_range: "),
]


async def test_downloads_that_keep_failing_are_gaps_of_their_own_and_hold_up_nothing_else(tmp_path: Path) -> None:
    """Each row of the table strikes a file of its own, for ever; one file of the same hour is well."""
    async with world(tmp_path) as w:
        w.watched_hours, w.download["idle_timeout"] = 4, timedelta(milliseconds=60)
        hour = w.hour(4)
        offered = w.account.publish(hour, count=len(STAYS))
        good = w.account.publish(hour)
        for file, (what, _) in zip(offered, STAYS, strict=True):
            w.cloud.faults.add(Fault("download", times=None, file_id=file.file_id, **what))
        passing, stands = await w.sync()
        assert passing.error is None
        assert state_of(stands, hour)[0] is HourState.FAILED
        assert w.digests() == truth([good])
        found = {gap.file_id: gap for gap in stands.gaps}
        assert len(found) == len(stands.gaps)
        for file, (_, words) in zip(offered, STAYS, strict=True):
            gap = found.pop(str(file.file_id))
            assert gap.reason.startswith(words)
            assert "?" not in gap.reason, "a signed query"
            assert (gap.start, gap.state, gap.expires_at) == (hour, "failed", hour + HOUR + timedelta(days=30))
        assert found == {}
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, [*offered, good])


RANGES = ["ignores_range", "range_wrong", "range_lies", "changed_etag", "no_etag", "http_403", "http_500", "html_200"]


async def test_broken_downloads_that_are_gone_on_with_by_range_are_whole_whatever_the_server_makes_of_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        offered = w.account.publish(w.hour(4), count=len(RANGES), size=700_000)
        for file, kind in zip(offered, RANGES, strict=True):
            w.cloud.faults.add(Fault("download", "truncate", at=400_000, file_id=file.file_id))
            w.cloud.faults.add(Fault("download", kind, file_id=file.file_id))
        _, stands = await w.sync()
        assert w.cloud.faults.pending == []
        assert_complete(w, stands, offered)


async def test_a_file_that_changes_between_two_parts_of_a_download_is_never_a_mixture(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        file = w.account.publish(w.hour(4), size=700_000)

        def swap(_request: object) -> bool:
            w.account.replace(file)
            return True

        w.cloud.faults.add(Fault("download", "truncate", at=400_000), Fault("download", "no_etag", match=swap))
        _, stands = await w.sync()
        assert w.cloud.faults.pending == []
        assert_complete(w, stands, [file])


# --- addresses that are spent


@pytest.mark.parametrize("hours", [1, 2])
async def test_one_listing_of_each_hour_brings_fresh_addresses_for_all_files_that_wait(
    tmp_path: Path, hours: int
) -> None:
    """Each walk is a page and an empty one."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        offered = [file for back in (4, 5)[:hours] for file in w.account.publish(w.hour(back), count=6)]
        for file in offered:
            w.cloud.faults.add(Fault("download", "http_403", file_id=file.file_id))
        passing, stands = await w.sync()
        with_spent = w.cloud.count("list")
        assert_complete(w, stands, offered)
        assert w.cloud.count("download") == 2 * len(offered)
    async with world(tmp_path / "untroubled") as w:
        w.watched_hours = 8
        for back in (4, 5)[:hours]:
            w.account.publish(w.hour(back), count=6)
        await w.sync()
        assert with_spent - w.cloud.count("list") == 2 * hours
    assert passing.error is None


async def test_addresses_good_for_one_use_only_are_renewed_for_each_retry(tmp_path: Path) -> None:
    async with world(tmp_path, single_use_urls=True) as w:
        offered = small(w)
        w.cloud.faults.add(Fault("download", "truncate", file_id=offered[2].file_id, times=2))
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


async def test_addresses_that_expire_while_they_wait_are_renewed(tmp_path: Path) -> None:
    """A rate limit holds the first attempts up for longer than their addresses live."""
    async with world(tmp_path, url_lifetime=timedelta(seconds=20)) as w:
        offered = small(w)
        w.cloud.faults.add(*(Fault("download", "http_429", retry_after="60", file_id=f.file_id) for f in offered))
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


async def test_addresses_that_are_dead_when_they_are_issued_are_a_gap_and_no_endless_loop(tmp_path: Path) -> None:
    async with world(tmp_path, url_lifetime=timedelta(seconds=-1)) as w:
        offered = small(w)
        _, stands = await w.sync()
        assert {gap.reason.split(":")[0] for gap in stands.gaps} == {"url_refused"}
        assert w.cloud.count("download") == 3 * len(offered)
        w.cloud.url_lifetime = timedelta(minutes=30)
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


async def test_a_vendor_that_falls_silent_while_addresses_are_renewed_is_named_and_not_the_addresses(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        offered = small(w)
        victim = offered[1]
        w.cloud.faults.add(
            Fault("download", "http_403", file_id=victim.file_id),
            Fault("list", "http_503", times=None, match=lambda _: bool(w.cloud.faults.struck["download", "http_403"])),
        )
        passing, stands = await w.sync()
        assert isinstance(passing.error, Unreachable)
        assert hours_of(stands) == [victim.hour]
        assert "HTTP 503" in reasons(stands)[0]
        w.cloud.faults.clear()
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


# --- the same, all at once


@pytest.mark.parametrize("seed", range(3))
async def test_a_third_of_all_requests_failing_by_chance_ends_in_a_complete_archive(tmp_path: Path, seed: int) -> None:
    """At most twice in a row at the same question; whatever was set aside or given up comes by the next syncs."""
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        offered = w.account.populate(HOURS, 2)
        w.cloud.faults.chaos(seed, 0.33)
        for _ in range(3):
            _, stands = await w.sync()
            assert {judged.state for judged in stands.ledger if judged.state not in FINE} <= {
                HourState.FAILED,
                HourState.PENDING,
            }
            w.clock.advance(HOUR)
        w.cloud.faults.clear()
        _, stands = await w.sync()
        assert_complete(w, stands, offered)


# --- accounts


async def test_an_account_whose_downloads_stall_does_not_hold_up_another(tmp_path: Path) -> None:
    """Two stalling files could take both workers: the other account's files all arrive before they are tried again."""
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.download.update(idle_timeout=timedelta(milliseconds=600), concurrency=2)
        slow = w.account.publish(w.hour(4), count=2)
        other = w.others["other"] = w.cloud.add_account("other-client", "other-secret")
        good = other.publish(w.hour(4), count=6)
        w.cloud.faults.add(Fault("download", "stall", times=2, client_id=w.account.client_id))
        results = await w.sync_all()
        assert results["other"][1].gaps == results["main"][1].gaps == []
        assert w.digests() == truth([*slow, *good])
        asked = [request.client_id for request in w.cloud.requests if request.kind == "download"]
        tried_again = [number for number, client in enumerate(asked) if client == w.account.client_id][2]
        assert asked[:tried_again].count("other-client") == len(good)


async def test_an_account_whose_downloads_keep_stalling_leaves_the_other_without_a_gap(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.download.update(idle_timeout=timedelta(milliseconds=60), concurrency=2)
        w.account.publish(w.hour(4), count=2)
        other = w.others["other"] = w.cloud.add_account("other-client", "other-secret")
        good = other.publish(w.hour(4), count=2)
        w.cloud.faults.add(Fault("download", "stall", times=None, client_id=w.account.client_id))
        results = await w.sync_all()
        assert w.digests() == truth(good)
        assert results["other"][1].gaps == []
        assert {gap.reason.split(":")[0] for gap in results["main"][1].gaps} == {"stalled"}


async def test_an_account_with_refused_credentials_does_not_hold_up_another(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = HOURS
        w.pan123["client_secret"] = "wrong"
        w.account.populate(HOURS, 1)
        other = w.others["other"] = w.cloud.add_account("other-client", "other-secret")
        good = other.populate(HOURS, 1)
        results = await w.sync_all()
        assert isinstance(results["main"][0].error, CredentialsRefused)
        assert hours_of(results["main"][1]) == due(w)
        assert results["other"][0].error is None
        assert results["other"][1].gaps == []
        assert w.digests() == truth(good)


async def test_two_accounts_keep_files_of_the_same_id_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        mine = w.account.publish(w.hour(4), file_id=12)
        other = w.others["other"] = w.cloud.add_account("other-client", "other-secret")
        theirs = other.publish(w.hour(4), file_id=12)
        await w.sync_all()
        assert {path.split("/")[1] for path in w.archived()} == {"main", "other"}
        assert w.digests() == truth([mine, theirs])


# --- the disk


async def test_without_room_downloads_wait_while_listing_and_the_ledger_go_on(tmp_path: Path) -> None:
    """Said once; each hour names the disk; everything comes home when there is room again."""
    async with world(tmp_path) as w:
        offered = small(w)
        w.min_free_bytes = 2**60
        with capture_logs() as events:
            passing, stands = await w.sync()
        assert isinstance(passing.error, StorageFull)
        assert [event["event"] for event in events].count("disk_low") == 1
        assert w.cloud.count("download") == 0
        assert hours_of(stands) == due(w)
        assert all("no room" in reason for reason in reasons(stands))
        assert {judged.record.offered for judged in stands.ledger} == {1}, "listed all the same"
        late = w.account.publish(w.hour(5))
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert isinstance(passing.error, StorageFull)
        assert next(j for j in stands.ledger if j.hour == Hour.of(late.hour)).record.offered == 2
        w.min_free_bytes = 0
        passing, stands = await w.sync()
        assert passing.error is None
        assert_complete(w, stands, [*offered, late])


async def test_a_file_too_large_for_the_room_that_is_left_does_not_hold_up_smaller_ones(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        offered = small(w)
        large = w.account.publish(w.hour(5), file_id=900, listed_size=2**50)
        w.download["max_file_size"] = 2**55
        passing, stands = await w.sync()
        assert isinstance(passing.error, StorageFull)
        assert w.digests() == truth(offered)
        assert [(gap.file_id, "no room" in gap.reason) for gap in stands.gaps] == [("900", True)]
        large.listed_size = None
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert_complete(w, stands, [*offered, large])


async def test_a_file_larger_than_the_operator_allows_is_a_gap_and_is_not_begun(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        offered = small(w)
        w.account.publish(w.hour(5), file_id=900, size=50_000)
        w.download["max_file_size"] = 40_000
        _, stands = await w.sync()
        assert [(gap.file_id, gap.reason.split(":")[0]) for gap in stands.gaps] == [("900", "too_large")]
        assert w.digests() == truth(offered)
