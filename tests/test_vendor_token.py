import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from logkeep.errors import AccountPaused, CredentialsRefused, RateLimited, TokenRefused, Unreachable, VendorError
from logkeep.model import AccountKey, TokenRecord
from logkeep.vendors.token import TokenKeeper
from logkeep.vendors.token_rules import Issue, Paused, TokenPolicy, Use, Wait, credential_key, decide
from logkeep.vendors.wire import IssuedToken
from vendor_world import NOW, MemoryTokens

from manual_clock import ManualClock

POLICY = TokenPolicy()
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD = TokenRecord(access_token="tok", expires_at=NOW + 30 * DAY, issued_at=NOW, last_attempt_at=NOW)
EVICTED = TokenRefused("code 401: tokens number has exceeded the limit", code=401, evicted=True)


def decision(record: TokenRecord | None, now: datetime = NOW, refused: str | None = None) -> object:
    return decide(record, now=now, refused_token=refused, policy=POLICY)


def test_without_any_record_a_token_is_asked_for() -> None:
    assert decision(None) == Issue()
    assert decision(TokenRecord()) == Issue()


def test_a_live_token_is_used_until_a_day_before_it_expires() -> None:
    assert decision(GOOD) == Use("tok")
    assert decision(GOOD, NOW + 29 * DAY - SECOND) == Use("tok")
    assert decision(GOOD, NOW + 29 * DAY) == Issue()


def test_a_token_that_lives_two_hours_is_renewed_five_minutes_early() -> None:
    short = replace(GOOD, expires_at=NOW + 2 * HOUR)
    assert decision(short, NOW + 2 * HOUR - 5 * MINUTE - SECOND) == Use("tok")
    assert decision(short, NOW + 2 * HOUR - 5 * MINUTE) == Issue()


def test_a_token_that_lives_hardly_over_a_day_is_not_renewed_at_once() -> None:
    """A day early would be a minute after its issue, again and again."""
    assert decision(replace(GOOD, expires_at=NOW + 25 * HOUR), NOW + 20 * HOUR) == Use("tok")


def test_a_token_whose_renewal_just_failed_goes_on_being_used() -> None:
    now = NOW + 29 * DAY + HOUR
    assert decision(replace(GOOD, last_attempt_at=now - 9 * MINUTE), now) == Use("tok")
    assert decision(replace(GOOD, last_attempt_at=now - 10 * MINUTE), now) == Issue()
    paused = replace(GOOD, last_attempt_at=now - HOUR, paused_until=now + MINUTE)
    assert decision(paused, now) == Use("tok")


def test_a_refused_or_expired_token_is_not_used() -> None:
    assert decision(GOOD, NOW + HOUR, refused="tok") == Issue()
    assert decision(GOOD, NOW + HOUR, refused="another") == Use("tok")
    assert decision(GOOD, NOW + 30 * DAY) == Issue()


def test_a_minute_passes_between_two_attempts() -> None:
    tried = TokenRecord(last_attempt_at=NOW)
    assert isinstance(waiting := decision(tried, NOW + 20 * SECOND), Wait)
    assert waiting.seconds == 40
    assert decision(tried, NOW + MINUTE) == Issue()


def test_a_paused_account_is_tried_once_in_half_an_hour() -> None:
    paused = TokenRecord(last_attempt_at=NOW, paused_until=NOW + 30 * MINUTE, pause_reason="refused", refusals=3)
    assert decision(paused, NOW + 29 * MINUTE) == Paused(NOW + 30 * MINUTE, "refused")
    assert decision(paused, NOW + 30 * MINUTE) == Issue()


def test_an_attempt_after_a_pause_that_nobody_heard_of_again_counts_as_one() -> None:
    """The process died between sending it and recording the outcome; the attempt itself was recorded before."""
    again = TokenRecord(last_attempt_at=NOW + 31 * MINUTE, paused_until=NOW + 30 * MINUTE, pause_reason="refused")
    assert decision(again, NOW + 33 * MINUTE) == Paused(NOW + 61 * MINUTE, "refused")
    assert decision(again, NOW + 61 * MINUTE) == Issue()


