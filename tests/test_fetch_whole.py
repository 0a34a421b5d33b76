"""What counts as whole, and what happens to bytes that came complete and yet disagree."""

import gzip
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from logkeep.errors import NextStep, StorageFull
from logkeep.files.fetch import Fetched

from download_host import MIB, TEMP, Bench, Shelf, bench, log_file, reply

GOOD = log_file()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


@pytest.mark.parametrize("size", [0, 100, 70_000, 300_000, 3 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_whole_file_is_staged_as_it_came(desk: Bench, size: int, chunked: bool) -> None:
    content = log_file(size)
    heard: list[int] = []
    file = desk.file(Shelf(content, chunked=chunked), size=len(content))
    got = await desk.downloader.fetch(file, TEMP, progress=heard.append)
    assert got.disagreement is None
    assert got.promised_bytes == (None if chunked else len(content))
    assert (got.staged.size_bytes, got.staged.flags) == (len(content), ())
    assert got.staged.sha256 == hashlib.sha256(content).hexdigest()
    assert await desk.staged() == content
    assert heard == sorted(heard)
    assert heard[-1] == len(content)


async def test_a_listing_without_a_size_is_no_obstacle(desk: Bench) -> None:
    got = await desk.downloader.fetch(desk.file(Shelf(GOOD)), TEMP)
    assert got.disagreement is None


async def test_content_encoding_gzip_is_stored_undecoded(desk: Bench) -> None:
    encoded = reply(GOOD, Content_Encoding="gzip", Content_Type="application/octet-stream")
    got = await desk.downloader.fetch(desk.file(encoded, size=len(GOOD)), TEMP)
    assert got.disagreement is None
    assert await desk.staged() == GOOD


async def test_members_with_padding_are_whole(desk: Bench) -> None:
    content = GOOD + bytes(7) + gzip.compress(b"") + bytes(512)
    assert (await desk.downloader.fetch(desk.file(reply(content)), TEMP)).disagreement is None


async def test_the_request_tells_the_host_nothing(desk: Bench) -> None:
    """No credentials, no referer; the bytes as they lie."""
    desk.host.answers["/next.gz"] = reply(GOOD)
    first = reply(status=302, Location="/next.gz")
    await desk.downloader.fetch(desk.file(first), TEMP)
    for headers in desk.host.headers:
        assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert headers["Accept-Encoding"] == "identity"
        assert headers["User-Agent"] == "logkeep"


@pytest.mark.parametrize(
    ("content", "listed", "word", "flags"),
    [
        (GOOD, len(GOOD) + 1, "size_differs", ("size_differs",)),
        (GOOD, 0, "size_differs", ("size_differs",)),
        (b"plain text, no gzip", None, "not_gzip", ("not_gzip",)),
        (GOOD[:-1], len(GOOD) - 1, "truncated_gzip", ("not_gzip",)),
        (GOOD[:-1], len(GOOD), "truncated_gzip", ("size_differs", "not_gzip")),
        (GOOD[:-4] + b"\xff\xff\xff\xff", len(GOOD), "corrupt_gzip", ("not_gzip",)),
        (GOOD + b"junk", len(GOOD) + 4, "trailing_junk", ("not_gzip",)),
        (b"", 0, "not_gzip", ("not_gzip",)),
        (b"", 5, "not_gzip", ("size_differs", "not_gzip")),
    ],
)
async def test_complete_bytes_that_disagree_are_handed_over_for_comparison(
    desk: Bench, content: bytes, listed: int | None, word: str, flags: tuple[str, ...]
) -> None:
    """Content-Length was met: these may be the vendor's object, so they stay staged, with what disagrees."""
    got = await desk.downloader.fetch(desk.file(reply(content), size=listed), TEMP)
    assert (got.disagreement, got.staged.flags, got.promised_bytes) == (word, flags, len(content))
    assert len(desk.host.asked) == 1
    assert got.staged.sha256 == hashlib.sha256(content).hexdigest()
    assert await desk.staged() == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [(GOOD[:-1], "truncated_gzip"), (GOOD + b"x", "trailing_junk"), (b"text", "not_gzip"), (b"", "empty_body")],
)
async def test_disagreeing_bytes_without_a_content_length_prove_nothing(
    desk: Bench, content: bytes, reason: str
) -> None:
    failed = await desk.failure(desk.file(Shelf(content, chunked=True)))
    assert (failed.reason, failed.step) == (reason, NextStep.RETRY)
    assert await desk.staged() is None


async def test_another_size_without_a_content_length_is_tried_again(desk: Bench) -> None:
    failed = await desk.failure(desk.file(Shelf(GOOD, chunked=True), size=len(GOOD) + 1))
    assert (failed.reason, failed.step) == ("size_differs", NextStep.RETRY)


@pytest.mark.parametrize("body", ["<!DOCTYPE html><h1>busy</h1>", "<?xml?><Error/>", '\n{"code":0}', "[1]"])
async def test_a_page_in_place_of_the_file_is_never_staged(desk: Bench, body: str) -> None:
    failed = await desk.failure(desk.file(reply(body)))
    assert (failed.reason, failed.step) == ("error_page", NextStep.RELIST)
    assert await desk.staged() is None


@pytest.mark.parametrize(
    ("page", "content_type"),
    [(b"<html>busy</html>", "text/html; charset=utf-8"), (b'{"code":1}', "application/json")],
)
async def test_a_page_compressed_unasked_is_a_page(desk: Bench, page: bytes, content_type: str) -> None:
    """Its gzip is whole, so only what it calls itself and what it inflates to give it away."""
    body = gzip.compress(page)
    answer = reply(body, Content_Encoding="gzip", Content_Type=content_type)
    failed = await desk.failure(desk.file(answer, size=len(body)))
    assert (failed.reason, failed.step) == ("error_page", NextStep.RELIST)
    assert await desk.staged() is None


async def test_a_log_of_json_lines_is_no_page(desk: Bench) -> None:
    body = gzip.compress(b'{"ip":"1.2.3.4"}\n')
    got = await desk.downloader.fetch(desk.file(reply(body, Content_Type="application/json")), TEMP)
    assert got.disagreement is None


async def test_a_file_over_the_limit_is_not_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path, max_file_size_bytes=1000) as desk:
        failed = await desk.failure(desk.file(reply(GOOD), size=1001))
        assert (failed.reason, failed.step) == ("too_large", NextStep.GIVE_UP)
        assert desk.host.asked == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_that_turns_out_over_the_limit_is_dropped(tmp_path: Path, chunked: bool) -> None:
    shelf = Shelf(log_file(9 * MIB), chunked=chunked)
    async with bench(tmp_path, max_file_size_bytes=8 * MIB + 1000) as desk:
        failed = await desk.failure(desk.file(shelf))
        assert (failed.reason, failed.step) == ("too_large", NextStep.GIVE_UP)
        assert await desk.staged() is None


