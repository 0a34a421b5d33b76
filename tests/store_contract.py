"""The exam that every adapter of ``logkeep.store.port.Store`` sits, the one in memory included.

A test class inherits ``StoreContract`` and provides the fixture ``store``: opened, empty, its own for each test.
"""

import asyncio
from hashlib import sha256

import pytest

from logkeep.errors import StorageError
from logkeep.store.port import Publication, Store

MIB = 1 << 20
PATH = "pan123/main/date=2025-06-20/hour=15/12-202506201516.gz"
OTHER_PATH = "pan123/main/date=2025-06-20/hour=16/13-202506201617.gz"

escaping_paths = pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/x", "..", "../x", "a/../../x", "a/..", "a//b", "./a", "a/", "a/\0", ".logkeep/lock",
        ".logkeep/tmp/x", "a/./b",
    ],
)  # fmt: skip
escaping_names = pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "../a", "a\0b"])


async def stage(store: Store, name: str, *pieces: bytes, keep_bytes: int = 0) -> None:
    async with store.stage(name, keep_bytes=keep_bytes) as sink:
        for piece in pieces:
            await sink.write(piece)


async def staged(store: Store, name: str) -> bytes:
    return b"".join([block async for block in store.staged(name)])


async def archived(store: Store, path: str) -> bytes:
    return b"".join([block async for block in store.read(path)])


def publication(name: str, data: bytes, path: str = PATH) -> Publication:
    return Publication(temp_name=name, path=path, sha256=sha256(data).hexdigest())


async def publish(store: Store, name: str, data: bytes, path: str = PATH) -> None:
    """The whole way of an object."""
    await stage(store, name, data)
    await store.flush([name])
    await store.publish([publication(name, data, path)])


