"""Threads and blocks: what a write costs, what a cancellation waits for, what a failure leaves."""

import asyncio
import errno
import os
import resource
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from logkeep.errors import StorageError, StorageFull
from logkeep.store.blocking import told_as_storage_error
from logkeep.store.local import LocalStore
from store_contract import PATH, publication, stage, staged
from store_executor import CountingExecutor, GatedExecutor

KIB = 1024


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    local = LocalStore(tmp_path / "root", create=True, reserve_bytes=64 * KIB)
    await local.open()
    yield local
    await local.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


async def test_a_small_object_costs_one_hop_to_a_thread(store: LocalStore) -> None:
    executor = CountingExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    await stage(store, "a", *[b"x" * KIB] * 256)
    assert executor.hops == 1
    assert await staged(store, "a") == b"x" * 256 * KIB
    assert executor.hops == 2


async def test_a_batch_costs_one_hop_to_flush_and_one_to_publish(store: LocalStore) -> None:
    names = [f"{number}" for number in range(10)]
    for name in names:
        await stage(store, name, b"data")
    executor = CountingExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    await store.flush(names)
    await store.publish([publication(name, b"data", f"a/{name}") for name in names])
    await store.digest("a/1")
    assert executor.hops == 3


async def test_a_large_object_is_written_in_blocks_of_a_quarter_mebibyte_or_more(store: LocalStore) -> None:
    executor = CountingExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    await stage(store, "a", *[b"x" * 10_000] * 1000)
    blocks = -(-10_000_000 // (256 * KIB))
    assert executor.hops <= blocks + 3  # and open, tail, close
    assert await store.staged_sizes() == {"a": 10_000_000}


async def open_gated(store: LocalStore) -> GatedExecutor:
    await stage(store, "old", b"12345")
    executor = GatedExecutor()
    asyncio.get_running_loop().set_default_executor(executor)
    return executor


@pytest.mark.parametrize(
    "work",
    [
        lambda store: stage(store, "a", b"small, written at the exit"),
        lambda store: stage(store, "a", b"x" * 600 * KIB),
        lambda store: stage(store, "old", b"6", keep_bytes=5),
        lambda store: store.flush(["old"]),
        lambda store: store.publish([publication("old", b"12345")]),
        lambda store: store.discard("old"),
    ],
    ids=["small", "large", "resumed", "flush", "publish", "discard"],
)
async def test_a_cancelled_call_has_ended_in_its_thread_before_the_cancellation_goes_on(
    store: LocalStore, work: Callable[[LocalStore], Coroutine[Any, Any, None]]
) -> None:
    """However often it is cancelled: whoever unlinks the file after that unlinks it for good."""
    executor = await open_gated(store)
    executor.gate.clear()
    async with asyncio.timeout(20):
        task = asyncio.create_task(work(store))
        try:
            for _ in range(3):
                await executor.asked.wait()
                task.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not task.done()
        finally:
            executor.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert executor.ended == executor.submitted


async def test_publications_run_one_after_another(store: LocalStore, root: Path) -> None:
    """Between looking whether something lies at a path and renaming to it, nobody else may publish there."""
    await stage(store, "new", b"67890")
    await store.flush(["new"])
    executor = await open_gated(store)
    executor.gate.clear()
    try:
        tasks = [
            asyncio.create_task(store.publish([publication(n, d)])) for n, d in (("old", b"12345"), ("new", b"67890"))
        ]
        await executor.asked.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        assert executor.submitted == 1
    finally:
        executor.gate.set()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, type(second)) == (None, StorageError)
    assert (root / PATH).read_bytes() == b"12345"


async def test_a_cancelled_digest_ends_soon(store: LocalStore, root: Path) -> None:
    """A digest writes nothing, so nobody waits for its thread; it stops at the next block."""
    (root / "huge").touch()
    os.truncate(root / "huge", 1 << 40)
    executor = await open_gated(store)
    task = asyncio.create_task(store.digest("huge"))
    await executor.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    executor.shutdown(wait=True)
    assert executor.ended == 1


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """A write past the limit answers EFBIG, as on a file system that cannot hold such a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_reserve_that_cannot_be_had_is_no_error(store: LocalStore, root: Path) -> None:
    await store.release_reserve()
    with file_size_limit(10 * KIB):
        await store.restore_reserve()
    assert not (root / ".logkeep/reserve").exists()


async def test_a_failing_write_is_a_storage_error_and_leaves_a_beginning(store: LocalStore) -> None:
    pieces = [bytes([number]) * 300 * KIB for number in range(5)]
    with (
        file_size_limit(1000 * KIB),
        pytest.raises(StorageError, match=r"^cannot write .*/tmp/a: File too large$") as caught,
    ):
        await stage(store, "a", *pieces)
    assert not isinstance(caught.value, StorageFull)
    assert await staged(store, "a") == b"".join(pieces)[: 1000 * KIB]


async def test_a_failing_small_write_is_a_storage_error(store: LocalStore) -> None:
    with file_size_limit(10), pytest.raises(StorageError, match="File too large"):
        await stage(store, "a", b"more than ten")


async def test_nothing_is_written_after_a_failed_write(store: LocalStore) -> None:
    async with store.stage("a") as sink:
        with file_size_limit(100 * KIB), pytest.raises(StorageError, match="File too large"):
            await sink.write(b"x" * 300 * KIB)
        with pytest.raises(StorageError, match="an earlier write failed"):
            await sink.write(b"y")
    assert await staged(store, "a") == b"x" * 100 * KIB


async def test_a_closed_sink_accepts_nothing(store: LocalStore) -> None:
    async with store.stage("a") as sink:
        await sink.write(b"x")
    with pytest.raises(StorageError, match="it is closed"):
        await sink.write(b"y")
    assert await staged(store, "a") == b"x"


async def test_the_error_that_ends_a_download_is_the_one_told(store: LocalStore) -> None:
    """Even if its last bytes cannot be written either; that is logged."""

    async def interrupted() -> None:
        async with store.stage("a") as sink:
            await sink.write(b"held back")
            raise ConnectionError

    with file_size_limit(2), structlog.testing.capture_logs() as logs, pytest.raises(ConnectionError):
        await interrupted()
    assert [entry["event"] for entry in logs] == ["staged_tail_lost"]


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, StorageFull, "make room"),
        (errno.EDQUOT, StorageFull, "raise the quota"),
        (errno.EFBIG, StorageError, None),
        (errno.EROFS, StorageError, "mount it for writing"),
        (errno.EIO, StorageError, "look after the disk"),
    ],
)
def test_what_the_system_says_is_told_in_one_line(number: int, kind: type[StorageError], advice: str | None) -> None:
    with pytest.raises(StorageError) as caught, told_as_storage_error("write", Path("/a\nb")):
        raise OSError(number, os.strerror(number))
    said = f"cannot write '/a\\nb': {os.strerror(number)}"
    assert str(caught.value) == (f"{said} ({advice})" if advice else said)
    assert type(caught.value) is kind
