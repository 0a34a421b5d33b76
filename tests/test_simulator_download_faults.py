"""Every fault of the simulated object store does on the wire what its name says, and then the store is well again."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from datetime import timedelta

import aiohttp
import pytest
from yarl import URL

from logkeep.simulator import Fault, OfferedFile
from logkeep.simulator.pan123.delivery_faults import JUNK
from logkeep.simulator.pan123.download_faults import DOWNLOAD_KINDS
from pan123_asker import Answer, Asker, asking, frozen_cloud

SIZE = 5_000
PATIENCE = aiohttp.ClientTimeout(total=0.5)
Check = Callable[[Answer, bytes], bool]


def document(status: int, kind: str, inside: bytes) -> Check:
    """Something that is not the object."""
    return lambda got, _: got.status == status and kind in got.headers["Content-Type"] and inside in got.body


def redirect(status: int) -> Check:
    return lambda got, _: got.status == status and target(got).startswith("http://127.0.0.1:")


def target(got: Answer) -> str:
    """Where a redirect leads, soft or not."""
    if got.status == 210:
        body = json.loads(got.body)
        assert body["code"] == 0
        return str(body["data"]["redirect_url"])
    return str(got.headers["Location"])


def bytes_are(change: Callable[[bytes], bytes]) -> Check:
    """A consistent 200 whose bytes are not the truth's."""
    return lambda got, truth: (
        got.status == 200 and got.body == change(truth) and got.headers["Content-Length"] == str(len(got.body))
    )


