"""What can go wrong on the API server. ``API_FAULTS`` names every kind; each takes the exchange and the fault.

Faults that change or lose an answer are applied after the honest one was made: a token may have been issued although
its holder never hears of it.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from logkeep.simulator.faults import Fault, FaultKinds
from logkeep.simulator.pan123.envelope import MESSAGES, NO_RIGHTS, TOO_MANY_TOKENS, Envelope
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.wire import Wire, html, xml
from logkeep.simulator.witness import Request

_JSON = "application/json"
_HUGE_BYTES = 64 * 1024 * 1024
_DEEP = 100_000
_REAL_STATUSES = (401, 403, 429)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way to an answer. ``honest`` does what was asked and returns the envelope."""

    request: web.Request
    seen: Request
    honest: Callable[[], dict[str, Any]]
    quirks: Quirks
    wire: Wire

    def reply(self) -> web.Response:
        """The honest answer."""
        body = self.honest()
        real = self.quirks.real_http_status and body["code"] in _REAL_STATUSES
        return self.send(to_json(body), status=body["code"] if real else 200)

    def send(
        self, body: bytes, *, status: int = 200, content_type: str = _JSON, retry_after: str | None = None
    ) -> web.Response:
        """A whole answer."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)


Failing = Callable[[Exchange, Fault], Awaitable[web.StreamResponse]]
Patch = Callable[[dict[str, Any]], Any]


def to_json(value: Any) -> bytes:
    """JSON as the vendor sends it: Chinese unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def _gateway(status: int, _exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return html(fault.status or status, retry_after=fault.retry_after)


async def _xml_page(_exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return xml(fault.status or 200, "InternalError", "We encountered an internal error.")


async def _envelope(code: int, message: str | None, exchange: Exchange, fault: Fault) -> web.StreamResponse:
    chosen = code if fault.code is None else fault.code
    text = fault.message or message or MESSAGES.get(chosen, "error")
    exchange.seen.code = chosen
    body = to_json(Envelope(chosen, text).body(""))
    return exchange.send(body, status=fault.status or 200, retry_after=fault.retry_after)


async def _patched(patch: Patch | None, exchange: Exchange, fault: Fault) -> web.StreamResponse:
    change = patch or fault.patch
    assert change is not None, "a Fault of kind 'patch' always carries one"
    return exchange.send(to_json(change(exchange.honest())), status=fault.status or 200)


async def _raw(spoil: Callable[[bytes], bytes], exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return exchange.send(spoil(to_json(exchange.honest())), status=fault.status or 200)


async def _content_type(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    return exchange.send(to_json(exchange.honest()), content_type="text/html")


async def _drop(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return exchange.wire.cut(exchange.request)


async def _reset(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return exchange.wire.reset(exchange.request)


async def _half_sent(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    body = to_json(exchange.honest())
    sent = body[: len(body) // 2 if fault.at is None else fault.at]
    response = await exchange.wire.send_part(exchange.request, sent, length=len(body), content_type=_JSON)
    if fault.kind == "drop_body":
        exchange.wire.cut(exchange.request)
    else:
        await exchange.wire.stall(exchange.request)
    return response


async def _stall(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    exchange.honest()
    return await exchange.wire.stall(exchange.request)


async def _slow(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    body = to_json(exchange.honest())
    response = await exchange.wire.begin(exchange.request, content_type=_JSON, length=len(body))
    pieces = (body[start : start + 16] for start in range(0, len(body), 16))
    await exchange.wire.trickle(response, pieces, fault.pause.total_seconds())
    return response


async def _huge(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    """The honest answer behind many megabytes of white space: valid JSON, if anyone reads that far."""
    body = to_json(exchange.honest())
    padding = b" " * (64 * 1024)
    response = await exchange.wire.begin(exchange.request, content_type=_JSON, length=None)
    for _ in range((_HUGE_BYTES if fault.at is None else fault.at) // len(padding)):
        await response.write(padding)
    await response.write(body)
    return response


def _with_data(change: Patch) -> Patch:
    """Change ``data`` only, where the honest answer has any."""

    def patch(body: dict[str, Any]) -> Any:
        return body if body["data"] is None else body | {"data": change(dict(body["data"]))}

    return patch


def _without(key: str) -> Patch:
    return lambda given: {name: value for name, value in given.items() if name != key}


def _with(**changed: Any) -> Patch:
    return lambda given: given | changed


def _row_texts(data: dict[str, Any]) -> Any:
    return data | {"list": [str(row) for row in data.get("list") or ["row"]]}


PATCHES: dict[str, Patch | None] = {
    "patch": None,
    "code_text": lambda body: body | {"code": str(body["code"])},
    "code_missing": _without("code"),
    "code_null": _with(code=None),
    "trace_missing": _without("x-traceID"),
    "top_level_list": lambda body: [body],
    "top_level_null": lambda _body: None,
    "data_missing": _without("data"),
    "data_null": _with(data=None),
    "data_text": _with(data="ok"),
    "data_list": _with(data=[]),
    "list_missing": _with_data(_without("list")),
    "list_null": _with_data(_with(list=None)),
    "list_text": _with_data(_with(list="none")),
    "list_object": _with_data(_with(list={"0": {}})),
    "list_of_texts": _with_data(_row_texts),
    "list_empty": _with_data(_with(list=[])),
    "total_wrong": _with_data(_with(total=10**9)),
    "token_missing": _with_data(_without("accessToken")),
    "token_number": _with_data(_with(accessToken=12345)),
    "expiry_missing": _with_data(_without("expiredAt")),
    "expiry_garbage": _with_data(_with(expiredAt="soon")),
    "expiry_past": _with_data(_with(expiredAt="2001-01-01T00:00:00+08:00")),
}
_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "malformed_json": lambda body: body.replace(b":", b"=", 1),
    "truncated_json": lambda body: body[: len(body) // 2],
    "bad_utf8": lambda body: body.replace(b'"message":"', b'"message":"\xff\xfe', 1),
    "deep_json": lambda _body: b"[" * _DEEP + b"]" * _DEEP,
    "empty_body": lambda _body: b"",
}
_STATUSES = (400, 401, 403, 404, 408, 429, 500, 502, 503, 504)
_PASSING = ("http_429", "http_500", "http_502", "http_503", "html_200", "xml_200", "code_429", "code_1")
_PASSING_SHAPES = ("drop", "drop_body", "reset", "malformed_json", "truncated_json", "empty_body", "data_text")

API_FAULTS: dict[str, Failing] = {
    **{f"http_{status}": partial(_gateway, status) for status in _STATUSES},
    "html_200": partial(_gateway, 200),
    "xml_200": _xml_page,
    **{f"code_{code}": partial(_envelope, code, None) for code in MESSAGES},
    "envelope": partial(_envelope, 1, None),
    "no_rights": partial(_envelope, 1, NO_RIGHTS),
    "evicted": partial(_envelope, 401, TOO_MANY_TOKENS),
    **{kind: partial(_patched, patch) for kind, patch in PATCHES.items()},
    **{kind: partial(_raw, spoil) for kind, spoil in _SPOILT.items()},
    "content_type": _content_type,
    "drop": _drop,
    "drop_body": _half_sent,
    "reset": _reset,
    "stall": _stall,
    "stall_body": _half_sent,
    "slow": _slow,
    "huge_body": _huge,
}
API_KINDS = FaultKinds(API_FAULTS.keys(), (*_PASSING, *_PASSING_SHAPES))
