"""What a download host's answer means, read from its status, its headers and the first bytes of its body.

Pure: nothing here holds a socket. A success by its status proves nothing yet; what a refusal says is reduced to facts
that are safe in a log (a status, a vendor's code), because bodies and addresses may quote the signed query.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from logkeep.errors import FetchFailed, NextStep
from logkeep.files.inspect import Inspection, body_kind
from logkeep.vendors import strict_json

REDIRECTS = frozenset({301, 302, 303, 307, 308})
SOFT_REDIRECT = 210
PAGES = frozenset({"html", "xml", "json"})

_EGRESS_CODE = "1010"
_SPENT = frozenset({401, 403, 404, 410})
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_DATE = re.compile(r"[A-Za-z0-9 ,:+-]{10,40}", re.ASCII)
_BODY_CODE = re.compile(rb'(?:<Code>|"code"\s*:\s*"?)\s*(-?[A-Za-z0-9._]{1,40})(?![A-Za-z0-9._])')


@dataclass(frozen=True, slots=True)
class Partial:
    """Bytes of one object that are staged already, and what names the object they are of.

    ``validator`` is a strong ETag (with its quotes), a Last-Modified date, or "" where neither was offered.
    """

    temp_name: str
    size_bytes: int
    validator: str
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What the headers of a 200 or 206 promise: bytes from ``start`` on, of an object of ``total_bytes``.

    ``page_type`` tells a body that calls itself a compressed page, where gzip's magic is no sign of a log.
    """

    start: int
    total_bytes: int | None
    validator: str
    ranges: bool
    page_type: bool = False


def range_headers(resume: Partial | None) -> dict[str, str]:
    """The request headers that ask for the rest of ``resume``, and for all of it should the object have changed."""
    if resume is None:
        return {}
    headers = {"Range": f"bytes={resume.size_bytes}-"}
    if resume.validator:
        headers["If-Range"] = resume.validator
    return headers


def read_offer(status: int, headers: Mapping[str, str], resume: Partial | None) -> Offer | None:
    """Read a 200, 206 or 416; None when it does not continue ``resume`` and must be asked for from the start.

    A 200 to a range request is an offer from the start: the host ignores ranges, or the object has changed.
    """
    if status == 200:  # noqa: PLR2004 - an HTTP status is its own name
        return _offer(0, _number(headers.get("Content-Length", "")), headers)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    start, end, total = int(match[1]), int(match[2]), _number(match[3])
    length = _number(headers.get("Content-Length", ""))
    if not start <= end or (total is not None and end >= total) or length not in (None, end - start + 1):
        return None
    if start != (resume.size_bytes if resume else 0) or (resume and not _same_object(resume, total, headers)):
        return None
    if total is None and resume:
        total = resume.total_bytes
    return _offer(start, total, headers)


def _offer(start: int, total: int | None, headers: Mapping[str, str]) -> Offer:
    encoded = "gzip" in headers.get("Content-Encoding", "").lower()
    page = re.search(r"html|xml|json", headers.get("Content-Type", "").lower()) is not None
    return Offer(
        start=start,
        total_bytes=total,
        validator=_validator(headers),
        ranges=headers.get("Accept-Ranges", "").strip().lower() != "none",
        page_type=encoded and page,
    )


def _same_object(resume: Partial, total: int | None, headers: Mapping[str, str]) -> bool:
    if total is not None and resume.total_bytes is not None and total != resume.total_bytes:
        return False
    name = "ETag" if resume.validator.startswith('"') else "Last-Modified"
    now = headers.get(name, "").strip().removeprefix("W/")
    return not (now and resume.validator) or now == resume.validator


def _validator(headers: Mapping[str, str]) -> str:
    """What If-Range may carry: a weak ETag is not allowed there, and nothing but plain characters is sent back."""
    etag, date = headers.get("ETag", "").strip(), headers.get("Last-Modified", "").strip()
    if _STRONG_ETAG.fullmatch(etag):
        return etag
    return date if _DATE.fullmatch(date) else ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def sendable(address: str) -> str:
    """The same address with what HTTP cannot carry raw (other scripts) percent-encoded, all else as it was."""
    try:
        return address if address.isascii() else quote(address, safe=_VISIBLE, errors="surrogateescape")
    except UnicodeEncodeError:
        return address  # half a character: whoever checks the address refuses it


def join(base: str, location: str) -> str:
    """Where a redirect leads, none of its characters re-encoded."""
    scheme, host = urlsplit(base)[:2]
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    if location.startswith("//"):
        return f"{scheme}:{location}"
    if location.startswith("/"):
        return f"{scheme}://{host}{location}"
    return urljoin(base, location)


def soft_redirect(body: bytes) -> str | None:
    """The next address in an HTTP 210's ``{"code": 0, "data": {"redirect_url": …}}``; None when it names none."""
    try:
        reply: Any = strict_json.load(body)
    except strict_json.JsonRefused:
        return None
    data = reply.get("data") if isinstance(reply, dict) and reply.get("code") == 0 else None
    target = data.get("redirect_url") if isinstance(data, dict) else None
    return target if isinstance(target, str) and target else None


def refusal(status: int, body: bytes, where: str, wait_s: float | None) -> FetchFailed:
    """What a status other than 200 and 206 calls for; ``where`` is the address without its query."""
    code = body_code(body)
    facts = f"HTTP {status}{f', code {code}' if code else ''} from {where}"
    if code == _EGRESS_CODE:
        return _egress(facts, status)
    if status == 429:  # noqa: PLR2004
        return FetchFailed("rate_limited", facts, step=NextStep.RETRY, code=status, retry_after_s=wait_s)
    if status >= 500:  # noqa: PLR2004
        return FetchFailed("server_error", facts, step=NextStep.RETRY, code=status, retry_after_s=wait_s)
    if status in _SPENT or body_kind(body) in PAGES:
        return FetchFailed("url_refused", facts, step=NextStep.RELIST, code=status)
    return FetchFailed("http_status", facts, step=NextStep.RETRY, code=status, retry_after_s=wait_s)


def page_in_place_of_file(head: bytes, where: str) -> FetchFailed | None:
    """The failure that a success's body is, when its first bytes are a gateway's page and not a file's."""
    kind = body_kind(head)
    if kind not in PAGES:
        return None
    code = body_code(head)
    facts = f"a success that holds {kind}{f', code {code}' if code else ''} from {where}"
    return _egress(facts, None) if code == _EGRESS_CODE else FetchFailed("error_page", facts, step=NextStep.RELIST)


def compressed_page(offer: Offer, found: Inspection, where: str) -> FetchFailed | None:
    """Likewise for a page that the gateway compressed although it was asked not to."""
    return page_in_place_of_file(found.inflated_head, where) if offer.page_type else None


def body_code(body: bytes) -> str:
    """The code in an XML ``<Code>`` or a JSON ``"code"``, reduced to a word; "" when there is none."""
    match = _BODY_CODE.search(body)
    return match[1].decode("ascii") if match else ""


def _egress(facts: str, status: int | None) -> FetchFailed:
    """123pan's CDN refuses when the URL was asked for from another city than it is used from."""
    message = f"{facts}: asker and downloader seem to be in different cities; use one egress"
    return FetchFailed("egress_mismatch", message, step=NextStep.RELIST, code=status)
