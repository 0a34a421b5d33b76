"""Whether to ask again, and when. One pure decider for every loop that asks a vendor or a download host."""

import random
from dataclasses import dataclass

from logkeep.errors import (
    FetchFailed,
    NextStep,
    RateLimited,
    RetriableVendorError,
    TokenRefused,
    UnreadableReply,
    VendorError,
)

_EXPONENT_MAX = 32


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be. ``attempts`` counts the first one; the waits double from ``first_s`` up to ``cap_s``.

    A rate limit that names no time counts from ``rate_limited_s`` on. What a vendor asks for by ``Retry-After`` is
    honoured up to ``retry_after_cap_s``.
    """

    attempts: int = 4
    first_s: float = 1.0
    cap_s: float = 30.0
    rate_limited_s: float = 5.0
    retry_after_cap_s: float = 300.0


def next_delay(error: VendorError, attempt: int, rng: random.Random, policy: RetryPolicy) -> float | None:
    """How many seconds to wait before the next attempt, None to give up.

    ``attempt`` counts those made, from 1. The waits have full jitter, so that many clients spread; a rate limit waits
    at least half its time, and a vendor's own wish is never undercut. A refused token is not waited for: another
    token is fetched, or the error stands. An unreadable reply is asked again, since most are a gateway's mishap.
    """
    if attempt >= policy.attempts or not _may_pass(error):
        return None
    doubled = 2.0 ** min(attempt - 1, _EXPONENT_MAX)
    wish_s: float | None = getattr(error, "retry_after_s", None)
    if wish_s is not None:
        return min(max(wish_s, 0.0), policy.retry_after_cap_s) + rng.uniform(0, policy.first_s)
    if isinstance(error, RateLimited):
        wait_s = min(policy.rate_limited_s * doubled, policy.retry_after_cap_s)
        return wait_s / 2 + rng.uniform(0, wait_s / 2)
    return rng.uniform(0, min(policy.first_s * doubled, policy.cap_s))


def _may_pass(error: VendorError) -> bool:
    if isinstance(error, FetchFailed):
        return error.step is NextStep.RETRY
    return isinstance(error, RetriableVendorError | UnreadableReply) and not isinstance(error, TokenRefused)
