"""Statuses, error bodies and hosts that are no HTTP servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from logkeep.errors import NextStep
from logkeep.files.http_answer import Partial, body_code, join, read_offer, sendable, soft_redirect

from download_host import SIGNATURE, Bench, bench, reply

EXPIRED = f"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>{SIGNATURE}</Message></Error>"
EGRESS = '{"code":1010,"message":"city"}'


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("status", "body", "reason", "step"),
    [
        (401, "", "url_refused", NextStep.RELIST),
        (403, EXPIRED, "url_refused", NextStep.RELIST),
        (403, EGRESS, "egress_mismatch", NextStep.RELIST),
        (403, '{"code": "1010"}', "egress_mismatch", NextStep.RELIST),
        (403, '{"code": 10101}', "url_refused", NextStep.RELIST),
        (200, EGRESS, "egress_mismatch", NextStep.RELIST),
        (404, "", "url_refused", NextStep.RELIST),
        (410, "gone", "url_refused", NextStep.RELIST),
        (400, EXPIRED, "url_refused", NextStep.RELIST),
        (400, "plain", "http_status", NextStep.RETRY),
        (204, "", "http_status", NextStep.RETRY),
        (304, "", "http_status", NextStep.RETRY),
        (416, "", "http_status", NextStep.RETRY),
        (418, "", "http_status", NextStep.RETRY),
        (429, EXPIRED, "rate_limited", NextStep.RETRY),
        (500, "<html>", "server_error", NextStep.RETRY),
        (503, EXPIRED, "server_error", NextStep.RETRY),
    ],
)
async def test_a_status_tells_what_to_do_next(desk: Bench, status: int, body: str, reason: str, step: NextStep) -> None:
    failed = await desk.failure(desk.file(reply(body, status)))
    assert (failed.reason, failed.step) == (reason, step)
    assert failed.code == (status if status != 200 else None)
    assert await desk.staged() is None


async def test_the_message_holds_the_vendors_code_and_where_it_came_from(desk: Bench) -> None:
    failed = await desk.failure(desk.file(reply(EXPIRED, 403)))
    assert str(failed) == f"url_refused: HTTP 403, code AccessDenied from {desk.host.url}/f.gz"


async def test_only_the_beginning_of_an_error_body_is_read(desk: Bench) -> None:
    failed = await desk.failure(desk.file(reply("x" * 5000 + EGRESS, 403)))
    assert failed.reason == "url_refused"


async def test_the_hosts_wish_to_wait_is_handed_on(desk: Bench) -> None:
    failed = await desk.failure(desk.file(reply(status=429, Retry_After="7")))
    assert failed.retry_after_s == 7


async def test_part_of_the_object_unasked(desk: Bench) -> None:
    failed = await desk.failure(desk.file(reply(b"x" * 10, 206, Content_Range="bytes 10-19/20")))
    assert (failed.reason, failed.step) == ("bad_range", NextStep.RETRY)


@asynccontextmanager
async def raw_server(sent: bytes, *, linger: bool = False) -> AsyncIterator[str]:
    """A socket that answers every connection with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        if linger:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/f.gz"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://x/" + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "ssh", "length in words", "endless header", "endless location", "half a header", "no chunks"],
)
async def test_what_is_no_http_answer_is_unreachable(desk: Bench, sent: bytes) -> None:
    async with raw_server(sent) as url:
        failed = await desk.failure(desk.file(url))
        assert (failed.reason, failed.step) == ("unreachable", NextStep.RETRY)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\x1f\x8b\x08",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\x1f\x8b\x08\0\0\r\n",
    ],
    ids=["short", "chunks without an end"],
)
async def test_a_body_that_breaks_off_is_truncated(desk: Bench, sent: bytes) -> None:
    async with raw_server(sent) as url:
        failed = await desk.failure(desk.file(url))
        assert (failed.reason, failed.step) == ("truncated", NextStep.RETRY)
        assert await desk.staged() is None


async def test_a_body_that_ends_with_its_connection_proves_no_length(desk: Bench) -> None:
    async with raw_server(b"HTTP/1.0 200 OK\r\n\r\n\x1f\x8b\x08") as url:
        failed = await desk.failure(desk.file(url))
        assert (failed.reason, failed.step) == ("truncated_gzip", NextStep.RETRY)


