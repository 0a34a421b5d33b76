"""Compaction: which days, what of them, in how little memory, and what stands in its way."""

import asyncio
import gzip
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import structlog

from logkeep.catalog.records import Covered, SegmentRecord, StreamRecord
from logkeep.errors import StorageError
from logkeep.model import CHINA
from logkeep.records.compact import Compactor, closed_days
from mortal import Fuse
from record_world import (
    ALL,
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
from store_contract import publish

MIB = 1 << 20
START = datetime(2018, 4, 10, tzinfo=CHINA)
END = START + DAY
CLOSED = END + timedelta(hours=48)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[RecordLife]:
    async with open_life(tmp_path) as made:
        yield made


def stream(*covered: Covered) -> StreamRecord:
    return StreamRecord(1, 1, "download-logs", covered=covered)


@pytest.mark.parametrize(
    ("covered", "now", "closed"),
    [
        ((Covered(None, END),), CLOSED, True),
        ((Covered(None, END),), CLOSED - SECOND, False),
        ((Covered(None, END),), CLOSED.astimezone(UTC), True),
        ((Covered(None, END - SECOND),), CLOSED, False),
        ((Covered(START - SECOND, END),), CLOSED, True),
        ((Covered(START, END),), CLOSED, False),
        ((Covered(None, START + 8 * SECOND), Covered(START + 9 * SECOND, END)), CLOSED, False),
        ((Covered(None, START - DAY), Covered(START - SECOND, END + DAY)), CLOSED, True),
        ((), CLOSED, False),
    ],
)
def test_a_day_is_closed_two_days_after_its_end_once_all_of_it_is_covered(
    covered: tuple[Covered, ...], now: datetime, closed: bool
) -> None:
    """An interval holds what is after its start and not after its end, so it has to begin before midnight."""
    found = closed_days([("2018-04-10", 2, 9, 900)], stream(*covered), now)
    assert found == (["2018-04-10"] if closed else [])


def test_only_days_in_several_segments_are_worth_it() -> None:
    days = [("2018-04-10", 2, 9, 900), ("2018-04-11", 1, 9, 900), ("2018-04-12", 3, 9, 900), ("unknown", 5, 9, 900)]
    assert closed_days(days, stream(*ALL), NOW) == ["2018-04-10", "2018-04-12"]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_at_the_ends_of_time_do_no_harm(day: str) -> None:
    ends = Covered(None, datetime.max.replace(tzinfo=CHINA))
    assert closed_days([(day, 2, 2, 2)], stream(ends), NOW) == ([day] if day.startswith("0") else [])


async def test_all_closed_days_become_one_segment_each_and_no_other(life: RecordLife) -> None:
    for number in range(3):
        await life.keep([record(number), record(10 + number, FIRST + DAY), record(20 + number, None)])
        await life.keep(records([30 + number], NOW - DAY))
    state = replace(await life.stream(), covered=ALL)
    assert await life.compactor.compact_closed(KEY, state, NOW) == 2
    counts = {day: (segments, kept) for day, segments, kept, _ in await life.catalog.streams.days(1)}
    assert counts == {"2018-04-10": (1, 3), "2018-04-11": (1, 3), "2018-04-30": (3, 3), "unknown": (3, 3)}
    assert broken_promises(life.root, quiet=True) == []
    assert await life.compactor.compact_closed(KEY, state, NOW) == 0


async def test_lines_stay_byte_for_byte_and_in_the_order_of_their_segments(life: RecordLife) -> None:
    for number in (7, 2, 5):
        await life.keep(records([number, number + 1], FIRST + number * SECOND))
    before = segments_on_disk(life.root)
    assert await life.compact()
    ((path, text),) = segments_on_disk(life.root).items()
    assert text == b"".join(before[path] for path in sorted(before))
    assert path.rpartition("/")[2].startswith("20180410T154010-6-"), "its name begins with the first record's time"
    (segment,) = await life.catalog.streams.segments(1)
    assert (segment.path, segment.records, segment.size_bytes) == (path, 6, (life.root / path).stat().st_size)
    assert await life.store.digest(path) == segment.sha256
    for each in records([2, 3, 5, 6, 7, 8]):
        assert await life.catalog.streams.segment_of(1, each.record_id) == segment


async def test_a_day_in_one_segment_is_left_alone(life: RecordLife) -> None:
    await life.keep(records([1]))
    before = segments_on_disk(life.root)
    assert not await life.compact()
    assert not await life.compact("2018-04-11")
    assert segments_on_disk(life.root) == before


async def test_a_late_record_adds_a_segment_and_the_day_is_compacted_again(life: RecordLife) -> None:
    for number in range(4):
        await life.keep(records([number]))
        assert await life.compact() == (number > 0)
        assert broken_promises(life.root, quiet=True) == []
        assert len(segments_on_disk(life.root)) == 1
    assert len(lines_on_disk(life.root)) == 4


async def test_a_record_that_comes_during_compaction_has_a_segment_of_its_own(life: RecordLife) -> None:
    for number in range(3):
        await life.keep(records([number]))
    late = asyncio.gather(*(life.keep(records([number])) for number in range(10, 20)))
    assert await life.compact()
    await late
    assert broken_promises(life.root, quiet=True) == []
    assert await life.compact()
    assert lines_on_disk(life.root) == dict.fromkeys(ids(records([0, 1, 2, *range(10, 20)])), 1)


def cut(data: bytes) -> bytes:
    return data[:-9]


def other_text(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data).replace(b"ThreeZhang", b"FourZhangs"), mtime=0)


