"""Broken connections, ranges, restarts, cancellations and a full disk."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from logkeep.errors import NextStep, StorageError, StorageFull
from logkeep.files.fetch import FetchInterrupted, Partial
from logkeep.store.local import LocalStore
from logkeep.store.sink import LocalSink

from download_host import MIB, TEMP, Answer, Bench, Shelf, bench, log_file, reply

BIG = log_file(12 * MIB)
OTHER = log_file(12 * MIB, seed=2)
MIDDLE = log_file(2 * MIB)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def interrupted(desk: Bench, shelf: Shelf, **hooks: Any) -> Partial:
    """An attempt that gets 9 MiB and then meets a host that is gone."""
    answers = iter([shelf])

    async def answer(request: Any) -> Any:
        return await next(answers, reply(status=503))(request)

    shelf.stops = [9 * MIB]
    failed = await desk.failure(desk.file(answer), **hooks)
    assert isinstance(failed, FetchInterrupted)
    assert failed.step is NextStep.RETRY
    assert failed.partial.size_bytes > 8 * MIB
    shelf.served_bytes = 0
    return failed.partial


async def test_a_break_is_continued_within_the_attempt(desk: Bench) -> None:
    shelf = Shelf(MIDDLE, stops=[700_000, 600_000])
    got = await desk.downloader.fetch(desk.file(shelf, size=len(MIDDLE)), TEMP)
    assert (got.disagreement, got.promised_bytes) == (None, len(MIDDLE))
    assert await desk.staged() == MIDDLE
    assert [headers.get("If-Range") for headers in desk.host.headers] == [None, '"v1"', '"v1"']
    assert shelf.served_bytes < len(MIDDLE) + MIB


async def test_a_silent_body_is_continued_too(tmp_path: Path) -> None:
    shelf = Shelf(MIDDLE, stops=[MIB], stall=True)
    async with bench(tmp_path, idle_timeout=timedelta(seconds=0.3)) as desk:
        assert (await desk.downloader.fetch(desk.file(shelf), TEMP)).disagreement is None
        assert len(desk.host.asked) == 2


async def test_a_slice_shorter_than_asked_is_continued(desk: Bench) -> None:
    """A host may cap its ranges; the total in Content-Range tells."""
    shelf = Shelf(MIDDLE, stops=[700_000])

    async def capped(request: Any) -> Any:
        asked = request.headers.get("Range", "")
        if not asked or len(desk.host.asked) > 2:
            return await shelf(request)
        start = int(asked[6:-1])
        end = start + 500_000
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(MIDDLE)}", "ETag": shelf.etag}
        return await reply(MIDDLE[start:end], 206, **headers)(request)

    assert (await desk.downloader.fetch(desk.file(capped), TEMP)).disagreement is None
    assert len(desk.host.asked) == 3


async def test_a_break_before_it_was_worth_anything_ends_the_attempt(desk: Bench) -> None:
    failed = await desk.failure(desk.file(Shelf(MIDDLE, stops=[100_000])))
    assert (failed.reason, failed.step) == ("truncated", NextStep.RETRY)
    assert not isinstance(failed, FetchInterrupted)
    assert await desk.staged() is None
    assert len(desk.host.asked) == 1


async def test_a_host_that_keeps_breaking_is_left_alone(desk: Bench) -> None:
    failed = await desk.failure(desk.file(Shelf(BIG, stops=[MIB] * 99)))
    assert failed.reason == "truncated"
    assert len(desk.host.asked) == 6
    assert await desk.staged() is None, "less than 8 MiB are not worth keeping"


async def test_a_host_that_says_it_has_no_ranges_is_not_asked_for_them(desk: Bench) -> None:
    failed = await desk.failure(desk.file(Shelf(BIG, accept_ranges="none", stops=[9 * MIB])))
    assert failed.reason == "truncated"
    assert not isinstance(failed, FetchInterrupted)
    assert len(desk.host.asked) == 1
    assert await desk.staged() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ranges": False},
        {"content_range": "bytes 5-99/100"},
        {"content_range": "chars 1-2/3"},
        {"content_range": f"bytes 0-{len(BIG) - 1}/{len(BIG)}"},
    ],
    ids=["ignores ranges", "another place", "no range at all", "from the start"],
)
async def test_a_range_that_is_not_honoured_starts_the_file_anew(desk: Bench, changes: dict[str, Any]) -> None:
    shelf = Shelf(BIG)
    partial = await interrupted(desk, shelf)
    for name, value in changes.items():
        setattr(shelf, name, value)
    got = await desk.downloader.fetch(desk.file(shelf, size=len(BIG)), TEMP, partial=partial)
    assert got.disagreement is None
    assert await desk.staged() == BIG


async def test_a_restart_resumes_where_the_disk_ends(tmp_path: Path) -> None:
    """The staged bytes are hashed again, and only the rest is asked for."""
    shelf = Shelf(BIG)
    recorded: list[Partial] = []

    async def on_partial(partial: Partial) -> None:
        recorded.append(partial)

    async with bench(tmp_path) as desk:
        last = await interrupted(desk, shelf, on_partial=on_partial)
        assert len(recorded) == 1
        assert 8 * MIB <= recorded[0].size_bytes < 9 * MIB
        assert (recorded[0].validator, recorded[0].total_bytes) == ('"v1"', len(BIG))
    async with bench(tmp_path) as desk:
        found = (await desk.store.staged_sizes())[TEMP]
        assert found == last.size_bytes
        known = Partial(TEMP, found, recorded[0].validator, recorded[0].total_bytes)
        file = desk.file(shelf, size=len(BIG))
        got = await desk.downloader.fetch(file, TEMP, partial=known, on_partial=on_partial)
        assert (got.disagreement, got.staged.size_bytes, got.promised_bytes) == (None, len(BIG), len(BIG))
        assert await desk.staged() == BIG
        assert desk.host.ranges() == [f"bytes={found}-"]
        assert shelf.served_bytes == len(BIG) - found
        assert len(recorded) == 1, "what is recorded still holds"


async def test_a_partial_that_lacks_nothing_is_verified_without_a_request(desk: Bench) -> None:
    async with desk.store.stage(TEMP) as sink:
        await sink.write(BIG)
    partial = Partial(TEMP, len(BIG), '"v1"', len(BIG))
    got = await desk.downloader.fetch(desk.file(Shelf(BIG), size=len(BIG)), TEMP, partial=partial)
    assert (got.disagreement, got.promised_bytes) == (None, len(BIG))
    assert desk.host.asked == []


async def test_a_partial_of_an_object_that_ends_there_is_fetched_anew(desk: Bench) -> None:
    """A Range from the very end is refused with 416: it proves nothing, so the whole file is asked for."""
    async with desk.store.stage(TEMP) as sink:
        await sink.write(OTHER)
    partial = Partial(TEMP, len(OTHER), '"v1"', None)
    got = await desk.downloader.fetch(desk.file(Shelf(BIG)), TEMP, partial=partial)
    assert got.disagreement is None
    assert await desk.staged() == BIG


async def test_the_one_piece_that_settles_a_doubt_is_never_joined(desk: Bench) -> None:
    corrupt = Shelf(BIG[:-8] + b"wrongcrc", stops=[9 * MIB, len(BIG), 9 * MIB])
    failed = await desk.failure(desk.file(corrupt))
    assert isinstance(failed, FetchInterrupted)
    assert failed.reason == "truncated"
    assert [bool(asked) for asked in desk.host.ranges()] == [False, True, False]


@pytest.mark.parametrize("vouched", [9 * MIB, 20 * MIB])
async def test_only_bytes_that_are_vouched_for_and_there_are_kept(desk: Bench, vouched: int) -> None:
    async with desk.store.stage(TEMP) as sink:
        await sink.write(BIG[: 9 * MIB] + b"torn" * (vouched == 9 * MIB))
    partial = Partial(TEMP, vouched, '"v1"', len(BIG))
    got = await desk.downloader.fetch(desk.file(Shelf(BIG)), TEMP, partial=partial)
    assert got.disagreement is None
    assert desk.host.ranges() == [f"bytes={9 * MIB}-"]


async def test_a_partial_that_is_gone_is_fetched_whole(desk: Bench) -> None:
    partial = Partial(TEMP, 9 * MIB, '"v1"', len(BIG))
    got = await desk.downloader.fetch(desk.file(Shelf(BIG)), TEMP, partial=partial)
    assert got.disagreement is None
    assert desk.host.ranges() == [""]


@pytest.mark.parametrize("honour_if_range", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"etag": '"v1"'}, {"etag": '"v2"'}),
        (
            {"etag": "", "modified": "Mon, 09 Mar 2026 04:00:00 GMT"},
            {"etag": "", "modified": "Tue, 10 Mar 2026 04:00:00 GMT"},
        ),
    ],
    ids=["tag", "date"],
)
async def test_an_object_that_changed_meanwhile_is_fetched_anew(
    desk: Bench, honour_if_range: bool, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Either the host sees it by If-Range, or the 206 itself names another object."""
    partial = await interrupted(desk, Shelf(BIG, **before))
    assert partial.validator in before.values()
    changed = Shelf(OTHER, honour_if_range=honour_if_range, **after)
    got = await desk.downloader.fetch(desk.file(changed, size=len(OTHER)), TEMP, partial=partial)
    assert got.disagreement is None
    assert await desk.staged() == OTHER