async def test_a_refusal_whose_body_never_comes_is_told_by_its_status(tmp_path: Path) -> None:
    sent = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n<Error>"
    async with bench(tmp_path, idle_timeout=timedelta(seconds=0.2)) as desk, raw_server(sent, linger=True) as url:
        failed = await desk.failure(desk.file(url))
        assert (failed.reason, failed.code) == ("url_refused", 403)


async def test_a_refusal_that_trickles_is_told_by_its_status(tmp_path: Path) -> None:
    async def trickle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=404)
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)  # the fault itself: never silent, never done

    async with bench(tmp_path, idle_timeout=timedelta(seconds=0.2)) as desk, asyncio.timeout(5):
        assert (await desk.failure(desk.file(trickle))).code == 404


async def test_a_page_that_breaks_off_is_a_page(desk: Bench) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<html>") as url:
        assert (await desk.failure(desk.file(url))).reason == "error_page"


async def test_nobody_listens(desk: Bench) -> None:
    async with raw_server(b"") as url:
        pass
    failed = await desk.failure(desk.file(url))
    assert (failed.reason, failed.step) == ("unreachable", NextStep.RETRY)
    assert "refused" in str(failed)


HELD = Partial("12.part", 10, '"v1"', 100)
DATED = Partial("12.part", 10, "Mon, 09 Mar 2026 04:00:00 GMT", None)


@pytest.mark.parametrize(
    ("resume", "headers", "total"),
    [
        (HELD, {"Content-Range": "bytes 10-99/100"}, 100),
        (HELD, {"Content-Range": "bytes 10-49/100", "Content-Length": "40"}, 100),
        (HELD, {"Content-Range": "bytes 10-99/*"}, 100),
        (HELD, {"Content-Range": "bytes 10-99/100", "ETag": '"v1"'}, 100),
        (HELD, {"Content-Range": "bytes 10-99/100", "ETag": 'W/"v1"'}, 100),
        (HELD, {"Content-Range": "bytes 10-99/100", "Last-Modified": "Tue, 10 Mar 2026 04:00:00 GMT"}, 100),
        (DATED, {"Content-Range": "bytes 10-19/20", "ETag": '"v2"'}, 20),
        (HELD, {}, None),
        (HELD, {"Content-Range": "bytes 9-99/100"}, None),
        (HELD, {"Content-Range": "bytes 10-9/100"}, None),
        (HELD, {"Content-Range": "bytes 10-100/100"}, None),
        (HELD, {"Content-Range": "bytes 10-100/101"}, None),
        (HELD, {"Content-Range": "bytes 10-99/100", "Content-Length": "89"}, None),
        (HELD, {"Content-Range": "bytes 10-99/100", "ETag": '"v2"'}, None),
        (DATED, {"Content-Range": "bytes 10-19/20", "Last-Modified": "Tue, 10 Mar 2026 04:00:00 GMT"}, None),
        (HELD, {"Content-Range": "items 10-99/100"}, None),
    ],
)
def test_a_206_continues_only_what_it_names(resume: Partial, headers: dict[str, str], total: int | None) -> None:
    offer = read_offer(206, headers, resume)
    assert (offer and (offer.start, offer.total_bytes)) == (total and (10, total))


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a-1"', "Last-Modified": "Mon, 09 Mar 2026 04:00:00 GMT"}, '"a-1"'),
        ({"ETag": 'W/"a"', "Last-Modified": "Mon, 09 Mar 2026 04:00:00 GMT"}, "Mon, 09 Mar 2026 04:00:00 GMT"),
        ({"ETag": '"\udcff"'}, ""),
        ({"ETag": '"' + "x" * 999 + '"'}, ""),
        ({"Last-Modified": "yesterday; drop"}, ""),
        ({}, ""),
    ],
)
def test_only_what_may_be_sent_back_is_kept_as_a_validator(headers: dict[str, str], validator: str) -> None:
    offer = read_offer(200, headers, None)
    assert offer is not None
    assert offer.validator == validator


@given(text=st.text(), body=st.binary())
def test_hostile_text_never_breaks_a_reader(text: str, body: bytes) -> None:
    soft_redirect(body)
    code = body_code(body + b'"code":"' + body)
    assert code == "" or (code.isascii() and code.isprintable() and len(code) <= 41)
    read_offer(206, {"Content-Range": text, "Content-Length": text, "ETag": text}, None)
    sendable(join("https://a.example/b?c", text))
