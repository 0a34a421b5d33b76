"""Where a download may lead: addresses as they were signed, redirects hop by hop, private hosts refused."""

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from logkeep.errors import NextStep
from logkeep.files.http_answer import sendable
from logkeep.model import SignedUrl

from download_host import SIGNATURE, TEMP, Answer, Bench, bench, log_file, reply

GOOD = log_file()
PUBLIC = "http://93.184.215.14"

SENSITIVE = [
    "/a%2Fb%7Ec+d/~e/%e4%bd%a0/x%20y.gz?X-Sig=a%2Bb%2F%7E+c==&q=%7e&e=&&k",
    "/a//b/./c/../d.gz?u=http://x/?y&t=1,2;3:4@5",
    "/plain.gz?a=%00%0d%0A%zz%",
    "/tilde~.gz?!*'()=$",
]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        made.host.answers["*"] = reply(GOOD)
        yield made


def soft(target: object, code: int = 0) -> str:
    return json.dumps({"code": code, "message": "", "data": {"redirect_url": target}})


@pytest.mark.parametrize("target", SENSITIVE)
async def test_an_address_arrives_exactly_as_it_was_signed(desk: Bench, target: str) -> None:
    await desk.downloader.fetch(desk.file(target), TEMP)
    assert desk.host.asked == [target]


@pytest.mark.parametrize("target", SENSITIVE)
@pytest.mark.parametrize("kind", ["absolute", "path", "soft"])
async def test_a_redirect_arrives_exactly_as_it_was_sent(desk: Bench, target: str, kind: str) -> None:
    if kind == "soft":
        desk.host.answers["/first"] = reply(soft(desk.host.url + target), 210)
    else:
        desk.host.answers["/first"] = reply(
            status=302, Location=target if kind == "path" else f"{desk.host.url}{target}"
        )
    got = await desk.downloader.fetch(desk.file("/first"), TEMP)
    assert got.disagreement is None
    assert desk.host.asked == [f"/first?{SIGNATURE}", target]


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("g.gz?s=%2F", "/deep/g.gz?s=%2F"),
        ("?s=%7E", "/deep/first?s=%7E"),
        ("//{host}/x%2Fy", "/x%2Fy"),
        ("/x#fragment", "/x"),
    ],
)
async def test_a_relative_redirect_is_resolved(desk: Bench, location: str, asked: str) -> None:
    host = desk.host.url.removeprefix("http://")
    desk.host.answers["/deep/first"] = once(reply(status=307, Location=location.format(host=host)))
    assert (await desk.downloader.fetch(desk.file("/deep/first?a=b"), TEMP)).disagreement is None
    assert desk.host.asked[1] == asked


def once(first: Answer) -> Answer:
    answers = iter([first])

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await next(answers, reply(GOOD))(request)

    return answer


def test_bytes_that_are_no_text_are_sent_as_they_came() -> None:
    """A header that is no UTF-8 comes from aiohttp with lone surrogates."""
    assert sendable("http://x/\udcff%2F") == "http://x/%FF%2F"


async def test_half_a_character_in_an_address_is_refused(desk: Bench) -> None:
    assert (await desk.failure(desk.file("/\ud800"))).reason == "address_refused"


async def test_other_scripts_in_an_address_are_sent_as_utf8(desk: Bench) -> None:
    await desk.downloader.fetch(desk.file("/日志%2F.gz?n=名"), TEMP)
    assert desk.host.asked == ["/%E6%97%A5%E5%BF%97%2F.gz?n=%E5%90%8D"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_every_redirect_is_followed(desk: Bench, status: int) -> None:
    desk.host.answers["/first"] = reply("moved", status, Location="/f.gz")
    assert (await desk.downloader.fetch(desk.file("/first"), TEMP)).disagreement is None


async def test_ten_hops_of_both_kinds_are_followed(desk: Bench) -> None:
    chain(desk, 10)
    assert (await desk.downloader.fetch(desk.file("/0"), TEMP)).disagreement is None
    assert len(desk.host.asked) == 11


async def test_eleven_hops_are_too_many(desk: Bench) -> None:
    chain(desk, 11)
    failed = await desk.failure(desk.file("/0"))
    assert (failed.reason, failed.step) == ("redirect_loop", NextStep.RELIST)
    assert len(desk.host.asked) == 11


def chain(desk: Bench, hops: int) -> None:
    for hop in range(hops):
        target = f"/{hop + 1}?{SIGNATURE}"
        desk.host.answers[f"/{hop}"] = (
            reply(status=302, Location=target) if hop % 2 else reply(soft(desk.host.url + target), 210)
        )


async def test_a_redirect_to_itself_is_a_loop(desk: Bench) -> None:
    desk.host.answers["/first"] = reply(status=302, Location=f"/first?{SIGNATURE}")
    failed = await desk.failure(desk.file("/first"))
    assert failed.reason == "redirect_loop"
    assert len(desk.host.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        soft(None),
        soft(["x"]),
        soft("http://x/\ud800"),
        soft("https://example.com/", code=1),
        '{"code":0,"data":null}',
        "[]",
        "{",
        "",
        "[" * 60_000,
        "not json",
    ],
)
async def test_a_soft_redirect_that_leads_nowhere(desk: Bench, body: str) -> None:
    desk.host.answers["/first"] = reply(body, 210)
    failed = await desk.failure(desk.file("/first"))
    assert failed.reason in {"url_refused", "http_status"}
    assert failed.code == 210


