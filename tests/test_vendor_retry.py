from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.errors import (
    AccountPaused,
    CredentialsRefused,
    FetchFailed,
    NextStep,
    NotEntitled,
    RateLimited,
    SpanRefused,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.vendors.retry import RetryPolicy, next_delay

POLICY = RetryPolicy(attempts=5, first_s=1.0, cap_s=6.0, rate_limited_s=10.0, retry_after_cap_s=120.0)
FINAL: list[VendorError] = [
    TokenRefused("x"),
    CredentialsRefused("x"),
    NotEntitled("x"),
    AccountPaused("x"),
    SpanRefused("x"),
    *(FetchFailed("r", "x", step=step) for step in NextStep if step is not NextStep.RETRY),
]
PASSING: list[VendorError] = [
    Unreachable("x"),
    RateLimited("x"),
    UnreadableReply("x"),
    FetchFailed("r", "x", step=NextStep.RETRY),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_cannot_pass_is_not_asked_again(error: VendorError) -> None:
    assert next_delay(error, 1, Random(1), POLICY) is None


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_the_budget_ends(error: VendorError) -> None:
    delays = [next_delay(error, attempt, Random(1), POLICY) for attempt in range(1, 7)]
    assert [delay is None for delay in delays] == [False] * 4 + [True] * 2


@given(st.integers(1, 10_000), st.integers())
def test_waits_double_up_to_the_cap_with_full_jitter(attempt: int, seed: int) -> None:
    patient = RetryPolicy(attempts=10**6, first_s=1.0, cap_s=6.0)
    delay = next_delay(Unreachable("x"), attempt, Random(seed), patient)
    assert delay is not None
    assert 0 <= delay <= min(2.0 ** min(attempt - 1, 10), 6.0)


def test_jitter_spreads_over_the_whole_wait() -> None:
    rng = Random(7)
    delays = [next_delay(Unreachable("x"), 3, rng, POLICY) or 0.0 for _ in range(300)]
    assert min(delays) < 0.2
    assert max(delays) > 3.8


@given(st.floats(min_value=-10, max_value=10**9), st.integers(1, 4), st.integers())
def test_the_vendor_s_wish_is_never_undercut_and_never_endless(wish_s: float, attempt: int, seed: int) -> None:
    for error in (RateLimited("x", retry_after_s=wish_s), Unreachable("x", retry_after_s=wish_s)):
        delay = next_delay(error, attempt, Random(seed), POLICY)
        assert delay is not None
        assert min(max(wish_s, 0), 120.0) <= delay <= 121.0


@given(st.integers(1, 4), st.integers())
def test_a_rate_limit_without_a_wish_waits_at_least_half_its_time(attempt: int, seed: int) -> None:
    delay = next_delay(RateLimited("x"), attempt, Random(seed), POLICY)
    assert delay is not None
    full = min(10.0 * 2 ** (attempt - 1), 120.0)
    assert full / 2 <= delay <= full
