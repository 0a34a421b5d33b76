"""Between the walk and the disk: gathering, waiting, failing and leaving."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from logkeep.catalog.records import Oddity, StreamRecord
from logkeep.errors import StorageError, VendorError
from logkeep.model import AccountKey, ListedRecord
from logkeep.records.intake import Intake
from logkeep.records.segment import SegmentKeeper
from record_world import KEY, NOW, RecordLife, broken_promises, ids, lines_on_disk, open_life, records

STREAM = StreamRecord(1, 1, "download-logs")


@dataclass
class Batch:
    looks: int
    records: int
    oddities: int


@dataclass
class GatedKeeper(SegmentKeeper):
    """Keeps nothing; each batch waits at a gate, and may fail there."""

    batches: list[Batch] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None
    kept: int = 0

    async def keep(
        self, key: AccountKey, stream: StreamRecord, records: Sequence[ListedRecord], oddities: Sequence[Oddity]
    ) -> None:
        assert key == KEY
        self.batches.append(Batch(stream.looks, len(records), len(oddities)))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.kept += 1


def after(page: int) -> StreamRecord:
    return replace(STREAM, looks=page)


async def begun(keeper: GatedKeeper) -> None:
    """Let the worker take what waits."""
    before = len(keeper.batches)
    async with asyncio.timeout(5):
        while len(keeper.batches) == before:
            await asyncio.sleep(0)


async def test_what_comes_while_a_batch_is_made_durable_goes_together_next() -> None:
    """With the state after the last page; a lone page waits for nobody."""
    keeper = GatedKeeper()
    async with Intake(keeper, KEY) as intake:
        await intake.put(records([1]), after(1))
        await begun(keeper)
        for page in range(2, 6):
            await intake.put(records([page, 10 + page]), after(page), [Oddity(NOW, "drift", str(page))])
        assert keeper.batches == [Batch(1, 1, 0)]
        keeper.gate.set()
        await intake.settled()
        assert keeper.batches == [Batch(1, 1, 0), Batch(5, 8, 4)]


async def test_ids_are_pending_until_they_are_durable() -> None:
    keeper = GatedKeeper()
    async with Intake(keeper, KEY) as intake:
        assert intake.pending == set()
        await intake.put(records([1]), after(1))
        await begun(keeper)
        await intake.put(records([2]), after(2))
        assert intake.pending == ids(records([1, 2]))
        keeper.gate.set()
        await intake.settled()
        assert intake.pending == set()


async def test_a_page_without_news_moves_the_state() -> None:
    keeper = GatedKeeper()
    keeper.gate.set()
    async with Intake(keeper, KEY) as intake:
        await intake.put([], after(7))
    assert keeper.batches == [Batch(7, 0, 0)]


@pytest.mark.parametrize(("size", "accepted"), [(1, 4), (0, 4), (100, 4), (1000, 2), (7000, 1)])
async def test_only_so_much_may_wait(size: int, accepted: int) -> None:
    """Four pages or about two thousand records beside the batch under way; then putting waits."""
    keeper = GatedKeeper()
    async with Intake(keeper, KEY) as intake:
        await intake.put([], after(0))
        await begun(keeper)
        for page in range(accepted):
            async with asyncio.timeout(5):
                await intake.put(records(range(page * size, (page + 1) * size)), after(page))
        waiting = asyncio.ensure_future(intake.put([], after(99)))
        for _ in range(20):
            await asyncio.sleep(0)
        waited = not waiting.done()
        keeper.gate.set()
        await waiting
    assert waited
    assert sum(batch.records for batch in keeper.batches) == accepted * size


async def test_a_put_cancelled_while_it_waits_hands_nothing_over() -> None:
    keeper = GatedKeeper()
    async with Intake(keeper, KEY) as intake:
        await intake.put([], after(0))
        await begun(keeper)
        for page in range(4):
            await intake.put([], after(page))
        waiting = asyncio.ensure_future(intake.put(records([1]), after(99)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        keeper.gate.set()
        await intake.settled()
        assert keeper.batches[-1] == Batch(3, 0, 0)
        assert intake.pending == set()


async def test_after_a_failure_nothing_more_is_taken_and_everybody_is_told() -> None:
    """The one that waits for room, the one that waits for the disk, the next one, and whoever leaves."""
    keeper = GatedKeeper(failure=StorageError("input/output error"))

    async def walk() -> None:
        async with Intake(keeper, KEY) as intake:
            await intake.put(records([1]), after(1))
            await begun(keeper)
            for page in range(4):
                await intake.put([], after(page))
            waiting = [asyncio.ensure_future(intake.put([], after(99))), asyncio.ensure_future(intake.settled())]
            await asyncio.sleep(0)
            keeper.gate.set()
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert told == [keeper.failure, keeper.failure]
            with pytest.raises(StorageError):
                await intake.put([], after(100))
            with pytest.raises(StorageError):
                await intake.settled()

    with pytest.raises(StorageError, match="input/output error"):
        async with asyncio.timeout(5):
            await walk()
    assert len(keeper.batches) == 1


async def test_leaving_keeps_what_was_put() -> None:
    keeper = GatedKeeper()
    async with Intake(keeper, KEY) as intake:
        await intake.put(records([1]), after(1))
        await begun(keeper)
        await intake.put(records([2]), after(2))
        asyncio.get_running_loop().call_later(0.01, keeper.gate.set)
    assert (keeper.batches, keeper.kept) == ([Batch(1, 1, 0), Batch(2, 1, 0)], 2)


async def test_leaving_because_of_an_error_keeps_what_was_put_and_tells_that_error() -> None:
    keeper = GatedKeeper()

    async def walk() -> None:
        async with Intake(keeper, KEY) as intake:
            await intake.put(records([1]), after(1))
            await begun(keeper)
            await intake.put(records([2]), after(2))
            asyncio.get_running_loop().call_later(0.01, keeper.gate.set)
            raise VendorError("gone away")

    with pytest.raises(VendorError, match="gone away"):
        await walk()
    assert keeper.kept == 2


async def test_leaving_because_of_a_cancellation_keeps_what_was_put() -> None:
    """However often it is cancelled."""
    keeper = GatedKeeper()
    put = asyncio.Event()

    async def walk() -> None:
        async with Intake(keeper, KEY) as intake:
            await intake.put(records([1]), after(1))
            await begun(keeper)
            await intake.put(records([2]), after(2))
            put.set()
            await asyncio.Event().wait()

    walking = asyncio.ensure_future(walk())
    await put.wait()
    for turn in range(20):
        if turn % 4 == 0:
            walking.cancel()
        await asyncio.sleep(0)
    keeper.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await walking
    assert keeper.kept == 2


async def test_a_failure_beside_another_error_does_not_hide_it() -> None:
    keeper = GatedKeeper(failure=StorageError("input/output error"))
    keeper.gate.set()

    async def walk() -> None:
        async with Intake(keeper, KEY) as intake:
            await intake.put(records([1]), after(1))
            raise VendorError("gone away")

    with pytest.raises(VendorError, match="gone away"):
        await walk()


async def test_a_worker_in_somebody_elses_group_ends_when_it_is_told() -> None:
    keeper = GatedKeeper()
    keeper.gate.set()
    intake = Intake(keeper, KEY)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.run())
        await intake.put(records([1]), after(1))
        await intake.finish()
    assert keeper.kept == 1
    await intake.settled()


async def test_a_worker_that_was_cut_off_claims_nothing() -> None:
    keeper = GatedKeeper()
    intake = Intake(keeper, KEY)
    working = asyncio.ensure_future(intake.run())
    await intake.put(records([1]), after(1))
    await begun(keeper)
    working.cancel()
    await asyncio.wait((working,))
    for call in (intake.settled(), intake.put([], after(2))):
        with pytest.raises(StorageError, match="cut off"):
            await call


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[RecordLife]:
    async with open_life(tmp_path) as made:
        yield made


async def test_pages_reach_the_disk_and_the_state_follows(life: RecordLife) -> None:
    """The state of page n is never there without the records of page n."""
    state = await life.stream()
    async with Intake(life.keeper, KEY) as intake:
        for page in range(1, 60):
            await intake.put(records(range(page * 100, (page + 1) * 100)), replace(state, looks=page))
            reached = (await life.stream()).looks
            so_far = [each for number in range(1, reached + 1) for each in records([number * 100, number * 100 + 99])]
            assert await life.known(so_far) == ids(so_far)
        await intake.settled()
        assert (await life.stream()).looks == 59
    assert len(lines_on_disk(life.root)) == 5900
    assert broken_promises(life.root, quiet=True) == []
