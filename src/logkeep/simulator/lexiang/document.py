"""How a page is written: ``data``, ``included``, ``links``, ``meta``."""

from typing import Any

from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.paging import Page
from logkeep.simulator.lexiang.quirks import LexiangQuirks

LOGS_PATH = "/cgi-bin/v1/download-logs"
_WRONG_TOTAL = 7
_INCLUDABLE = frozenset({"target", "owner"})


def write_document(account: LexiangAccount, page: Page, quirks: LexiangQuirks, request: int) -> dict[str, Any]:
    """The JSON object of a page; ``request`` is the number of the request."""
    data, included = _rows(account, page, quirks, request)
    total = _total(account, page, quirks)
    document: dict[str, Any] = {"jsonapi": {"version": "1.0"}} if quirks.unknown_fields else {}
    document["data"] = data
    told = _included(included, page, quirks)
    if quirks.included != "last":
        document |= told
    if quirks.links != "missing":
        document["links"] = None if quirks.links == "null" else _links(page, total, quirks)
    document["meta"] = _meta(page, total, quirks)
    if quirks.included == "last":
        document |= told
    return document


def _rows(
    account: LexiangAccount, page: Page, quirks: LexiangQuirks, request: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    number_ids = quirks.ids_as == "number" or (quirks.ids_as == "mixed" and request % 2 == 0)
    rows: list[dict[str, Any]] = []
    included: dict[tuple[str, str], dict[str, Any]] = {}
    include = page.include & _INCLUDABLE
    for number in page.numbers:
        if account.rows.hidden(number):
            continue
        drawn = account.rows.draw(number)
        row = drawn.row(number_ids=number_ids)
        rows.append(_newer(row, quirks) if quirks.doc or quirks.unknown_fields else row)
        for key, resource in drawn.linked(include):
            included.setdefault(key, _counted(resource, request) if quirks.counters else resource)
    return rows, list(included.values())


def _newer(row: dict[str, Any], quirks: LexiangQuirks) -> dict[str, Any]:
    if quirks.doc and isinstance(row.get("relationships"), dict):
        told = {"data": {"type": "doc", "id": f"doc{row.get('id')}"}}
        row["relationships"] = row["relationships"] | {"doc": told}
    if quirks.unknown_fields:
        row |= {"meta": {"client": "web", "渠道": ["a", None]}}
        if isinstance(row.get("attributes"), dict):
            row["attributes"] = row["attributes"] | {"ip_region": "广东", "size": 1.5}
    return row


def _counted(resource: dict[str, Any], request: int) -> dict[str, Any]:
    counters = {"download_count": request, "read_count": request * 3}
    return resource | {"attributes": resource.get("attributes", {}) | counters}


def _included(included: list[dict[str, Any]], page: Page, quirks: LexiangQuirks) -> dict[str, Any]:
    if quirks.included == "missing" or not page.include & _INCLUDABLE:
        return {}
    if quirks.included == "null":
        return {"included": None}
    return {"included": [] if quirks.included == "empty" else included}


def _total(account: LexiangAccount, page: Page, quirks: LexiangQuirks) -> int:
    if account.first_total is None:
        account.first_total = page.total
    if quirks.total == "stale":
        return account.first_total
    return page.total + _WRONG_TOTAL if quirks.total == "wrong" else page.total


def _meta(page: Page, total: int, quirks: LexiangQuirks) -> dict[str, Any]:
    first = (page.stated_page - 1) * page.stated_size + 1
    meta: dict[str, Any] = {
        "current_page": page.stated_page,
        "from": first if page.numbers else None,
        "last_page": max(1, -(-total // page.stated_size)),
        "path": quirks.links_host + LOGS_PATH,
        "per_page": page.stated_size,
        "to": first + len(page.numbers) - 1 if page.numbers else None,
        "total": None if quirks.total == "null" else total,
    }
    if quirks.total == "missing":
        del meta["total"], meta["last_page"]
    if quirks.meta_numbers == "sample" and page.size_asked:
        meta["per_page"] = str(page.stated_size)
    if quirks.meta_numbers == "text":
        meta = {key: str(value) if isinstance(value, int) else value for key, value in meta.items()}
    return meta


def _links(page: Page, total: int, quirks: LexiangQuirks) -> dict[str, Any]:
    last = max(1, -(-total // page.stated_size))
    include = ""
    if quirks.links_keep_include and page.include & _INCLUDABLE:
        include = f"&include={'%2C'.join(sorted(page.include, reverse=True))}"

    def link(number: int) -> str:
        return f"{quirks.links_host}{LOGS_PATH}?per_page={page.stated_size}{include}&page={number}"

    more = page.page < page.last_page if quirks.total == "true" else page.stated_page < last
    following = link(page.stated_page + 1) if more or quirks.links == "always_next" else None
    links = {
        "first": link(1),
        "last": link(last),
        "prev": link(page.stated_page - 1) if page.stated_page > 1 else None,
        "next": None if quirks.links == "no_next" else following,
    }
    if quirks.total == "missing":
        del links["last"]
    return links