def test_a_clock_that_was_set_back_by_days_blocks_nobody() -> None:
    assert decision(TokenRecord(last_attempt_at=NOW + DAY)) == Issue()
    assert decision(TokenRecord(last_attempt_at=NOW - HOUR, paused_until=NOW + DAY)) == Issue()
    assert isinstance(decision(TokenRecord(last_attempt_at=NOW + 30 * SECOND)), Wait)


moments = st.none() | st.timedeltas(min_value=-40 * DAY, max_value=40 * DAY).map(lambda delta: NOW + delta)
records = st.builds(
    TokenRecord,
    access_token=st.none() | st.sampled_from(["tok", "old"]),
    expires_at=moments,
    issued_at=moments,
    last_attempt_at=moments,
    refusals=st.integers(0, 9),
    paused_until=moments,
)


@given(records, st.sampled_from([None, "tok", "old"]))
def test_no_record_ever_stops_an_account_for_good(record: TokenRecord, refused: str | None) -> None:
    """Waits are positive and bounded; only a live, unrefused token is used."""
    step = decision(record, NOW, refused)
    if isinstance(step, Use):
        assert step.token != refused
        assert record.expires_at is not None
        assert record.expires_at > NOW
    if isinstance(step, Wait):
        assert 0 < step.seconds <= 11 * 60
    if isinstance(step, Paused):
        assert NOW < step.until <= NOW + 40 * MINUTE


@given(records, st.sampled_from([None, "tok", "old"]))
def test_no_attempt_within_a_minute_of_another(record: TokenRecord, refused: str | None) -> None:
    if isinstance(decision(record, NOW, refused), Issue) and record.last_attempt_at is not None:
        assert not NOW - MINUTE < record.last_attempt_at <= NOW


def test_the_key_of_a_credential_does_not_show_its_id() -> None:
    key = credential_key("pan123", "https://Open-api.123pan.com/", "my-client-id", "a-secret")
    assert key == credential_key("pan123", "https://open-api.123pan.com", "my-client-id", "a-secret")
    assert "my-client-id" not in key
    assert "a-secret" not in key
    others = [
        credential_key("pan123", "https://x", "my-client-id", "a-secret"),
        credential_key("pan123", "https://open-api.123pan.com", "i", "a-secret"),
        credential_key("pan123", "https://open-api.123pan.com", "my-client-id", "mended"),
    ]
    assert len({key, *others}) == 4