async def test_a_change_that_nothing_names_shows_in_the_gzip(desk: Bench) -> None:
    """No validator, the same length: the joined bytes are corrupt, and the file is fetched once more in one piece."""
    partial = await interrupted(desk, Shelf(BIG, etag=""))
    assert partial.validator == ""
    other = Shelf(OTHER, etag="")
    got = await desk.downloader.fetch(desk.file(other, size=len(OTHER)), TEMP, partial=partial)
    assert got.disagreement is None
    assert await desk.staged() == OTHER
    assert [bool(asked) for asked in desk.host.ranges()[-2:]] == [True, False]


async def test_damaged_staged_bytes_are_fetched_once_more(desk: Bench) -> None:
    shelf = Shelf(BIG)
    async with desk.store.stage(TEMP) as sink:
        await sink.write(bytes(9 * MIB))
    got = await desk.downloader.fetch(desk.file(shelf), TEMP, partial=Partial(TEMP, 9 * MIB, '"v1"', len(BIG)))
    assert got.disagreement is None
    assert await desk.staged() == BIG


async def test_a_corrupt_object_is_fetched_anew_only_once(desk: Bench) -> None:
    """The second time it came in one piece, so it is the host's own doing, and not this program's."""
    corrupt = BIG[:-8] + b"wrongcrc"
    partial = await interrupted(desk, Shelf(corrupt))
    before = len(desk.host.asked)
    got = await desk.downloader.fetch(desk.file(Shelf(corrupt)), TEMP, partial=partial)
    assert got.disagreement == "corrupt_gzip"
    assert len(desk.host.asked) - before == 2
    assert await desk.staged() == corrupt


