"""Redirects of the simulated object store, hard and soft: chains, loops, and places no client should go."""

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from logkeep.simulator import Fault, OfferedFile, Pan123Cloud
from pan123_asker import Answer, Asker, asking, frozen_cloud, origin

SIZE = 5_000


def target(got: Answer) -> str:
    """Where a redirect leads, soft or not."""
    if got.status == 210:
        body = json.loads(got.body)
        assert body["code"] == 0
        return str(body["data"]["redirect_url"])
    return str(got.headers["Location"])


def published(asker: Asker) -> tuple[OfferedFile, bytes]:
    file = asker.account.publish("2025062010", size=SIZE)
    return file, file.content.read(0, SIZE)


async def follow(asker: Asker, url: str, limit: int = 10) -> tuple[list[int], Answer]:
    """The statuses on the way, and where it ended."""
    statuses: list[int] = []
    answer = await asker.download(url)
    while answer.status in (210, 302) and len(statuses) < limit:
        statuses.append(answer.status)
        answer = await asker.download(target(answer))
    return statuses, answer


@pytest.mark.parametrize("status", [210, 302])
@pytest.mark.parametrize("hops", [1, 4])
async def test_redirects_of_several_hops_end_at_the_content(status: int, hops: int) -> None:
    async with asking(frozen_cloud(single_use_urls=True)) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", f"http_{status}", hops=hops, times=None))
        statuses, answer = await follow(asker, await asker.url(file))
        assert statuses == [status] * hops
        assert answer.body == truth
        assert asker.cloud.requests[-1].hop == f"{status}-0"


@pytest.mark.parametrize("status", [210, 302])
async def test_a_redirect_loop_never_ends(status: int) -> None:
    async with asking(frozen_cloud()) as asker:
        file, _ = published(asker)
        asker.cloud.faults.add(Fault("download", f"http_{status}", to="loop"))
        statuses, _ = await follow(asker, await asker.url(file), 25)
        assert statuses == [status] * 25


@pytest.mark.parametrize("kind", ["http_210", "http_302"])
async def test_redirects_lead_where_they_are_told(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)

        async def led(**where: Any) -> str:
            asker.cloud.faults.add(Fault("download", kind, **where))
            return target(await asker.fetch(file))

        assert urlsplit(await led(to="private")).netloc == "169.254.169.254"
        assert (await led(to="file")).startswith("file:///")
        assert await led(location="ftp://example.com/x") == "ftp://example.com/x"
        relative = await led(to="relative")
        assert relative.startswith("/123-direct-link-logs/")
        assert (await asker.download(asker.cloud.download_base + relative)).body == truth
        elsewhere = await led(to="host")
        assert origin(elsewhere) == asker.cloud.download_base.replace("127.0.0.1", "localhost")
        assert (await asker.download(elsewhere)).body == truth


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A self-signed certificate's context."""
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost")
    subprocess.run(["openssl", "req", "-x509", *curve, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_redirect_from_https_to_http(tls: ssl.SSLContext) -> None:
    cloud = Pan123Cloud()
    account = cloud.add_account()
    file = account.populate(1, 1)[0]
    cloud.faults.add(Fault("download", "http_302", to="http"))
    try:
        await cloud.start(tls=tls)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            answer = await Asker(cloud, account, session).fetch(file)
    finally:
        await cloud.stop()
    assert cloud.base_url.startswith("https://")
    assert target(answer).startswith("http://127.0.0.1:")
