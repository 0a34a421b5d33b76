"""A catalog made again from the archive alone: nothing is downloaded twice, nothing is claimed that is not proved."""

import asyncio
import gzip
import hashlib
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiang_world import DAY, StreamWorld, stream_world
from logkeep.daemon.archiver import catalog_path
from logkeep.daemon.rebuild import Rebuilt, rebuild
from logkeep.errors import CatalogError, LockHeld
from logkeep.model import CHINA, AccountKey
from logkeep.records.naming import first_moment, parse_segment_path, segment_name, segment_path
from logkeep.store.lock import StorageLock
from test_verify_files import damaged, gaps, verify
from test_verify_segments import verify as verify_segments

from archive_world import HOUR, World, world

Either = World | StreamWorld


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[World]:
    """Files of all sorts: two versions of one id, odd names and ids, a file without a readable hour."""
    async with world(tmp_path) as made:
        made.watched_hours = 8
        made.account.publish(made.hour(3), name="a b/../ü.log.gz")
        made.account.publish(made.hour(4), file_id="Weird/ID ü")
        made.account.publish(made.hour(5))
        changing = made.account.publish(made.hour(6))
        await made.sync()
        made.account.grow(changing)
        made.clock.advance(HOUR)
        await made.sync()
        made.clock.advance(HOUR)
        await made.sync()
        assert any(".v2-" in path for path in made.archived())
        yield made


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[StreamWorld]:
    """Compacted days, days that are not, and a record without a readable time."""
    async with stream_world(tmp_path) as made:
        made.account.populate(40, days=6, end=made.ago(hours=1))
        made.account.add_record(attributes={"created_at": "?"})
        await made.sync()
        made.clock.advance(4 * DAY)
        made.account.populate(10, days=1, end=made.ago(hours=1))
        await made.sync()
        yield made


async def rebuilt(made: Either, *, replace: bool = False) -> Rebuilt:
    return await rebuild(made.settings(), made.clock, replace=replace, begin=lambda _: lambda _: None)


def lose_the_catalog(made: Either) -> None:
    for path in (made.root / ".logkeep").glob("catalog.sqlite3*"):
        path.unlink()


async def test_files_are_recognised_and_none_is_downloaded_again(files: World) -> None:
    before, (_, stood) = files.archived(), await files.sync()
    lose_the_catalog(files)
    result = await rebuilt(files)
    assert (result.files, result.strangers, result.damaged, result.doubtful) == (len(before), [], [], [])
    files.clock.advance(HOUR)
    files.cloud.reset()
    passing, stands = await files.sync()
    assert (files.cloud.count("download"), passing.batch.files, files.archived()) == (0, 0, before)
    assert [gap for gap in gaps(stands) if gap[1] is not None] == [gap for gap in gaps(stood) if gap[1] is not None]
    assert (stands.files, stands.bytes) == (stood.files, stood.bytes)
    assert {checked.path for checked in await verify(files)} == before.keys()
    assert damaged(await verify(files)) == {}
    async with files.catalog() as (catalog, account_id):
        told = [await catalog.hours.mutations_of(account_id, judged.hour) for judged in stands.ledger]
    assert [mutation for some in told for mutation in some] == [], "not even that a file was renamed"


async def test_nothing_is_complete_before_it_was_listed_again(files: World) -> None:
    lose_the_catalog(files)
    await rebuilt(files)
    async with files.open() as archiver:
        stands = await files.stands(archiver)
    assert {state.value for state, count in stands.counts.items() if count} <= {"open", "pending"}


async def test_versions_keep_their_numbers_and_a_third_one_follows(files: World) -> None:
    lose_the_catalog(files)
    await rebuilt(files)
    path = next(path for path in files.archived() if ".v2-" in path)
    file_id = path.rpartition("/")[2].partition(".")[0]
    async with files.catalog() as (catalog, account_id):
        held = await catalog.files.versions(account_id, file_id)
    assert [version.version for version in held] == [1, 2]
    files.account.grow(next(file for file in files.account.files() if str(file.file_id) == file_id))
    files.clock.advance(HOUR)
    await files.sync()
    assert path.replace(".v2-", ".v3-") in files.archived()


async def test_records_are_known_and_none_is_archived_again(records: StreamWorld) -> None:
    before = records.segments()
    _, stood = await records.sync()
    lose_the_catalog(records)
    result = await rebuilt(records)
    assert (result.segments, result.records) == (len(before), sum(map(len, before.values())))
    records.clock.advance(timedelta(minutes=5))
    passing, stands = await records.sync()
    assert (passing.records, records.segments(), list(stands.gaps)) == (0, before, [])
    assert (stands.records, stands.days) == (stood.records, stood.days)
    assert stands.stream is not None
    assert stands.stream.oldest is not None
    assert damaged(await verify_segments(records)) == {}


async def test_what_a_compaction_left_is_retired_and_its_records_are_known_once(records: StreamWorld) -> None:
    """A kill came between publishing the day's segment and removing those that it was made of."""
    path = max(records.segments(), key=lambda name: len(records.segments()[name]))
    ids = [line["id"] for line in records.segments()[path]]
    whole = records.root / path
    lines = gzip.decompress(whole.read_bytes()).splitlines(keepends=True)
    data = gzip.compress(b"".join(lines[:2]), mtime=0)
    digest = hashlib.sha256(data).hexdigest()
    part = whole.with_name(f"{whole.name.partition('-')[0]}-2-{digest[:12]}.jsonl.gz")
    part.write_bytes(data)
    lose_the_catalog(records)
    await rebuilt(records)
    records.clock.advance(timedelta(minutes=5))
    passing, stands = await records.sync()
    assert (passing.records, list(stands.gaps), part.exists()) == (0, [], False)
    assert [records.ids()[record_id] for record_id in ids] == [1] * len(ids)
    assert damaged(await verify_segments(records)) == {}