@pytest.mark.parametrize(
    ("answer", "reason", "step"),
    [
        (reply("<Error><Code>AccessDenied</Code></Error>", 403), "url_refused", NextStep.RELIST),
        (reply("<html>busy</html>"), "error_page", NextStep.RELIST),
        (reply(status=503, Retry_After="7"), "server_error", NextStep.RETRY),
        (reply(status=429), "rate_limited", NextStep.RETRY),
        (Shelf(BIG, ranges=False, chunked=True, stops=[0]), "truncated", NextStep.RETRY),
        (Shelf(b"", ranges=False, chunked=True), "empty_body", NextStep.RETRY),
    ],
    ids=["expired", "page", "gone", "too often", "broken", "empty"],
)
async def test_a_refusal_costs_nothing_of_what_is_staged(
    desk: Bench, answer: Answer, reason: str, step: NextStep
) -> None:
    partial = await interrupted(desk, Shelf(BIG))
    failed = await desk.failure(desk.file(answer), partial=partial)
    assert isinstance(failed, FetchInterrupted)
    assert (failed.reason, failed.step, failed.partial) == (reason, step, partial)
    got = await desk.downloader.fetch(desk.file(Shelf(BIG)), TEMP, partial=failed.partial)
    assert got.disagreement is None


async def test_an_attempt_that_lasts_too_long_keeps_a_large_part(tmp_path: Path) -> None:
    async with bench(tmp_path, total_timeout=timedelta(seconds=2)) as desk:
        failed = await desk.failure(desk.file(Shelf(BIG, stops=[9 * MIB], stall=True)))
        assert isinstance(failed, FetchInterrupted)
        assert (failed.reason, failed.step) == ("too_slow", NextStep.RETRY)
        assert (await desk.store.staged_sizes())[TEMP] == failed.partial.size_bytes