async def test_room_is_asked_for_before_bytes_are_written(desk: Bench) -> None:
    asked: list[int] = []

    async def admit(size: int) -> None:
        asked.append(size)

    await desk.downloader.fetch(desk.file(reply(GOOD), size=100), TEMP, admit=admit)
    assert asked == [100, len(GOOD)], "what was listed, then what was promised"


async def test_room_for_a_body_of_unknown_size_is_asked_for_ahead_of_it(desk: Bench) -> None:
    content, asked, staged = log_file(20 * MIB), [0], [0]

    async def admit(size: int) -> None:
        assert size > staged[-1]
        asked.append(size)

    def progress(size: int) -> None:
        assert size <= asked[-1]
        staged.append(size)

    await desk.downloader.fetch(desk.file(Shelf(content, chunked=True)), TEMP, admit=admit, progress=progress)
    assert asked == sorted(asked)
    assert len(asked) <= 5


@pytest.mark.parametrize("listed", [None, len(GOOD)])
async def test_a_refused_admission_leaves_nothing(desk: Bench, listed: int | None) -> None:
    async def admit(_: int) -> None:
        raise StorageFull("below min_free")

    with pytest.raises(StorageFull):
        await desk.downloader.fetch(desk.file(reply(GOOD), size=listed), TEMP, admit=admit)
    assert await desk.staged() is None


async def test_a_file_that_inflates_a_thousandfold_takes_no_memory(desk: Bench) -> None:
    """1 GiB of zeros in 1 MiB: only checked, never held."""
    content = gzip.compress(bytes(64 * MIB), mtime=0) * 16
    file = desk.file(reply(content), size=len(content))
    assert await peak_of(desk, file) == ("verified", True)


async def test_memory_stays_flat_while_a_large_file_passes(desk: Bench) -> None:
    content = log_file(40 * MIB)
    assert await peak_of(desk, desk.file(Shelf(content), size=len(content))) == ("verified", True)


async def peak_of(desk: Bench, file: object) -> tuple[str, bool]:
    """The outcome, and whether client and server together stayed under 4 MiB."""
    tracemalloc.start()
    try:
        got: Fetched = await desk.downloader.fetch(file, TEMP)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return got.disagreement or "verified", peak < 4 * MIB
