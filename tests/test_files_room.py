"""Room on the disk: what is promised to downloads never eats into what is to stay free."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from logkeep.errors import StorageFull
from logkeep.files.room import Room
from logkeep.store.local import LocalStore

from archive_world import START
from manual_clock import ManualClock

MIN_FREE = 100
MIB = 2**20


class Disk(LocalStore):
    """A disk of which only the free space is simulated; asking for it takes a turn of the loop, as a thread does."""

    def __init__(self, free_bytes: int) -> None:
        super().__init__(Path("/nowhere"), create=False)
        self.free = free_bytes
        self.reserves_taken = 0

    async def free_bytes(self) -> int:
        await asyncio.sleep(0)
        return self.free

    async def release_reserve(self) -> bool:
        return True

    async def restore_reserve(self) -> None:
        self.reserves_taken += 1


def room(free_bytes: int, min_free: int = MIN_FREE) -> tuple[Room, Disk, ManualClock]:
    disk, clock = Disk(free_bytes), ManualClock(START)
    return Room(disk, min_free, clock), disk, clock


async def test_a_download_that_would_leave_less_than_min_free_is_turned_away() -> None:
    subject, _, _ = room(1_000)
    with pytest.raises(StorageFull, match="no room for 901 bytes: 1000 are free, 0 of them promised, 100 kept free"):
        await subject.admit("a", 901)
    assert subject.low
    await subject.admit("b", 900)


async def test_promises_to_others_count_before_their_bytes_are_written() -> None:
    subject, _, _ = room(1_000)
    await subject.admit("a", 500)
    with pytest.raises(StorageFull):
        await subject.admit("b", 401)
    subject.release("a")
    await subject.admit("b", 900)


async def test_two_downloads_that_ask_at_the_same_moment_are_not_promised_the_same_room() -> None:
    subject, _, _ = room(1_000)
    asked = await asyncio.gather(subject.admit("a", 600), subject.admit("b", 600), return_exceptions=True)
    assert [type(outcome) for outcome in asked] == [type(None), StorageFull]


async def test_bytes_written_since_the_disk_was_last_asked_are_no_room_any_more() -> None:
    subject, disk, _ = room(1_000)
    await subject.admit("a", 500)
    disk.free -= 500
    subject.written("a", 0)
    with pytest.raises(StorageFull):
        await subject.admit("b", 401)


async def test_a_download_that_goes_on_needs_room_for_its_rest_only() -> None:
    subject, _, _ = room(1_000)
    await subject.admit("a", 5_000, got_bytes=4_100)


async def test_asking_again_replaces_the_earlier_promise() -> None:
    subject, _, _ = room(1_000)
    await subject.admit("a", 500)
    await subject.admit("a", 900)
    with pytest.raises(StorageFull):
        await subject.admit("a", 901)


async def test_where_the_notion_of_free_space_does_not_exist_everything_is_admitted() -> None:
    class Bottomless(Disk):
        async def free_bytes(self) -> None:  # type: ignore[override] # the port allows None, a disk never says so
            return None

    subject = Room(Bottomless(0), MIN_FREE, ManualClock(START))
    await subject.admit("a", 10**15)


async def test_low_room_is_said_once_and_its_end_once_however_many_downloads_wait() -> None:
    subject, disk, clock = room(1_000)
    with capture_logs() as events:
        for key in "abc":
            with pytest.raises(StorageFull):
                await subject.admit(key, 2_000)
            assert not await subject.look_again()
        disk.free = 2_099
        clock.advance(clock.now() - START)
        assert not await subject.look_again(), "one byte short of what was turned away"
        disk.free = 2_100
        assert await subject.look_again()
        assert not await subject.look_again()
        await subject.admit("a", 2_000)
    assert [event["event"] for event in events] == ["disk_low", "disk_has_room_again"]
    assert disk.reserves_taken == 1


async def test_a_disk_that_says_itself_that_it_is_full_has_room_again_only_with_some_slack() -> None:
    """Room for one byte is none: the next write would fail again, and be told again."""
    subject, disk, _ = room(0)
    subject.full()
    disk.free = MIN_FREE + MIB
    assert not await subject.look_again()
    disk.free = MIN_FREE + 64 * MIB
    assert await subject.look_again()


keys = st.sampled_from("abcd")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), keys, st.integers(0, 1_200)),
        st.tuples(st.just("write"), keys, st.integers(0, 600)),
        st.tuples(st.just("end"), keys, st.just(0)),
        st.tuples(st.just("wait"), keys, st.integers(0, 3)),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(steps, st.integers(0, 2_000))
def test_whatever_is_admitted_written_and_ended_what_is_promised_never_eats_into_min_free(
    steps: list[tuple[str, str, int]], free: int
) -> None:
    """The truth is kept beside: the disk's real free space less what each admitted download still has to write."""

    async def play() -> None:
        subject, disk, clock = room(free)
        owed: dict[str, int] = {}
        for verb, key, number in steps:
            if verb == "admit" and key not in owed:
                try:
                    await subject.admit(key, number)
                except StorageFull:
                    assert disk.free - sum(owed.values()) - number < MIN_FREE, "turned away although there was room"
                else:
                    owed[key] = number
                    assert disk.free - sum(owed.values()) >= MIN_FREE or number == 0
            elif verb == "write" and key in owed:
                done = min(number, owed[key])
                owed[key] -= done
                disk.free -= done
                subject.written(key, owed[key])
            elif verb == "end" and owed.pop(key, None) is not None:
                subject.release(key)
            elif verb == "wait":
                await clock.sleep(number)

    asyncio.run(play())
