import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
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
    RateLimited,
    SpanRefused,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.model import Hour
from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.vendors.http import HttpLimits, NoConnection
from logkeep.vendors.pan123.client import Pan123Client
from logkeep.vendors.pan123.protocol import Page
from vendor_world import CLIENT_ID, NOW, SECRET, MemoryTokens, client, desk, envelope

from manual_clock import ManualClock

FIRST, END = Hour.parse("2025062015"), Hour.parse("2025062016")
HTTP_DATE = "Sat, 21 Jun 2025 01:05:09 GMT"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def cloud(clock: ManualClock) -> AsyncIterator[Pan123Cloud]:
    async with Pan123Cloud(now=clock.now) as made:
        made.add_account(CLIENT_ID, SECRET)
        yield made


async def page_from(base_url: str, clock: ManualClock, **settings: Any) -> Page:
    async with client(base_url, clock, **settings) as vendor:
        return await vendor.list_page(FIRST, END, 1)


async def error_from(vendor: Pan123Client) -> VendorError:
    with pytest.raises(VendorError) as caught:
        await vendor.list_page(FIRST, END, 1)
    return caught.value


async def test_the_official_sample_comes_through_a_socket(cloud: Pan123Cloud, clock: ManualClock) -> None:
    cloud.accounts[CLIENT_ID].publish_official_sample()
    async with client(cloud.base_url, clock) as vendor:
        page = await vendor.list_page(Hour.parse("2025062000"), Hour.parse("2025062100"), 1)
    assert [file.file_id for file in page.files] == ["12", "11", "10", "8", "7"]
    assert cloud.violations == []


async def test_a_page_tells_the_vendor_s_time_and_how_far_it_is_ahead(clock: ManualClock) -> None:
    async with desk(clock=clock) as api:
        api.listing = lambda _request: envelope(data={"list": []}, headers={"Date": HTTP_DATE})
        page = await page_from(api.base_url, clock)
    assert page.vendor_date == NOW + timedelta(seconds=9)
    assert page.skew_s == 9.0
    assert (page.trace_id, page.calls, page.files) == ("trace-7", 1, ())


@pytest.mark.parametrize("carrier", ["query", "body", "both"])
@pytest.mark.parametrize("reads", ["query", "body"])
async def test_parameters_travel_where_the_carrier_says(
    cloud: Pan123Cloud, clock: ManualClock, carrier: str, reads: Any
) -> None:
    cloud.carrier = reads
    cloud.accounts[CLIENT_ID].publish("2025062015", count=3)
    async with client(cloud.base_url, clock, carrier=carrier, page_size=2) as vendor:
        if carrier in (reads, "both"):
            assert len((await vendor.list_page(FIRST, END, 1)).files) == 2
            assert len((await vendor.list_page(FIRST, END, 2)).files) == 1
            assert len((await vendor.list_page(FIRST, END, 1, 3)).files) == 3
        else:
            assert isinstance(await error_from(vendor), SpanRefused)


async def test_one_token_serves_every_page_and_every_client_of_a_store(clock: ManualClock) -> None:
    store = MemoryTokens()
    async with desk(clock=clock) as api:
        vendors = [client(api.base_url, clock, store) for _ in range(3)]
        for vendor in vendors:
            async with vendor:
                await asyncio.gather(*(vendor.list_page(FIRST, END, number) for number in range(1, 4)))
        assert (api.tokens_issued, api.listings) == (1, 9)
        assert vendors[2].calls == {("list", "ok"): 3}
        assert [vendor.calls_made for vendor in vendors] == [4, 3, 3]
        _, _, headers, body = api.seen[-1]
    assert headers["Authorization"] == f"Bearer {api.live[0]}"
    assert headers["Platform"] == "open_platform"
    assert headers["User-Agent"].startswith("logkeep/")
    assert body == ""
    assert CLIENT_ID not in repr(store.records)


async def test_an_evicted_token_costs_one_new_one_and_one_repeat(cloud: Pan123Cloud, clock: ManualClock) -> None:
    async with client(cloud.base_url, clock) as vendor:
        await vendor.list_page(FIRST, END, 1)
        clock.advance(timedelta(hours=1))
        cloud.accounts[CLIENT_ID].tokens.evict_all()
        page = await vendor.list_page(FIRST, END, 1)
    assert page.calls == 2
    assert (cloud.count("token"), cloud.count("list")) == (2, 3)
    assert vendor.calls == {("token", "ok"): 2, ("list", "ok"): 2, ("list", "token_refused"): 1}


