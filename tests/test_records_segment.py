"""Keeping records: how they lie on disk, and what happens when a step fails or is cancelled."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import structlog

from logkeep.catalog.records import Oddity
from logkeep.errors import StorageError, StorageFull
from logkeep.model import CHINA, AccountKey
from logkeep.records.naming import first_moment, first_of, segment_path
from logkeep.records.reconcile import reconcile_records
from logkeep.store.port import Publication
from mortal import Fuse, survived
from record_world import (
    DAY,
    FIRST,
    KEY,
    NOW,
    FailingFuse,
    MortalRecordStore,
    RecordLife,
    broken_promises,
    ids,
    lines_on_disk,
    open_life,
    record,
    records,
    segments_on_disk,
)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[RecordLife]:
    async with open_life(tmp_path / "root") as made:
        yield made


async def test_records_lie_by_their_day_oldest_first(life: RecordLife) -> None:
    """One segment for each day, in the folder of its stream; a record without a time has a folder of its own."""
    found = [
        record(3, FIRST + DAY),
        record(2, FIRST + timedelta(minutes=11)),
        record(1),
        record(4, None),
        record(5, datetime(2018, 4, 11, 0, 0, 0, tzinfo=CHINA)),
    ]
    await life.keep(found)
    on_disk = segments_on_disk(life.root)
    assert [re.sub(r"[0-9a-f]{12}(?=\.jsonl)", "#", path) for path in on_disk] == [
        "lexiang/hq/download-logs/date=2018-04-10/20180410T154008-2-#.jsonl.gz",
        "lexiang/hq/download-logs/date=2018-04-11/20180411T000000-2-#.jsonl.gz",
        "lexiang/hq/download-logs/date=unknown/undated-1-#.jsonl.gz",
    ]
    told = [[json.loads(line)["id"][:8] for line in text.splitlines()] for text in on_disk.values()]
    assert told == [["00000001", "00000002"], ["00000005", "00000003"], ["00000004"]]
    assert broken_promises(life.root, quiet=True) == []


async def test_what_the_catalog_says_of_a_segment_is_so(life: RecordLife) -> None:
    await life.keep(records(range(3)))
    (segment,) = await life.catalog.streams.segments(1)
    data = (life.root / segment.path).read_bytes()
    assert (segment.sha256, segment.size_bytes) == (sha256(data).hexdigest(), len(data))
    assert segment.sha256[:12] in segment.path
    assert (segment.records, segment.day, segment.stored_at) == (3, "2018-04-10", NOW)
    assert data[:10] == gzip.compress(b"", mtime=0)[:4] + b"\0\0\0\0" + data[8:10], "no time and no name inside"


async def test_the_same_records_make_the_same_file(life: RecordLife, tmp_path: Path) -> None:
    async with open_life(tmp_path / "other") as other:
        for each in (life, other):
            await each.keep(records(range(300)))
    assert segments_on_disk(life.root) == segments_on_disk(other.root)


async def test_state_and_oddities_are_saved_with_the_records(life: RecordLife) -> None:
    state = replace(await life.stream(), looks=1, mark=NOW)
    odd = Oddity(NOW, "future", "2999", "x")
    await life.keeper.keep(KEY, state, records(range(2)), [odd])
    assert await life.stream() == state
    assert await life.catalog.streams.oddities(1) == [odd]


async def test_without_new_records_only_the_state_is_saved(life: RecordLife) -> None:
    await life.keep(records(range(2)))
    before = segments_on_disk(life.root)
    odd = Oddity(NOW, "drift", "a row moved")
    for found, looks in (([], 1), (records(range(2)), 2)):
        await life.keeper.keep(KEY, replace(await life.stream(), looks=looks), found, [odd])
        assert (await life.stream()).looks == looks
    assert segments_on_disk(life.root) == before
    assert await life.catalog.streams.oddities(1) == [odd]


async def test_a_record_that_comes_twice_lies_on_one_line(life: RecordLife) -> None:
    """In one batch, in two, and with other text: its identity is its id."""
    await life.keep([record(1), record(1), replace(record(1), record=b"{}", created_at=FIRST + DAY)])
    await life.keep([record(2), record(1)])
    assert lines_on_disk(life.root) == dict.fromkeys(ids(records([1, 2])), 1)


async def test_several_batches_at_a_time_take_turns(life: RecordLife) -> None:
    stream = await life.stream()
    await asyncio.gather(*(life.keep(records(range(number, number + 3)), stream) for number in range(20)))
    assert broken_promises(life.root, quiet=True) == []
    assert len(lines_on_disk(life.root)) == 22


async def test_a_large_batch_is_kept_whole(life: RecordLife) -> None:
    made = [replace(each, record=b'{"x":"%s"}' % (b"y" * 2000)) for each in records(range(1000))]
    await life.keep(made)
    assert await life.known(made) == ids(made)
    assert broken_promises(life.root, quiet=True) == []


class FullStore(MortalRecordStore):
    """No room, once: the staged bytes do not fit."""

    full = True

    async def flush(self, temp_names: Sequence[str]) -> None:
        if self.full:
            raise StorageFull("no room")
        await super().flush(temp_names)


async def test_a_batch_that_found_no_room_leaves_nothing_and_can_come_again(tmp_path: Path) -> None:
    async with open_life(tmp_path, FullStore) as life:
        store = life.store
        assert isinstance(store, FullStore)
        state = replace(await life.stream(), looks=1)
        with pytest.raises(StorageFull):
            await life.keep(records(range(3)), state)
        assert await store.staged_sizes() == {}
        assert await life.catalog.streams.intents() == []
        assert (await life.stream()).looks == 0
        store.full = False
        await life.keep(records(range(3)), state)
        assert (await life.stream()).looks == 1
        assert broken_promises(life.root, quiet=True) == []


async def test_what_was_published_but_could_not_be_recorded_is_adopted_at_once(life: RecordLife) -> None:
    """Its records are archived; the state stays, so its pages are read once more and nothing comes twice."""
    state = replace(await life.stream(), looks=1)
    life.refuse(Fuse(6, fails=True))
    with pytest.raises(StorageError):
        await life.keep(records(range(3)), state)
    assert await life.known(records(range(3))) == ids(records(range(3)))
    assert (await life.stream()).looks == 0
    await life.keep(records(range(4)), state)
    assert broken_promises(life.root, quiet=True) == []
    assert (await life.stream()).looks == 1


@pytest.mark.parametrize("step", range(1, 7))
async def test_what_could_not_be_settled_at_once_is_settled_before_the_next_batch(life: RecordLife, step: int) -> None:
    """The disk fails for a while, and a published segment is not recorded: its records must not come twice."""
    life.refuse(FailingFuse(step))
    with pytest.raises(StorageError):
        await life.keep(records(range(3)))
    life.clock.advance(timedelta(minutes=5))
    with pytest.raises(StorageError):
        await life.keep(records(range(3)))
    life.refuse(Fuse())
    await life.keep(records(range(4)))
    assert broken_promises(life.root, quiet=True) == []
    assert len(lines_on_disk(life.root)) == 4


async def test_other_bytes_at_a_segments_place_are_left_alone(life: RecordLife, tmp_path: Path) -> None:
    async with open_life(tmp_path / "twin") as twin:
        await twin.keep(records(range(3)))
    (path,) = segments_on_disk(twin.root)
    place = life.root / path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"somebody else's")
    with structlog.testing.capture_logs() as logs, pytest.raises(StorageError, match="other bytes lie at"):
        await life.keep(records(range(3)))
    assert place.read_bytes() == b"somebody else's"
    assert ("segment_damaged", path) in [(entry["event"], entry.get("path")) for entry in logs]
    assert await life.catalog.streams.intents() == []
    assert await life.known(records(range(3))) == set()


class SlowStore(MortalRecordStore):
    """Says when it publishes, and waits for a word before it goes on."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(root, fuse)
        self.publishing, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish(self, batch: Sequence[Publication]) -> None:
        self.publishing.set()
        await self.go_on.wait()
        await super().publish(batch)


