"""Which hosts may be asked: the public internet, unless the operator says otherwise.

A vendor's reply names the host to download from, so an address is checked twice. ``check_url`` looks at what is
written: the scheme, the form of the host, and literal addresses, because aiohttp never asks a resolver about those.
``GuardedResolver`` looks at what a name resolves to, and hands on only addresses that passed: the address that was
checked is the one connected to, so a name that changes between check and use gains nothing.

Hosts are read with yarl, the same reader that aiohttp connects by: two readers that disagree about one text are how
such checks are passed by. IPv4 must be written as four plain decimals; ``2130706433``, ``017700000001``, ``0x7f.1``,
``127.1`` and digits of other scripts are refused whatever they mean. Behind a proxy the proxy resolves names, and only
``check_url`` remains.
"""

import ipaddress
import re
import socket

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_NUMBER_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_NAME_MAX = 254
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")


class AddressRefused(Exception):
    """The address must not be asked. ``reason`` is one line that names the host at most, never path or query."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def check_url(url: str, *, allow_http: bool, allow_private: bool) -> None:
    """Judge an address before it is asked, by its text alone; names still have to pass ``GuardedResolver``.

    Refused: a scheme other than https (or http, if allowed), user info (it would become an Authorization header),
    blanks, control characters and backslashes, hosts that are neither a name nor a canonical address, and, unless
    ``allow_private``, ``localhost`` and addresses outside the public internet.

    Raises:
        AddressRefused: with the reason.
    """
    parsed = _parse(url)
    schemes = ("https", "http") if allow_http else ("https",)
    if parsed.scheme not in schemes:
        raise AddressRefused(f"the address must begin with {' or '.join(f'{name}://' for name in schemes)}")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise AddressRefused("the address carries a user name or a password")
    if not parsed.raw_host or parsed.port == 0:
        raise AddressRefused("the address names no host and port to connect to")
    _check_host(parsed.raw_host, allow_private=allow_private)


def is_public(address: str) -> bool:
    """Whether an IP address in its canonical text lies in the public internet; False for what is no such text."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return _is_public_v6(ip)
    return _is_public_v4(ip)


class GuardedResolver(AbstractResolver):
    """Resolves like the system does, and leaves out every address that is not public.

    A name with public and private addresses keeps the public ones. ``exempt_host`` is the operator's own proxy, which
    may stand in a private network. Needs a running loop only when first used.
    """

    def __init__(self, *, allow_private: bool, exempt_host: str = "", resolver: AbstractResolver | None = None) -> None:
        self._allow_private = allow_private
        self._exempt_host = exempt_host.lower()
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up.

        Raises:
            AddressRefused: it has addresses, and none of them is public.
            OSError: it cannot be resolved.
        """
        if self._resolver is None:
            self._resolver = ThreadedResolver()
        found = await self._resolver.resolve(host, port, family)
        if self._allow_private or host.lower() == self._exempt_host:
            return found
        public = [entry for entry in found if is_public(entry["host"])]
        if found and not public:
            raise AddressRefused(f"{host[:100]} resolves to {found[0]['host']}, which is not a public address")
        return public

    async def close(self) -> None:
        """Close the resolver underneath."""
        if self._resolver is not None:
            await self._resolver.close()


def _parse(url: str) -> URL:
    if _UNSAFE.search(url):
        raise AddressRefused("the address holds blanks, control characters or backslashes")
    try:
        url.encode()  # a lone surrogate cannot be sent
        parsed = URL(url, encoded=True)
        _ = parsed.raw_host, parsed.port  # yarl reads them late, and complains then
    except ValueError:  # UnicodeError included; its text quotes the address, so it is not handed on
        raise AddressRefused("the address cannot be read as a URL") from None
    return parsed


def _check_host(host: str, *, allow_private: bool) -> None:
    if ":" in host:
        _check_literal(host, allow_private=allow_private)
        return
    if len(host) > _NAME_MAX or not _NAME.fullmatch(host):
        raise AddressRefused("the host is no name that can be looked up")
    name = host.lower().removesuffix(".")
    if _NUMBER_LABEL.fullmatch(name.rsplit(".", 1)[-1]):
        _check_literal(host, allow_private=allow_private)
    elif not allow_private and (name == "localhost" or name.endswith(".localhost")):
        raise AddressRefused(f"{host[:100]} is this machine, not a public address")


def _check_literal(host: str, *, allow_private: bool) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise AddressRefused("the host is an IP address in an unusual spelling") from None
    if not allow_private and not is_public(host):
        raise AddressRefused(f"{host[:100]} is not a public address")


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and ip not in _RELAYS


def _is_public_v6(ip: ipaddress.IPv6Address) -> bool:
    """Judge an IPv4 address that is wrapped in this one by itself; refuse zones, tunnels and all but global unicast."""
    if ip.scope_id is not None:
        return False
    if ip.ipv4_mapped is not None:
        return _is_public_v4(ip.ipv4_mapped)
    if ip in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    tunnelled = ip.sixtofour is not None or ip.teredo is not None
    return ip in _GLOBAL_UNICAST and ip.is_global and not ip.is_multicast and not tunnelled