async def test_a_token_refused_twice_is_the_caller_s_business(clock: ManualClock) -> None:
    """One refresh, one repeat; never a third."""
    async with desk(clock=clock) as api:
        api.listing = lambda _request: envelope(401, "token is invalid")
        async with client(api.base_url, clock) as vendor:
            assert isinstance(await error_from(vendor), TokenRefused)
        assert (api.tokens_issued, api.listings) == (2, 2)


async def test_tokens_that_are_always_refused_pause_the_account(clock: ManualClock) -> None:
    async with desk(clock=clock) as api:
        api.listing = lambda _request: envelope(401, "token is invalid")
        async with client(api.base_url, clock) as vendor:
            errors = [await error_from(vendor) for _ in range(6)]
        assert api.tokens_issued == 3
        assert api.listings == 3
    assert [type(error) for error in errors] == [TokenRefused, AccountPaused, *[AccountPaused] * 4]


async def test_two_clients_whose_tokens_strangers_evict_do_not_revoke_each_other(
    cloud: Pan123Cloud, clock: ManualClock
) -> None:
    store = MemoryTokens()
    async with client(cloud.base_url, clock, store) as one, client(cloud.base_url, clock, store) as two:
        for _ in range(10):
            cloud.accounts[CLIENT_ID].tokens.evict_all()
            clock.advance(timedelta(hours=1))
            await asyncio.gather(*(vendor.list_page(FIRST, END, 1) for vendor in (one, two, one, two)))
    assert cloud.count("token") == 10


async def test_a_wrong_secret_is_asked_once_and_then_once_in_half_an_hour(
    cloud: Pan123Cloud, clock: ManualClock
) -> None:
    store = MemoryTokens()
    outcomes = []
    for _ in range(13):
        async with client(cloud.base_url, clock, store, client_secret=SecretStr("wrong-secret")) as vendor:
            outcomes.append(type(await error_from(vendor)))
        clock.advance(timedelta(minutes=5))
    assert outcomes.count(CredentialsRefused) == cloud.count("token") == 3
    assert outcomes.count(AccountPaused) == 10
    assert cloud.count("list") == 0


async def test_a_rate_limit_is_waited_out_by_everybody(clock: ManualClock) -> None:
    answers = [envelope(429, "请求太频繁", headers={"Retry-After": "17"}), None]
    asked_at: list[float] = []

    def answer(_request: web.Request) -> web.Response | None:
        asked_at.append(clock.monotonic_s())
        return answers.pop(0) if answers else None

    async with desk(clock=clock) as api, client(api.base_url, clock) as vendor:
        api.listing = answer
        pages = await asyncio.gather(*(vendor.list_page(FIRST, END, number) for number in (1, 2, 3)))
    assert sorted(page.calls for page in pages) == [1, 1, 2]
    assert asked_at[0] == 0
    assert all(17 <= at_s <= 18 for at_s in asked_at[1:])


async def test_a_rate_limit_that_stays_ends_the_call_and_still_slows_the_next(clock: ManualClock) -> None:
    async with desk(clock=clock) as api, client(api.base_url, clock) as vendor:
        api.listing = lambda _request: web.Response(status=429, text="<html>", headers={"Retry-After": "60"})
        error = await error_from(vendor)
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 60
        assert api.listings == 4
        assert 180 <= clock.monotonic_s() < 190
        api.listing = lambda _request: None
        await vendor.list_page(FIRST, END, 1)
        assert clock.monotonic_s() >= 240


async def test_a_token_that_expires_during_a_pause_is_renewed_before_anything_is_sent(clock: ManualClock) -> None:
    """The pause outlasts the token; the listing after it carries a live one."""
    sent: list[tuple[str, float]] = []

    def answer(request: web.Request) -> web.Response | None:
        sent.append((request.headers["Authorization"], clock.monotonic_s()))
        return envelope(429, "slow", headers={"Retry-After": "300"}) if len(sent) == 1 else None

    async with desk(clock=clock, life=timedelta(minutes=4)) as api, client(api.base_url, clock) as vendor:
        api.listing = answer
        page = await vendor.list_page(FIRST, END, 1)
        assert page.calls == 2
        assert api.tokens_issued == 2
    assert [token.split(".")[1] for token, _ in sent] == ["1", "2"]


PASSING = [
    *("http_429", "http_500", "http_502", "http_503", "http_504", "http_404", "http_408", "html_200", "xml_200"),
    *("code_429", "code_1", "code_5066", "code_20103", "drop", "drop_body", "reset", "malformed_json"),
    *("truncated_json", "empty_body", "data_text", "data_null", "list_missing", "code_missing", "bad_utf8"),
]


