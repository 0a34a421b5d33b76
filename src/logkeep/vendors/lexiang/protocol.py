"""Lexiang's API without a socket: builds its requests, reads its replies. Pure.

URLs are always built here: ``links.next`` drops ``include``, names other hosts in the vendor's own samples, and is
looked at only for whether it is null. A success is an object with a list under ``data`` and no error beside it; a
reply that is not exactly that is an error, never "no more rows".

A body is read twice: strictly, to know and judge it, and again only to cut out the bytes of each row and each included
object, which are kept as they came. Where something in it is unusable (a key that stands twice, a number beyond all
bounds, nesting), what holds it is put aside and the rest is read. Escapes of half a character, which no file
or database takes, become U+FFFD.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from logkeep.errors import UnreadableReply
from logkeep.model import ListedRecord
from logkeep.vendors import strict_json
from logkeep.vendors.lexiang.refusals import page_error, read_refusal, read_text_refusal, token_error
from logkeep.vendors.lexiang.rows import evidence, read_linked, read_row
from logkeep.vendors.lexiang.zone import zone_offset
from logkeep.vendors.refusal import is_good
from logkeep.vendors.wire import ApiRequest, IssuedToken, clean_trace, fits_header, read_code

__all__ = ["Page", "logs_request", "read_page", "read_token", "token_request", "zone_offset"]

TOKEN_PATH = "/cgi-bin/token"  # noqa: S105 - a path
LOGS_PATH = "/cgi-bin/v1/download-logs"

_ACCEPT = "application/vnd.api+json, application/json"
_LONGEST_LIFE_S = 10 * 365 * 86_400
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_COUNT_END = 10**15
_DOUBLE_BITS = 1023
"""Integers of more bits are infinite to readers that know doubles only."""
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_PAIR_ALONE = re.compile(rb"(?<!\\)" + _PAIR.pattern)
_HALF = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(_PAIR.pattern + rb"|(" + _HALF.pattern + rb")|\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """One page as served, see ``vendors.port.RecordPage``; the client fills in ``vendor_date`` and ``skew_s``.

    A vendor that says nothing of further pages is taken to have some, as long as there are rows.
    """

    records: tuple[ListedRecord, ...]
    unreadable: tuple[str, ...]
    page: int | None
    per_page: int | None
    total: int | None
    has_next: bool
    vendor_date: datetime | None = None
    skew_s: float | None = None


_RAWS = list[msgspec.Raw]
_NO_ROWS = {"data": None, "included": None}


class _Slices(msgspec.Struct):
    """The bytes of each row and of ``included``."""

    data: list[msgspec.Raw]
    included: msgspec.Raw = msgspec.Raw(b"[]")


def token_request(base_url: str, app_key: str, app_secret: str) -> ApiRequest:
    """Ask for a new access token."""
    body = {"grant_type": "client_credentials", "app_key": app_key, "app_secret": app_secret}
    return ApiRequest("token", "POST", base_url.rstrip("/") + TOKEN_PATH, {"Accept": _ACCEPT}, body)


def logs_request(base_url: str, token: str, page: int, per_page: int) -> ApiRequest:
    """Ask for one page; pages count from 1."""
    url = f"{base_url.rstrip('/')}{LOGS_PATH}?per_page={per_page}&page={page}&include=target,owner"
    return ApiRequest("list", "GET", url, {"Authorization": f"Bearer {token}", "Accept": _ACCEPT})


def read_token(
    status: int, headers: Mapping[str, str], body: bytes, *, sent_at: datetime, hide: Sequence[str] = ()
) -> IssuedToken:
    """Read a new token, which lives ``expires_in`` seconds from ``sent_at``; an expiry that cannot be read is None.

    Raises:
        VendorError: the reply refuses, or is not the API's (see ``refusals``).
        UnreadableReply: a success by its status without a bearer token that fits into a header.
    """
    try:
        envelope = _table(strict_json.load(body))
    except strict_json.JsonRefused as problem:
        raise token_error(read_text_refusal(status, headers, body, problem, hide)) from None
    if not is_good(status) or _complains(envelope):
        raise token_error(read_refusal(status, headers, envelope, hide))
    token = envelope.get("access_token")
    if not isinstance(token, str) or not fits_header(token):
        raise UnreadableReply(f"HTTP {status}, but 'access_token' is no token", code=status)
    kind = envelope.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise UnreadableReply(f"HTTP {status}, but the token is no bearer token", code=status)
    return IssuedToken(token, _read_expiry(envelope.get("expires_in"), sent_at))


def read_page(status: int, headers: Mapping[str, str], body: bytes, *, hide: Sequence[str] = ()) -> Page:
    """Read a page. ``hide`` holds the secrets that no message may repeat.

    Raises:
        VendorError: the reply refuses, or is not the API's (see ``refusals``).
        UnreadableReply: a success by its status that has no list under ``data``.
    """
    body = _whole_characters(body.removeprefix(b"\xef\xbb\xbf"))
    plain = strict_json.read_plain(body)
    envelope = _read_envelope(status, headers, body, plain, hide)
    rows = envelope.get("data")
    if not isinstance(rows, list):
        trace_id = clean_trace(envelope.get("request_id"), hide)
        raise UnreadableReply(f"HTTP {status}, but no list under 'data'", code=status, trace_id=trace_id)
    records, unreadable = _read_rows(status, envelope, body, hide, plain=plain is not None)
    meta = _table(envelope.get("meta"))
    return Page(
        records,
        unreadable,
        page=_count(meta.get("current_page")),
        per_page=_count(meta.get("per_page")),
        total=_count(meta.get("total")),
        has_next=_has_next(_table(envelope.get("links")), meta, any_rows=bool(rows)),
    )


def _read_envelope(
    status: int, headers: Mapping[str, str], body: bytes, plain: Any, hide: Sequence[str]
) -> dict[str, Any]:
    """The body of a success; sound but for what lies under ``data`` and ``included``, wholly so if it is ``plain``."""
    try:
        envelope = _table(_read_frame(body) if plain is None else plain)
    except strict_json.JsonRefused as problem:
        raise page_error(read_text_refusal(status, headers, body, problem, hide)) from None
    if not is_good(status) or _complains(envelope):
        raise page_error(read_refusal(status, headers, envelope, hide))
    return envelope


def _read_frame(body: bytes) -> Any:
    value = strict_json.parse(body)
    reason = strict_json.flaw({**value, **_NO_ROWS} if isinstance(value, dict) else value)
    if reason is not None:
        raise strict_json.JsonRefused(reason, meant=True)
    return value


def _read_rows(
    status: int, envelope: Mapping[str, Any], body: bytes, hide: Sequence[str], *, plain: bool
) -> tuple[tuple[ListedRecord, ...], tuple[str, ...]]:
    rows, objects = envelope["data"], envelope.get("included")
    objects = objects if isinstance(objects, list) else []
    try:
        slices = msgspec.json.decode(body, type=_Slices)
        raws = [bytes(raw) for raw in slices.data]
        object_raws = [bytes(raw) for raw in msgspec.json.decode(slices.included, type=_RAWS)] if objects else []
    except (msgspec.MsgspecError, RecursionError):
        raise UnreadableReply(f"HTTP {status}, but no well-formed JSON", code=status) from None
    if not plain and strict_json.flaw([rows, objects], integer_bits=_DOUBLE_BITS) is not None:
        rows, objects = _usable(rows), _usable(objects)
    linked = read_linked(objects, object_raws)
    read = [read_row(row, raw, linked) for row, raw in zip(rows, raws, strict=True)]
    unreadable = tuple(evidence(raw, hide) for record, raw in zip(read, raws, strict=True) if record is None)
    return tuple(record for record in read if record is not None), unreadable


def _usable(things: list[Any]) -> list[Any]:
    """None in the place of each that something in it makes unusable."""
    return [None if strict_json.flaw(thing, integer_bits=_DOUBLE_BITS) is not None else thing for thing in things]


def _has_next(links: Mapping[str, Any], meta: Mapping[str, Any], *, any_rows: bool) -> bool:
    if "next" in links:
        return links["next"] is not None
    page, last = _count(meta.get("current_page")), _count(meta.get("last_page"))
    return any_rows if page is None or last is None else page < last


def _complains(envelope: Mapping[str, Any]) -> bool:
    """Whether a reply names an error, whatever else it holds: a code other than 0, or anything under ``errors``."""
    code = envelope.get("code")
    return bool(envelope.get("errors")) or (code is not None and read_code(code) != 0)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    """A number of things, written as a number or as text; None for anything else."""
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _COUNT_END else None


def _read_expiry(value: Any, sent_at: datetime) -> datetime | None:
    seconds = _count(value)
    return sent_at + timedelta(seconds=seconds) if seconds and seconds <= _LONGEST_LIFE_S else None


def _whole_characters(body: bytes) -> bytes:
    """The body with U+FFFD for every escape of half a character."""
    if _HALF.search(body) is None or _HALF.search(_PAIR_ALONE.sub(b"", body)) is None:
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
