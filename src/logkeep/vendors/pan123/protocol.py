"""123pan's API without a socket: builds its requests, reads its replies. Pure.

"errors normally come with HTTP 200 and a body code", and ``total`` is 0 beside five rows in the vendor's own sample:
a success is an object with code 0 *and* the documented shape, and ``total`` is never read. A reply that is not exactly
that is an error, never "no files".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from logkeep.errors import UnreadableReply
from logkeep.model import CHINA, ListedFile
from logkeep.vendors import strict_json
from logkeep.vendors.pan123.refusals import listing_error, token_error
from logkeep.vendors.pan123.rows import Row, UnreadableRow, read_row
from logkeep.vendors.refusal import Refusal, is_good, refusal_without_json
from logkeep.vendors.wire import ApiRequest, IssuedToken, clean_text, clean_trace, fits_header, read_code

__all__ = ["Carrier", "Page", "Row", "UnreadableRow", "list_request", "read_page", "read_token", "token_request"]

Carrier = Literal["query", "body", "both"]
"""Where a listing's parameters travel; the vendor's table says query, its samples send a body on GET."""

TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 - a path
LOGS_PATH = "/api/v1/direct-link/offline/logs"

_PLATFORM = {"Platform": "open_platform"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing. ``raw_count`` counts the members of ``list``, readable or not.

    ``vendor_date`` is the reply's ``Date``, ``skew_s`` how far the vendor's clock is ahead of ours, ``calls`` how many
    listing requests it took; the client fills them in.
    """

    rows: tuple[Row, ...]
    trace_id: str
    raw_count: int
    vendor_date: datetime | None = None
    skew_s: float | None = None
    calls: int = 1

    @property
    def files(self) -> tuple[ListedFile, ...]:
        """The rows with a usable id, in the vendor's order."""
        return tuple(row for row in self.rows if isinstance(row, ListedFile))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The others, as compact JSON."""
        return tuple(row.raw for row in self.rows if isinstance(row, UnreadableRow))


def token_request(base_url: str, client_id: str, client_secret: str) -> ApiRequest:
    """Ask for a new access token."""
    body = {"clientID": client_id, "clientSecret": client_secret}
    return ApiRequest("token", "POST", base_url.rstrip("/") + TOKEN_PATH, dict(_PLATFORM), body)


def list_request(
    base_url: str, token: str, *, start_hour: str, end_hour: str, page_num: int, page_size: int, carrier: Carrier
) -> ApiRequest:
    """Ask for one page of the hours ``start_hour`` to ``end_hour`` (``YYYYMMDDHH``); pages count from 1."""
    params = {"startHour": start_hour, "endHour": end_hour, "pageNum": page_num, "pageSize": page_size}
    url = base_url.rstrip("/") + LOGS_PATH
    if carrier != "body":
        url += "?" + "&".join(f"{name}={value}" for name, value in params.items())
    headers = {"Authorization": f"Bearer {token}", **_PLATFORM}
    return ApiRequest("list", "GET", url, headers, None if carrier == "query" else params)


def read_page(status: int, headers: Mapping[str, str], body: bytes, *, hide: Sequence[str] = ()) -> Page:
    """Read a page; ``"list": null`` is an empty one. ``hide`` holds the secrets that no message may repeat.

    Raises:
        VendorError: the reply refuses, or is not the API's (see ``refusals``).
        UnreadableReply: a success by its code that has no list.
    """
    envelope = _read_envelope(status, headers, body, hide)
    if isinstance(envelope, Refusal):
        raise listing_error(envelope)
    rows = envelope.member("list")
    if rows is None:
        rows = []
    if not isinstance(rows, list):
        raise envelope.unreadable("'list' is no list")
    return Page(tuple(map(read_row, rows)), envelope.trace_id, len(rows))


def read_token(status: int, headers: Mapping[str, str], body: bytes, *, hide: Sequence[str] = ()) -> IssuedToken:
    """Read a new token. An expiry that cannot be read is None; without an offset it is taken for +08:00.

    Raises:
        VendorError: the reply refuses, or is not the API's (see ``refusals``).
        UnreadableReply: a success by its code without a token that fits into a header.
    """
    envelope = _read_envelope(status, headers, body, hide)
    if isinstance(envelope, Refusal):
        raise token_error(envelope)
    token = envelope.member("accessToken")
    if not isinstance(token, str) or not fits_header(token):
        raise envelope.unreadable("'accessToken' is no token")
    return IssuedToken(token, _read_expiry(envelope.data.get("expiredAt")))


@dataclass(frozen=True, slots=True)
class _Success:
    """A reply with code 0 and an object under ``data``."""

    data: dict[str, Any]
    trace_id: str

    def member(self, name: str) -> Any:
        if name not in self.data:
            raise self.unreadable(f"'{name}' is missing")
        return self.data[name]

    def unreadable(self, what: str) -> UnreadableReply:
        return UnreadableReply(f"code 0, but {what}", code=0, trace_id=self.trace_id)


def _read_envelope(status: int, headers: Mapping[str, str], body: bytes, hide: Sequence[str]) -> _Success | Refusal:
    try:
        value = strict_json.load(body)
    except strict_json.JsonRefused as exc:
        return refusal_without_json(status, headers, exc, hide=hide)
    envelope = value if isinstance(value, dict) else {}
    code = read_code(envelope.get("code"))
    trace_id = clean_trace(envelope.get("x-traceID"), hide)
    if not is_good(status) or code not in (None, 0):
        return Refusal(status, headers, code, clean_text(envelope.get("message"), hide=hide), trace_id)
    if code is None:
        raise UnreadableReply(f"HTTP {status}, but no object with a numeric 'code'", code=status, trace_id=trace_id)
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise UnreadableReply("code 0, but 'data' is no object", code=0, trace_id=trace_id)
    return _Success(data, trace_id)


def _read_expiry(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment.replace(tzinfo=CHINA) if moment.tzinfo is None else moment).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        return None
