"""123pan's client: its requests and readers on the shared way to an API."""

import random
from collections.abc import Callable
from dataclasses import replace

from pydantic import SecretStr

from logkeep.clock import Clock
from logkeep.model import AccountKey, Hour
from logkeep.vendors.api import Access, TokenApi
from logkeep.vendors.client import ApiClient
from logkeep.vendors.http import ApiSession, HttpLimits
from logkeep.vendors.pace import Pace
from logkeep.vendors.pan123.protocol import Carrier, Page, list_request, read_page, read_token, token_request
from logkeep.vendors.retry import RetryPolicy
from logkeep.vendors.token import TokenStore
from logkeep.vendors.token_rules import TokenPolicy

VENDOR = "pan123"


class Pan123Client(ApiClient):
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
        self._base_url = base_url
        self._carrier: Carrier = carrier
        self._page_size = page_size
        api = TokenApi(
            account=AccountKey(VENDOR, account_name),
            access=Access(
                base_url,
                client_id,
                client_secret,
                token_request,
                lambda reply, hidden, _sent: read_token(reply.status, reply.headers, reply.body, hide=hidden),
            ),
            session=ApiSession(
                allow_http=allow_http, allow_private_addresses=allow_private_addresses, proxy=proxy, limits=limits
            ),
            pace=pace or Pace(per_second=requests_per_second, clock=clock),
            token_store=token_store,
            clock=clock,
            rng=rng,
            retry=retry,
            token_policy=token_policy,
            hide=hide,
        )
        super().__init__(api)

    async def list_page(self, start: Hour, end: Hour, page_num: int, page_size: int | None = None) -> Page:
        """One page of the files of ``start <= hour < end``; should the vendor include ``end``, it shows an hour more.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries are used up.
            SpanRefused: the vendor will not list this span.
            UnreadableReply: the reply's shape is not the documented one, however often it was asked.
        """
        answer = await self._api.ask(
            lambda token: list_request(
                self._base_url,
                token,
                start_hour=str(start),
                end_hour=str(end),
                page_num=page_num,
                page_size=page_size or self._page_size,
                carrier=self._carrier,
            ),
            lambda reply, hidden: read_page(reply.status, reply.headers, reply.body, hide=hidden),
        )
        return replace(answer.value, vendor_date=answer.vendor_date, skew_s=answer.skew_s, calls=answer.calls)
