"""One HTTP session a vendor account: bounded in time and size, and silent about secrets.

Nothing is followed, decoded or remembered on a vendor's word: redirects come back as replies, bodies are cut off at a
limit, there are no cookies, and the environment's proxies do not count. What aiohttp and the system raise ends here,
without being chained, because their messages quote whole addresses; what is left names the host and what failed.
"""

import os
import socket
import ssl
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from logkeep import __version__
from logkeep.errors import Unreachable, UnreadableReply
from logkeep.vendors.address import AddressRefused, GuardedResolver, check_url
from logkeep.vendors.wire import ApiReply, ApiRequest, clean_text

USER_AGENT = f"logkeep/{__version__}"

_DNS_CACHE_S = 60
_CHUNK_BYTES = 64 * 1024


class NoConnection(Unreachable):
    """No connection was made, so nothing was sent."""


_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[Unreachable], str], ...] = (
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), NoConnection, "the name cannot be resolved"),
    (aiohttp.ClientProxyConnectionError, NoConnection, "the proxy cannot be reached"),
    (aiohttp.ClientHttpProxyError, NoConnection, "the proxy refused to connect"),
    (aiohttp.ClientSSLError, NoConnection, "TLS failed"),
    ((aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError), NoConnection, "no connection"),
    (TimeoutError, Unreachable, "no answer in time"),
    (aiohttp.ClientPayloadError, Unreachable, "the reply broke off"),
    (aiohttp.ClientResponseError, Unreachable, "the reply is no HTTP"),
    (aiohttp.ServerDisconnectedError, Unreachable, "the connection was closed without an answer"),
)
"""The first row that fits an exception names it; all other trouble with the connection comes after."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one exchange may take. ``read_s`` bounds the silence between two pieces, ``total_s`` everything."""

    connect_s: float = 15.0
    read_s: float = 30.0
    total_s: float = 60.0
    max_body_bytes: int = 8 * 1024 * 1024


class ApiSession:
    """Sends requests to a vendor's API. Construction does no I/O; ``open`` comes first, ``close`` is always safe.

    ``proxy`` may hold a password. Behind one, names are resolved there, and only literal addresses are checked here.
    ``resolver`` stands beneath the guard, in the place of the system's.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        allow_private_addresses: bool = False,
        proxy: str = "",
        limits: HttpLimits | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_http = allow_http
        self._allow_private = allow_private_addresses
        self._proxy = URL(proxy) if proxy else None
        self._limits = limits or HttpLimits()
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session; connects to nothing yet."""
        exempt_host = (self._proxy.raw_host if self._proxy is not None else None) or ""
        resolver = GuardedResolver(allow_private=self._allow_private, exempt_host=exempt_host, resolver=self._resolver)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=4, resolver=resolver, ttl_dns_cache=_DNS_CACHE_S),
            timeout=aiohttp.ClientTimeout(
                total=self._limits.total_s, sock_connect=self._limits.connect_s, sock_read=self._limits.read_s
            ),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # aiohttp asks again by itself, unpaced and uncounted, where a kept connection breaks; there is no public switch
        self._session._retry_connection = False  # noqa: SLF001

    async def close(self) -> None:
        """Close the session; a running exchange fails."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: ApiRequest) -> ApiReply:
        """Exchange one request for one whole reply, whatever its status says.

        Raises:
            NoConnection: the host was not reached, or must not be.
            Unreachable: the exchange broke, or took too long.
            UnreadableReply: the reply is larger than ``max_body_bytes``.
        """
        if self._session is None:
            raise RuntimeError("the session is not open")
        host = _host(request.url)
        try:
            check_url(request.url, allow_http=self._allow_http, allow_private=self._allow_private)
            return await self._exchange(self._session, request, host)
        except AddressRefused as exc:
            raise NoConnection(f"{host}: not asked, {exc.reason}") from None
        except (aiohttp.ClientError, OSError) as exc:
            raise _translated(exc, host) from None

    async def _exchange(self, session: aiohttp.ClientSession, request: ApiRequest, host: str) -> ApiReply:
        async with session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            json=request.json,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._limits.max_body_bytes:
                    response.close()
                    raise UnreadableReply(
                        f"{host}: a reply of more than {self._limits.max_body_bytes} bytes", code=response.status
                    )
            return ApiReply(response.status, response.headers, bytes(body))


def _host(url: str) -> str:
    """Host and port for a message; "the vendor" where the address shows none."""
    try:
        parsed = URL(url, encoded=True)
        return clean_text(parsed.host_port_subcomponent) or "the vendor"
    except ValueError:
        return "the vendor"


def _translated(exc: Exception, host: str) -> Unreachable:
    """Say in our own words what failed: only error numbers and certificates' verdicts are quoted."""
    for kinds, made, words in _WORDS:
        if isinstance(exc, kinds):
            return made(f"{host}: {words}{_tls_words(exc) or _os_words(exc)}")
    return Unreachable(f"{host}: the connection broke{_os_words(exc)}")


def _os_words(exc: Exception) -> str:
    """The system's text for an error number; what asyncio writes in its place quotes addresses."""
    inner = getattr(exc, "os_error", exc)
    number = inner.errno if isinstance(inner, OSError) else None
    return f" ({os.strerror(number)})" if number is not None and number > 0 else ""


def _tls_words(exc: Exception) -> str:
    inner = getattr(exc, "certificate_error", None) or getattr(exc, "os_error", None)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f" ({clean_text(inner.verify_message)})"
    return f" ({clean_text(inner.reason)})" if isinstance(inner, ssl.SSLError) else ""
