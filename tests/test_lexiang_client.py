"""Lexiang's client over a real socket: token, pace, retries, failures, and no secret in anything it says."""

import asyncio
import json
import socket
import traceback
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from logkeep.errors import (
    AccountPaused,
    CredentialsRefused,
    NotEntitled,
    PageRefused,
    RateLimited,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.simulator import LexiangCloud
from logkeep.simulator.faults import Fault
from logkeep.simulator.lexiang.api_faults import KINDS
from logkeep.vendors.http import HttpLimits, NoConnection
from logkeep.vendors.lexiang.client import LexiangClient
from logkeep.vendors.lexiang.protocol import Page
from logkeep.vendors.port import RecordVendor
from vendor_world import CLIENT_ID, NOW, SECRET, MemoryTokens, lexiang_client, lexiang_desk

from manual_clock import ManualClock

OFFICIAL = (Path(__file__).parent / "data" / "lexiang-official-sample.json").read_bytes()
HTTP_DATE = "Sat, 21 Jun 2025 01:05:09 GMT"
IMPATIENT = HttpLimits(connect_s=2, read_s=0.05, total_s=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def cloud(clock: ManualClock) -> AsyncIterator[LexiangCloud]:
    async with LexiangCloud(now=clock.now) as made:
        made.add_account(CLIENT_ID, SECRET)
        yield made


async def page_from(base_url: str, clock: ManualClock, **settings: Any) -> Page:
    async with lexiang_client(base_url, clock, **settings) as vendor:
        return await vendor.read_page(1, 100)


async def error_from(vendor: LexiangClient) -> VendorError:
    with pytest.raises(VendorError) as caught:
        await vendor.read_page(1, 100)
    return caught.value


def refusal(status: int, body: Any = None, **headers: str) -> Any:
    """The same answer to every request."""
    text = body if isinstance(body, str) else json.dumps(body if body is not None else {"errors": {"detail": "x"}})
    return lambda _request: web.Response(status=status, text=text, headers=headers)


# --- pages


async def test_the_official_sample_comes_through_a_socket(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api:
        api.listing = lambda _request: web.Response(body=OFFICIAL, headers={"Date": HTTP_DATE})
        page = await page_from(api.base_url, clock)
    assert [record.owner_name for record in page.records] == ["张三", "李四"]
    assert (page.page, page.per_page, page.total, page.has_next) == (1, 2, 45, True)
    assert page.vendor_date == NOW + timedelta(seconds=9)
    assert page.skew_s == 9.0


async def test_the_simulated_cloud_is_read_to_its_last_page(cloud: LexiangCloud, clock: ManualClock) -> None:
    cloud.accounts[CLIENT_ID].populate(23)
    seen: list[str] = []
    async with lexiang_client(cloud.base_url, clock) as client:
        vendor: RecordVendor = client
        for number in (1, 2, 3):
            page = await vendor.read_page(number, 10)
            assert (page.page, page.per_page, page.total, page.has_next) == (number, 10, 23, number < 3)
            seen += [record.record_id for record in page.records]
        assert (await vendor.read_page(4, 10)).records == ()
    assert seen == cloud.accounts[CLIENT_ID].ids()
    assert client.calls == {("token", "ok"): 1, ("list", "ok"): 4}
    assert client.calls_made == 5
    assert cloud.violations == []


async def test_a_request_carries_what_the_vendor_asks_for(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api:
        async with lexiang_client(api.base_url, clock) as vendor:
            await vendor.read_page(7, 50)
        (token_path, _, token_headers, token_body), (path, _, headers, body) = api.seen
    assert token_path == "/cgi-bin/token"
    assert json.loads(token_body) == {"grant_type": "client_credentials", "app_key": CLIENT_ID, "app_secret": SECRET}
    assert token_headers["Content-Type"] == "application/json"
    assert "Authorization" not in token_headers
    assert path == "/cgi-bin/v1/download-logs?per_page=50&page=7&include=target,owner"
    assert headers["Authorization"] == "Bearer lx-tok.1.abcdefghijklmnop"
    assert headers["Accept"] == "application/vnd.api+json, application/json"
    assert headers["User-Agent"].startswith("logkeep/")
    assert body == ""


async def test_links_to_another_host_are_never_followed(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as stranger, lexiang_desk(clock=clock) as api:
        api.document = {
            "data": [{"id": "1"}],
            "links": {"next": f"{stranger.base_url}/cgi-bin/v1/download-logs?page=2"},
        }
        async with lexiang_client(api.base_url, clock) as vendor:
            assert (await vendor.read_page(1, 1)).has_next
            await vendor.read_page(2, 1)
        assert stranger.seen == []
        assert [query.get("include") for _, query, _, _ in api.seen[1:]] == ["target,owner"] * 2


async def test_a_redirect_is_not_followed(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as stranger, lexiang_desk(clock=clock) as api:
        api.listing = refusal(307, Location=f"{stranger.base_url}/cgi-bin/v1/download-logs")
        async with lexiang_client(api.base_url, clock) as vendor:
            assert isinstance(error := await error_from(vendor), Unreachable)
            assert error.code == 307
            api.listing = lambda _request: None
        async with lexiang_client(api.base_url, clock) as vendor:
            api.issuing = refusal(302, Location=f"{stranger.base_url}/cgi-bin/token")
            assert isinstance(await error_from(vendor), Unreachable)
        assert stranger.seen == []


async def test_many_callers_of_one_credential_are_never_two_at_the_vendor(
    cloud: LexiangCloud, clock: ManualClock
) -> None:
    async with lexiang_client(cloud.base_url, clock) as vendor:
        await asyncio.gather(*(vendor.read_page(number, 10) for number in range(1, 13)))
    assert vendor.calls == {("token", "ok"): 1, ("list", "ok"): 12}
    assert cloud.peak("logs") == 1


# --- what the vendor refuses, and what follows


LASTING: list[tuple[int, Any, type[VendorError], str, int]] = [
    (200, {"code": 0, "message": "ok"}, UnreadableReply, "unreadable", 4),
    (200, {"data": {}, "meta": {"total": 0}}, UnreadableReply, "unreadable", 4),
    (200, {"data": [], "code": 50001, "message": "系统繁忙"}, Unreachable, "unreachable", 4),
    (200, "<html>maintenance</html>", Unreachable, "unreachable", 4),
    (200, "", Unreachable, "unreachable", 4),
    (200, '{"data":[', UnreadableReply, "unreadable", 4),
    (200, '{"data":[NaN]}', UnreadableReply, "unreadable", 4),
    (200, '{"data":[{"id":1}],"data":[]}', UnreadableReply, "unreadable", 4),
    (200, '{"data":' + "[" * 50_000, UnreadableReply, "unreadable", 4),
    (200, {"code": 403, "message": "版本需升级后启用"}, NotEntitled, "not_entitled", 1),
    (403, {"errors": {"detail": "接口权限未勾选"}}, NotEntitled, "not_entitled", 1),
    (403, "<html>", NotEntitled, "not_entitled", 1),
    (400, {"errors": {"per_page": ["max 100"]}}, PageRefused, "page_refused", 1),
    (422, {"errors": [{"source": {"parameter": "page"}, "title": "x"}]}, PageRefused, "page_refused", 1),
    (422, {"errors": {"include": ["x"]}}, Unreachable, "unreachable", 4),
    (404, "<html>", Unreachable, "unreachable", 4),
    (429, "Too Many Attempts.", RateLimited, "rate_limited", 4),
    (500, {"code": 500, "message": "x", "request_id": "r"}, Unreachable, "unreachable", 4),
    (502, "<html>", Unreachable, "unreachable", 4),
]


@pytest.mark.parametrize(("status", "body", "kind", "outcome", "asked"), LASTING)
async def test_a_page_that_keeps_failing_is_never_an_empty_one(
    clock: ManualClock, status: int, body: Any, kind: type[VendorError], outcome: str, asked: int
) -> None:
    async with lexiang_desk(clock=clock) as api:
        api.listing = refusal(status, body)
        async with lexiang_client(api.base_url, clock) as vendor:
            error = await error_from(vendor)
    assert type(error) is kind
    assert vendor.calls["list", outcome] == api.listings == asked
    assert api.tokens_asked == 1


@pytest.mark.parametrize("kind", sorted({*KINDS["logs"].known} - {"patch"}))
async def test_whatever_the_simulated_cloud_does_wrong_it_is_a_page_or_an_error_of_ours(
    cloud: LexiangCloud, clock: ManualClock, kind: str
) -> None:
    cloud.accounts[CLIENT_ID].populate(5)
    cloud.faults.add(Fault("logs", kind, times=None, pause=timedelta(0)))
    async with lexiang_client(cloud.base_url, clock, limits=IMPATIENT) as vendor:
        try:
            page = await vendor.read_page(1, 100)
        except VendorError as error:
            failed: str | None = str(error)
        else:
            failed = None
            assert page.records or kind.startswith("empty_")  # those two are true answers in their form
            assert page.vendor_date is not None
    assert failed is None or failed.isprintable()
    assert cloud.count("logs") <= 8
    assert cloud.count("token") <= 2


@pytest.mark.parametrize("kind", KINDS["logs"].passing)
async def test_a_page_survives_two_passing_failures(cloud: LexiangCloud, clock: ManualClock, kind: str) -> None:
    cloud.accounts[CLIENT_ID].populate(5)
    cloud.faults.add(Fault("logs", kind, times=2, pause=timedelta(0)))
    page = await page_from(cloud.base_url, clock, limits=IMPATIENT)
    assert [record.record_id for record in page.records] == cloud.accounts[CLIENT_ID].ids()


async def test_a_surprise_401_costs_one_new_token_and_one_repeat(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        await vendor.read_page(1, 100)
        clock.advance(timedelta(minutes=5))
        api.live.clear()
        await vendor.read_page(1, 100)
        assert (api.tokens_asked, api.listings) == (2, 3)
    assert vendor.calls == {("token", "ok"): 2, ("list", "ok"): 2, ("list", "token_refused"): 1}


async def test_a_token_refused_twice_is_the_caller_s_business(clock: ManualClock) -> None:
    """One refresh, one repeat; never a third."""
    async with lexiang_desk(clock=clock) as api:
        api.listing = refusal(401)
        async with lexiang_client(api.base_url, clock) as vendor:
            assert isinstance(await error_from(vendor), TokenRefused)
        assert (api.tokens_asked, api.listings) == (2, 2)


@pytest.mark.parametrize("answer", [refusal(403), refusal(422, {"errors": {"per_page": ["max 100"]}})])
async def test_a_refusal_of_the_matter_itself_proves_that_the_token_was_accepted(
    clock: ManualClock, answer: Any
) -> None:
    """Refusals of tokens are counted in a row; this one ends the row."""
    store = MemoryTokens()
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock, store) as vendor:
        api.listing = refusal(401)
        assert isinstance(await error_from(vendor), TokenRefused)
        assert store.only.refusals == 2
        clock.advance(timedelta(minutes=1))
        await vendor.ensure_token()
        clock.advance(timedelta(minutes=11))
        api.listing = answer
        await error_from(vendor)
        assert store.only.refusals == 0


async def test_a_missing_right_keeps_the_token(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        api.listing = refusal(403)
        for _ in range(3):
            assert isinstance(await error_from(vendor), NotEntitled)
        api.listing = lambda _request: None
        await vendor.read_page(1, 100)
        assert api.tokens_asked == 1


# --- limits


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
async def test_a_rate_limit_is_waited_out_by_everybody(clock: ManualClock, header: str) -> None:
    asked_at: list[float] = []

    def answer(_request: web.Request) -> web.Response | None:
        asked_at.append(clock.monotonic_s())
        limited = len(asked_at) == 1
        return web.Response(status=429, text="Too Many Attempts.", headers={header: "17"}) if limited else None

    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        api.listing = answer
        await asyncio.gather(*(vendor.read_page(number, 10) for number in (1, 2, 3)))
    assert asked_at[0] == 0
    assert len(asked_at) == 4
    assert all(17 <= at_s <= 18 for at_s in asked_at[1:])


@pytest.mark.parametrize(("reset", "waits_s"), [({"X-RateLimit-Reset": "40"}, 40), ({}, 5)])
async def test_the_last_of_an_allowance_is_followed_by_a_wait(
    clock: ManualClock, reset: dict[str, str], waits_s: float
) -> None:
    headers = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "1"}
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        api.listing = lambda _request: web.json_response({"data": []}, headers=headers | reset)
        await vendor.read_page(1, 100)
        await vendor.read_page(1, 100)
        assert clock.monotonic_s() == 0
        headers["X-RateLimit-Remaining"] = "0"
        await vendor.read_page(1, 100)
        await vendor.read_page(1, 100)
        assert clock.monotonic_s() == waits_s


# --- the network


async def test_a_vendor_that_is_down_is_told_soon_and_by_name(clock: ManualClock) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with lexiang_client(f"http://127.0.0.1:{port}", clock) as vendor:
            error = await error_from(vendor)
    assert isinstance(error, NoConnection)
    assert str(error) == f"127.0.0.1:{port}: no connection (Connection refused)"
    assert clock.slept == []


async def test_http_and_private_addresses_are_not_asked_unless_allowed(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api:
        settings: tuple[dict[str, Any], ...] = ({"allow_private_addresses": False}, {"allow_http": False})
        for refused in settings:
            async with lexiang_client(api.base_url, clock, **refused) as vendor:
                assert isinstance(error := await error_from(vendor), NoConnection)
            assert "not asked" in str(error)
        assert api.seen == []


async def test_a_cancelled_call_frees_its_slot_and_is_counted(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        await vendor.ensure_token()
        arrived, never = asyncio.Event(), asyncio.Event()

        async def hang(_request: web.Request) -> web.Response:
            arrived.set()
            await never.wait()
            return web.Response()

        api.listing = hang
        async with asyncio.TaskGroup() as group:
            call = group.create_task(vendor.read_page(1, 100))
            await arrived.wait()
            call.cancel()
        assert call.cancelled()
        api.listing = lambda _request: None
        await vendor.read_page(1, 100)
        never.set()
    assert vendor.calls["list", "aborted"] == 1


async def test_closing_twice_and_without_opening_is_harmless(clock: ManualClock) -> None:
    vendor = lexiang_client("http://127.0.0.1:9", clock)
    await vendor.close()
    await vendor.open()
    await vendor.close()
    await vendor.close()


# --- secrets


def text_of(error: BaseException) -> str:
    shown = "".join(traceback.format_exception(error))
    return shown + str(error) + repr(error) + repr(vars(error))


async def test_a_vendor_that_repeats_every_secret_gets_none_into_errors_logs_or_evidence(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal echoes token, secret, key and a signed address, in every member that is ever shown."""
    caplog.set_level("DEBUG")
    signed = "https://cdn.example/k?X-Amz-Signature=sIgNeD"
    errors: list[VendorError] = []

    def echo(status: int, shape: str) -> Any:
        async def answer(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "")
            text = f"{given} {given[7:]} {SECRET} {CLIENT_ID} {signed}"
            bodies: dict[str, Any] = {
                "code": {"code": status, "message": text, "request_id": text, "data": text},
                "map": {"errors": {"app_key": [text], text: text}},
                "list": {"errors": [{"title": text, "detail": text, "source": {"parameter": text}}]},
                "text": text,
            }
            headers = {"Date": text, "Retry-After": text, "X-RateLimit-Reset": text, "X-RateLimit-Remaining": text}
            return web.json_response(bodies[shape], status=status, headers=headers)

        return answer

    with capture_logs() as events:
        async with lexiang_desk(clock=clock) as api:
            for status in (200, 302, 400, 401, 403, 422, 429, 500):
                for shape in ("code", "map", "list", "text"):
                    async with lexiang_client(api.base_url, clock) as vendor:
                        api.listing, api.issuing = echo(status, shape), lambda _request: None
                        errors.append(await error_from(vendor))
                        assert SECRET not in repr(vars(vendor))
                    async with lexiang_client(api.base_url, clock) as vendor:
                        api.issuing = echo(status, shape)
                        errors.append(await error_from(vendor))
        structlog.stdlib.get_logger("test").info("end")
    everything = "".join(map(text_of, errors)) + repr(events) + caplog.text
    assert len(errors) == 64
    assert {"api_call", "token_issued", "token_refused", "credentials_refused"} <= {event["event"] for event in events}
    for secret in (
        SECRET,
        CLIENT_ID,
        "sIgNeD",
        *(f"lx-tok.{n}.abcdefghijklmnop" for n in range(1, api.tokens_asked + 1)),
    ):
        assert secret not in everything


async def test_evidence_does_not_repeat_the_token(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api:
        api.listing = lambda request: web.json_response({"data": [{"x": request.headers["Authorization"]}]})
        page = await page_from(api.base_url, clock)
    assert page.unreadable == ('{"x": "Bearer [redacted]"}',)


async def test_every_token_is_told_to_whoever_hides_them_before_it_is_used(clock: ManualClock) -> None:
    hidden: list[str] = []
    async with lexiang_desk(clock=clock) as api:
        await page_from(api.base_url, clock, hide=hidden.append)
        assert hidden
        assert set(hidden) == api.live


# --- credentials


async def test_wrong_credentials_are_asked_once_and_then_once_in_half_an_hour(
    cloud: LexiangCloud, clock: ManualClock
) -> None:
    store = MemoryTokens()
    outcomes = []
    with capture_logs() as events:
        for _ in range(13):
            async with lexiang_client(cloud.base_url, clock, store, app_secret=SecretStr("wrong-secret")) as vendor:
                outcomes.append(type(await error_from(vendor)))
            clock.advance(timedelta(minutes=5))
    assert outcomes.count(CredentialsRefused) == cloud.count("token") == 3
    assert outcomes.count(AccountPaused) == 10
    assert cloud.count("logs") == 0
    (alarm,) = [event for event in events if event["event"] == "credentials_refused"]
    assert (alarm["log_level"], alarm["vendor"], alarm["account"]) == ("error", "lexiang", "hq")


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, {"errors": {"app_key": ["invalid"]}}), (401, {"errors": {"detail": "Unauthenticated."}}), (403, None)],
)
async def test_a_refusal_of_the_credentials_pauses_the_account(clock: ManualClock, status: int, body: Any) -> None:
    store = MemoryTokens()
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock, store) as vendor:
        api.issuing = refusal(status, body)
        assert (await error_from(vendor)).exit_code == 3
        assert store.only.paused_until == NOW + timedelta(minutes=30)
        assert isinstance(await error_from(vendor), AccountPaused)
        assert api.tokens_asked == 1
        clock.advance(timedelta(minutes=30))
        api.issuing = lambda _request: None
        await vendor.read_page(1, 100)
        assert api.tokens_asked == 2


@pytest.mark.parametrize(("back_h", "told"), [(0, 0), (8, 1)])
async def test_records_whose_ids_tell_another_zone_are_said_once(
    cloud: LexiangCloud, clock: ManualClock, back_h: int, told: int
) -> None:
    """The vendor prints no zone; were its times no longer China's, every record would be filed under a wrong hour."""
    for number in range(3):
        entered = datetime(2026, 3, 4, 5, 6, number, tzinfo=UTC)
        stamp = int((entered - datetime(1582, 10, 15, tzinfo=UTC)).total_seconds() * 10_000_000)
        fields = (stamp & 0xFFFFFFFF, stamp >> 32 & 0xFFFF, stamp >> 48 & 0x0FFF | 0x1000, 0x80, 0, 1)
        shown = entered + timedelta(hours=8 - back_h)
        identity, attributes = uuid.UUID(fields=fields).hex, {"created_at": f"{shown:%Y-%m-%d %H:%M:%S}"}
        cloud.accounts[CLIENT_ID].add_record(cloud.now(), record_id=identity, attributes=attributes)
    with capture_logs() as events:
        async with lexiang_client(cloud.base_url, clock) as vendor:
            for _ in range(2):
                await vendor.read_page(1, 10)
    assert [event["by_s"] for event in events if event["event"] == "zone_differs"] == [back_h * 3600] * told
