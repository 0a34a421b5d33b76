"""The two probes, asked through a real socket."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import ClientResponse
from structlog.testing import capture_logs

from logkeep.errors import ConfigError
from logkeep.web.server import Probe, WebServer, is_loopback


async def well() -> str | None:
    return None


def says(reason: str) -> Probe:
    async def probe() -> str | None:
        return reason

    return probe


@asynccontextmanager
async def serving(probes: Mapping[str, Probe], *, probe_timeout_s: float = 2.0) -> AsyncIterator[WebServer]:
    server = WebServer("127.0.0.1", 0, probes, probe_timeout_s=probe_timeout_s)
    await server.open()
    try:
        yield server
    finally:
        await server.close()


async def ask(
    server: WebServer, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[ClientResponse, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{server.port}{path}", headers=headers) as response,
    ):
        return response, await response.text()


async def readiness(server: WebServer, headers: Mapping[str, str] | None = None) -> tuple[int, object]:
    response, _ = await ask(server, "/readyz", headers=headers)
    return response.status, await response.json()


async def test_a_well_daemon_is_live_and_ready() -> None:
    async with serving({"storage": well, "catalog": well, "scheduler": well}) as server:
        live, body = await ask(server, "/livez")
        assert (live.status, body) == (200, '{"live": true}')
        checks = {"storage": "ok", "catalog": "ok", "scheduler": "ok"}
        assert await readiness(server) == (200, {"ready": True, "checks": checks})


async def test_a_failing_check_is_named_with_its_reason_and_the_others_stay_ok() -> None:
    async with serving({"storage": says("read-only"), "catalog": well}) as server:
        checks = {"storage": "read-only", "catalog": "ok"}
        assert await readiness(server) == (503, {"ready": False, "checks": checks})
        assert (await ask(server, "/livez"))[0].status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
async def test_a_question_from_outside_gets_no_reason(header: str) -> None:
    async with serving({"storage": says("/srv/archive is read-only"), "catalog": well}) as server:
        checks = {"storage": "failing", "catalog": "ok"}
        assert await readiness(server, {header: "203.0.113.7"}) == (503, {"ready": False, "checks": checks})


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::1%lo", True)),
        *(("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False), ("localhost", False)),
        *(("", False), (None, False)),
    ],
)
def test_only_a_loopback_address_counts_as_this_machine(peer: str | None, local: bool) -> None:
    assert is_loopback(peer) is local


async def test_a_check_that_hangs_or_crashes_counts_as_failing() -> None:
    """The hanging one is cancelled, and no crash's text gets out."""
    cancelled = asyncio.Event()

    async def hang() -> str | None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return None

    async def crash() -> str | None:
        raise LookupError("hidden")

    async with serving({"storage": hang, "catalog": crash, "scheduler": well}, probe_timeout_s=0.01) as server:
        with capture_logs() as events:
            async with asyncio.timeout(5):
                status, answer = await readiness(server)
    assert (status, cancelled.is_set()) == (503, True)
    assert answer == {
        "ready": False,
        "checks": {
            "storage": "no answer within 0.01 s",
            "catalog": "the check itself failed (LookupError)",
            "scheduler": "ok",
        },
    }
    assert ("probe_crashed", "catalog") in [(event["event"], event.get("check")) for event in events]


async def test_a_reason_is_short_and_holds_no_signed_query() -> None:
    async with serving({"a": says("https://h/p?sig=1 " + "x" * 900), "b": says("")}) as server:
        _, body = await ask(server, "/readyz")
    assert "sig" not in body
    assert "https://h/p?[redacted] xxx" in body
    assert '"b": "failing"' in body
    assert len(body) < 300


async def test_a_stopping_daemon_is_neither_live_nor_ready() -> None:
    async with serving({"storage": well}) as server:
        server.stopping()
        live, body = await ask(server, "/livez")
        assert (live.status, body) == (503, '{"live": false}')
        assert await readiness(server) == (503, {"ready": False, "checks": {"storage": "ok"}})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_methods_that_change_things_are_refused(method: str) -> None:
    async with serving({}) as server:
        for path in ("/livez", "/readyz"):
            refused, _ = await ask(server, path, method)
            assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD")


async def test_a_head_request_gets_the_status_alone() -> None:
    async with serving({"storage": says("gone")}) as server:
        assert [
            (r.status, body) for r, body in [await ask(server, path, "HEAD") for path in ("/livez", "/readyz")]
        ] == [
            (200, ""),
            (503, ""),
        ]


@pytest.mark.parametrize(("path", "method"), [("/livez", "GET"), ("/readyz", "HEAD"), ("/", "GET"), ("/livez", "POST")])
async def test_no_answer_tells_versions_or_may_be_cached(path: str, method: str) -> None:
    async with serving({"storage": well}) as server:
        answer, body = await ask(server, path, method)
    assert answer.headers["Server"] == "logkeep"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "aiohttp" not in body


async def test_changes_of_readiness_are_told_once_each() -> None:
    reason: list[str | None] = [None]

    async def storage() -> str | None:
        return reason[0]

    async with serving({"storage": storage}) as server:
        with capture_logs() as events:
            for now in (None, "gone", "gone still", None, None):
                reason[0] = now
                await readiness(server)
    assert [(event["event"], event.get("checks")) for event in events] == [
        ("readiness_lost", {"storage": "gone"}),
        ("readiness_regained", None),
    ]


async def test_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving({"storage": well}) as server:
            await ask(server, "/readyz")
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_an_address_in_use_is_a_clear_line_and_exit_code_2() -> None:
    async with serving({}) as server:
        second = WebServer("127.0.0.1", server.port, {})
        with pytest.raises(ConfigError) as caught:
            await second.open()
        await second.close()
        line = f'web.listen: 127.0.0.1:{server.port} is in use; choose another or set it to ""'
    assert str(caught.value) == line
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("203.0.113.7", "203.0.113.7:0 is no address of this machine"),
        ("fe80::1%none", "[fe80::1%none]:0 cannot be listened on (no such name)"),
        ("a..b", "a..b:0 cannot be listened on (no such name)"),
    ],
)
async def test_an_address_that_is_not_ours_is_a_clear_line(host: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await WebServer(host, 0, {}).open()
    assert str(caught.value).startswith(f"web.listen: {line}")


async def test_after_close_nobody_answers_and_closing_again_is_fine() -> None:
    server = WebServer("127.0.0.1", 0, {})
    assert server.port == 0
    await server.close()
    await server.open()
    port = server.port
    await server.close()
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_garbage_on_the_wire_ends_that_connection_only() -> None:
    async with serving({"storage": well}) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01 not http at all\r\n\r\n")
        assert b"400 Bad Request" in await reader.read()
        writer.close()
        await writer.wait_closed()
        assert (await ask(server, "/livez"))[0].status == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_an_ipv6_address_is_written_with_brackets() -> None:
    first = WebServer("::1", 0, {})
    try:
        await first.open()
    except ConfigError:
        pytest.skip("this machine has no ::1")
    with pytest.raises(ConfigError, match=r"\[::1\]:\d+ is in use"):
        await WebServer("::1", first.port, {}).open()
    await first.close()