def flipped(data: bytes) -> bytes:
    return data[: SIZE // 2] + bytes([data[SIZE // 2] ^ 1]) + data[SIZE // 2 + 1 :]


def grown(got: Answer, truth: bytes) -> bool:
    gzip.decompress(got.body)
    return got.body.startswith(truth) and len(got.body) == SIZE + 89


ANSWERS: dict[str, Check] = {
    "http_400": document(400, "application/xml", b"<Error>"),
    "http_401": document(401, "application/xml", b"<Error>"),
    "http_403": document(403, "application/xml", b"expired"),
    "http_403_geo": document(403, "application/json", b'"code":1010'),
    "http_403_html": document(403, "text/html", b"403 Forbidden"),
    "http_404": document(404, "application/xml", b"NoSuchKey"),
    "http_410": document(410, "application/xml", b"Gone"),
    "http_429": document(429, "application/xml", b"TooManyRequests"),
    "http_500": document(500, "application/xml", b"InternalError"),
    "http_502": document(502, "text/html", b"502"),
    "http_503": document(503, "application/xml", b"SlowDown"),
    "http_504": document(504, "text/html", b"504"),
    "xml_200": document(200, "application/xml", b"<Error>"),
    "html_200": document(200, "text/html", b"<!DOCTYPE html>"),
    "json_200": document(200, "application/json", b'"code":5066'),
    **{f"http_{status}": redirect(status) for status in (301, 302, 303, 307, 308, 210)},
    "redirect_nowhere": lambda got, _: got.status == 210 and got.json["data"] == {},
    "short_length": bytes_are(lambda truth: truth[: SIZE // 2]),
    "corrupt": bytes_are(flipped),
    "junk": bytes_are(lambda truth: truth + JUNK),
    "zeros": bytes_are(lambda truth: truth + bytes(512)),
    "empty": bytes_are(lambda _: b""),
    "grows": grown,
    "no_content_length": lambda got, truth: got.body == truth and "Content-Length" not in got.headers,
    "unasked_206": lambda got, truth: (got.status, got.body, "Content-Range" in got.headers) == (206, truth, False),
    "content_encoding": lambda got, truth: got.headers["Content-Encoding"] == "gzip" and got.body == truth,
    "changed_etag": lambda got, truth: got.headers["ETag"] == '"changed-1"' and got.body == truth,
    "no_etag": lambda got, truth: "ETag" not in got.headers and got.body == truth,
    "slow": lambda got, truth: got.body == truth,
}
BROKEN: dict[str, tuple[type[Exception], int]] = {
    "truncate": (aiohttp.ClientPayloadError, SIZE // 2),
    "chunked_cut": (aiohttp.ClientPayloadError, SIZE // 2),
    "wrong_length": (aiohttp.ClientPayloadError, SIZE),
    "reset": (aiohttp.ClientError, 0),
    "stall": (TimeoutError, SIZE // 2),
}
SILENT: dict[str, type[Exception]] = {
    "drop": aiohttp.ServerDisconnectedError,
    "drop_reset": aiohttp.ClientOSError,
    "silence": TimeoutError,
}
WITH_RANGES = {"ignores_range", "range_wrong", "range_lies"}


def test_every_kind_of_fault_is_examined_here() -> None:
    assert {*ANSWERS, *BROKEN, *SILENT} | WITH_RANGES == set(DOWNLOAD_KINDS.known)


def published(asker: Asker) -> tuple[OfferedFile, bytes]:
    file = asker.account.publish("2025062010", size=SIZE)
    return file, file.content.read(0, SIZE)


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_faulty_download_is_what_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", kind))
        assert ANSWERS[kind](await asker.fetch(file), truth)
        assert asker.cloud.requests[-1].fault == kind
        well = await asker.fetch(file)
        assert (well.status, well.body) == (200, truth)


async def read_until_it_breaks(
    asker: Asker, url: str, patience: aiohttp.ClientTimeout | None = None
) -> tuple[int, bytes, Exception]:
    """Promised length (-1: none), bytes that arrived, and how it ended."""
    got = bytearray()
    async with asker.session.get(URL(url, encoded=True), timeout=patience or asker.session.timeout) as reply:
        promised = -1 if reply.content_length is None else reply.content_length
        try:
            async for piece in reply.content.iter_any():
                got += piece
        except (aiohttp.ClientError, TimeoutError) as error:
            return promised, bytes(got), error
    raise AssertionError("it did not break")


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_download_breaks_off_as_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", kind))
        patience = PATIENCE if kind == "stall" else None
        promised, got, error = await read_until_it_breaks(asker, await asker.url(file), patience)
        expected, count = BROKEN[kind]
        assert isinstance(error, expected)
        assert promised == {"chunked_cut": -1, "wrong_length": SIZE + 100}.get(kind, SIZE)
        assert truth.startswith(got)
        assert count <= len(got) <= max(count, SIZE // 2)
        assert asker.cloud.requests[-1].sent_bytes == max(count, SIZE // 2)
        assert (await asker.fetch(file)).body == truth


@pytest.mark.parametrize("kind", SILENT)
async def test_a_download_that_never_begins(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", kind))
        url = await asker.url(file)
        with pytest.raises(SILENT[kind]):
            await asker.download(url, timeout=PATIENCE if kind == "silence" else asker.session.timeout)
        assert asker.cloud.requests[-1].status is None
        assert (await asker.fetch(file)).body == truth


async def test_the_place_of_a_break_can_be_chosen_and_a_range_resumes_behind_it() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", "truncate", at=1234))
        _, got, _ = await read_until_it_breaks(asker, await asker.url(file))
        assert got == truth[:1234]
        rest = await asker.fetch(file, {"Range": f"bytes={len(got)}-"})
        assert (rest.status, got + rest.body) == (206, truth)


async def test_a_break_behind_the_end_breaks_nothing() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        for kind in ("truncate", "stall", "reset"):
            asker.cloud.faults.add(Fault("download", kind, at=SIZE))
            assert (await asker.fetch(file)).body == truth


async def test_spoilt_bytes_are_spoilt_at_the_same_place_in_a_range() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", "corrupt", times=None))
        part = await asker.fetch(file, {"Range": "bytes=2000-"})
        assert part.body == flipped(truth)[2000:] != truth[2000:]
        with pytest.raises((zlib.error, gzip.BadGzipFile)):
            gzip.decompress((await asker.fetch(file)).body)


async def test_ranges_that_are_ignored_shifted_or_lied_about() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(
            Fault("download", "ignores_range"),
            Fault("download", "range_wrong"),
            Fault("download", "range_lies", at=-10),
            Fault("download", "range_wrong", at=10),
        )
        answers = [await asker.fetch(file, {"Range": "bytes=100-"}) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 206, 206, 206]
        ranges = [answer.headers.get("Content-Range") for answer in answers]
        assert ranges == [None, "bytes 99-4999/5000", "bytes 100-4999/5000", "bytes 110-4999/5000"]
        assert [answer.body for answer in answers] == [truth, truth[99:], truth[90:], truth[110:]]


async def test_a_changed_etag_makes_if_range_restart() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        etag = (await asker.fetch(file)).headers["ETag"]
        asker.cloud.faults.add(Fault("download", "changed_etag"))
        answer = await asker.fetch(file, {"Range": "bytes=100-", "If-Range": etag})
        assert (answer.status, answer.body) == (200, truth)


async def test_a_growing_object_is_longer_at_each_attempt() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(Fault("download", "grows", times=3))
        bodies = [(await asker.fetch(file)).body for _ in range(4)]
        assert [len(body) - SIZE for body in bodies] == [89, 178, 267, 0]
        assert all(body.startswith(truth) for body in bodies)


async def test_a_fault_may_concern_one_file_only() -> None:
    async with asking(frozen_cloud()) as asker:
        bad, good = asker.account.publish("2025062010", count=2)
        asker.cloud.faults.add(Fault("download", "http_404", file_id=str(bad.file_id), times=None))
        assert [(await asker.fetch(file)).status for file in (bad, good, bad, good)] == [404, 200, 404, 200]


async def test_a_slow_download_takes_its_time_and_stops_with_the_cloud() -> None:
    async with asking(frozen_cloud()) as asker:
        file, truth = published(asker)
        asker.cloud.faults.add(
            Fault("download", "slow", at=1000, pause=timedelta(milliseconds=20)),
            Fault("download", "slow", at=1, pause=timedelta(hours=1)),
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await asker.fetch(file)).body == truth
        assert loop.time() - began >= 5 * 0.02
        url = await asker.url(file)
        endless = asyncio.ensure_future(asker.download(url))
        await asker.cloud.until("download", 2)
        await asker.cloud.stop()
        with pytest.raises(aiohttp.ClientError):
            await endless
