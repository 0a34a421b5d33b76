"""How an object is delivered: one value tells it all, and ``deliver`` does it.

A fault is a change of that value, so faults and ranges combine: a corrupt object is corrupt at the same offset however
it is asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from logkeep.simulator.content import PIECE_BYTES, Content
from logkeep.simulator.wire import Wire, xml
from logkeep.simulator.witness import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An object on its way.

    Attributes:
        content: the bytes of the whole object as this answer sees it.
        etag: validator offered and compared with If-Range; None offers none.
        last_modified: the other validator, always offered.
        encoding: ``Content-Encoding``, if any.
        honours_range: whether a Range gets a 206.
        shift: a 206 starts so many bytes beside the offset asked for.
        confesses: whether ``Content-Range`` tells the shifted offset or the one asked for.
        excess: bytes that Content-Length promises beyond what comes.
        chunked: no Content-Length at all.
        forced_status: status instead of 200 or 206.
        stop_after: body bytes after which ``ending`` comes; None sends all.
        ending: what happens then.
        pause_s: before each piece of ``piece_bytes``.
        piece_bytes: how much is sent at a time.
    """

    content: Content
    etag: str | None
    last_modified: str
    encoding: str | None = None
    honours_range: bool = True
    shift: int = 0
    confesses: bool = True
    excess: int = 0
    chunked: bool = False
    forced_status: int | None = None
    stop_after: int | None = None
    ending: Literal["cut", "reset", "stall"] = "cut"
    pause_s: float = 0.0
    piece_bytes: int = PIECE_BYTES


async def deliver(request: web.Request, seen: Request, delivery: Delivery, wire: Wire) -> web.StreamResponse:
    """Send the object, or the part of it that was asked for."""
    part = _part(request, delivery)
    if part is not None and part.start >= delivery.content.size:
        refusal = xml(416, "InvalidRange", "The requested range is not satisfiable")
        refusal.headers["Content-Range"] = f"bytes */{delivery.content.size}"
        return refusal
    response = _headers(delivery, part)
    seen.status = response.status
    await response.prepare(request)
    promised = _sent_range(delivery, part)
    stop = promised.stop if delivery.stop_after is None else min(promised.stop, promised.start + delivery.stop_after)
    pieces = _counted(delivery.content.pieces(promised.start, stop, at_most=delivery.piece_bytes), seen)
    if delivery.pause_s:
        await wire.trickle(response, pieces, delivery.pause_s)
    else:
        for piece in pieces:
            await response.write(piece)
    if stop < promised.stop or delivery.excess:
        await _break_off(request, delivery, wire)
    return response


def _counted(pieces: Iterator[bytes], seen: Request) -> Iterator[bytes]:
    for piece in pieces:
        seen.sent_bytes += len(piece)
        yield piece


def _part(request: web.Request, delivery: Delivery) -> range | None:
    """The offsets asked for, or None for the whole; ``start`` may lie beyond the end, ``stop`` never does."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or not delivery.honours_range or match.groups() == ("", ""):
        return None
    condition = request.headers.get("If-Range")
    if condition is not None and condition not in (delivery.etag, delivery.last_modified):
        return None
    size, (first, last) = delivery.content.size, match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    return range(int(first), min(int(last) + 1, size) if last else size)


def _headers(delivery: Delivery, part: range | None) -> web.StreamResponse:
    response = web.StreamResponse(status=200 if part is None else 206)
    if delivery.forced_status is not None:
        response.set_status(delivery.forced_status)
    response.content_type = "application/octet-stream"
    response.headers["Last-Modified"] = delivery.last_modified
    response.headers["Accept-Ranges"] = "bytes"
    if delivery.etag is not None:
        response.headers["ETag"] = delivery.etag
    if delivery.encoding is not None:
        response.headers["Content-Encoding"] = delivery.encoding
    sent = _sent_range(delivery, part)
    if part is not None:
        told = sent if delivery.confesses else part
        response.headers["Content-Range"] = f"bytes {told.start}-{told.stop - 1}/{delivery.content.size}"
    if delivery.chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(sent) + delivery.excess
    return response


def _sent_range(delivery: Delivery, part: range | None) -> range:
    """The offsets really sent: a shifted 206 starts beside what was asked for, but inside the object."""
    if part is None:
        return range(delivery.content.size)
    return range(min(max(part.start + delivery.shift, 0), part.stop - 1), part.stop)


async def _break_off(request: web.Request, delivery: Delivery, wire: Wire) -> None:
    if delivery.ending == "reset":
        wire.reset(request)
    elif delivery.ending == "stall":
        await wire.stall(request)
    else:
        wire.cut(request)
