"""What passes between a vendor and us as plain values, and how to read what all HTTP vendors share. Pure."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

MASK = "[redacted]"
MESSAGE_MAX_CHARS = 200
ID_MAX_CHARS = 256
TRACE_MAX_CHARS = 128
RETRY_AFTER_MAX_S = 86_400.0

_LOOKED_AT_CHARS = 2_000
_TOKEN_MAX_CHARS = 8_192
_EXACT_FLOAT = 2**53
_CODE_TEXT = re.compile(r"-?\d{1,9}", re.ASCII)
_CODE_END = 10**9
_MOMENTS_FROM_S = 10**9
_QUERY = re.compile(r"[?#]\S+")
_USER = re.compile(r"://[^\s/@]*@")
_NAMED = re.compile(r"(?i)(token|secret|signature|password|authorization|credential|key)([\"']?\s*[=:]\s*)\S+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+\S+")
_OPAQUE = re.compile(r"(?=[^\s\d]*\d)(?=[^\sA-Za-z]*[A-Za-z])[\w+/=.~%-]{24,}|[A-Za-z]{40,}", re.ASCII)
_RESET = re.compile(r"\d{1,12}", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request. Its ``repr`` shows neither headers nor body, which carry the token and the secret."""

    endpoint: str
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ApiReply:
    """One whole reply, whatever its status. Headers are found in any case of letters; the body never shows."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its vendor issued it; ``expires_at`` is None where the vendor's word for it cannot be read."""

    access_token: str = field(repr=False)
    expires_at: datetime | None


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value in any case of letters, "" when there is none."""
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "").strip()


def read_date(headers: Mapping[str, str]) -> datetime | None:
    """The vendor's own time from ``Date``, in UTC and to the second; None when it is missing or unreadable."""
    return _http_date(header(headers, "Date"))


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds ``Retry-After`` asks to wait, at most a day; None when it says nothing usable.

    A date is counted from the reply's own ``Date``, so that a wrong clock on this side does not matter.
    """
    text = header(headers, "Retry-After")
    if _SECONDS.fullmatch(text):
        return min(float(text), RETRY_AFTER_MAX_S)
    until, now = _http_date(text), read_date(headers)
    if until is None or now is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


def read_rate_reset(headers: Mapping[str, str]) -> float | None:
    """In how many seconds the rate limit begins anew by ``X-RateLimit-Reset``, at most a day; None when that is unsaid.

    The header holds seconds, or a moment as seconds since 1970, which counts from the reply's own ``Date``.
    """
    text = header(headers, "X-RateLimit-Reset")
    if not _RESET.fullmatch(text):
        return None
    seconds = float(text)
    if seconds >= _MOMENTS_FROM_S:
        now = read_date(headers)
        if now is None:
            return None
        seconds -= now.timestamp()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def read_id(value: Any) -> str | None:
    """An id as text: 12, 12.0 and "12" are one id. None for everything that cannot tell two things apart.

    That is: nothing, blanks, booleans, fractions, floats too large to be exact, nested values, texts longer than 256.
    """
    if not isinstance(value, str):
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        value = str(value)
    text = value.strip()
    return text if 0 < len(text) <= ID_MAX_CHARS else None


def read_code(value: Any) -> int | None:
    """A code of the vendor's, which may be written as text; None for anything else and beyond nine digits."""
    if isinstance(value, str) and _CODE_TEXT.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) < _CODE_END else None


def fits_header(token: str) -> bool:
    """Whether a token can be sent: printable ASCII without blanks, at most 8 KiB."""
    return 0 < len(token) <= _TOKEN_MAX_CHARS and token.isascii() and token.isprintable() and " " not in token


def clean_trace(value: Any, hide: Sequence[str] = ()) -> str:
    """The vendor's trace id, fit for a log; "" where there is none. Only the known secrets are masked in it."""
    if not isinstance(value, str) or any(secret in value for secret in hide if secret):
        return ""
    return "".join(char for char in value[:TRACE_MAX_CHARS] if char.isascii() and char.isprintable()).strip()


def clean_text(text: object, *, hide: Sequence[str] = (), at_most: int = MESSAGE_MAX_CHARS) -> str:
    """A vendor's text made fit for an error or a log: one line, printable, short, and without credentials.

    ``hide`` holds the secrets of the exchange, which are masked as they are, percent-encoded and as in JSON. Beyond
    them, queries of addresses, named and bearer credentials, and every long run of letters with digits are masked. ""
    for no text.
    """
    if not isinstance(text, str):
        return ""
    text = masked(text, hide)
    text = "".join(char if char.isprintable() else " " for char in text[:_LOOKED_AT_CHARS])
    text = _USER.sub(f"://{MASK}@", _QUERY.sub(f"?{MASK}", text))
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _NAMED.sub(rf"\1\2{MASK}", text)
    text = _OPAQUE.sub(MASK, text)
    text = " ".join(text.split())
    return text if len(text) <= at_most else f"{text[: at_most - 1]}…"


def masked(text: str, hide: Sequence[str]) -> str:
    """Mask every secret in one pass, the longest first, so that no mask is masked again."""
    spellings = {spelling for secret in hide if secret for spelling in _spellings(secret)}
    if not spellings:
        return text
    return re.sub("|".join(map(re.escape, sorted(spellings, key=len, reverse=True))), MASK, text)


def _spellings(secret: str) -> set[str]:
    """As it is, as addresses write it, and as JSON does, where each encoder escapes what it likes."""
    as_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {secret, quote(secret, safe=""), *as_json, *(text.replace("/", "\\/") for text in as_json)}


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if math.isfinite(moment.timestamp()) else None