def nonsense(data: bytes) -> bytes:
    return b"\x1f\x8b" + bytes(len(data))


def one_line_more(data: bytes) -> bytes:
    return data + gzip.compress(b"{}\n", mtime=0)


@pytest.mark.parametrize("harm", [cut, other_text, nonsense, one_line_more])
async def test_a_day_with_a_damaged_segment_is_left_as_it_is(life: RecordLife, harm: Callable[[bytes], bytes]) -> None:
    """Told as an error; the damage is not copied into a segment that would look sound."""
    for number in range(3):
        await life.keep(records([number]))
    path = sorted(life.root.glob("lexiang/**/*.gz"))[1]
    path.write_bytes(harm(path.read_bytes()))
    before = {each: each.read_bytes() for each in life.root.glob("lexiang/**/*.gz")}
    with structlog.testing.capture_logs() as logs:
        assert not await life.compact()
    told = [(entry["log_level"], entry["event"], entry["path"]) for entry in logs if entry["event"] != "store_opened"]
    assert told == [("error", "segment_damaged", str(path.relative_to(life.root)))]
    assert {each: each.read_bytes() for each in life.root.glob("lexiang/**/*.gz")} == before
    assert await life.store.staged_sizes() == {}
    assert len(await life.catalog.streams.segments(1)) == 3


@pytest.mark.parametrize("say", ["records", "last line"])
async def test_a_segment_whose_lines_are_not_what_was_recorded_is_damaged(life: RecordLife, say: str) -> None:
    """Its digest may be right all the same: then the catalog is wrong about it."""
    text = b"{}\n{}\n" if say == "records" else b"{}\n{}"
    made = [replace(await written(life, number, text), records=1) for number in range(2)]
    await life.catalog.streams.archived([(segment, ()) for segment in made], None)
    with structlog.testing.capture_logs() as logs:
        assert not await life.compact()
    expected = "it has 2 lines where 1 are recorded" if say == "records" else "its last line does not end"
    assert [entry["damage"] for entry in logs if entry["event"] == "segment_damaged"] == [expected]


async def test_a_segment_that_is_gone_stops_compaction(life: RecordLife) -> None:
    for number in range(2):
        await life.keep(records([number]))
    next(life.root.glob("lexiang/**/*.gz")).unlink()
    with pytest.raises(StorageError, match="no such file"):
        await life.compact()
    assert len(await life.catalog.streams.segments(1)) == 2
    assert await life.store.staged_sizes() == {}


