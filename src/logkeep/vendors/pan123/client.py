"""123pan's client: pace, token, request, reading, and another try where one may help.

The token is settled before the slot is taken and looked at again inside it, because whoever waits for a slot may wait
through a pause in which the token expires or another process renews it. Nothing sleeps inside a slot.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import structlog
from pydantic import SecretStr

from logkeep.clock import Clock
from logkeep.errors import (
    CredentialsRefused,
    NotEntitled,
    RateLimited,
    RetriableVendorError,
    SpanRefused,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.model import AccountKey, Hour
from logkeep.vendors.http import ApiSession, HttpLimits, NoConnection
from logkeep.vendors.pace import Pace
from logkeep.vendors.pan123.protocol import Carrier, Page, list_request, read_page, read_token, token_request
from logkeep.vendors.retry import RetryPolicy, next_delay
from logkeep.vendors.token import TokenKeeper, TokenStore
from logkeep.vendors.token_rules import TokenPolicy, credential_key
from logkeep.vendors.wire import ApiReply, ApiRequest, IssuedToken, read_date

log = structlog.stdlib.get_logger("logkeep.vendors")

VENDOR = "pan123"

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
    (UnreadableReply, "unreadable"),
)


class Pan123Client:
    """Lists one account's files. Construction does no I/O; ``open`` comes first, ``close`` is always safe.

    ``calls`` counts exchanges by (endpoint, outcome): ``token`` and ``list``; ``ok``, ``token_refused``,
    ``rate_limited``, ``unreachable``, ``credentials_refused``, ``not_entitled``, ``span_refused``, ``unreadable``,
    ``aborted`` (cancelled).
    ``hide`` is told every token, so that logs never show it. ``pace`` is given where clients share a credential.
    """

    def __init__(
        self,
        *,
        account_name: str,
        client_id: str,
        client_secret: SecretStr,
        base_url: str,
        token_store: TokenStore,
        clock: Clock,
        rng: random.Random,
        carrier: Carrier = "query",
        page_size: int = 100,
        requests_per_second: float = 1.0,
        pace: Pace | None = None,
        allow_http: bool = False,
        allow_private_addresses: bool = False,
        proxy: str = "",
        limits: HttpLimits | None = None,
        retry: RetryPolicy | None = None,
        token_policy: TokenPolicy | None = None,
        hide: Callable[[str], None] | None = None,
    ) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._account = AccountKey(VENDOR, account_name)
        self._client_id = client_id
        self._client_secret = client_secret
        self._base_url = base_url
        self._carrier: Carrier = carrier
        self._page_size = page_size
        self._clock = clock
        self._rng = rng
        self._retry = retry or RetryPolicy()
        self._pace = pace or Pace(per_second=requests_per_second, clock=clock)
        self._session = ApiSession(
            allow_http=allow_http, allow_private_addresses=allow_private_addresses, proxy=proxy, limits=limits
        )
        self._keeper = TokenKeeper(
            account=self._account,
            credential=credential_key(VENDOR, base_url, client_id, client_secret.get_secret_value()),
            store=token_store,
            clock=clock,
            issue=self._issue,
            slot=self._pace.slot,
            policy=token_policy,
            hide=hide,
        )
        self._log = log.bind(vendor=VENDOR, account=account_name)

    async def open(self) -> None:
        """Make the HTTP session; nothing is sent yet."""
        await self._session.open()

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def calls_made(self) -> int:
        """Requests sent so far, tokens and retries included."""
        return self.calls.total()

    async def ensure_token(self) -> None:
        """Prove that a token can be had: the stored one if it is alive, else a new one. Asks at most once.

        Raises:
            FatalVendorError: the credentials are refused, now or by an earlier attempt.
            RetriableVendorError, UnreadableReply: no answer that helps.
        """
        await self._keeper.token()

    async def list_page(self, start: Hour, end: Hour, page_num: int, page_size: int | None = None) -> Page:
        """One page of the files of ``start <= hour < end``; should the vendor include ``end``, it shows an hour more.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries are used up.
            SpanRefused: the vendor will not list this span.
            UnreadableReply: the reply's shape is not the documented one, however often it was asked.
        """
        effort = _Effort()
        while effort.stale <= _STALE_MAX:
            token = await self._token()
            try:
                page = await self._ask(token, start, end, page_num, page_size or self._page_size, effort)
            except VendorError as error:
                await self._recover(error, token, effort)
                continue
            if page is not None:
                await self._keeper.accepted(token)
                return page
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
        self, token: str, start: Hour, end: Hour, page_num: int, page_size: int, effort: "_Effort"
    ) -> Page | None:
        """One listing request; None, and nothing sent, where the token went stale while its slot was waited for."""
        request = list_request(
            self._base_url,
            token,
            start_hour=str(start),
            end_hour=str(end),
            page_num=page_num,
            page_size=page_size,
            carrier=self._carrier,
        )
        async with self._pace.slot():
            if not await self._keeper.usable(token):
                return None
            effort.sent += 1
            begun = self._clock.now()
            try:
                page = await self._exchange(request, lambda reply: self._read_page(reply, token, begun))
            except RateLimited as error:
                self._slow_down(error, effort.failures + 1)
                raise
        return replace(page, calls=effort.sent)

    def _read_page(self, reply: ApiReply, token: str, begun: datetime) -> Page:
        page = read_page(reply.status, reply.headers, reply.body, hide=(token, *self._hidden))
        vendor_date = read_date(reply.headers)
        middle = begun + (self._clock.now() - begun) / 2
        skew_s = None if vendor_date is None else (vendor_date - middle).total_seconds()
        return replace(page, vendor_date=vendor_date, skew_s=skew_s)

    async def _recover(self, error: VendorError, token: str, effort: "_Effort") -> None:
        """Wait until asking again makes sense; raise the error where it does not."""
        if isinstance(error, TokenRefused):
            effort.refusals += 1
            await self._keeper.refused(token, error)
            if effort.refusals > 1:
                raise error
            return
        if isinstance(error, NotEntitled | SpanRefused):
            await self._keeper.accepted(token)
        effort.failures += 1
        delay_s = next_delay(error, effort.failures, self._rng, self._retry)
        if delay_s is None:
            raise error
        await self._clock.sleep(delay_s)

    async def _issue(self) -> IssuedToken:
        """Ask for a token; runs inside the slot that the keeper took."""
        request = token_request(self._base_url, self._client_id, self._client_secret.get_secret_value())
        try:
            return await self._exchange(
                request, lambda reply: read_token(reply.status, reply.headers, reply.body, hide=self._hidden)
            )
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

    @property
    def _hidden(self) -> tuple[str, ...]:
        """What no message may repeat; a very short id would only blot out ordinary words."""
        named = (self._client_id,) if len(self._client_id) >= _SHORTEST_HIDDEN_ID else ()
        return (self._client_secret.get_secret_value(), *named)


@dataclass(slots=True)
class _Effort:
    """What one page has cost so far."""

    sent: int = 0
    failures: int = 0
    refusals: int = 0
    stale: int = 0


def _outcome(error: VendorError) -> str:
    return next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "failed")