async def test_strangers_and_leftovers_are_named_and_left_alone(files: World) -> None:
    stranger = files.root / "pan123" / "main" / "notes.txt"
    stranger.write_text("mine", encoding="utf-8")
    leftover = files.root / ".logkeep" / "tmp" / "12-x.part"
    leftover.write_bytes(b"half")
    lose_the_catalog(files)
    result = await rebuilt(files)
    assert [path for path, _ in result.strangers] == ["pan123/main/notes.txt"]
    await files.sync()
    assert (stranger.read_text(encoding="utf-8"), leftover.exists()) == ("mine", False)


async def test_a_damaged_segment_is_named_and_its_records_are_read_again(records: StreamWorld) -> None:
    path = max(records.segments())
    whole = records.root / path
    whole.write_bytes(whole.read_bytes()[:-3])
    lose_the_catalog(records)
    result = await rebuilt(records)
    assert result.damaged == [(path, "its digest is not the one in its name")]


async def test_a_file_that_is_not_whole_is_asked_for_once_more(files: World) -> None:
    """Without the former catalog nobody knows whether the vendor gave it so."""
    path = min(files.archived())
    whole = files.root / path
    whole.write_bytes(whole.read_bytes()[:-3] + b"\0\0\0")
    lose_the_catalog(files)
    result = await rebuilt(files)
    assert result.doubtful == [(path, "not_gzip")]
    files.clock.advance(HOUR)
    await files.sync()
    assert files.cloud.count("download") > 4


async def test_a_catalog_with_content_is_refused_unless_it_is_kept_aside(files: World) -> None:
    path = catalog_path(files.settings())
    before = path.read_bytes()
    with pytest.raises(CatalogError, match=r"it has content; `logkeep rebuild --replace` keeps it"):
        await rebuilt(files)
    assert path.read_bytes() == before
    result = await rebuilt(files, replace=True)
    assert result.former is not None
    assert result.former.name.startswith("catalog.sqlite3.before-rebuild-2026")
    shutil.copy(result.former, path)
    await files.sync()
    assert damaged(await verify(files)) == {}
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_catalog_is_content(files: World) -> None:
    path = catalog_path(files.settings())
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(CatalogError, match="it has content"):
        await rebuilt(files)
    result = await rebuilt(files, replace=True)
    assert result.former is not None
    assert result.former.read_bytes() == b"no database at all" * 100
    assert damaged(await verify(files)) == {}


async def test_a_keeper_at_work_is_not_disturbed(files: World) -> None:
    with StorageLock(files.root / ".logkeep" / "lock"), pytest.raises(LockHeld):
        await rebuilt(files, replace=True)


@pytest.mark.parametrize("at", range(1, 9))
async def test_cut_off_anywhere_and_repeated_it_is_the_same(files: World, at: int) -> None:
    """The catalog in place stays as it was until the new one is whole."""
    before = catalog_path(files.settings()).read_bytes()
    told = 0

    def count(_: int) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise asyncio.CancelledError

    rebuilding_cut = rebuild(files.settings(), files.clock, replace=True, begin=lambda _: count)
    try:
        await rebuilding_cut
    except asyncio.CancelledError:
        assert catalog_path(files.settings()).read_bytes() == before
    result = await rebuilt(files, replace=True)
    assert result.files == len(files.archived())
    assert damaged(await verify(files)) == {}
    files.clock.advance(HOUR)
    files.cloud.reset()
    await files.sync()
    assert files.cloud.count("download") == 0


async def test_what_an_earlier_attempt_adopted_and_is_gone_is_forgotten(files: World) -> None:
    draft = catalog_path(files.settings()).with_name("catalog.sqlite3.rebuilding")
    await rebuilt(files, replace=True)
    shutil.copy(catalog_path(files.settings()), draft)
    path = min(files.archived())
    (files.root / path).unlink()
    result = await rebuilt(files, replace=True)
    assert (result.files, result.kept) == (len(files.archived()), len(files.archived()))
    assert path not in {checked.path for checked in await verify(files)}


plain = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
moments = st.none() | st.datetimes(min_value=datetime(1000, 1, 2)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=CHINA, microsecond=0)
)


@given(plain, plain, plain, moments, st.integers(1, 10**9), st.binary(min_size=32, max_size=32))
def test_a_segments_path_reads_back_as_what_it_was_built_from(
    vendor: str, account: str, stream: str, moment: object, records: int, digest: bytes
) -> None:
    at = moment if isinstance(moment, datetime) else None
    day = "unknown" if at is None else at.date().isoformat()
    name = segment_name(first_moment(at), records, digest.hex())
    parsed = parse_segment_path(segment_path(AccountKey(vendor, account), stream, day, name))
    assert (parsed.key, parsed.stream, parsed.day) == (AccountKey(vendor, account), stream, day)
    assert (parsed.first_at, parsed.records, parsed.sha256_begin) == (at, records, digest.hex()[:12])


@given(st.text(max_size=80))
def test_any_other_path_is_no_segments(path: str) -> None:
    with pytest.raises(ValueError, match="is not the path of a segment"):
        parse_segment_path(path)


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "0000-01-01"])
def test_a_day_that_no_calendar_has_is_refused(day: str) -> None:
    with pytest.raises(ValueError, match=r"day|month|year"):
        parse_segment_path(f"lexiang/hq/download-logs/date={day}/20260101T000000-1-{'0' * 12}.jsonl.gz")