@pytest.mark.parametrize("kind", PASSING)
async def test_a_listing_survives_two_passing_failures(cloud: Pan123Cloud, clock: ManualClock, kind: str) -> None:
    cloud.accounts[CLIENT_ID].publish("2025062015", count=2)
    cloud.faults.add(Fault("list", kind, times=2))
    page = await page_from(cloud.base_url, clock)
    assert len(page.files) == 2
    # aiohttp itself repeats a GET once on a connection that broke before any answer
    assert page.calls == 3 or kind in ("drop", "reset")
    assert cloud.faults.pending == []


LASTING: list[tuple[str, type[VendorError]]] = [
    *((f"http_{status}", Unreachable) for status in (400, 404, 408, 500, 502, 503, 504)),
    *((kind, Unreachable) for kind in ("html_200", "xml_200", "empty_body", "drop", "drop_body", "reset")),
    *((kind, Unreachable) for kind in ("code_1", "code_5066", "code_20103", "stall", "stall_body")),
    *((kind, TokenRefused) for kind in ("http_401", "code_401", "evicted")),
    *((kind, NotEntitled) for kind in ("http_403", "no_rights", "code_5113")),
    *((kind, RateLimited) for kind in ("http_429", "code_429")),
    *((kind, UnreadableReply) for kind in ("code_missing", "code_null", "top_level_list", "top_level_null")),
    *((kind, UnreadableReply) for kind in ("data_missing", "data_null", "data_text", "data_list", "list_missing")),
    *((kind, UnreadableReply) for kind in ("list_text", "list_object", "malformed_json", "truncated_json")),
    *((kind, UnreadableReply) for kind in ("bad_utf8", "deep_json", "huge_body")),
]


@pytest.mark.parametrize(("kind", "expected"), LASTING)
async def test_a_listing_that_keeps_failing_is_never_an_empty_page(
    cloud: Pan123Cloud, clock: ManualClock, kind: str, expected: type[VendorError]
) -> None:
    cloud.faults.add(Fault("list", kind, times=None))
    limits = HttpLimits(connect_s=2, read_s=0.05, total_s=2)
    async with client(cloud.base_url, clock, limits=limits) as vendor:
        error = await error_from(vendor)
    assert isinstance(error, expected)
    assert cloud.count("list") <= 8
    assert (error.exit_code == 3) == (expected is NotEntitled)


@pytest.mark.parametrize("kind", ["code_text", "trace_missing", "list_null", "total_wrong", "content_type", "slow"])
async def test_oddities_that_harm_nothing_are_read(cloud: Pan123Cloud, clock: ManualClock, kind: str) -> None:
    cloud.accounts[CLIENT_ID].publish("2025062015", count=2)
    cloud.faults.add(Fault("list", kind, pause=timedelta(0)))
    page = await page_from(cloud.base_url, clock)
    assert len(page.files) == (0 if kind == "list_null" else 2)
    assert page.calls == 1


async def test_rows_that_are_texts_are_evidence(cloud: Pan123Cloud, clock: ManualClock) -> None:
    cloud.accounts[CLIENT_ID].publish("2025062015", count=2)
    cloud.faults.add(Fault("list", "list_of_texts"))
    page = await page_from(cloud.base_url, clock)
    assert (len(page.files), len(page.unreadable), page.raw_count) == (0, 2, 2)


TOKEN_TROUBLE: list[tuple[str, type[VendorError]]] = [
    *(
        (kind, Unreachable)
        for kind in ("http_400", "http_500", "http_502", "html_200", "code_1", "drop", "reset", "stall")
    ),
    *((kind, RateLimited) for kind in ("http_429", "code_429", "evicted")),
    *((kind, CredentialsRefused) for kind in ("http_401", "code_401")),
    *((kind, NotEntitled) for kind in ("http_403", "no_rights", "code_5113")),
    *(
        (kind, UnreadableReply)
        for kind in ("data_null", "token_missing", "token_number", "malformed_json", "deep_json")
    ),
]


@pytest.mark.parametrize(("kind", "expected"), TOKEN_TROUBLE)
async def test_a_token_endpoint_that_fails_is_asked_at_most_once_a_minute(
    cloud: Pan123Cloud, clock: ManualClock, kind: str, expected: type[VendorError]
) -> None:
    cloud.faults.add(Fault("token", kind, times=None))
    limits = HttpLimits(connect_s=2, read_s=0.05, total_s=2)
    store = MemoryTokens()
    async with client(cloud.base_url, clock, store, limits=limits) as vendor:
        error = await error_from(vendor)
    assert isinstance(error, expected)
    assert cloud.count("list") == 0
    fatal = error.exit_code == 3
    assert cloud.count("token") == (1 if fatal else 2)
    assert clock.monotonic_s() == 0 if fatal else clock.monotonic_s() >= 60
    assert (store.only.paused_until is not None) == fatal


