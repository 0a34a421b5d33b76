"""One request on its way to an answer, and what any vendor's API server can do wrong with it.

``COMMON_FAULTS`` names the kinds that need no knowledge of a vendor's words; each takes the exchange and the fault.
Faults that change or lose an answer are applied after the honest one was made: a token may have been issued although
its holder never hears of it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from logkeep.simulator.faults import Fault
from logkeep.simulator.wire import Wire, html, xml
from logkeep.simulator.witness import Request

JSON = "application/json"
_HUGE_BYTES = 64 * 1024 * 1024
_DEEP = 100_000


def to_json(value: Any) -> bytes:
    """JSON as the vendors send it: Chinese unescaped."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:  # five times as quick, but it refuses integers of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said in return: ``body`` is a JSON value, or bytes that are sent as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def encoded(self) -> bytes:
        """The bytes that are sent."""
        return self.body if isinstance(self.body, bytes) else to_json(self.body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way to an answer. ``honest`` does what was asked, at most once, and says what came of it."""

    request: web.Request
    seen: Request
    honest: Callable[[], Answer]
    wire: Wire

    def reply(self) -> web.Response:
        """The honest answer."""
        return send(self.honest())


Failing = Callable[[Exchange, Fault], Awaitable[web.StreamResponse]]
Patch = Callable[[dict[str, Any]], Any]


def send(answer: Answer, *, retry_after: str | None = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """A whole answer, with further headers where given."""
    more = {**answer.headers, **(headers or {})} | ({} if retry_after is None else {"Retry-After": retry_after})
    return web.Response(
        status=answer.status, body=answer.encoded(), content_type=answer.content_type, headers=more or None
    )


def failed(answer: Answer, fault: Fault) -> web.Response:
    """An answer that a fault puts in the place of the honest one, with the status and the headers that it wishes."""
    chosen = Answer(answer.body, fault.status or answer.status, answer.headers, answer.content_type)
    return send(chosen, retry_after=fault.retry_after, headers=fault.headers)


def without(key: str) -> Patch:
    """A patch that removes a key."""
    return lambda given: {name: value for name, value in given.items() if name != key}


def having(**changed: Any) -> Patch:
    """A patch that sets keys."""
    return lambda given: given | changed


async def patched(patch: Patch | None, exchange: Exchange, fault: Fault) -> web.StreamResponse:
    """The honest answer, changed; a refusal in plain text stays as it is."""
    change = patch or fault.patch
    assert change is not None, "a Fault of kind 'patch' always carries one"
    honest = exchange.honest()
    body = honest.body if isinstance(honest.body, bytes) else change(deepcopy(honest.body))
    return failed(Answer(body, honest.status, honest.headers, honest.content_type), fault)


async def _gateway(status: int, _exchange: Exchange, fault: Fault) -> web.StreamResponse:
    response = html(fault.status or status, retry_after=fault.retry_after)
    response.headers.update(fault.headers)
    return response


async def _xml_page(_exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return xml(fault.status or 200, "InternalError", "We encountered an internal error.")


async def _spoilt(spoil: Callable[[bytes], bytes], exchange: Exchange, fault: Fault) -> web.StreamResponse:
    honest = exchange.honest()
    return failed(Answer(spoil(honest.encoded()), honest.status, honest.headers, honest.content_type), fault)


async def _content_type(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    honest = exchange.honest()
    return failed(Answer(honest.encoded(), honest.status, honest.headers, "text/html"), fault)


async def _drop(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return exchange.wire.cut(exchange.request)


async def _reset(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return exchange.wire.reset(exchange.request)


async def _half_sent(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    body = exchange.honest().encoded()
    sent = body[: len(body) // 2 if fault.at is None else fault.at]
    response = await exchange.wire.send_part(exchange.request, sent, length=len(body), content_type=JSON)
    if fault.kind == "drop_body":
        exchange.wire.cut(exchange.request)
    else:
        await exchange.wire.stall(exchange.request)
    return response


async def _stall(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return await exchange.wire.stall(exchange.request)


async def _slow(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    body = exchange.honest().encoded()
    response = await exchange.wire.begin(exchange.request, content_type=JSON, length=len(body))
    pieces = (body[start : start + 16] for start in range(0, len(body), 16))
    await exchange.wire.trickle(response, pieces, fault.pause.total_seconds())
    return response


async def _huge(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    """The honest answer behind many megabytes of white space: valid JSON, if anyone reads that far."""
    body = exchange.honest().encoded()
    padding = b" " * (64 * 1024)
    response = await exchange.wire.begin(exchange.request, content_type=JSON, length=None)
    for _ in range((_HUGE_BYTES if fault.at is None else fault.at) // len(padding)):
        await response.write(padding)
    await response.write(body)
    return response


_STATUSES = (400, 401, 403, 404, 408, 429, 500, 502, 503, 504)
_PATCHES: dict[str, Patch | None] = {
    "patch": None,
    "top_level_list": lambda body: [body],
    "top_level_null": lambda _body: None,
}
_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "malformed_json": lambda body: body.replace(b":", b"=", 1),
    "truncated_json": lambda body: body[: len(body) // 2],
    "bad_utf8": lambda body: body.replace(b':"', b':"\xff\xfe', 1),
    "deep_json": lambda _body: b"[" * _DEEP + b"]" * _DEEP,
    "empty_body": lambda _body: b"",
}
COMMON_FAULTS: dict[str, Failing] = {
    **{f"http_{status}": partial(_gateway, status) for status in _STATUSES},
    "html_200": partial(_gateway, 200),
    "xml_200": _xml_page,
    **{kind: partial(patched, patch) for kind, patch in _PATCHES.items()},
    **{kind: partial(_spoilt, spoil) for kind, spoil in _SPOILT.items()},
    "content_type": _content_type,
    "drop": _drop,
    "drop_body": _half_sent,
    "reset": _reset,
    "stall": _stall,
    "stall_body": _half_sent,
    "slow": _slow,
    "huge_body": _huge,
}
COMMON_PASSING = (
    *("http_429", "http_500", "http_502", "http_503", "html_200", "xml_200"),
    *("drop", "drop_body", "reset", "malformed_json", "truncated_json", "empty_body"),
)
"""The kinds that a retry soon survives."""
