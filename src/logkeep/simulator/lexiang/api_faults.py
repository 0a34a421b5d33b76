"""What can go wrong on the server besides ``exchange.COMMON_FAULTS``; each kind takes the exchange and the fault.

``WRONG_PAGES`` are kinds by which another page than the asked one is answered (``Fault.at``, default 1), told truly in
``meta`` or disguised as the one asked; the API itself obeys them, since it alone knows the pages.
"""

from collections.abc import Awaitable, Callable
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
from logkeep.simulator.lexiang.refusals import TOO_MANY, detail, envelope, invalid, needs_upgrade, plain, unauthorized

WRONG_PAGES = ("wrong_page", "wrong_page_disguised")


async def _too_many(_exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return failed(plain(429, fault.message or TOO_MANY), fault)


async def _refusal(answer: Callable[[], Answer], _exchange: Exchange, fault: Fault) -> web.StreamResponse:
    return failed(answer(), fault)


async def _envelope(exchange: Exchange, fault: Fault) -> web.StreamResponse:
    code = 1 if fault.code is None else fault.code
    exchange.seen.code = code
    return failed(envelope(code, fault.message or "内部错误"), fault)


async def _honest(exchange: Exchange, _fault: Fault) -> web.StreamResponse:
    return exchange.reply()


def _where(key: str, change: Patch) -> Patch:
    """Change only answers that have a key: refusals stay what they are."""
    return lambda body: change(body) if key in body else body


def _rows(change: Callable[[list[dict[str, Any]]], Any]) -> Patch:
    """Change the rows."""
    return lambda body: body | {"data": change(body["data"])}


def _first(change: Patch) -> Patch:
    """Change the first row."""
    return _rows(lambda rows: [change(rows[0]), *rows[1:]] if rows else rows)


def _middle_dropped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    third = len(rows) // 3
    return rows[:third] + rows[2 * third :]


def _attribute(**changed: Any) -> Patch:
    return _first(lambda row: row | {"attributes": row["attributes"] | changed})


def _meta(change: Patch) -> Patch:
    return lambda body: body | {"meta": change(body["meta"])}


def _ended(body: dict[str, Any]) -> Any:
    links = body.get("links")
    return body | {"data": []} | ({"links": links | {"next": None}} if isinstance(links, dict) else {})


LOGS_PATCHES: dict[str, Patch] = {
    "data_missing": without("data"),
    "data_null": having(data=None),
    "data_object": having(data={"0": {}}),
    "data_text": having(data="ok"),
    "empty_page": having(data=[]),
    "empty_last": _ended,
    "rows_missing": _rows(_middle_dropped),
    "rows_twice": _rows(lambda rows: [row for row in rows for _ in range(2)]),
    "rows_reversed": _rows(lambda rows: rows[::-1]),
    "row_text": _first(str),
    "row_null": _first(lambda _row: None),
    "row_without_id": _first(without("id")),
    "row_id_null": _first(having(id=None)),
    "row_id_empty": _first(having(id="")),
    "row_id_object": _first(having(id={"$oid": "1"})),
    "row_of_another_type": _first(having(type="view_log")),
    "row_without_attributes": _first(without("attributes")),
    "row_without_relationships": _first(without("relationships")),
    "created_missing": _first(lambda row: row | {"attributes": {}}),
    "created_null": _attribute(created_at=None),
    "created_garbage": _attribute(created_at="昨天"),
    "created_number": _attribute(created_at=1_523_346_681),
    "created_impossible": _attribute(created_at="2018-02-30 25:61:61"),
    "created_zoned": _attribute(created_at="2018-04-10T07:51:21Z"),
    "meta_missing": without("meta"),
    "meta_null": having(meta=None),
    "meta_list": having(meta=[]),
    "meta_garbage": _meta(having(current_page="one", per_page="many", total="some")),
    "total_negative": _meta(having(total=-1)),
    "total_float": _meta(having(total=1.5)),
    "links_missing": without("links"),
    "links_null": having(links=None),
    "links_text": having(links="/next"),
    "included_missing": without("included"),
    "included_null": having(included=None),
    "included_object": having(included={"staff": []}),
    "code_zero": having(code=0, message="success"),
    "code_beside_data": having(code=50_001, message="内部错误"),
}
TOKEN_PATCHES: dict[str, Patch] = {
    "token_missing": without("access_token"),
    "token_number": having(access_token=12_345),
    "token_empty": having(access_token=""),
    "token_split": having(access_token="a\r\nX-Injected: 1"),  # noqa: S106 - no secret
    "expiry_missing": without("expires_in"),
    "expiry_text": having(expires_in="7200"),
    "expiry_garbage": having(expires_in="soon"),
    "expiry_zero": having(expires_in=0),
    "expiry_negative": having(expires_in=-5),
    "expiry_endless": having(expires_in=10**30),
}
_REFUSALS: dict[str, Callable[[], Answer]] = {
    "unauthorized": partial(unauthorized, "object"),
    "forbidden": partial(detail, 403, "Forbidden"),
    "needs_upgrade": needs_upgrade,
    "errors_list": lambda: Answer({"errors": [{"status": "500", "detail": "内部错误"}]}, 500),
    "errors_text": lambda: Answer({"errors": "内部错误"}, 500),
    "errors_map": partial(invalid, 422, per_page="per_page 不能大于 100。"),
    "errors_in_200": partial(detail, 200, "内部错误"),
}
_SHARED: dict[str, Failing] = {
    **COMMON_FAULTS,
    "too_many": _too_many,
    "envelope": _envelope,
    **{kind: partial(_refusal, answer) for kind, answer in _REFUSALS.items()},
}


def _patches(key: str, patches: dict[str, Patch]) -> dict[str, Callable[[Exchange, Fault], Awaitable[Any]]]:
    return {kind: partial(patched, _where(key, patch)) for kind, patch in patches.items()}


LOGS_FAULTS: dict[str, Failing] = {
    **_SHARED,
    **_patches("data", LOGS_PATCHES),
    **dict.fromkeys(WRONG_PAGES, _honest),
}
TOKEN_FAULTS: dict[str, Failing] = {**_SHARED, **_patches("access_token", TOKEN_PATCHES)}
_PASSING = (*COMMON_PASSING, "too_many", "envelope", "errors_list", "data_missing", "data_null")
KINDS = {
    "logs": FaultKinds(LOGS_FAULTS.keys(), _PASSING),
    "token": FaultKinds(TOKEN_FAULTS.keys(), (*COMMON_PASSING, "too_many")),
}