async def test_an_attempt_that_lasts_too_long_drops_a_small_part(tmp_path: Path) -> None:
    async with bench(tmp_path, total_timeout=timedelta(seconds=0.5)) as desk:
        failed = await desk.failure(desk.file(Shelf(MIDDLE, stops=[MIB], stall=True)))
        assert failed.reason == "too_slow"
        assert not isinstance(failed, FetchInterrupted)
        assert await desk.staged() is None


async def test_silence_before_the_headers_is_a_stall(tmp_path: Path) -> None:
    async def silent(_: Any) -> Any:
        await asyncio.Event().wait()

    async with bench(tmp_path, idle_timeout=timedelta(seconds=0.2)) as desk:
        failed = await desk.failure(desk.file(silent))
        assert (failed.reason, failed.step) == ("stalled", NextStep.RETRY)


@pytest.mark.parametrize(("content", "stop"), [(BIG, 10 * MIB), (MIDDLE, MIB)], ids=["large", "small"])
async def test_a_cancelled_fetch_keeps_a_large_part_and_drops_a_small_one(
    desk: Bench, content: bytes, stop: int
) -> None:
    under_way = asyncio.Event()
    recorded: list[Partial] = []

    async def on_partial(partial: Partial) -> None:
        recorded.append(partial)

    def progress(size: int) -> None:
        if size > stop - MIB // 2:
            under_way.set()

    shelf = Shelf(content, stops=[stop], stall=True)
    fetching = asyncio.create_task(
        desk.downloader.fetch(desk.file(shelf), TEMP, progress=progress, on_partial=on_partial)
    )
    await under_way.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    size = (await desk.store.staged_sizes()).get(TEMP)
    assert bool(recorded) == (size is not None) == (content is BIG)
    if size is not None:
        partial = Partial(TEMP, size, recorded[0].validator, recorded[0].total_bytes)
        got = await desk.downloader.fetch(desk.file(shelf), TEMP, partial=partial)
        assert got.disagreement is None
        assert desk.host.ranges()[-1] == f"bytes={size}-"


class SmallSink(LocalSink):
    room_bytes = MIB
    error: type[StorageError] = StorageFull

    async def write(self, data: bytes) -> None:
        if self.size_bytes + len(data) > self.room_bytes:
            raise self.error("no room")
        await super().write(data)


class BrokenSink(SmallSink):
    room_bytes = 9 * MIB
    error = StorageError


class SmallDisk(LocalStore):
    """A disk that takes 1 MiB of one object and says that it is full."""

    sink = SmallSink

    def stage(self, temp_name: str, *, keep_bytes: int = 0) -> LocalSink:
        path = super().stage(temp_name)._path
        return self.sink(path, keep_bytes=keep_bytes)


class BrokenDisk(SmallDisk):
    """A disk with an I/O error at 9 MiB."""

    sink = BrokenSink


@pytest.mark.parametrize("store", [SmallDisk, BrokenDisk])
async def test_a_disk_that_takes_no_more_gets_its_room_back(tmp_path: Path, store: type[SmallDisk]) -> None:
    async with bench(tmp_path, store=store) as desk:
        with pytest.raises(StorageError) as caught:
            await desk.downloader.fetch(desk.file(Shelf(BIG)), TEMP)
        assert caught.type is store.sink.error
        assert await desk.staged() is None


async def test_no_room_for_the_rest_leaves_the_partial_be(desk: Bench) -> None:
    async def admit(_: int) -> None:
        raise StorageFull("below min_free")

    partial = await interrupted(desk, Shelf(BIG))
    with pytest.raises(StorageFull):
        await desk.downloader.fetch(desk.file(Shelf(BIG), size=len(BIG)), TEMP, partial=partial, admit=admit)
    assert (await desk.store.staged_sizes())[TEMP] == partial.size_bytes


async def test_many_files_at_once_over_few_connections(tmp_path: Path) -> None:
    """More fetches than connections: they wait for one another, and all arrive."""
    contents = {f"/{n}.gz": log_file(1000 + n, seed=n) for n in range(60)}
    async with bench(tmp_path) as desk:
        for path, content in contents.items():
            desk.host.answers[path] = Shelf(content)
        async with asyncio.TaskGroup() as group:
            tasks = {path: group.create_task(desk.downloader.fetch(desk.file(path), path[1:])) for path in contents}
        assert {path: task.result().staged.size_bytes for path, task in tasks.items()} == {
            path: len(content) for path, content in contents.items()
        }
