import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from logkeep.vendors.address import AddressRefused, GuardedResolver, check_url, is_public


class Names(AbstractResolver):
    """A resolver that knows one name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


def refused(url: str, *, allow_http: bool = True, allow_private: bool = False) -> str:
    with pytest.raises(AddressRefused) as caught:
        check_url(url, allow_http=allow_http, allow_private=allow_private)
    return caught.value.reason


@pytest.mark.parametrize(
    "url",
    [
        "https://open-api.123pan.com/api",
        "https://m88.cjjd20.com:30443/a%2Fb?X=1",
        "http://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::808:808]/",
        "https://under_score.example.com./",
        "HTTPS://EXAMPLE.COM/名",
    ],
)
def test_public_addresses_pass(url: str) -> None:
    check_url(url, allow_http=True, allow_private=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:127.0.0.1%25eth0]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[2606:4700::1111%25eth0]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::808:808]",
        "[2001:db8::1]",
        "[2001::1]",
        "[2002:7f00:1::]",
        "[2002:808:808::]",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
    ],
)
def test_what_is_not_the_public_internet_is_refused_unless_allowed(host: str) -> None:
    assert "not a public address" in refused(f"http://{host}:80/p")
    if "%" not in host:
        check_url(f"http://{host}:80/p", allow_http=True, allow_private=True)


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "010.8.8.8",
        "8.8.8.8.",
        "8.8.8.256",
        "1.2.3.4.5",
        "a.0x7f",
        "\uff11\uff12\uff17.0.0.1",
        "\u2460\u2461\u2466.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "exämple.com",
        "-a.com",
        "a..com",
        ".com",
        "a" * 64 + ".com",
        "a,b",
        "[::1",
        "[::1]x",
        "",
    ],
)
def test_a_host_in_an_unusual_spelling_is_refused_whatever_it_means(host: str, allow_private: bool) -> None:
    refused(f"http://{host}/", allow_private=allow_private)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://:pw@example.com/",
        "https://127.0.0.1\\@example.com/",
        "https://exa\tmple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://example.com/\ud800",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    refused(url)
    refused(url, allow_private=True)


def test_http_needs_to_be_allowed() -> None:
    assert refused("http://example.com/", allow_http=False) == "the address must begin with https://"
    check_url("https://example.com/", allow_http=False, allow_private=False)


def test_a_refusal_shows_neither_path_nor_query_nor_password() -> None:
    reasons = [refused(url) for url in ("http://u:sEcReT@h/", "http://10.0.0.1/sEcReT?sEcReT", "http://h:x/?sEcReT")]
    assert not any("sEcReT" in reason for reason in reasons)


async def test_a_name_with_private_addresses_only_is_refused() -> None:
    resolver = GuardedResolver(allow_private=False, resolver=Names("10.1.2.3", "127.0.0.1"))
    with pytest.raises(AddressRefused, match=r"inner\.example resolves to 10\.1\.2\.3"):
        await resolver.resolve("inner.example", 443)


async def test_of_mixed_addresses_the_public_ones_are_kept() -> None:
    resolver = GuardedResolver(allow_private=False, resolver=Names("10.1.2.3", "8.8.8.8", "fe80::1%eth0", "::1"))
    assert [entry["host"] for entry in await resolver.resolve("x", 443)] == ["8.8.8.8"]


async def test_private_addresses_pass_where_allowed_and_for_the_operator_s_proxy() -> None:
    for guarded in (
        GuardedResolver(allow_private=True, resolver=Names("10.1.2.3")),
        GuardedResolver(allow_private=False, exempt_host="Proxy.example", resolver=Names("10.1.2.3")),
    ):
        assert [entry["host"] for entry in await guarded.resolve("proxy.example", 443)] == ["10.1.2.3"]


async def test_closing_closes_what_lies_beneath() -> None:
    names = Names()
    await GuardedResolver(allow_private=False, resolver=names).close()
    await GuardedResolver(allow_private=False).close()
    assert names.closed


@pytest.fixture
async def own_port() -> AsyncIterator[int]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_a_public_name_that_resolves_to_this_machine_is_never_connected_to(own_port: int) -> None:
    """DNS decides where a name leads, at the last moment; the check is there as well."""
    for allow_private, ends in ((True, "hello"), (False, "refused")):
        resolver = GuardedResolver(allow_private=allow_private, resolver=Names("127.0.0.1"))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session:
            try:
                async with session.get(f"http://download.example:{own_port}/") as response:
                    outcome = await response.text()
            except AddressRefused:
                outcome = "refused"
        assert outcome == ends


async def test_the_system_s_resolver_is_guarded_too() -> None:
    with pytest.raises(AddressRefused):
        await GuardedResolver(allow_private=False).resolve("localhost", 80)


def test_text_that_is_no_address_is_not_public() -> None:
    assert not is_public("example.com")
