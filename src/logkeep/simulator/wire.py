"""How an answer leaves a simulated server, or fails to: pages of a gateway, cut connections, silence."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

_NEVER_SENT = 499
HTML_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\n"
)
XML_PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>17F0A5B3C1D2E4F6</RequestId></Error>"
)


def html(status: int, *, retry_after: str | None = None) -> web.Response:
    """A gateway's page."""
    title = {401: "401 Authorization Required", 403: "403 Forbidden", 200: "Welcome"}.get(status, f"{status} Error")
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.Response(status=status, text=HTML_PAGE.format(title=title), content_type="text/html", headers=headers)


def xml(status: int, code: str, message: str, *, retry_after: str | None = None) -> web.Response:
    """An object store's error document."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    text = XML_PAGE.format(code=code, message=message)
    return web.Response(status=status, text=text, content_type="application/xml", headers=headers)


def http_date(moment: datetime) -> str:
    """A moment as HTTP writes it."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def sent_status(response: web.StreamResponse) -> int | None:
    """The status that the client may have seen; None where the connection was cut first."""
    return None if response.status == _NEVER_SENT else response.status


class Wire:
    """The connections of one cloud. ``stopping`` ends what would otherwise be silent for ever."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.stopping = asyncio.Event()
        self._now = now

    async def stamp(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Put the cloud's own time into ``Date`` just before the headers leave."""
        response.headers["Date"] = http_date(self._now())

    def cut(self, request: web.BaseRequest) -> web.Response:
        """Close the connection after what was written so far; the returned response never leaves."""
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=_NEVER_SENT)

    def reset(self, request: web.BaseRequest) -> web.Response:
        """Reset the connection (TCP RST); the returned response never leaves."""
        if request.transport is not None:
            connection: socket.socket = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        return web.Response(status=_NEVER_SENT)

    async def stall(self, request: web.BaseRequest) -> web.Response:
        """Say nothing until the client leaves or the cloud stops."""
        await self.stopping.wait()
        return self.cut(request)

    async def begin(
        self, request: web.BaseRequest, *, content_type: str, length: int | None, status: int = 200
    ) -> web.StreamResponse:
        """Send headers that promise ``length`` bytes (None: chunked)."""
        response = web.StreamResponse(status=status)
        response.content_type = content_type
        if length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = length
        await response.prepare(request)
        return response

    async def send_part(
        self, request: web.BaseRequest, data: bytes, *, length: int, content_type: str
    ) -> web.StreamResponse:
        """Send headers that promise ``length`` bytes, then only ``data``; the connection stays open."""
        response = await self.begin(request, content_type=content_type, length=length)
        await response.write(data)
        return response

    async def trickle(self, response: web.StreamResponse, pieces: Iterable[bytes], pause_s: float) -> None:
        """Send pieces with a pause before each; the pause ends early when the cloud stops."""
        for piece in pieces:
            try:
                await asyncio.wait_for(self.stopping.wait(), pause_s)
            except TimeoutError:
                await response.write(piece)
            else:
                return
