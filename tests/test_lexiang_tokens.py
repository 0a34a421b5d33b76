"""Lexiang's tokens: kept, renewed, shared, and never more than 20 token calls in any ten minutes."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from logkeep.catalog import Catalog
from logkeep.errors import LogkeepError, RateLimited, VendorError
from logkeep.simulator import LexiangCloud
from logkeep.simulator.faults import Fault
from logkeep.vendors.lexiang.client import TOKEN_POLICY, LexiangClient
from logkeep.vendors.token_rules import TokenPolicy, cool_down
from vendor_world import CLIENT_ID, NOW, SECRET, LexiangDesk, MemoryTokens, lexiang_client, lexiang_desk

from manual_clock import ManualClock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WINDOW, ALLOWED = 10 * MINUTE, 20
NUMBERS = count()


def most_in_a_window(asked_at: Sequence[datetime]) -> int:
    """The largest number of calls in any ten minutes, both ends included."""
    return max((sum(start <= at <= start + WINDOW for at in asked_at) for start in asked_at), default=0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


# --- the life of a token


async def test_a_token_is_renewed_five_minutes_before_it_expires_and_by_nobody_sooner(clock: ManualClock) -> None:
    store = MemoryTokens()
    async with lexiang_desk(clock=clock) as api:
        for minutes, asked in ((0, 1), (60, 1), (114, 1), (115, 2), (229, 2), (230, 3)):
            clock.advance(NOW + minutes * MINUTE - clock.now())
            async with lexiang_client(api.base_url, clock, store) as vendor:
                await vendor.read_page(1, 100)
            assert api.tokens_asked == asked, minutes


async def test_a_token_that_lives_for_days_is_renewed_five_minutes_early_too(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        api.issuing = lambda _request: web.json_response({"access_token": "long-lived", "expires_in": 30 * 86_400})
        api.live.add("long-lived")
        await vendor.read_page(1, 100)
        clock.advance(timedelta(days=30) - 6 * MINUTE)
        await vendor.read_page(1, 100)
        assert api.tokens_asked == 1
        clock.advance(MINUTE)
        await vendor.read_page(1, 100)
        assert api.tokens_asked == 2


async def test_the_old_token_goes_on_being_used_while_its_renewal_fails(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        await vendor.read_page(1, 100)
        clock.advance(116 * MINUTE)
        api.issuing = lambda _request: web.Response(status=502)
        for _ in range(3):
            await vendor.read_page(1, 100)
        assert (api.tokens_asked, len(api.live)) == (2, 1)


async def test_an_expiry_that_cannot_be_read_counts_as_two_hours(clock: ManualClock) -> None:
    store = MemoryTokens()
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock, store) as vendor:
        api.issuing = lambda _request: web.json_response({"access_token": "tok", "expires_in": "soon"})
        await vendor.ensure_token()
    assert store.only.expires_at == NOW + timedelta(hours=2)


async def test_many_tasks_and_clients_of_one_store_use_one_token(clock: ManualClock) -> None:
    store = MemoryTokens()
    async with lexiang_desk(clock=clock) as api:
        for _ in range(3):
            async with lexiang_client(api.base_url, clock, store) as vendor:
                await asyncio.gather(*(vendor.read_page(number, 10) for number in range(1, 5)))
        assert (api.tokens_asked, api.listings) == (1, 12)


async def test_an_attempt_is_recorded_before_it_is_sent(clock: ManualClock) -> None:
    """Killed while the vendor thinks: the next one to come knows, and waits for the minute to pass."""
    store = MemoryTokens()
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        assert store.history == ["claim"]
        arrived.set()
        await never.wait()
        return web.Response()

    async with lexiang_desk(clock=clock) as api:
        api.issuing = hang
        async with asyncio.TaskGroup() as group, lexiang_client(api.base_url, clock, store) as vendor:
            call = group.create_task(vendor.ensure_token())
            await arrived.wait()
            call.cancel()
        never.set()
        api.issuing = lambda _request: None
        async with lexiang_client(api.base_url, clock, store) as vendor:
            await vendor.ensure_token()
        assert api.asked_at[1] - api.asked_at[0] >= MINUTE


# --- the cool-down


async def test_a_rate_limit_of_the_token_call_doubles_the_wait_up_to_ten_minutes(clock: ManualClock) -> None:
    async with lexiang_desk(clock=clock) as api, lexiang_client(api.base_url, clock) as vendor:
        api.issuing = lambda _request: web.Response(status=429, text="Too Many Attempts.")
        with capture_logs() as events:
            for _ in range(8):
                with pytest.raises(RateLimited):
                    await vendor.ensure_token()
        gaps_s = [
            (later - sooner).total_seconds() for sooner, later in zip(api.asked_at, api.asked_at[1:], strict=False)
        ]
        assert [round(gap_s) for gap_s in gaps_s] == [60, 120, 240, 480, 600, 600, 600]
        waits = [event for event in events if event["event"] == "token_wait"]
        assert {event["reason"] for event in waits} == {"the vendor limits requests for tokens"}
        api.issuing = lambda _request: None
        await vendor.ensure_token()
        api.live.clear()
        clock.advance(2 * MINUTE)
        await vendor.read_page(1, 100)
        assert api.asked_at[-1] - api.asked_at[-2] < 3 * MINUTE


@pytest.mark.parametrize(
    ("limited", "wish_s", "minutes"),
    [(1, None, 1), (1, 90.0, 1.5), (2, 5.0, 2), (5, None, 10), (99, 1e9, 10), (1, -5.0, 1)],
)
def test_how_long_a_cool_down_lasts(limited: int, wish_s: float | None, minutes: float) -> None:
    assert cool_down(limited, wish_s, TOKEN_POLICY) == minutes * MINUTE


def test_a_vendor_without_a_cool_down_of_its_own_keeps_to_the_minute() -> None:
    assert cool_down(7, 300.0, TokenPolicy()) == MINUTE


# --- twenty in ten minutes, whatever happens


class World:
    """One vendor, one catalog file, and processes that come and go without saying goodbye.

    Each process is a client with a catalog connection of its own and knows nothing but what the catalog says.
    """

    def __init__(self, api: LexiangDesk, path: Path, clock: ManualClock) -> None:
        self.api = api
        self.path = path
        self.clock = clock
        self.mood = "ok"
        self.served: Counter[str] = Counter()
        api.issuing = self._issue
        api.listing = self._list

    @asynccontextmanager
    async def process(self) -> AsyncIterator[LexiangClient]:
        catalog = Catalog(self.path)
        await catalog.open_beside()
        try:
            async with lexiang_client(self.api.base_url, self.clock, catalog.tokens) as vendor:
                yield vendor
        finally:
            await catalog.close()

    async def crash_soon(self, after: int) -> None:
        """A process that calls and is killed after some turns of the loop, wherever it is then."""
        async with self.process() as vendor:
            call = asyncio.ensure_future(vendor.read_page(1, 10))
            for _ in range(after):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait((call,))
            if not call.cancelled():
                call.exception()

    async def work(self, calls: int) -> None:
        """A process that makes some calls and ends, whatever comes of them."""
        async with self.process() as vendor:
            for _ in range(calls):
                with suppress(LogkeepError):
                    await vendor.read_page(1, 10)

    def _issue(self, _request: web.Request) -> web.Response | None:
        self.served[self.mood] += 1
        match self.mood:
            case "refused":
                return web.json_response({"errors": {"app_key": ["x"]}}, status=400)
            case "limited":
                return web.Response(status=429, text="Too Many Attempts.")
            case "down":
                return web.Response(status=502, text="<html>")
            case "garbage":
                return web.Response(text="{")
            case "short":
                body = {"token_type": "Bearer", "expires_in": 1, "access_token": f"short.{self.api.tokens_asked}"}
                self.api.live.add(str(body["access_token"]))
                return web.json_response(body)
        return None

    def _list(self, _request: web.Request) -> web.Response | None:
        storm = self.mood == "storm"
        return web.json_response({"errors": {"detail": "Unauthenticated."}}, status=401) if storm else None


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    clock = ManualClock(NOW)
    path = folder / f"catalog-{next(NUMBERS)}.sqlite3"
    catalog = Catalog(path)
    await catalog.open()
    await catalog.close()
    async with lexiang_desk(clock=clock) as api:
        yield World(api, path, clock)


MOODS = ["ok", "storm", "refused", "limited", "down", "garbage", "short"]


@pytest.mark.parametrize("mood", MOODS)
async def test_a_crash_loop_never_asks_more_often_than_allowed(tmp_path: Path, mood: str) -> None:
    """Two dozen processes, started seconds apart, half of them killed in the middle of a call."""
    async with world(tmp_path) as made:
        made.mood = mood
        chance = random.Random(7)
        for number in range(26):
            made.api.live.clear()
            await (made.crash_soon(chance.randrange(60)) if number % 2 else made.work(1))
            made.clock.advance(chance.random() * 15 * SECOND)
        assert made.api.tokens_asked >= 1
        assert most_in_a_window(made.api.asked_at) <= ALLOWED


@pytest.mark.parametrize("mood", MOODS)
async def test_many_processes_at_once_never_ask_more_often_than_allowed(tmp_path: Path, mood: str) -> None:
    async with world(tmp_path) as made:
        made.mood = mood
        for _ in range(3):
            made.api.live.clear()
            await asyncio.gather(*(made.work(1) for _ in range(5)))
        assert made.api.tokens_asked >= 1
        assert most_in_a_window(made.api.asked_at) <= ALLOWED


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mood"), st.sampled_from(MOODS)),
        st.tuples(st.just("work"), st.integers(1, 3)),
        st.tuples(st.just("together"), st.integers(2, 4)),
        st.tuples(st.just("crash"), st.integers(0, 80)),
        st.tuples(st.just("pass"), st.integers(0, 700)),
        st.tuples(st.just("revoke"), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_history_asks_more_often_than_allowed(steps: list[tuple[str, Any]], tmp_path: Path) -> None:
    """Whatever the vendor does and whoever crashes when; and at the end, all being well, a token is had."""
    asyncio.run(_live_through(steps, tmp_path))


async def _live_through(steps: list[tuple[str, Any]], folder: Path) -> None:
    async with world(folder) as made:
        for action, how in steps:
            match action:
                case "mood":
                    made.mood = how
                case "work":
                    await made.work(how)
                case "together":
                    await asyncio.gather(*(made.work(1) for _ in range(how)))
                case "crash":
                    await made.crash_soon(how)
                case "pass":
                    made.clock.advance(how * SECOND)
                case "revoke":
                    made.api.live.clear()
        assert most_in_a_window(made.api.asked_at) <= ALLOWED
        made.mood = "ok"
        made.clock.advance(30 * MINUTE)
        async with made.process() as vendor:
            await vendor.read_page(1, 10)


@pytest.mark.parametrize(
    ("policy", "limited"), [(None, False), (TokenPolicy(between_attempts=timedelta(0), pause=timedelta(0)), True)]
)
async def test_the_limit_that_the_simulated_cloud_keeps_is_met_only_by_the_impatient(
    policy: TokenPolicy | None, limited: bool
) -> None:
    """The cloud itself answers the 21st token call in ten minutes with 429; thirty processes ask it for nothing."""
    clock, store = ManualClock(NOW), MemoryTokens()
    outcomes: Counter[tuple[str, str]] = Counter()
    async with LexiangCloud(now=clock.now, token_calls=ALLOWED, token_window=WINDOW) as cloud:
        cloud.add_account(CLIENT_ID, SECRET)
        cloud.faults.add(Fault("token", "token_missing", times=None))
        for _ in range(30):
            async with lexiang_client(cloud.base_url, clock, store, token_policy=policy) as vendor:
                with pytest.raises(VendorError):
                    await vendor.ensure_token()
            outcomes += vendor.calls
    assert outcomes["token", "unreadable"] >= ALLOWED
    assert bool(outcomes["token", "rate_limited"]) is limited


async def test_what_the_catalog_keeps_names_neither_key_nor_secret(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.work(1)
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert CLIENT_ID.encode() not in content
    assert SECRET.encode() not in content