async def test_cancelled_while_publishing_it_is_recorded_to_the_end(tmp_path: Path) -> None:
    async with open_life(tmp_path, SlowStore) as life:
        store = life.store
        assert isinstance(store, SlowStore)
        state = replace(await life.stream(), looks=1)
        keeping = asyncio.ensure_future(life.keep(records(range(3)), state))
        await store.publishing.wait()
        keeping.cancel()
        await asyncio.sleep(0)
        keeping.cancel()
        store.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        assert (await life.stream()).looks == 1
        assert broken_promises(life.root, quiet=True) == []


async def test_a_segment_damaged_before_it_was_recorded_is_told_and_not_believed(life: RecordLife) -> None:
    life.refuse(Fuse(6))
    await survived(life.keep(records(range(3))))
    assert await life.catalog.streams.intents() != []
    life.refuse(Fuse())
    (path,) = (life.root / path for path in segments_on_disk(life.root))
    path.write_bytes(path.read_bytes()[:-1])
    with structlog.testing.capture_logs() as logs:
        assert (await reconcile_records(life.catalog, life.store, life.clock)).adopted == 0
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["segment_damaged"]
    assert await life.known(records(range(3))) == set()
    assert path.is_file(), "for a person to look at"


def test_names_sort_by_time() -> None:
    ends = datetime(1, 1, 1, tzinfo=CHINA), datetime(9999, 12, 31, tzinfo=CHINA)
    told = [first_moment(moment) for moment in (ends[0], FIRST, FIRST + timedelta(seconds=1), ends[1])]
    assert told == sorted(told)
    assert first_of(f"a/b-c/{first}-2-abc.jsonl.gz" for first in told[::-1]) == told[0]


@pytest.mark.parametrize(
    ("key", "stream", "day"),
    [
        (AccountKey("lexiang", "../hq"), "download-logs", "2018-04-10"),
        (AccountKey("lexiang", ".hq"), "download-logs", "2018-04-10"),
        (AccountKey("lexiang", "hq"), "a/b", "2018-04-10"),
        (AccountKey("lexiang", "hq"), "", "2018-04-10"),
        (AccountKey("lexiang", "hq"), "download-logs", "2018-04-10/.."),
        (AccountKey("lexiang", "hq"), "download-logs", "2018-4-1"),
    ],
)
def test_no_path_is_made_of_parts_that_are_not_plain(key: AccountKey, stream: str, day: str) -> None:
    with pytest.raises(ValueError, match="no path is made of"):
        segment_path(key, stream, day, "20180410T154008-2-abc")
