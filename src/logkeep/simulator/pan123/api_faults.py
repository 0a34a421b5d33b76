"""What can go wrong on the API server. ``API_FAULTS`` names every kind; each takes the exchange and the fault."""

from functools import partial
from typing import Any

from aiohttp import web

from logkeep.simulator.exchange import (
    COMMON_FAULTS,
    COMMON_PASSING,
    Answer,
    Exchange,
    Failing,
    Patch,
    failed,
    having,
    patched,
    without,
)
from logkeep.simulator.faults import Fault, FaultKinds
from logkeep.simulator.pan123.envelope import MESSAGES, NO_RIGHTS, TOO_MANY_TOKENS, Envelope


async def _envelope(code: int, message: str | None, exchange: Exchange, fault: Fault) -> web.StreamResponse:
    chosen = code if fault.code is None else fault.code
    text = fault.message or message or MESSAGES.get(chosen, "error")
    exchange.seen.code = chosen
    return failed(Answer(Envelope(chosen, text).body("")), fault)


def _with_data(change: Patch) -> Patch:
    """Change ``data`` only, where the honest answer has any."""

    def patch(body: dict[str, Any]) -> Any:
        return body if body["data"] is None else body | {"data": change(dict(body["data"]))}

    return patch


def _row_texts(data: dict[str, Any]) -> Any:
    return data | {"list": [str(row) for row in data.get("list") or ["row"]]}


PATCHES: dict[str, Patch] = {
    "code_text": lambda body: body | {"code": str(body["code"])},
    "code_missing": without("code"),
    "code_null": having(code=None),
    "trace_missing": without("x-traceID"),
    "data_missing": without("data"),
    "data_null": having(data=None),
    "data_text": having(data="ok"),
    "data_list": having(data=[]),
    "list_missing": _with_data(without("list")),
    "list_null": _with_data(having(list=None)),
    "list_text": _with_data(having(list="none")),
    "list_object": _with_data(having(list={"0": {}})),
    "list_of_texts": _with_data(_row_texts),
    "list_empty": _with_data(having(list=[])),
    "total_wrong": _with_data(having(total=10**9)),
    "token_missing": _with_data(without("accessToken")),
    "token_number": _with_data(having(accessToken=12345)),
    "expiry_missing": _with_data(without("expiredAt")),
    "expiry_garbage": _with_data(having(expiredAt="soon")),
    "expiry_past": _with_data(having(expiredAt="2001-01-01T00:00:00+08:00")),
}

API_FAULTS: dict[str, Failing] = {
    **COMMON_FAULTS,
    **{f"code_{code}": partial(_envelope, code, None) for code in MESSAGES},
    "envelope": partial(_envelope, 1, None),
    "no_rights": partial(_envelope, 1, NO_RIGHTS),
    "evicted": partial(_envelope, 401, TOO_MANY_TOKENS),
    **{kind: partial(patched, patch) for kind, patch in PATCHES.items()},
}
API_KINDS = FaultKinds(API_FAULTS.keys(), (*COMMON_PASSING, "code_429", "code_1", "data_text"))