@pytest.mark.parametrize("kind", ["expiry_missing", "expiry_garbage", "expiry_past"])
async def test_a_token_with_an_unusable_expiry_is_used_all_the_same(
    cloud: Pan123Cloud, clock: ManualClock, kind: str
) -> None:
    cloud.faults.add(Fault("token", kind, times=None))
    async with client(cloud.base_url, clock) as vendor:
        for _ in range(5):
            await vendor.list_page(FIRST, END, 1)
            clock.advance(timedelta(hours=1))
    assert cloud.count("token") == 1


async def test_a_refusal_of_the_span_is_told_at_once(cloud: Pan123Cloud, clock: ManualClock) -> None:
    cloud.max_span_hours = 1
    async with client(cloud.base_url, clock) as vendor:
        with pytest.raises(SpanRefused, match="查询时间范围不能超过1小时"):
            await vendor.list_page(FIRST, FIRST + 2, 1)
        await vendor.list_page(FIRST, FIRST + 1, 1)
    assert cloud.count("list") == 2


async def test_a_redirect_of_the_api_is_not_followed(clock: ManualClock) -> None:
    async with desk(clock=clock) as api, client(api.base_url.replace("127.0.0.1", "localhost"), clock) as vendor:
        api.listing = lambda request: web.Response(
            status=307, headers={"Location": str(request.url.with_query(then="1")), "Set-Cookie": "a=b"}
        )
        assert isinstance(error := await error_from(vendor), Unreachable)
        assert error.code == 307
        assert not any(query.get("then") for _, query, _, _ in api.seen)
        assert not any("Cookie" in headers for _, _, headers, _ in api.seen)


async def test_many_callers_of_one_credential_are_never_two_at_the_vendor(
    cloud: Pan123Cloud, clock: ManualClock
) -> None:
    async with client(cloud.base_url, clock) as vendor:
        await asyncio.gather(*(vendor.list_page(FIRST, END, number) for number in range(1, 13)))
    assert cloud.count("list") == 12
    assert cloud.peak("list") == 1


