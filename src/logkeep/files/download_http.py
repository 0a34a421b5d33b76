"""Asking a download host for one object: redirects hop by hop, guarded addresses, no credentials.

Download hosts are named by a vendor's reply and are trusted with nothing. They get no Authorization, no cookie and no
referer, and of this program only its name. Each address, the redirects' included, is judged before it is asked, and
goes out byte for byte as it was signed: yarl rewrites ``%2F`` and ``%7E`` unless told that a text is encoded already.
Bodies are taken as they are sent (``Accept-Encoding: identity``, nothing decompressed). What aiohttp raises ends here,
without being chained: its messages quote addresses with their query.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from logkeep.errors import FetchFailed, NextStep
from logkeep.files import http_answer
from logkeep.files.http_answer import Offer, Partial
from logkeep.model import SignedUrl
from logkeep.vendors.address import AddressRefused, GuardedResolver, check_url
from logkeep.vendors.wire import read_retry_after

MAX_HOPS = 10

_SNIFF_BYTES = 4 * 1024
_SOFT_REDIRECT_MAX_BYTES = 64 * 1024
_SPARE_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The operator's bounds of one download; see ``[download]`` in the settings."""

    max_file_size_bytes: int
    idle_timeout: timedelta
    total_timeout: timedelta
    allow_http: bool
    allow_private_addresses: bool


