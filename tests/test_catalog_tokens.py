"""Tokens as the catalog keeps them: two processes on one file, against the contract's own model."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.catalog import Catalog
from logkeep.catalog.tokens import Tokens
from logkeep.model import TokenRecord
from vendor_world import MemoryTokens

NUMBERS = count()
NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
moments = st.integers(0, 5).map(lambda minutes: NOW + timedelta(minutes=minutes))


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Tokens, Tokens]]:
    """One catalog, opened twice as two processes would."""
    first, second = Catalog(tmp_path / "catalog.sqlite3"), Catalog(tmp_path / "catalog.sqlite3")
    await first.open()
    await second.open_beside()
    yield first.tokens, second.tokens
    await second.close()
    await first.close()


async def test_of_many_who_saw_the_same_one_claims_the_attempt(both: tuple[Tokens, Tokens]) -> None:
    """Round after round: whoever is too late is told to look again, and finds the winner's attempt."""
    seen: datetime | None = None
    for minute in range(6):
        now = NOW + timedelta(minutes=minute)
        claims = [both[i % 2].claim_attempt("c", now=now + timedelta(microseconds=i), seen=seen) for i in range(8)]
        won = await asyncio.gather(*claims)
        assert won.count(True) == 1
        record = await both[0].load("c")
        assert record is not None
        assert record.last_attempt_at == now + timedelta(microseconds=won.index(True))
        assert await both[1].load("c") == record
        seen = record.last_attempt_at


@dataclass(frozen=True)
class Call:
    """One call on a store of tokens, made by one of two processes."""

    process: int
    method: str
    given: dict[str, Any]


def calls() -> st.SearchStrategy[Call]:
    reasons = st.sampled_from(["", "code 401: 令牌"])
    claim = st.fixed_dictionaries({"now": moments, "seen": st.none() | moments})
    save = st.fixed_dictionaries({"token": st.sampled_from(["t1", "t2"]), "expires_at": moments, "issued_at": moments})
    refuse = st.fixed_dictionaries(
        {
            "token": st.sampled_from([None, "t1", "t2"]),
            "now": moments,
            "paused_until": st.none() | moments,
            "reason": reasons,
            "refusals": st.integers(0, 3),
        }
    )
    kinds = {"claim_attempt": claim, "save": save, "refuse": refuse}
    return st.one_of(*(st.builds(Call, st.integers(0, 1), st.just(name), how) for name, how in kinds.items()))


@given(st.lists(calls(), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_calls_from_two_processes_leave_what_the_contract_says(
    both: tuple[Tokens, Tokens], made: list[Call]
) -> None:
    """``save`` follows a claim, which makes the record; whatever the model says then, both processes read."""
    model, credential = MemoryTokens(), f"c{next(NUMBERS)}"
    for call in made:
        if call.method != "claim_attempt" and await model.load(credential) is None:
            continue
        answers = [await getattr(store, call.method)(credential, **call.given) for store in (model, both[call.process])]
        assert answers[0] == answers[1]
        assert await both[1 - call.process].load(credential) == await model.load(credential)


async def test_a_refusal_before_anything_is_known_is_recorded(both: tuple[Tokens, Tokens]) -> None:
    until = NOW + timedelta(minutes=30)
    await both[0].refuse("c", token=None, now=NOW, paused_until=until, reason="code 1: no", refusals=1)
    expected = TokenRecord(last_attempt_at=NOW, refusals=1, paused_until=until, pause_reason="code 1: no")
    assert await both[1].load("c") == expected
    await both[1].refuse("c", token="t9", now=NOW, paused_until=None, reason="", refusals=0)
    assert await both[0].load("c") == expected, "another token's refusal changes nothing"


async def test_a_moment_comes_back_to_the_microsecond_and_in_utc(both: tuple[Tokens, Tokens]) -> None:
    odd = datetime(2026, 3, 10, 4, 5, 6, 123_457, tzinfo=UTC)
    await both[0].claim_attempt("c", now=odd, seen=None)
    record = await both[1].load("c")
    assert record == replace(TokenRecord(), last_attempt_at=odd)
    assert record is not None
    assert record.last_attempt_at is not None
    assert record.last_attempt_at.utcoffset() == timedelta(0)
    assert not await both[1].claim_attempt("c", now=NOW, seen=odd.replace(microsecond=123_456))
    assert await both[1].claim_attempt("c", now=NOW, seen=odd)
