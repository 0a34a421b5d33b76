"""Addresses in the settings: where the vendors are, the proxy, and where logkeep listens."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, SecretStr, ValidationInfo
from pydantic_settings import NoDecode

from logkeep.config.values import Reading
from logkeep.config.wording import show

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_NUMERIC_END = re.compile(r"(.*\.)?(0[xX][0-9A-Fa-f]*|\d+)\.?", re.ASCII)
_LISTEN = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):(\d{1,5})", re.ASCII)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. ``host`` is bare (no brackets around IPv6); port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``127.0.0.1:8480``, ``[::1]:8480`` or ``name:8480``.

        Raises:
            ValueError: the text is no such address.
        """
        match = _LISTEN.fullmatch(text)
        host = (match[1] or match[2]) if match else ""
        good_host = _is_ip(host, version=6) if match and match[1] else _is_host(host)
        if match is None or not good_host or int(match[3]) > _LAST_PORT:
            raise ValueError(
                f'write HOST:PORT such as "127.0.0.1:8480" or "[::1]:8480", or "" for off, not {show(text)}'
            )
        return cls(host, int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(value: object) -> Address | None:
    """An address to listen on; empty text for none."""
    if value is None or value == "":
        return None
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        return Address.parse(value)
    raise ValueError(f'write HOST:PORT in quotes, such as "127.0.0.1:8480", or "" for off, not {show(value)}')


def parse_origin(value: object, info: ValidationInfo) -> str:
    """The root of a vendor's API: scheme, host and port, without a slash at the end."""
    parts = _web_address(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or a password; write https://HOST only")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("holds a path or a query; write https://HOST only")
    _check_reach(parts, info.context if isinstance(info.context, Reading) else Reading())
    return f"{parts.scheme}://{parts.netloc.lower()}"


def parse_proxy(value: object) -> SecretStr | None:
    """A proxy's address, which may hold a password; empty text for none."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text is None or text == "":
        return None
    parts = _web_address(text)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("holds a path or a query; write http://HOST:PORT only")
    return SecretStr(str(text))


def _web_address(value: object) -> SplitResult:
    """Split an address. Messages never show it: there may be a password inside."""
    text = value if isinstance(value, str) else ""
    if not text.isprintable() or " " in text:
        raise ValueError("holds a space or a control character; write https://HOST")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        parts, sound = SplitResult("", "", "", "", ""), False
    if not sound:
        raise ValueError("is no web address; write https://HOST or https://HOST:PORT in quotes")
    return parts


def _check_reach(parts: SplitResult, reading: Reading) -> None:
    host = parts.hostname or ""
    reasons = []
    if parts.scheme == "http" and not reading.allow_http:
        reasons.append("http:// sends the secret unencrypted; write https:// or set download.allow_http = true")
    if is_private_host(host) and not reading.allow_private_addresses:
        reasons.append(
            f"{show(host)} is not a public address; write the vendor's or set download.allow_private_addresses = true"
        )
    if reasons:
        raise ValueError(f"{', and '.join(reasons)} (for tests and private installs)")


def is_private_host(host: str) -> bool:
    """Whether a host, as written and without asking DNS, is this machine or a private network."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")


def _is_ip(host: str, *, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    """An IP address or a name; never a number that some resolvers would read as an address."""
    if _is_ip(host, version=4) or _is_ip(host, version=6):
        return True
    return bool(_HOST_NAME.fullmatch(host)) and not _NUMERIC_END.fullmatch(host)


Listen = Annotated[Address | None, BeforeValidator(parse_listen), NoDecode]
Origin = Annotated[str, BeforeValidator(parse_origin)]
Proxy = Annotated[SecretStr | None, BeforeValidator(parse_proxy)]
