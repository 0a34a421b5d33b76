"""What Lexiang's refusals mean: one mapping from (HTTP status, envelope code, message) to the error tree. Pure.

Errors come as a list, an object or a map of parameters under ``errors``, as ``{code, message, request_id}``, as plain
text ("Too Many Attempts.") and as a gateway's page. Codes 401, 403 and 429 count wherever they stand; for the rest the
HTTP status decides, and the code where the status says success.

- 401 on a business call is the token's fault, on the token call the credentials'.
- 403 is a right that is not ticked or a plan without it ("版本需升级后启用"): a matter of configuration.
- 400 and 422 that name ``per_page`` or ``page`` refuse this page; on the token call those that name ``app_key`` or
  ``app_secret`` refuse the credentials.
- Everything else may pass: only a plain statement about credentials pauses an account.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from logkeep.errors import PageRefused, TokenRefused, VendorError
from logkeep.vendors.refusal import (
    Refusal,
    credentials_refused,
    is_good,
    not_entitled,
    rate_limited,
    refusal_without_json,
    unreachable,
)
from logkeep.vendors.strict_json import JsonRefused
from logkeep.vendors.wire import clean_text, clean_trace, read_code

_UNAUTHORISED, _FORBIDDEN, _TOO_MANY = 401, 403, 429
_ANYWHERE = frozenset({_UNAUTHORISED, _FORBIDDEN, _TOO_MANY})
_BAD_REQUEST = frozenset({400, 422})

_TOO_OFTEN = re.compile(r"too many (attempts|requests)|rate.?limit|频繁|限流", re.IGNORECASE)
_PAGE = re.compile(r"\bper[ _-]?page\b|\bpage\b|每页|页码|页数|分页", re.IGNORECASE)
_CREDENTIALS = re.compile(r"app_?-?(key|secret)|credential|凭证|密钥", re.IGNORECASE)
_PLAIN_TEXT_MAX_BYTES = 400
_PARTS_MAX = 5
_MEMBERS = frozenset({"id", "status", "code", "title", "detail", "message", "source", "links", "meta"})
"""What an error object has; any other key under ``errors`` names a parameter."""


def read_refusal(status: int, headers: Mapping[str, str], value: Any, hide: Sequence[str]) -> Refusal:
    """Describe a reply whose body is JSON, whatever it is."""
    envelope = value if isinstance(value, dict) else {}
    parts = list(islice(_parts(envelope.get("errors")), _PARTS_MAX))
    words = [*_texts(envelope), *(word for _, _, word in parts)]
    code = read_code(envelope.get("code"))
    if code in (None, 0):
        code = next((number for number, _, _ in parts if number), code)
    message = clean_text("; ".join(dict.fromkeys(words)), hide=hide)
    named = frozenset(name for _, name, _ in parts if name)
    return Refusal(status, headers, code, message, clean_trace(envelope.get("request_id"), hide), named)


def read_text_refusal(
    status: int, headers: Mapping[str, str], body: bytes, problem: JsonRefused, hide: Sequence[str]
) -> Refusal:
    """Describe a reply whose body is no usable JSON; one that speaks of too many attempts counts as 429.

    Raises:
        UnreadableReply, Unreachable: a success by its status.
    """
    text = body[:_PLAIN_TEXT_MAX_BYTES].decode(errors="replace").strip()
    if not text.startswith("<") and _TOO_OFTEN.search(text):
        return Refusal(status, headers, _TOO_MANY, clean_text(text, hide=hide))
    return refusal_without_json(status, headers, problem, hide=hide)


def page_error(refusal: Refusal) -> VendorError:
    """What a refused page means."""
    code = _deciding(refusal)
    if code == _UNAUTHORISED:
        return TokenRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)
    if code in _BAD_REQUEST and any(_PAGE.search(text) for text in (*refusal.named, refusal.message)):
        return PageRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)
    return _error(refusal, code)


def token_error(refusal: Refusal) -> VendorError:
    """What a refused request for a token means; never ``TokenRefused``, since no token was shown."""
    code = _deciding(refusal)
    if code == _UNAUTHORISED:
        return credentials_refused(refusal)
    if code in _BAD_REQUEST and any(_CREDENTIALS.search(text) for text in (*refusal.named, refusal.message)):
        return credentials_refused(refusal)
    return _error(refusal, code)


def _error(refusal: Refusal, code: int) -> VendorError:
    if code == _FORBIDDEN:
        return not_entitled(refusal)
    if code == _TOO_MANY or _TOO_OFTEN.search(refusal.message):
        return rate_limited(refusal)
    return unreachable(refusal)


def _deciding(refusal: Refusal) -> int:
    if refusal.code in _ANYWHERE:
        return refusal.number
    return refusal.number if is_good(refusal.status) else refusal.status


def _parts(errors: Any) -> Iterator[tuple[int | None, str, str]]:
    """Every single error as (code, parameter it names, words)."""
    if isinstance(errors, list):
        for error in errors[:_PARTS_MAX]:
            yield from _parts(error)
    elif isinstance(errors, str):
        yield None, "", errors
    elif isinstance(errors, dict):
        if words := list(_texts(errors)):
            yield read_code(errors.get("status")) or read_code(errors.get("code")), _source(errors), " ".join(words)
        for name, said in errors.items():
            if name not in _MEMBERS:
                yield None, name, f"{name}: {_first_text(said)}"


def _texts(error: Mapping[str, Any]) -> Iterator[str]:
    return (_first_text(error[name]) for name in ("title", "message", "detail") if error.get(name))


def _first_text(said: Any) -> str:
    first = said[0] if isinstance(said, list) and said else said
    return first if isinstance(first, str) else ""


def _source(error: Mapping[str, Any]) -> str:
    source = error.get("source")
    named = source.get("parameter", source.get("pointer")) if isinstance(source, dict) else None
    return named if isinstance(named, str) else ""
