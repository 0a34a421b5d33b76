"""What 123pan's refusals mean: one mapping from (HTTP status, envelope code, message) to the error tree. Pure.

The vendor mostly refuses with HTTP 200 and a code in the envelope, its gateway with a status and a web page; both end
in the same classes. The first of these that knows an answer decides: the envelope's code, the message, the status.
Code 401 beats any message: where it really means missing rights, a few fresh tokens are refused too and the account
pauses with the vendor's words; the other way round a token that merely expired would stop the account for good.

Codes that nobody has documented, and code 1 ("generic, told apart by message"):

- A message that speaks of busyness is transient, one that speaks of times, spans or parameters refuses the span.
- Code 1 with any other message is transient (``Unreachable``): it is the vendor's word for an inner error, and asking
  24 single hours because a server hiccupped would cost 47 requests.
- Any other unknown code on a listing refuses the span. If the span is the cause, only halving it ever makes progress;
  if it is not, halving ends at single hours that are *failed* with the vendor's words. Both lose nothing and are loud;
  taking it for transient would ask the same impossible span until the vendor has deleted the files.
- Any unknown code of the token endpoint is transient: only a plain statement about the credentials pauses an account.
"""

import re

from logkeep.errors import SpanRefused, TokenRefused, VendorError
from logkeep.vendors.refusal import Refusal, credentials_refused, not_entitled, rate_limited, unreachable

_GENERIC = 1
_NOT_ENTITLED = frozenset({403, 5113})  # no right to it; the traffic quota is used up
_PASSING = frozenset({404, 405, 408, 5066, 20103, *range(500, 600)})  # 5066 file gone, 20103 still being checked

_TOO_MANY_TOKENS = re.compile(r"tokens? number has exceeded", re.IGNORECASE)
_TOKEN = re.compile(r"token.{0,20}(invalid|expire|revoke|无效|过期|失效|不正确)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"client_?(id|secret)|secret|credential|密钥|凭证", re.IGNORECASE)
_RIGHTS = re.compile(r"无效的登录信息|开发者|权益|未开通|流量|developer|not entitled|quota", re.IGNORECASE)
_TOO_OFTEN = re.compile(r"频繁|限流|too (many requests|frequent)|rate.?limit", re.IGNORECASE)
_SPAN = re.compile(
    r"时间范围|时间跨度|时间段|跨度|区间|范围|(start|end)_?hour|(start|end)[ _]?time|time ?range"
    r"|\b(range|span|interval)\b",
    re.IGNORECASE,
)
_BUSY = re.compile(r"繁忙|稍后|重试|超时|内部|busy|later|time[d-]? ?out|internal", re.IGNORECASE)
_PERHAPS_SPAN = re.compile(r"时间|参数|小时|\d+\s*(天|日|days?\b|hours?\b)|\bparam(eter)?s?\b", re.IGNORECASE)


def listing_error(refusal: Refusal) -> VendorError:
    """What a refused listing means."""
    for error in (_by_code(refusal, refusal.code), _by_listing_message(refusal), _by_code(refusal, refusal.status)):
        if error is not None:
            return error
    if refusal.code in (None, 0, _GENERIC):
        return unreachable(refusal)
    return SpanRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)


def token_error(refusal: Refusal) -> VendorError:
    """What a refused request for a token means; never ``TokenRefused``, since no token was shown."""
    if _TOO_MANY_TOKENS.search(refusal.message):
        return rate_limited(refusal)
    by_code = _by_code(refusal, refusal.code)
    if isinstance(by_code, TokenRefused) or (by_code is None and _CREDENTIALS.search(refusal.message)):
        return credentials_refused(refusal)
    error = by_code or _by_message(refusal) or _by_code(refusal, refusal.status)
    if isinstance(error, TokenRefused):
        return credentials_refused(refusal)
    return error or unreachable(refusal)


def _by_code(refusal: Refusal, code: int | None) -> VendorError | None:
    if code == 401:  # noqa: PLR2004 - the vendor's own number, here and below
        evicted = _TOO_MANY_TOKENS.search(refusal.message) is not None
        return TokenRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id, evicted=evicted)
    if code == 429:  # noqa: PLR2004
        return rate_limited(refusal)
    if code in _NOT_ENTITLED:
        return not_entitled(refusal)
    return unreachable(refusal) if code in _PASSING else None


def _by_message(refusal: Refusal) -> VendorError | None:
    if _RIGHTS.search(refusal.message):
        return not_entitled(refusal)
    return rate_limited(refusal) if _TOO_OFTEN.search(refusal.message) else None


def _by_listing_message(refusal: Refusal) -> VendorError | None:
    """Plain words for the span come before busyness: "narrow the time range and retry" is no passing trouble."""
    message = refusal.message
    if _TOO_MANY_TOKENS.search(message) or _TOKEN.search(message):
        return _by_code(refusal, 401)
    if (error := _by_message(refusal)) is not None:
        return error
    if _BUSY.search(message) and not _SPAN.search(message):
        return unreachable(refusal)
    if _SPAN.search(message) or _PERHAPS_SPAN.search(message):
        return SpanRefused(refusal.facts, code=refusal.number, trace_id=refusal.trace_id)
    return None