class Body:
    """A success's body on its way; valid inside the context of ``DownloadHttp.get``."""

    def __init__(self, response: aiohttp.ClientResponse, offer: Offer, where: str) -> None:
        self.offer = offer
        self.where = where
        self._response = response
        self._broken: FetchFailed | None = None

    async def read(self, at_least_bytes: int) -> bytes:
        """The next bytes: at least so many, fewer only at the end of the body or before a failure, b"" after the end.

        Raises:
            FetchFailed: the connection broke (``truncated``) or fell silent (``stalled``); what came before it was
                handed out already.
        """
        if self._broken is not None:
            raise self._broken
        content = self._response.content
        pieces: list[bytes] = []
        size = 0
        try:
            while size < at_least_bytes and (piece := await content.readany()):
                pieces.append(piece)
                size += len(piece)
        except (aiohttp.ClientError, OSError) as exc:
            self._broken = _broken_body(exc, self.where)
        if self._broken is not None and not pieces:
            raise self._broken
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else drop it."""
        self._response.close()


class DownloadHttp:
    """One connection pool for all downloads of an account."""

    def __init__(
        self,
        limits: FetchLimits,
        *,
        proxy: str,
        user_agent: str,
        concurrency: int,
        resolver: AbstractResolver | None,
    ) -> None:
        self._limits = limits
        self._resolver = resolver
        self._proxy = proxy or None
        self._user_agent = user_agent
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool; nothing is connected yet."""
        resolver = GuardedResolver(
            allow_private=self._limits.allow_private_addresses,
            exempt_host=(URL(self._proxy).host or "") if self._proxy else "",
            resolver=self._resolver,
        )
        idle_s = self._limits.idle_timeout.total_seconds()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=self._concurrency + _SPARE_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=idle_s, sock_read=idle_s),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def get(self, url: SignedUrl, *, resume: Partial | None = None) -> AsyncIterator[Body]:
        """Ask for an object, or for what ``resume`` lacks of it; the body's offer says from where it begins.

        A host that does not continue what ``resume`` holds is asked for everything instead.

        Raises:
            FetchFailed: the address was refused, the host answered with something else than the object, or with
                nothing at all.
        """
        body = await self._body(url, resume) or await self._body(url, None)
        assert body is not None, "what is asked for from the start is read or refused"
        try:
            yield body
        finally:
            body.close()

    async def _body(self, url: SignedUrl, resume: Partial | None) -> Body | None:
        """One answer's body; None when it does not continue ``resume``."""
        response, where = await self._final_answer(url, resume)
        offer: Offer | None = None
        try:
            offer = await self._offer(response, where, resume)
        finally:
            if offer is None:
                response.close()
        return None if offer is None else Body(response, offer, where)

    async def _offer(self, response: aiohttp.ClientResponse, where: str, resume: Partial | None) -> Offer | None:
        status = response.status
        if status in (200, 206) or (status == 416 and resume):  # noqa: PLR2004 - HTTP statuses are their own names
            offer = http_answer.read_offer(status, response.headers, resume)
            if offer is None and resume is None:
                raise FetchFailed("bad_range", f"part of the object, unasked, from {where}", step=NextStep.RETRY)
            return offer
        wait_s = read_retry_after(response.headers)
        raise http_answer.refusal(status, await self._head(response, _SNIFF_BYTES), where, wait_s)

    async def _final_answer(self, url: SignedUrl, resume: Partial | None) -> tuple[aiohttp.ClientResponse, str]:
        """Follow redirects, hard and soft, to an answer that is none; the caller closes it."""
        address = http_answer.sendable(url)
        seen: set[str] = set()
        while True:
            where = SignedUrl(address).redacted
            if address in seen or len(seen) > MAX_HOPS:
                raise FetchFailed("redirect_loop", f"{len(seen)} redirects, at {where}", step=NextStep.RELIST)
            seen.add(address)
            response = await self._ask(address, resume)
            try:
                target = await self._redirect(response, where)
            except BaseException:
                response.close()
                raise
            if target is None:
                return response, where
            response.close()
            address = http_answer.sendable(http_answer.join(address, target))

    async def _ask(self, address: str, resume: Partial | None) -> aiohttp.ClientResponse:
        assert self._session is not None, "open() comes first"
        where = SignedUrl(address).redacted
        try:
            check_url(address, allow_http=self._limits.allow_http, allow_private=self._limits.allow_private_addresses)
            return await self._session.get(
                URL(address, encoded=True),
                headers=http_answer.range_headers(resume),
                allow_redirects=False,
                proxy=self._proxy,
            )
        except AddressRefused as exc:
            failure = FetchFailed("address_refused", exc.reason, step=NextStep.GIVE_UP)
        except TimeoutError:
            failure = FetchFailed("stalled", f"no answer in time from {where}", step=NextStep.RETRY)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            failure = FetchFailed("unreachable", f"{_kind(exc)} at {where}", step=NextStep.RETRY)
        raise failure

    async def _redirect(self, response: aiohttp.ClientResponse, where: str) -> str | None:
        if response.status in http_answer.REDIRECTS:
            target = response.headers.get("Location", "").strip()
            if not target:
                message = f"HTTP {response.status} without a Location from {where}"
                raise FetchFailed("url_refused", message, step=NextStep.RELIST, code=response.status)
            return target
        if response.status != http_answer.SOFT_REDIRECT:
            return None
        body = await self._head(response, _SOFT_REDIRECT_MAX_BYTES)
        soft = http_answer.soft_redirect(body)
        if soft is None:
            raise http_answer.refusal(response.status, body[:_SNIFF_BYTES], where, None)
        return soft

    async def _head(self, response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
        """The first bytes of a body that explains something; whatever part of them comes in time."""
        head = b""
        try:
            async with asyncio.timeout(self._limits.idle_timeout.total_seconds()):
                while len(head) < limit_bytes and (piece := await response.content.read(limit_bytes - len(head))):
                    head += piece
        except (aiohttp.ClientError, OSError):  # TimeoutError included: the status alone must do
            return head
        return head


def _broken_body(exc: Exception, where: str) -> FetchFailed:
    if isinstance(exc, TimeoutError):
        return FetchFailed("stalled", f"the body fell silent from {where}", step=NextStep.RETRY)
    return FetchFailed("truncated", f"the body broke off ({_kind(exc)}) from {where}", step=NextStep.RETRY)


def _kind(exc: Exception) -> str:
    """An exception by its class and its errno, because its text may quote an address."""
    cause = getattr(exc, "os_error", exc)
    if isinstance(cause, socket.gaierror):
        return f"{type(exc).__name__}: {cause.strerror}"
    if isinstance(cause, OSError) and cause.errno:
        return f"{type(exc).__name__}: {os.strerror(cause.errno)}"
    return type(exc).__name__