class StoreContract:
    """Inherit and provide ``store``."""

    async def test_a_new_store_is_empty_and_sound(self, store: Store) -> None:
        await store.check()
        assert await store.staged_sizes() == {}
        assert await store.quarantined() == {}
        assert await store.size(PATH) is None
        assert await store.digest(PATH) is None

    @pytest.mark.parametrize("pieces", [(), (b"",), (b"one",), (b"one", b"", b"two")])
    async def test_a_small_staged_object_reads_back(self, store: Store, pieces: tuple[bytes, ...]) -> None:
        await stage(store, "a", *pieces)
        assert await staged(store, "a") == b"".join(pieces)
        assert await store.staged_sizes() == {"a": len(b"".join(pieces))}

    async def test_a_large_staged_object_reads_back_in_blocks(self, store: Store) -> None:
        pieces = [bytes([number]) * 300_001 for number in range(12)]
        await stage(store, "a", *pieces)
        blocks = [block async for block in store.staged("a")]
        assert b"".join(blocks) == b"".join(pieces)
        assert max(map(len, blocks)) <= MIB

    async def test_an_object_of_exactly_one_read_block_ends(self, store: Store) -> None:
        await stage(store, "a", b"x" * MIB)
        assert await staged(store, "a") == b"x" * MIB

    async def test_a_sink_counts_what_it_accepted(self, store: Store) -> None:
        await stage(store, "a", b"12345")
        async with store.stage("a", keep_bytes=3) as sink:
            assert sink.size_bytes == 3
            await sink.write(b"45")
            assert sink.size_bytes == 5

    async def test_staging_anew_replaces(self, store: Store) -> None:
        await stage(store, "a", b"a long first attempt")
        await stage(store, "a", b"short")
        assert await staged(store, "a") == b"short"

    @pytest.mark.parametrize("keep_bytes", [1, 500_000, 900_000])
    async def test_resuming_keeps_so_many_bytes_and_no_more(self, store: Store, keep_bytes: int) -> None:
        first, rest = b"a" * 900_000, b"b" * 300_000
        await stage(store, "a", first)
        await stage(store, "a", rest, keep_bytes=keep_bytes)
        assert await staged(store, "a") == first[:keep_bytes] + rest

    async def test_resuming_with_nothing_to_add_cuts(self, store: Store) -> None:
        await stage(store, "a", b"12345")
        await stage(store, "a", keep_bytes=2)
        assert await staged(store, "a") == b"12"

    @pytest.mark.parametrize("name", ["a", "never staged"])
    async def test_resuming_after_more_than_is_there_fails_and_harms_nothing(self, store: Store, name: str) -> None:
        await stage(store, "a", b"12345")
        with pytest.raises(StorageError):
            await stage(store, name, b"6", keep_bytes=6)
        assert await staged(store, "a") == b"12345"

    async def test_a_failed_download_leaves_what_arrived(self, store: Store) -> None:
        """Whole blocks and the tail held back alike: so that it can be resumed."""
        arrived = b"x" * 700_001

        async def interrupted() -> None:
            async with store.stage("a") as sink:
                await sink.write(arrived[:700_000])
                await sink.write(arrived[700_000:])
                raise ConnectionError

        with pytest.raises(ConnectionError):
            await interrupted()
        assert await staged(store, "a") == arrived

    async def test_a_cancelled_download_leaves_what_arrived(self, store: Store) -> None:
        async def interrupted() -> None:
            async with store.stage("a") as sink:
                await sink.write(b"arrived")
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(interrupted(), 0.01)
        assert await staged(store, "a") == b"arrived"

    async def test_many_objects_are_staged_at_the_same_time(self, store: Store) -> None:
        data = {f"object-{number}": bytes([number]) * (number * 50_000) for number in range(12)}
        async with asyncio.TaskGroup() as group:
            for name, content in data.items():
                group.create_task(
                    stage(store, name, *(content[at : at + 7_000] for at in range(0, len(content), 7_000)))
                )
        assert {name: await staged(store, name) for name in data} == data

    async def test_a_missing_staged_object_cannot_be_read_or_flushed(self, store: Store) -> None:
        with pytest.raises(StorageError):
            await staged(store, "nothing")
        with pytest.raises(StorageError):
            await store.flush(["nothing"])

    async def test_discarding_removes_and_does_not_mind_repetition(self, store: Store) -> None:
        await stage(store, "a", b"data")
        await stage(store, "b", b"data")
        for _ in range(2):
            await store.discard("a")
        assert set(await store.staged_sizes()) == {"b"}

    async def test_nothing_is_visible_before_publishing(self, store: Store) -> None:
        await stage(store, "a", b"data")
        await store.flush(["a"])
        assert await store.size(PATH) is None
        with pytest.raises(StorageError):
            await archived(store, PATH)

    @pytest.mark.parametrize("data", [b"", b"data", b"x" * (2 * MIB + 1)])
    async def test_a_published_object_is_whole_and_its_staged_twin_gone(self, store: Store, data: bytes) -> None:
        await publish(store, "a", data)
        assert await archived(store, PATH) == data
        assert await store.size(PATH) == len(data)
        assert await store.digest(PATH) == sha256(data).hexdigest()
        assert await store.staged_sizes() == {}

    async def test_a_batch_is_published_together(self, store: Store) -> None:
        data = {f"{number}": b"%d" % number for number in range(20)}
        for name, content in data.items():
            await stage(store, name, content)
        await store.flush(list(data))
        paths = {name: f"pan123/main/date=2025-06-20/hour={int(name) % 3:02}/{name}-x.gz" for name in data}
        await store.publish([publication(name, content, paths[name]) for name, content in data.items()])
        assert {name: await archived(store, path) for name, path in paths.items()} == data

    async def test_publishing_again_after_a_crash_counts_as_published(self, store: Store) -> None:
        """The rename happened, its recording did not: nothing is staged any more."""
        await publish(store, "a", b"data")
        await store.publish([publication("a", b"data")])
        assert await archived(store, PATH) == b"data"

    async def test_publishing_the_same_bytes_again_drops_the_staged_twin(self, store: Store) -> None:
        await publish(store, "a", b"data")
        await publish(store, "b", b"data")
        assert await archived(store, PATH) == b"data"
        assert await store.staged_sizes() == {}

    async def test_other_bytes_at_the_path_are_left_alone(self, store: Store) -> None:
        await publish(store, "a", b"data")
        with pytest.raises(StorageError, match="other bytes lie at"):
            await publish(store, "b", b"DATA")
        assert await archived(store, PATH) == b"data"
        assert await staged(store, "b") == b"DATA"

    async def test_a_batch_that_failed_midway_can_be_published_again(self, store: Store) -> None:
        await stage(store, "a", b"first")
        await store.flush(["a"])
        batch = [publication("a", b"first"), publication("b", b"second", OTHER_PATH)]
        with pytest.raises(StorageError):
            await store.publish(batch)
        await stage(store, "b", b"second")
        await store.flush(["b"])
        await store.publish(batch)
        assert [await archived(store, path) for path in (PATH, OTHER_PATH)] == [b"first", b"second"]

    async def test_an_empty_batch_is_no_work(self, store: Store) -> None:
        await store.flush([])
        await store.publish([])

    async def test_publishing_at_the_same_time_from_several_tasks(self, store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(publish(store, f"{number}", b"%d" % number, f"new/{number % 2}/{number}"))
        assert [await archived(store, f"new/{number % 2}/{number}") for number in range(12)] == [
            b"%d" % number for number in range(12)
        ]

    @escaping_paths
    async def test_a_path_that_leaves_the_archive_is_refused(self, store: Store, path: str) -> None:
        await stage(store, "a", b"data")
        await store.flush(["a"])
        with pytest.raises(StorageError):
            await store.publish([publication("a", b"data", path)])
        for look in (store.size, store.digest):
            with pytest.raises(StorageError):
                await look(path)
        with pytest.raises(StorageError):
            await archived(store, path)
        assert await staged(store, "a") == b"data"

    @escaping_names
    async def test_a_name_that_leaves_its_folder_is_refused(self, store: Store, name: str) -> None:
        await stage(store, "a", b"data")
        with pytest.raises(StorageError):
            await stage(store, name, b"x")
        with pytest.raises(StorageError):
            await staged(store, name)
        for call in (
            store.discard(name),
            store.flush([name]),
            store.publish([publication(name, b"data")]),
            store.quarantine(name, "q"),
            store.quarantine("a", name),
            store.adopt_quarantined(name, "a"),
            store.adopt_quarantined("q", name),
            store.drop_quarantined(name),
        ):
            with pytest.raises(StorageError):
                await call
        assert await staged(store, "a") == b"data"

    async def test_removing_takes_what_is_named_and_does_not_mind_repetition(self, store: Store) -> None:
        paths = [PATH, OTHER_PATH, "pan123/main/date=2025-06-20/hour=16/14-x.gz"]
        for path in paths:
            await publish(store, "a", path.encode(), path)
        for _ in range(2):
            await store.remove([PATH, OTHER_PATH, "never/was/there.gz"])
        assert [await store.size(path) for path in paths] == [None, None, len(paths[2])]

    async def test_removing_nothing_is_no_work(self, store: Store) -> None:
        await store.remove([])

    async def test_what_was_removed_can_be_published_anew(self, store: Store) -> None:
        await publish(store, "a", b"data")
        await store.remove([PATH])
        await publish(store, "a", b"other data")
        assert await archived(store, PATH) == b"other data"

    async def test_nothing_is_removed_where_one_path_leaves_the_archive(self, store: Store) -> None:
        await publish(store, "a", b"data")
        await stage(store, "b", b"staged")
        for outside in ("../x", "/etc/x", ".logkeep/tmp/b", "a//b"):
            with pytest.raises(StorageError):
                await store.remove([PATH, outside])
        assert await archived(store, PATH) == b"data"
        assert await staged(store, "b") == b"staged"

    async def test_a_quarantined_object_leaves_staging_and_can_come_back(self, store: Store) -> None:
        await stage(store, "a", b"odd bytes")
        where = await store.quarantine("a", "12-odd")
        assert "12-odd" in where
        assert await store.staged_sizes() == {}
        assert await store.quarantined() == {"12-odd": 9}
        assert await store.adopt_quarantined("12-odd", "b") is True
        assert await staged(store, "b") == b"odd bytes"
        assert await store.quarantined() == {}

    async def test_quarantining_by_the_same_name_replaces(self, store: Store) -> None:
        await stage(store, "a", b"first")
        await store.quarantine("a", "q")
        await stage(store, "b", b"second!")
        await store.quarantine("b", "q")
        assert await store.quarantined() == {"q": 7}

    async def test_what_is_not_quarantined_cannot_be_adopted(self, store: Store) -> None:
        assert await store.adopt_quarantined("nothing", "a") is False
        assert await store.staged_sizes() == {}

    async def test_what_is_not_staged_cannot_be_quarantined(self, store: Store) -> None:
        with pytest.raises(StorageError, match="nothing is staged"):
            await store.quarantine("nothing", "q")

    async def test_dropping_from_quarantine_does_not_mind_repetition(self, store: Store) -> None:
        await stage(store, "a", b"odd bytes")
        await store.quarantine("a", "q")
        for _ in range(2):
            await store.drop_quarantined("q")
        assert await store.quarantined() == {}

    async def test_everything_is_still_there_after_closing_and_opening(self, store: Store) -> None:
        await publish(store, "a", b"archived")
        await stage(store, "b", b"staged")
        await stage(store, "c", b"odd")
        await store.quarantine("c", "q")
        await store.close()
        await store.open()
        assert await archived(store, PATH) == b"archived"
        assert await staged(store, "b") == b"staged"
        assert await store.quarantined() == {"q": 3}

    async def test_free_room_is_a_number_or_unknown(self, store: Store) -> None:
        free = await store.free_bytes()
        assert free is None or free > 0

    async def test_the_reserve_is_given_up_at_most_once(self, store: Store) -> None:
        await store.release_reserve()
        assert await store.release_reserve() is False
        await store.restore_reserve()