class Vendor:
    """The issuing side: a list of live tokens, oldest evicted; ``fails`` is raised instead, once each."""

    def __init__(self, clock: ManualClock, *, limit: int = 3) -> None:
        self.clock = clock
        self.limit = limit
        self.live: list[str] = []
        self.asked_at: list[datetime] = []
        self.fails: list[VendorError | None] = []
        self.life = 30 * DAY
        self.slots = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def issue(self) -> IssuedToken:
        assert self.slots >= 1, "a token is asked for inside a slot"
        self.asked_at.append(self.clock.now())
        await self.gate.wait()
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        self.live = [*self.live, f"tok-{len(self.asked_at)}"]
        self.live = self.live[len(self.live) - min(self.limit, len(self.live)) :]
        return IssuedToken(f"tok-{len(self.asked_at)}", self.clock.now() + self.life)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        self.slots += 1
        try:
            yield
        finally:
            self.slots -= 1

    def keeper(self, store: MemoryTokens) -> TokenKeeper:
        return TokenKeeper(
            account=AccountKey("pan123", "main"),
            credential="c",
            store=store,
            clock=self.clock,
            issue=self.issue,
            slot=self.slot,
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def vendor(clock: ManualClock) -> Vendor:
    return Vendor(clock)


@pytest.fixture
def store() -> MemoryTokens:
    return MemoryTokens()


async def call(keeper: TokenKeeper, vendor: Vendor) -> bool:
    """One business call as the client makes it: with one refresh."""
    for _ in range(2):
        token = await keeper.token()
        if token in vendor.live:
            await keeper.accepted(token)
            return True
        await keeper.refused(token, EVICTED)
    return False


async def call_often(keeper: TokenKeeper, vendor: Vendor) -> None:
    for _ in range(9):
        await call(keeper, vendor)


async def ask_unless_paused(keeper: TokenKeeper) -> None:
    with suppress(AccountPaused):
        await keeper.token()


async def test_many_tasks_that_need_a_token_cause_one_request(vendor: Vendor, store: MemoryTokens) -> None:
    """The others wait for that one, not for a minute."""
    keeper = vendor.keeper(store)
    tokens = await asyncio.gather(*(keeper.token() for _ in range(10)))
    assert set(tokens) == {"tok-1"}
    assert store.history == ["claim", "save"]
    assert vendor.clock.slept == []


async def test_many_keepers_of_one_store_cause_one_request(vendor: Vendor, store: MemoryTokens) -> None:
    tokens = await asyncio.gather(*(vendor.keeper(store).token() for _ in range(10)))
    assert set(tokens) == {"tok-1"}
    assert len(vendor.asked_at) == 1


async def test_an_attempt_is_recorded_before_it_is_sent(vendor: Vendor, store: MemoryTokens) -> None:
    vendor.gate.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(vendor.keeper(store).token())
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(vendor.asked_at) == 1
        assert store.history == ["claim"]
        vendor.gate.set()
    assert task.result() == "tok-1"


async def test_a_crash_loop_issues_one_token_a_minute(vendor: Vendor, store: MemoryTokens, clock: ManualClock) -> None:
    """Each life of the process dies while it waits for the token it asked for."""
    vendor.gate.clear()
    for _ in range(50):
        async with asyncio.TaskGroup() as group:
            life = group.create_task(vendor.keeper(store).token())
            for _ in range(20):
                await asyncio.sleep(0)
            life.cancel()
        clock.advance(3 * SECOND)
    gaps = [later - earlier for earlier, later in zip(vendor.asked_at, vendor.asked_at[1:], strict=False)]
    assert len(gaps) >= 2
    assert min(gaps) >= MINUTE


async def test_two_keepers_of_one_store_do_not_revoke_each_other(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    """An eviction costs one new token, whoever notices it first; the other takes that one."""
    one, two = vendor.keeper(store), vendor.keeper(store)
    for _ in range(24):
        vendor.live.clear()  # strangers log in
        clock.advance(HOUR)
        assert all(await asyncio.gather(call(one, vendor), call(two, vendor), call(one, vendor)))
    assert len(vendor.asked_at) <= 25
    assert store.only.refusals == 0


async def test_a_refusal_of_an_older_token_does_not_cost_the_stored_one(vendor: Vendor, store: MemoryTokens) -> None:
    keeper = vendor.keeper(store)
    assert await keeper.token() == "tok-1"
    await keeper.refused("tok-0", EVICTED)
    assert await keeper.token() == "tok-1"
    assert store.history == ["claim", "save"]


async def test_a_war_of_evictions_between_strangers_stops_and_alarms_once(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    """Others keep evicting: three fresh tokens, then one attempt in half an hour, whatever the callers want."""
    keeper = vendor.keeper(store)
    with capture_logs() as events:
        for _ in range(200):
            try:
                assert await call(keeper, vendor)
            except AccountPaused:
                clock.advance(MINUTE)
            vendor.live.clear()
    hours = (clock.now() - NOW) / HOUR
    assert hours > 2
    assert len(vendor.asked_at) <= 4 + 2 * hours + 1
    assert [event["event"] for event in events].count("credentials_refused") == 1


async def test_the_third_fresh_token_refused_pauses_the_account(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    vendor.limit = 0
    with pytest.raises(AccountPaused, match="3 new tokens in a row were refused"):
        await call_often(vendor.keeper(store), vendor)
    assert len(vendor.asked_at) == 3
    assert store.only.paused_until == clock.now() + 30 * MINUTE
    assert store.only.refusals == 3


async def test_an_old_token_refused_counts_for_nothing(vendor: Vendor, store: MemoryTokens, clock: ManualClock) -> None:
    keeper = vendor.keeper(store)
    for _ in range(9):
        await keeper.token()
        clock.advance(11 * MINUTE)
        vendor.live.clear()
        assert await call(keeper, vendor)
    assert store.only.refusals == 0


async def test_a_token_that_proves_itself_ends_the_alarm(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    vendor.limit = 0
    keeper = vendor.keeper(store)
    with capture_logs() as events:
        with pytest.raises(AccountPaused):
            await call_often(keeper, vendor)
        vendor.limit = 3
        clock.advance(31 * MINUTE)
        assert await call(keeper, vendor)
        assert store.only.refusals == 3
        clock.advance(11 * MINUTE)
        assert await call(keeper, vendor)
        assert await call(keeper, vendor)
    assert store.only.refusals == 0
    names = [event["event"] for event in events]
    assert names.count("credentials_refused") == names.count("credentials_accepted") == 1


async def test_refused_credentials_pause_at_once_and_alarm_once(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    vendor.fails = [CredentialsRefused("code 1: wrong secret", code=1) for _ in range(3)]
    keeper = vendor.keeper(store)
    with capture_logs() as events:
        for _ in range(3):
            with pytest.raises(CredentialsRefused):
                await keeper.token()
            for minute in range(0, 30, 5):
                with pytest.raises(AccountPaused, match="wrong secret") as caught:
                    await vendor.keeper(store).token()
                assert caught.value.exit_code == 3, minute
                clock.advance(5 * MINUTE)
        assert await keeper.token() == "tok-4"
    assert [event["event"] for event in events if event["event"].startswith("credentials")] == [
        "credentials_refused",
        "credentials_accepted",
    ]
    assert len(vendor.asked_at) == 4


async def test_an_attempt_after_a_pause_is_recorded_before_it_is_sent(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    """A process that is killed while it asks again does not ask again a minute later."""
    vendor.fails = [CredentialsRefused("no")]
    with pytest.raises(CredentialsRefused):
        await vendor.keeper(store).token()
    clock.advance(30 * MINUTE)
    vendor.gate.clear()
    for _ in range(5):
        async with asyncio.TaskGroup() as group:
            life = group.create_task(ask_unless_paused(vendor.keeper(store)))
            for _ in range(20):
                await asyncio.sleep(0)
            life.cancel()
        clock.advance(5 * MINUTE)
    assert len(vendor.asked_at) == 2


@pytest.mark.parametrize("error", [Unreachable("HTTP 502"), RateLimited("HTTP 429")])
async def test_a_token_endpoint_in_trouble_is_no_refusal_and_is_asked_once_a_minute(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock, error: VendorError
) -> None:
    vendor.fails = [error, error]
    keeper = vendor.keeper(store)
    for _ in range(2):
        with pytest.raises(type(error)):
            await keeper.token()
    assert await keeper.token() == "tok-3"
    assert vendor.asked_at == [NOW, NOW + MINUTE, NOW + 2 * MINUTE]
    assert sum(clock.slept) == 120
    assert store.only.refusals == 0


@pytest.mark.parametrize("error", [Unreachable("HTTP 502"), RateLimited("HTTP 429"), CredentialsRefused("no")])
async def test_a_renewal_that_fails_leaves_the_old_token_in_use(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock, error: VendorError
) -> None:
    keeper = vendor.keeper(store)
    await keeper.token()
    clock.advance(29 * DAY + HOUR)
    vendor.fails = [error]
    assert [await keeper.token() for _ in range(3)] == ["tok-1"] * 3
    assert len(vendor.asked_at) == 2
    clock.advance(31 * MINUTE)
    assert await keeper.token() == "tok-3"


async def test_a_wait_holds_no_slot(vendor: Vendor, store: MemoryTokens, clock: ManualClock) -> None:
    held: list[int] = []

    class Watching(ManualClock):
        async def sleep(self, seconds: float) -> None:
            held.append(vendor.slots)
            await super().sleep(seconds)

    vendor.clock = Watching(clock.now())
    vendor.fails = [Unreachable("x")]
    keeper = vendor.keeper(store)
    with pytest.raises(Unreachable):
        await keeper.token()
    await keeper.token()
    assert set(held) == {0}


async def test_a_token_is_usable_only_while_it_is_stored_alive_and_unrefused(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock
) -> None:
    keeper = vendor.keeper(store)
    token = await keeper.token()
    assert await keeper.usable(token)
    assert not await keeper.usable("tok-0")
    clock.advance(30 * DAY)
    assert not await keeper.usable(token)
    fresh = await keeper.token()
    await vendor.keeper(store).refused(fresh, EVICTED)
    assert not await keeper.usable(fresh)


@pytest.mark.parametrize("life", [timedelta(0), -300 * DAY])
async def test_an_expiry_that_is_over_already_is_not_believed(
    vendor: Vendor, store: MemoryTokens, clock: ManualClock, life: timedelta
) -> None:
    """A wrong clock here or there must not ask for a token a minute."""
    vendor.life = life
    keeper = vendor.keeper(store)
    for _ in range(20):
        assert await keeper.token() == "tok-1"
        clock.advance(HOUR)
    assert len(vendor.asked_at) == 1


async def test_a_vendor_that_reissues_the_refused_token_is_not_asked_for_ever(
    vendor: Vendor, store: MemoryTokens
) -> None:
    class Stubborn(Vendor):
        async def issue(self) -> IssuedToken:
            self.asked_at.append(self.clock.now())
            return IssuedToken("same", self.clock.now() + self.life)

    stubborn = Stubborn(vendor.clock)
    keeper = stubborn.keeper(store)
    with pytest.raises(AccountPaused):
        await call_often(keeper, stubborn)
    assert len(stubborn.asked_at) == 3
    stubborn.live = ["same"]
    stubborn.clock.advance(HOUR)
    for _ in range(5):
        assert await call(keeper, stubborn)
    assert len(stubborn.asked_at) == 4


async def test_a_token_that_has_arrived_is_kept_although_its_caller_is_cancelled(
    vendor: Vendor, clock: ManualClock
) -> None:
    class Slow(MemoryTokens):
        def __init__(self) -> None:
            super().__init__()
            self.saving, self.go_on = asyncio.Event(), asyncio.Event()

        async def save(self, credential: str, token: str, *, expires_at: datetime, issued_at: datetime) -> None:
            self.saving.set()
            await self.go_on.wait()
            await super().save(credential, token, expires_at=expires_at, issued_at=issued_at)

    store = Slow()
    async with asyncio.TaskGroup() as group:
        caller = group.create_task(vendor.keeper(store).token())
        await store.saving.wait()
        caller.cancel()
        await asyncio.sleep(0)
        store.go_on.set()
    assert caller.cancelled()
    assert store.only.access_token == "tok-1"
    assert await vendor.keeper(store).token() == "tok-1"
    assert clock.slept == []


async def test_no_event_and_no_repr_shows_a_token(vendor: Vendor, store: MemoryTokens, clock: ManualClock) -> None:
    shown: list[str] = []
    with capture_logs() as events:
        keeper = TokenKeeper(
            account=AccountKey("pan123", "main"),
            credential="c",
            store=store,
            clock=clock,
            issue=vendor.issue,
            slot=vendor.slot,
            hide=shown.append,
        )
        vendor.life = timedelta(0)
        await keeper.refused(await keeper.token(), EVICTED)
        vendor.fails = [Unreachable("x")]
        with pytest.raises(Unreachable):
            await keeper.token()
    assert {event["event"] for event in events} == {
        "token_issued",
        "token_expiry_unusable",
        "token_refused",
        "token_wait",
    }
    assert "tok-1" not in repr(events) + repr(store.records)
    assert set(shown) == {"tok-1"}
