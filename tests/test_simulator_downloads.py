"""The simulated object store: presigned addresses checked byte for byte, ranges, and no credentials of other hosts."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from yarl import URL

from pan123_asker import NOON, asking, frozen_cloud, origin

from manual_clock import ManualClock


async def test_downloads_live_on_another_port_than_the_api() -> None:
    async with asking(frozen_cloud()) as asker:
        url = await asker.url(asker.account.publish("2025062010"))
        assert origin(url) == asker.cloud.download_base != asker.cloud.base_url


async def test_every_listing_hands_out_a_fresh_address() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010")
        first, second = await asker.url(file), await asker.url(file)
        assert first != second
        assert (await asker.download(first)).body == (await asker.download(second)).body


REWRITINGS: dict[str, Callable[[str], str]] = {
    "by yarl's requoting": lambda url: str(URL(url)),
    "unquoted once": lambda url: unquote(url).replace(" ", "%20"),
    "upper-case escapes": lambda url: url.replace("%2f", "%2F"),
    "tilde unescaped": lambda url: url.replace("%7E", "~"),
    "plus escaped": lambda url: url.replace("+", "%2B"),
    "plus as space": lambda url: url.replace("+", "%20"),
    "slash unescaped in the query": lambda url: url.replace("SIM%2F", "SIM/"),
    "signature altered": lambda url: url[:-4] + ("AAAA" if url[-4:] != "AAAA" else "BBBB"),
    "signature unescaped": lambda url: url.replace("%3D", "="),
    "parameter appended": lambda url: url + "&x=1",
    "parameters reordered": lambda url: url.replace("?", "?x=1&"),
    "query dropped": lambda url: url.partition("?")[0],
}


@pytest.mark.parametrize("rewriting", REWRITINGS)
async def test_an_address_that_was_rewritten_breaks_its_signature(rewriting: str) -> None:
    async with asking(frozen_cloud()) as asker:
        url = await asker.url(asker.account.publish("2025062010"))
        rewritten = REWRITINGS[rewriting](url)
        assert rewritten != url
        refused = await asker.download(rewritten)
        assert refused.status == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in refused.body
        assert (await asker.download(url)).status == 200


async def test_an_address_of_one_file_does_not_open_another() -> None:
    async with asking(frozen_cloud()) as asker:
        urls = [await asker.url(file) for file in asker.account.publish("2025062010", count=2)]
        path, query = urls[0].partition("?")[0], urls[1].partition("?")[2]
        assert (await asker.download(f"{path}?{query}")).status == 403


async def test_an_address_expires() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, url_lifetime=timedelta(minutes=1))) as asker:
        url = await asker.url(asker.account.publish("2025062010"))
        clock.advance(timedelta(seconds=59))
        assert (await asker.download(url)).status == 200
        clock.advance(timedelta(seconds=1))
        expired = await asker.download(url)
        assert (expired.status, expired.headers["Content-Type"]) == (403, "application/xml; charset=utf-8")
        assert b"Request has expired" in expired.body


async def test_a_single_use_address_serves_once() -> None:
    async with asking(frozen_cloud(single_use_urls=True)) as asker:
        file = asker.account.publish("2025062010")
        url = await asker.url(file)
        assert [(await asker.download(url)).status for _ in range(2)] == [200, 403]
        assert (await asker.fetch(file)).status == 200


@pytest.mark.parametrize("header", ["Authorization", "Platform", "Cookie"])
async def test_credentials_of_the_api_are_refused_and_recorded_as_a_violation(header: str) -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010")
        url = await asker.url(file)
        assert (await asker.download(url)).status == 200
        assert asker.cloud.violations == []
        assert (await asker.download(url, {header: "x=y"})).status == 400
        assert asker.cloud.violations == [f"{header} sent to the download host for file {file.file_id}"]


async def test_head_is_forbidden_and_does_not_spend_the_address() -> None:
    async with asking(frozen_cloud(single_use_urls=True)) as asker:
        url = await asker.url(asker.account.publish("2025062010"))
        assert (await asker.download(url, method="HEAD")).status == 403
        assert (await asker.download(url, method="POST")).status == 403
        assert (await asker.download(url)).status == 200


async def test_a_withdrawn_file_is_not_found() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010")
        url = await asker.url(file)
        asker.account.withdraw(file)
        missing = await asker.download(url)
        assert missing.status == 404
        assert b"NoSuchKey" in missing.body


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, 500),
        ("bytes=100-", 100, 500),
        ("bytes=100-199", 100, 200),
        ("bytes=100-9999", 100, 500),
        ("bytes=-50", 450, 500),
        ("bytes=-9999", 0, 500),
        ("bytes=499-499", 499, 500),
    ],
)
async def test_a_range_gets_exactly_what_it_asks_for(asked: str, start: int, stop: int) -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=500)
        part = await asker.fetch(file, {"Range": asked})
        assert part.status == 206
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/500"
        assert part.headers["Content-Length"] == str(stop - start)
        assert part.body == file.content.read(start, stop)


@pytest.mark.parametrize("asked", ["bytes=500-", "bytes=501-600", "bytes=-0"])
async def test_a_range_beyond_the_end_is_not_satisfiable(asked: str) -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.fetch(asker.account.publish("2025062010", size=500), {"Range": asked})
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */500")


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4"])
async def test_a_range_that_is_not_understood_is_ignored(asked: str) -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.fetch(asker.account.publish("2025062010", size=500), {"Range": asked})
        assert (answer.status, len(answer.body), "Content-Range" in answer.headers) == (200, 500, False)


async def test_if_range_resumes_the_same_bytes_and_restarts_others() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=500)
        whole = await asker.fetch(file)
        for validator in (whole.headers["ETag"], whole.headers["Last-Modified"]):
            part = await asker.fetch(file, {"Range": "bytes=100-", "If-Range": validator})
            assert (part.status, len(part.body)) == (206, 400)
        asker.account.replace(file)
        for validator in (whole.headers["ETag"], whole.headers["Last-Modified"]):
            restarted = await asker.fetch(file, {"Range": "bytes=100-", "If-Range": validator})
            assert (restarted.status, len(restarted.body)) == (200, 500)
            assert restarted.headers["ETag"] != whole.headers["ETag"]


async def test_etags_may_be_missing() -> None:
    async with asking(frozen_cloud(offer_etag=False)) as asker:
        answer = await asker.fetch(asker.account.publish("2025062010"))
        assert "ETag" not in answer.headers


@pytest.mark.parametrize("size", [23, 500, 65_558, 65_559, 200_000, 8 * 1024 * 1024 + 1])
async def test_objects_are_valid_gzip_of_exactly_the_size_asked_for(size: int) -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=size)
        answer = await asker.fetch(file)
        assert len(answer.body) == size == int(answer.headers["Content-Length"])
        gzip.decompress(answer.body)


async def test_a_content_encoding_header_tempts_clients_to_inflate() -> None:
    async with asking(frozen_cloud(content_encoding=True)) as asker:
        file = asker.account.publish("2025062010")
        answer = await asker.fetch(file)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.body == file.content.read(0, file.size_bytes)


async def test_an_account_cannot_be_mistaken_for_another_by_its_addresses() -> None:
    async with asking(frozen_cloud(), client_id="client/1+%7E?") as asker:
        file = asker.account.publish("2025062010")
        answer = await asker.fetch(file)
        assert answer.body == file.content.read(0, file.size_bytes)
        seen: Any = asker.cloud.requests[-1]
        assert (seen.client_id, seen.file_id) == ("client/1+%7E?", file.file_id)