async def test_a_vendor_that_is_down_is_told_soon_and_by_name(clock: ManualClock) -> None:
    """Nothing was sent, so nothing waits for the minute between two tokens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}", clock) as vendor:
            error = await error_from(vendor)
    assert isinstance(error, NoConnection)
    assert str(error) == f"127.0.0.1:{port}: no connection (Connection refused)"
    assert clock.slept == []


async def test_a_private_address_is_not_asked_unless_allowed(clock: ManualClock) -> None:
    async with desk(clock=clock) as api:
        port = api.base_url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            async with client(f"http://{host}:{port}", clock, allow_private_addresses=False) as vendor:
                assert isinstance(error := await error_from(vendor), NoConnection)
            assert "not asked" in str(error)
        async with client(api.base_url, clock, allow_http=False) as vendor:
            assert isinstance(await error_from(vendor), NoConnection)
        assert api.seen == []


async def test_an_api_that_speaks_no_tls_is_unreachable(clock: ManualClock) -> None:
    async with desk(clock=clock) as api, client(api.base_url.replace("http:", "https:"), clock) as vendor:
        error = await error_from(vendor)
    assert isinstance(error, NoConnection)
    assert "TLS failed" in str(error)


async def test_a_certificate_that_nobody_vouches_for_is_refused(clock: ManualClock) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "data" / "self-signed.pem")
    async with desk(clock=clock, tls=context) as api, client(api.base_url, clock) as vendor:
        error = await error_from(vendor)
        assert api.seen == []
    assert isinstance(error, NoConnection)
    assert "TLS failed (self-signed certificate)" in str(error)


async def test_proxies_of_the_environment_do_not_count(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with desk(clock=clock) as api:
        assert (await page_from(api.base_url, clock)).calls == 1


async def test_the_configured_proxy_is_used_even_in_a_private_network(clock: ManualClock) -> None:
    async with desk(clock=clock) as proxy:
        settings: dict[str, Any] = {"proxy": proxy.base_url.replace("//127.0.0.1", "//user:sEcReTpass@localhost")}
        async with client("http://api.example", clock, allow_private_addresses=False, **settings) as vendor:
            await vendor.list_page(FIRST, END, 1)
        assert proxy.listings == 1
        _, _, headers, _ = proxy.seen[-1]
    assert headers["Host"] == "api.example"
    async with client("http://api.example", clock, **settings) as vendor:
        error = await error_from(vendor)
    assert isinstance(error, NoConnection)
    assert "the proxy cannot be reached" in str(error)
    assert "sEcReTpass" not in text_of(error)


async def test_a_cancelled_call_frees_its_slot_and_is_counted(clock: ManualClock) -> None:
    async with desk(clock=clock) as api, client(api.base_url, clock) as vendor:
        await vendor.ensure_token()
        arrived, never = asyncio.Event(), asyncio.Event()

        async def hang(_request: web.Request) -> web.Response:
            arrived.set()
            await never.wait()
            return envelope()

        api.listing = hang
        async with asyncio.TaskGroup() as group:
            call = group.create_task(vendor.list_page(FIRST, END, 1))
            await arrived.wait()
            call.cancel()
        assert call.cancelled()
        api.listing = lambda _request: None
        assert (await vendor.list_page(FIRST, END, 1)).calls == 1
        never.set()
    assert vendor.calls["list", "aborted"] == 1


async def test_ensure_token_asks_once(clock: ManualClock) -> None:
    async with desk(clock=clock) as api, client(api.base_url, clock) as vendor:
        api.issuing = lambda _request: web.Response(status=502)
        with pytest.raises(Unreachable):
            await vendor.ensure_token()
        assert api.tokens_issued == 1
        api.issuing = lambda _request: None
        await vendor.ensure_token()
        await vendor.ensure_token()
        assert api.tokens_issued == 2
        assert api.listings == 0


async def test_closing_twice_and_without_opening_is_harmless(clock: ManualClock) -> None:
    vendor = client("http://127.0.0.1:9", clock)
    await vendor.close()
    await vendor.open()
    await vendor.close()
    await vendor.close()


def text_of(error: BaseException) -> str:
    shown = "".join(traceback.format_exception(error))
    return shown + str(error) + repr(error) + repr(vars(error))


async def test_a_vendor_that_repeats_every_secret_gets_none_into_errors_or_logs(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal echoes the token, the secret, the id and a signed address, in message, trace id and headers."""
    caplog.set_level("DEBUG")
    signed = "https://cdn.example/k?X-Amz-Signature=sIgNeD"
    errors: list[VendorError] = []

    def echo(code: int, status: int) -> Any:
        def answer(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "")
            text = f"{given} {given[7:]} {SECRET} {CLIENT_ID} {signed}"
            body = {"code": code, "message": text, "data": {"list": text}, "x-traceID": text}
            return web.json_response(body, status=status, headers={"Date": text, "Retry-After": text})

        return answer

    with capture_logs() as events:
        async with desk(clock=clock) as api:
            for code, status in ((0, 200), (1, 200), (401, 200), (403, 200), (429, 200), (7, 200), (1, 500), (1, 302)):
                async with client(api.base_url, clock) as vendor:
                    api.listing, api.issuing = echo(code, status), lambda _request: None
                    errors.append(await error_from(vendor))
                    assert SECRET not in repr(vars(vendor))
                async with client(api.base_url, clock) as vendor:
                    api.issuing = echo(code, status)
                    errors.append(await error_from(vendor))
        structlog.stdlib.get_logger("test").info("end")
    everything = "".join(map(text_of, errors)) + repr(events) + caplog.text
    assert len(errors) == 16
    assert {"api_call", "token_issued", "token_refused", "credentials_refused"} <= {event["event"] for event in events}
    for secret in (
        SECRET,
        CLIENT_ID,
        "sIgNeD",
        *(f"tok.{n}.abcdefghijklmnop" for n in range(1, api.tokens_issued + 1)),
    ):
        assert secret not in everything


async def test_every_request_is_told_at_debug_level(clock: ManualClock) -> None:
    with capture_logs() as events:
        async with desk(clock=clock) as api:
            api.listing = lambda _request: web.Response(status=502) if api.listings == 1 else None
            await page_from(api.base_url, clock)
    calls = [event for event in events if event["event"] == "api_call"]
    assert [(call["endpoint"], call["status"], call["outcome"]) for call in calls] == [
        ("token", 200, "ok"),
        ("list", 502, "unreachable"),
        ("list", 200, "ok"),
    ]
    assert calls[0] == {
        "event": "api_call",
        "log_level": "debug",
        "vendor": "pan123",
        "account": "main",
        "endpoint": "token",
        "status": 200,
        "outcome": "ok",
        "duration_s": 0.0,
    }