async def test_a_redirect_without_a_location(desk: Bench) -> None:
    desk.host.answers["/first"] = reply(status=302)
    failed = await desk.failure(desk.file("/first"))
    assert (failed.reason, failed.step) == ("url_refused", NextStep.RELIST)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://2130706433/x",
        "http://localhost/x",
        "ftp://93.184.215.14/x",
        "file:///etc/passwd",
        "http://user:pass@93.184.215.14/x",
        "http://93.184.215.14/x y",
        "gopher:x",
        "http://",
        "http://[",
    ],
)
@pytest.mark.parametrize("kind", ["listed", "redirect", "soft"])
async def test_a_forbidden_address_is_refused_at_every_hop(tmp_path: Path, target: str, kind: str) -> None:
    """Through a proxy, so that the first hop may be a public address though no test reaches one."""
    async with (
        bench(tmp_path / "proxy") as proxy,
        bench(tmp_path / "desk", proxy=proxy.host.url, allow_private_addresses=False) as desk,
    ):
        proxy.host.answers["*"] = reply(GOOD)
        proxy.host.answers[f"{PUBLIC}/first"] = (
            reply(soft(target), 210) if kind == "soft" else reply(status=302, Location=target)
        )
        start = f"{PUBLIC}/first?{SIGNATURE}" if kind != "listed" else target
        failed = await desk.failure(desk.file(SignedUrl(start) if "://" in start else f"{start}://"))
        assert (failed.reason, failed.step) == ("address_refused", NextStep.GIVE_UP)
        assert len(proxy.host.asked) == (kind != "listed")


async def test_a_proxy_is_used_and_gets_the_address_as_it_was_signed(tmp_path: Path) -> None:
    async with (
        bench(tmp_path / "proxy") as proxy,
        bench(tmp_path / "desk", proxy=proxy.host.url, allow_private_addresses=False) as desk,
    ):
        proxy.host.answers["*"] = reply(GOOD)
        got = await desk.downloader.fetch(desk.file(f"{PUBLIC}/a%2Fb~%7E?c=%2B"), TEMP)
        assert got.disagreement is None
        assert proxy.host.asked == [f"{PUBLIC}/a%2Fb~%7E?c=%2B"]


class Names(AbstractResolver):
    """Every name has this address."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        found = ResolveResult(
            hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
        )
        return [found]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_name_that_resolves_to_a_private_address(tmp_path: Path, allowed: bool) -> None:
    async with bench(tmp_path, resolver=Names("127.0.0.1"), allow_private_addresses=allowed) as desk:
        desk.host.answers["*"] = reply(GOOD)
        file = desk.file(desk.host.url.replace("127.0.0.1", "cdn.example.com") + "/f.gz")
        if allowed:
            assert (await desk.downloader.fetch(file, TEMP)).disagreement is None
        else:
            failed = await desk.failure(file)
            assert (failed.reason, failed.step) == ("address_refused", NextStep.GIVE_UP)
            assert desk.host.asked == []


async def test_a_cookie_is_never_sent_back(tmp_path: Path) -> None:
    async with bench(tmp_path, resolver=Names("127.0.0.1")) as desk:
        desk.host.answers["*"] = reply(GOOD, Set_Cookie="a=b; Path=/")
        file = desk.file(desk.host.url.replace("127.0.0.1", "cdn.example.com") + "/f.gz")
        for _ in range(2):
            await desk.downloader.fetch(file, TEMP)
        assert [headers.get("Cookie") for headers in desk.host.headers] == [None, None]


async def test_plain_http_is_refused_unless_allowed(tmp_path: Path) -> None:
    async with bench(tmp_path, allow_http=False) as desk:
        failed = await desk.failure(desk.file(reply(GOOD)))
        assert failed.reason == "address_refused"
        assert desk.host.asked == []
