"""Lexiang's client: its requests and readers on the shared way to an API."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from pydantic import SecretStr

from logkeep.clock import Clock
from logkeep.model import AccountKey
from logkeep.vendors.api import Access, TokenApi
from logkeep.vendors.client import ApiClient
from logkeep.vendors.http import ApiSession, HttpLimits
from logkeep.vendors.lexiang.protocol import Page, logs_request, read_page, read_token, token_request, zone_offset
from logkeep.vendors.lexiang.settings import VENDOR
from logkeep.vendors.pace import Pace
from logkeep.vendors.retry import RetryPolicy
from logkeep.vendors.token import TokenStore
from logkeep.vendors.token_rules import TokenPolicy
from logkeep.vendors.wire import ApiReply, header, read_rate_reset

log = structlog.stdlib.get_logger("logkeep.vendors")

_ZONE_TOLERANCE = timedelta(minutes=25)
"""A record may be entered late; a wrong zone puts every record of a page off by half an hour or more."""
TOKEN_POLICY = TokenPolicy(
    renew_early=timedelta(minutes=5), cool_down_most=timedelta(minutes=10), assumed_life=timedelta(hours=2)
)
"""The vendor allows 20 token calls in 10 minutes; one a minute, recorded before it is sent, is at most 11."""


class LexiangClient(ApiClient):
    """Lists one account's download records, newest first.

    ``calls`` counts exchanges by (endpoint, outcome): ``token`` and ``list``; ``ok``, ``token_refused``,
    ``rate_limited``, ``unreachable``, ``credentials_refused``, ``not_entitled``, ``page_refused``, ``unreadable``,
    ``aborted`` (cancelled).
    ``hide`` is told every token, so that logs never show it. ``pace`` is given where clients share a credential.
    """

    def __init__(
        self,
        *,
        account_name: str,
        app_key: str,
        app_secret: SecretStr,
        base_url: str,
        token_store: TokenStore,
        clock: Clock,
        rng: random.Random,
        requests_per_second: float = 2.0,
        pace: Pace | None = None,
        allow_http: bool = False,
        allow_private_addresses: bool = False,
        proxy: str = "",
        limits: HttpLimits | None = None,
        retry: RetryPolicy | None = None,
        token_policy: TokenPolicy | None = None,
        hide: Callable[[str], None] | None = None,
    ) -> None:
        self._log = log.bind(vendor=VENDOR, account=account_name)
        self._zone_told = False
        self._base_url = base_url
        self._pace = pace or Pace(per_second=requests_per_second, clock=clock)
        self._retry = retry or RetryPolicy()
        session = ApiSession(
            allow_http=allow_http, allow_private_addresses=allow_private_addresses, proxy=proxy, limits=limits
        )
        access = Access(
            base_url,
            app_key,
            app_secret,
            token_request,
            lambda reply, hidden, sent_at: read_token(
                reply.status, reply.headers, reply.body, sent_at=sent_at, hide=hidden
            ),
        )
        api = TokenApi(
            account=AccountKey(VENDOR, account_name),
            access=access,
            session=session,
            pace=self._pace,
            token_store=token_store,
            clock=clock,
            rng=rng,
            retry=self._retry,
            token_policy=token_policy or TOKEN_POLICY,
            hide=hide,
        )
        super().__init__(api)

    async def read_page(self, page: int, per_page: int) -> Page:
        """One page of the download records; pages count from 1.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries are used up.
            PageRefused: the vendor will not serve a page of this size or number.
            UnreadableReply: the reply's shape is not the documented one, however often it was asked.
        """
        answer = await self._api.ask(lambda token: logs_request(self._base_url, token, page, per_page), self._read)
        self._check_zone(answer.value)
        return replace(answer.value, vendor_date=answer.vendor_date, skew_s=answer.skew_s)

    def _check_zone(self, page: Page) -> None:
        """Ids that hold a time show whether created_at is still China's; said once, should it not be."""
        nearest = timedelta.max
        for row in page.records:
            off = None if row.created_at is None else zone_offset(row.record_id, row.created_at)
            nearest = nearest if off is None else min(nearest, abs(off))
            if nearest <= _ZONE_TOLERANCE:
                return
        if nearest < timedelta.max and not self._zone_told:
            self._zone_told = True
            self._log.error("zone_differs", by_s=round(nearest.total_seconds()), hint="created_at is read as +08:00")

    def _read(self, reply: ApiReply, hidden: Sequence[str]) -> Page:
        read = read_page(reply.status, reply.headers, reply.body, hide=hidden)
        self._heed_allowance(reply)
        return read

    def _heed_allowance(self, reply: ApiReply) -> None:
        """Wait for the next allowance where this reply says that it was the last of this one."""
        if header(reply.headers, "X-RateLimit-Remaining") == "0":
            wait_s = read_rate_reset(reply.headers)
            wait_s = self._retry.rate_limited_s if wait_s is None else wait_s
            self._pace.pause_for(min(wait_s, self._retry.retry_after_cap_s))
