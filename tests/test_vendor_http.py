import socket

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from logkeep.errors import Unreachable, UnreadableReply
from logkeep.vendors.http import ApiSession, HttpLimits, NoConnection
from logkeep.vendors.wire import ApiReply, ApiRequest
from vendor_world import NOW, desk

from manual_clock import ManualClock

PATH = "/api/v1/direct-link/offline/logs"


class Names(AbstractResolver):
    """Every name leads to this machine, or nowhere."""

    def __init__(self, address: str | None) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self.address is None:
            raise socket.gaierror(socket.EAI_NONAME, f"no {host}?sIgNeD")
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def send(session: ApiSession, url: str) -> ApiReply:
    await session.open()
    try:
        return await session.send(ApiRequest("list", "GET", url, {"Authorization": "Bearer tok"}))
    finally:
        await session.close()


async def test_a_public_name_that_leads_to_a_private_address_is_not_asked() -> None:
    async with desk(clock=ManualClock(NOW)) as api:
        url = f"http://api.example:{api.base_url.rpartition(':')[2]}{PATH}"
        with pytest.raises(NoConnection, match=r"not asked, api\.example resolves to 127\.0\.0\.1"):
            await send(ApiSession(allow_http=True, resolver=Names("127.0.0.1")), url)
        assert api.seen == []
        names = Names("127.0.0.1")
        reply = await send(ApiSession(allow_http=True, allow_private_addresses=True, resolver=names), url)
    assert reply.status == 200
    assert api.listings == 1


async def test_a_name_that_nobody_knows_is_no_connection() -> None:
    with pytest.raises(NoConnection) as caught:
        await send(ApiSession(resolver=Names(None)), "https://api.example/x?sIgNeD")
    assert str(caught.value) == "api.example: the name cannot be resolved"


async def test_a_body_is_taken_up_to_the_limit_and_not_beyond() -> None:
    limits = HttpLimits(max_body_bytes=100_000)
    size = 0
    async with desk(clock=ManualClock(NOW)) as api:
        api.listing = lambda _request: web.Response(body=b"x" * size)
        for size, fits in ((100_000, True), (100_001, False)):
            session = ApiSession(allow_http=True, allow_private_addresses=True, limits=limits)
            if fits:
                assert len((await send(session, api.base_url + PATH)).body) == size
            else:
                with pytest.raises(UnreadableReply, match="more than 100000 bytes"):
                    await send(session, api.base_url + PATH)


async def test_a_reply_that_is_no_http_is_unreachable() -> None:
    def garbage(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(b"SSH-2.0-OpenSSH_9.2 sIgNeD\r\n\r\n")
        request.transport.close()
        return web.Response()

    async with desk(clock=ManualClock(NOW)) as api:
        api.listing = garbage
        with pytest.raises(Unreachable) as caught:
            await send(ApiSession(allow_http=True, allow_private_addresses=True), api.base_url + PATH)
    assert str(caught.value) == f"{api.base_url.removeprefix('http://')}: the reply is no HTTP"


async def test_a_session_that_was_not_opened_is_a_mistake_of_ours() -> None:
    with pytest.raises(RuntimeError):
        await ApiSession().send(ApiRequest("list", "GET", "https://api.example/", {}))


async def test_a_kept_connection_that_breaks_is_not_asked_again_behind_our_back() -> None:
    """Whoever asks again waits for its turn first, and counts."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if len(asked) > 1 and request.transport is not None:
            request.transport.close()
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    session = ApiSession(allow_http=True, allow_private_addresses=True)
    await session.open()
    try:
        request = ApiRequest("list", "GET", f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}", {})
        await session.send(request)
        with pytest.raises(Unreachable):
            await session.send(request)
    finally:
        await session.close()
        await runner.cleanup()
    assert len(asked) == 2
