"""What every client of a vendor's API is built on: pace, token, exchange, and another try where one may help.

The token is settled before the slot is taken and looked at again inside it, because whoever waits for a slot may wait
through a pause in which the token expires or another process renews it. Nothing sleeps inside a slot.

A vendor brings its ``Access`` (how a token is asked for and read) and, for each call, a request and its reader; it
knows nothing of retries. This knows nothing of any vendor.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

import structlog
from pydantic import SecretStr

from logkeep.clock import Clock
from logkeep.errors import (
    CredentialsRefused,
    NotEntitled,
    PageRefused,
    RateLimited,
    RetriableVendorError,
    SpanRefused,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.model import AccountKey
from logkeep.vendors.http import ApiSession, NoConnection
from logkeep.vendors.pace import Pace
from logkeep.vendors.retry import RetryPolicy, next_delay
from logkeep.vendors.token import TokenKeeper, TokenStore
from logkeep.vendors.token_rules import TokenPolicy, credential_key
from logkeep.vendors.wire import ApiReply, ApiRequest, IssuedToken, read_date

log = structlog.stdlib.get_logger("logkeep.vendors")

_STALE_MAX = 8
_SHORTEST_HIDDEN_ID = 6
_Read = TypeVar("_Read")
_OUTCOMES: tuple[tuple[type[VendorError], str], ...] = (
    (TokenRefused, "token_refused"),
    (RateLimited, "rate_limited"),
    (Unreachable, "unreachable"),
    (CredentialsRefused, "credentials_refused"),
    (NotEntitled, "not_entitled"),
    (SpanRefused, "span_refused"),
    (PageRefused, "page_refused"),
    (UnreadableReply, "unreadable"),
)
_TOKEN_WAS_GOOD = (NotEntitled, SpanRefused, PageRefused)
"""Refusals of the matter itself: whoever utters them has accepted the token."""


@dataclass(frozen=True, slots=True)
class Access:
    """One credential, and how its vendor is asked for a token.

    ``request`` is given base URL, id and secret. ``read`` is given the reply, what its messages must not repeat, and
    when the request was sent.
    """

    base_url: str
    client_id: str
    client_secret: SecretStr
    request: Callable[[str, str, str], ApiRequest]
    read: Callable[[ApiReply, Sequence[str], datetime], IssuedToken]

    @property
    def hidden(self) -> tuple[str, ...]:
        """What no message may repeat; a very short id would only blot out ordinary words."""
        named = (self.client_id,) if len(self.client_id) >= _SHORTEST_HIDDEN_ID else ()
        return (self.client_secret.get_secret_value(), *named)


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Read]):
    """What a business call brought.

    ``vendor_date`` is the reply's ``Date``, ``skew_s`` how far the vendor's clock is ahead of ours, ``calls`` how many
    business requests it took.
    """

    value: _Read
    vendor_date: datetime | None
    skew_s: float | None
    calls: int = 1


class TokenApi:
    """One account's way to its vendor.

    ``calls`` counts exchanges by (endpoint, outcome). ``hide`` is told every token, so that logs never show it.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        access: Access,
        session: ApiSession,
        pace: Pace,
        token_store: TokenStore,
        clock: Clock,
        rng: random.Random,
        retry: RetryPolicy | None = None,
        token_policy: TokenPolicy | None = None,
        hide: Callable[[str], None] | None = None,
    ) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._access = access
        self._session = session
        self._pace = pace
        self._clock = clock
        self._rng = rng
        self._retry = retry or RetryPolicy()
        secret = access.client_secret.get_secret_value()
        self._keeper = TokenKeeper(
            account=account,
            credential=credential_key(account.vendor, access.base_url, access.client_id, secret),
            store=token_store,
            clock=clock,
            issue=self._issue,
            slot=pace.slot,
            policy=token_policy,
            hide=hide,
        )
        self._log = log.bind(vendor=account.vendor, account=account.name)

    async def open(self) -> None:
        """Make the HTTP session; nothing is sent yet."""
        await self._session.open()

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._session.close()

    async def ensure_token(self) -> None:
        """See ``client.ApiClient.ensure_token``."""
        await self._keeper.token()

    async def ask(
        self, request: Callable[[str], ApiRequest], read: Callable[[ApiReply, Sequence[str]], _Read]
    ) -> Answer[_Read]:
        """One business call. ``request`` is given a token; ``read`` the reply and what its messages must not repeat.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries are used up.
            SkippableVendorError: what ``read`` says of this one thing.
        """
        effort = _Effort()
        while effort.stale <= _STALE_MAX:
            token = await self._token()
            try:
                answer = await self._ask(token, request(token), read, effort)
            except VendorError as error:
                await self._recover(error, token, effort)
                continue
            if answer is not None:
                await self._keeper.accepted(token)
                return answer
            effort.stale += 1
        raise Unreachable("no token outlived the wait for its turn")

    async def _token(self) -> str:
        """A token, with one more try where the vendor answered something passing; the keeper spaces the tries."""
        try:
            return await self._keeper.token()
        except NoConnection:
            raise
        except (RetriableVendorError, UnreadableReply) as error:
            self._log.warning("token_request_failed", reason=str(error))
        return await self._keeper.token()

    async def _ask(
        self, token: str, request: ApiRequest, read: Callable[[ApiReply, Sequence[str]], _Read], effort: "_Effort"
    ) -> Answer[_Read] | None:
        """One request; None, and nothing sent, where the token went stale while its slot was waited for."""
        async with self._pace.slot():
            if not await self._keeper.usable(token):
                return None
            effort.sent += 1
            begun = self._clock.now()
            try:
                answer = await self._exchange(request, lambda reply: self._read(reply, read, token, begun))
            except RateLimited as error:
                self._slow_down(error, effort.failures + 1)
                raise
        return replace(answer, calls=effort.sent)

    def _read(
        self, reply: ApiReply, read: Callable[[ApiReply, Sequence[str]], _Read], token: str, begun: datetime
    ) -> Answer[_Read]:
        value = read(reply, (token, *self._access.hidden))
        vendor_date = read_date(reply.headers)
        middle = begun + (self._clock.now() - begun) / 2
        return Answer(value, vendor_date, None if vendor_date is None else (vendor_date - middle).total_seconds())

    async def _recover(self, error: VendorError, token: str, effort: "_Effort") -> None:
        """Wait until asking again makes sense; raise the error where it does not."""
        if isinstance(error, TokenRefused):
            effort.refusals += 1
            await self._keeper.refused(token, error)
            if effort.refusals > 1:
                raise error
            return
        if isinstance(error, _TOKEN_WAS_GOOD):
            await self._keeper.accepted(token)
        effort.failures += 1
        delay_s = next_delay(error, effort.failures, self._rng, self._retry)
        if delay_s is None:
            raise error
        await self._clock.sleep(delay_s)

    async def _issue(self) -> IssuedToken:
        """Ask for a token; runs inside the slot that the keeper took."""
        access = self._access
        request = access.request(access.base_url, access.client_id, access.client_secret.get_secret_value())
        begun = self._clock.now()
        try:
            return await self._exchange(request, lambda reply: access.read(reply, access.hidden, begun))
        except RateLimited as error:
            self._slow_down(error, 1)
            raise

    async def _exchange(self, request: ApiRequest, read: Callable[[ApiReply], _Read]) -> _Read:
        """Send and read; counts and logs the exchange however it ends."""
        begun_s, status, outcome = self._clock.monotonic_s(), None, "aborted"
        try:
            reply = await self._session.send(request)
            status = reply.status
            result = read(reply)
            outcome = "ok"
        except VendorError as error:
            outcome = _outcome(error)
            raise
        finally:
            self.calls[request.endpoint, outcome] += 1
            took_s = round(self._clock.monotonic_s() - begun_s, 3)
            self._log.debug("api_call", endpoint=request.endpoint, status=status, outcome=outcome, duration_s=took_s)
        return result

    def _slow_down(self, error: RateLimited, attempt: int) -> None:
        """Pause the pace for every caller, even where this one gives up."""
        patient = replace(self._retry, attempts=attempt + 1)
        self._pace.pause_for(next_delay(error, attempt, self._rng, patient) or 0.0)


@dataclass(slots=True)
class _Effort:
    """What one business call has cost so far."""

    sent: int = 0
    failures: int = 0
    refusals: int = 0
    stale: int = 0


def _outcome(error: VendorError) -> str:
    return next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "failed")