async def test_a_step_that_fails_is_finished_by_the_next_call(tmp_path: Path) -> None:
    """Also when nothing more is to be compacted then."""
    for step in range(1, 12):
        async with open_life(tmp_path / str(step)) as life:
            for number in range(3):
                await life.keep(records([number]))
            life.refuse(Fuse(step, fails=True))
            with pytest.raises(StorageError):
                await life.compact()
            assert broken_promises(life.root, quiet=False) == []
            await life.compact()
            assert broken_promises(life.root, quiet=True) == []
            assert len(segments_on_disk(life.root)) == 1


async def test_old_files_that_could_not_be_removed_go_although_no_other_day_is_closed(life: RecordLife) -> None:
    for number in range(3):
        await life.keep(records([number]))
    life.refuse(Fuse(8, fails=True))
    with pytest.raises(StorageError):
        await life.compact()
    life.refuse(Fuse())
    assert len(segments_on_disk(life.root)) > 1
    assert await life.compactor.compact_closed(KEY, replace(await life.stream(), covered=ALL), NOW) == 0
    assert broken_promises(life.root, quiet=True) == []


async def test_what_could_not_be_settled_at_once_is_settled_before_the_next_call(tmp_path: Path) -> None:
    """A record that came in between makes another segment of the day than the one whose outcome is open."""
    for step in range(1, 12):
        async with open_life(tmp_path / str(step)) as life:
            for number in range(3):
                await life.keep(records([number]))
            life.refuse(FailingFuse(step))
            with pytest.raises(StorageError):
                await life.compact()
            life.refuse(Fuse())
            await life.keep(records([3]))
            await life.compact()
            await life.compact()
            assert broken_promises(life.root, quiet=True) == []
            assert len(segments_on_disk(life.root)) == 1


class CancelledMeanwhile(MortalRecordStore):
    """Whoever asked for the second object goes away."""

    reads = 0
    asker: asyncio.Future[bool] | None = None

    def read(self, path: str) -> AsyncIterator[bytes]:
        self.reads += 1
        if self.reads == 2 and self.asker is not None:
            self.asker.cancel()
        return super().read(path)


async def test_broken_off_while_it_reads_nothing_has_changed(life: RecordLife) -> None:
    """What it staged goes."""
    for number in range(3):
        await life.keep(records([number]))
    before, store = segments_on_disk(life.root), CancelledMeanwhile(life.root, Fuse())
    await store.open()
    compactor = Compactor(store, life.catalog, life.clock)
    store.asker = asyncio.ensure_future(compactor.compact(KEY, await life.stream(), "2018-04-10"))
    with pytest.raises(asyncio.CancelledError):
        await store.asker
    assert store.reads == 2
    assert segments_on_disk(life.root) == before
    assert broken_promises(life.root, quiet=True) == []


@pytest.mark.parametrize("lines", [20_000, 200_000])
async def test_memory_is_flat_however_large_the_day(life: RecordLife, lines: int) -> None:
    """Text that hardly compresses, in segments of 10,000 lines: 5 or 50 MB of it."""
    rng = random.Random(1)
    made = []
    for number in range(lines // 10_000):
        text = b"".join(b'{"id":"%s"}\n' % rng.randbytes(120).hex().encode() for _ in range(10_000))
        made.append((await written(life, number, text), ()))
    await life.catalog.streams.archived(made, None)
    tracemalloc.start()
    try:
        assert await life.compact()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (segment,) = await life.catalog.streams.segments(1)
    assert segment.records == lines
    assert peak_bytes < 5 * MIB, f"{peak_bytes} bytes at {lines} lines"


async def written(life: RecordLife, number: int, text: bytes) -> SegmentRecord:
    """A segment on disk, made of any text."""
    data, name = gzip.compress(text, 1, mtime=0), f"20180410T154008-{number}-x.jsonl.gz"
    made = SegmentRecord(
        1, "2018-04-10", f"lexiang/hq/download-logs/date=2018-04-10/{name}", sha256(data).hexdigest(), len(data),
        text.count(b"\n"), NOW,
    )  # fmt: skip
    await publish(life.store, name, data, made.path)
    return made
