"""Files, versions and transfers as the catalog keeps them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.catalog import Catalog
from logkeep.catalog.records import Changes, FileFacts, FileRecord, Intent, ListingRecord, PartialRecord, Sighting
from logkeep.errors import CatalogError
from logkeep.model import AccountKey, Hour, Span, StoredFile

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
HOUR = Hour.of(NOW) + -5
SPAN = Span(HOUR, HOUR + 2)
DIGEST = "ab" * 32
OTHER = "cd" * 32

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
hours = st.integers(0, 9).map(lambda after: HOUR + after)
sizes = st.integers(0, 2**50)
records = st.builds(
    FileRecord,
    texts.filter(bool),
    texts,
    st.none() | sizes,
    st.none() | hours,
    hours.map(lambda hour: Span(hour, hour + 3)),
    moments,
    moments,
    wanted=st.booleans(),
    versions=st.integers(0, 9),
    withdrawn_at=st.none() | moments,
    attempts=st.integers(0, 9),
    attempted_at=st.none() | moments,
    failure=texts,
    lost_at=st.none() | moments,
    acked_at=st.none() | moments,
    acked_by=texts,
    ack_reason=texts,
)


def file(file_id: str, size_bytes: int | None = 3, hour: Hour | None = HOUR) -> FileRecord:
    return FileRecord(file_id, f"{file_id}.gz", size_bytes, hour, SPAN, NOW, NOW)


def intent(file_id: str, *, version: int = 1, sha256: str = DIGEST, listed_bytes: int | None = 3) -> Intent:
    return Intent(1, file_id, version, f"t{file_id}", f"p/{file_id}.v{version}", sha256, 3, listed_bytes, ("not_gzip",))


async def list_files(catalog: Catalog, files: Sequence[FileRecord], account_id: int = 1) -> None:
    listing = ListingRecord(SPAN, "test", NOW, NOW, 1, len(files), "")
    await catalog.hours.absorb(account_id, listing, [], [], lambda *_: Changes(files=tuple(files)))


async def got(catalog: Catalog, file_id: str) -> FileRecord:
    found = await catalog.files.get(1, file_id)
    assert found is not None
    return found


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    """Two accounts, 1 and 2, so that what belongs to one must not show with the other."""
    made = Catalog(tmp_path / "catalog.sqlite3")
    await made.open()
    keys = [AccountKey("pan123", "main"), AccountKey("pan123", "other")]
    await made.accounts.enrol(keys, now=NOW, watched_from=HOUR)
    yield made
    await made.close()


@given(st.lists(records, unique_by=lambda record: record.file_id, max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_records_come_back_as_they_were_saved(catalog: Catalog, saved: list[FileRecord]) -> None:
    """Whatever the vendor calls its files; ids of two accounts never meet."""
    await list_files(catalog, saved)
    await list_files(catalog, [replace(record, name="another account's") for record in saved], account_id=2)
    assert [await catalog.files.get(1, record.file_id) for record in saved] == saved


async def test_wanted_files_come_hour_by_hour_without_those_that_are_lost(catalog: Catalog) -> None:
    late, early, adrift = file("1", hour=HOUR + 1), file("2"), file("3", hour=None)
    satisfied, lost = replace(file("4"), wanted=False), replace(file("5"), lost_at=NOW)
    await list_files(catalog, [late, early, adrift, satisfied, lost])
    assert await catalog.files.wanted(1) == [adrift, early, late]
    assert await catalog.files.wanted(2) == []
    assert await catalog.files.of_hour(1, HOUR) == [early, satisfied, lost]


async def test_an_hours_facts_tell_archived_missing_and_failing(catalog: Catalog) -> None:
    done = replace(file("1"), wanted=False, versions=2)
    grown = replace(file("2"), versions=1, failure="stalled: no bytes")
    new = file("3")
    later = file("4", hour=HOUR + 1)
    await list_files(catalog, [done, grown, new, later, file("5", hour=None), file("6", hour=HOUR + -1)])
    assert await catalog.files.facts(1, HOUR) == {
        HOUR: FileFacts(archived=2, missing=2, failing=(grown,)),
        HOUR + 1: FileFacts(missing=1),
    }


async def test_a_failed_fetch_is_counted_and_the_latest_twenty_are_told(catalog: Catalog) -> None:
    await list_files(catalog, [file("1"), file("2")])
    for number in range(25):
        await catalog.files.failed(1, "1", f"reason {number}", now=NOW + timedelta(seconds=number))
    await catalog.files.failed(1, "2", "other", now=NOW)
    told = await catalog.files.attempts(1, "1")
    assert [reason for _, reason in told] == [f"reason {number}" for number in range(5, 25)]
    kept = await got(catalog, "1")
    assert (kept.attempts, kept.failure, kept.attempted_at) == (25, "reason 24", NOW + timedelta(seconds=24))
    assert await catalog.files.attempts(1, "2") == [(NOW, "other")]


async def test_more_files_and_hours_than_a_statement_takes_are_lost_at_once(catalog: Catalog) -> None:
    many = [file(f"a{number}", hour=None) for number in range(1_100)]
    spread = [file(f"h{number}", hour=HOUR + number) for number in range(600)]
    await list_files(catalog, [*many, *spread, replace(file("done", hour=HOUR), wanted=False)])
    lost_hours = [HOUR + number for number in range(599)]
    await catalog.files.lose(1, hours=lost_hours, file_ids=[record.file_id for record in many[1:]], now=NOW)
    assert [record.file_id for record in await catalog.files.wanted(1)] == ["a0", "h599"]
    assert (await got(catalog, "done")).lost_at is None, "what is archived cannot be lost"
    assert len(await catalog.files.lost(1)) == 1_099
    assert await catalog.files.acknowledge_lost(1, by="Li Na", reason="outage", now=NOW) == 1_099
    assert await catalog.files.lost(1) == []
    assert await catalog.files.acknowledge_lost(1, by="Li Na", reason="outage", now=NOW) == 0


async def test_a_publication_is_an_intent_first_and_a_version_afterwards(catalog: Catalog) -> None:
    await list_files(catalog, [file("1"), file("2")])
    await catalog.transfers.save_partial(PartialRecord(1, "1", "t1", '"etag"', 9))
    await catalog.transfers.add_sighting(1, "1", Sighting(OTHER, NOW, "size_differs", 4))
    await catalog.transfers.intend([intent("1"), intent("2")])
    assert await catalog.transfers.intents() == [intent("1"), intent("2")]
    await catalog.transfers.archived([intent("1")], now=NOW)
    assert await catalog.files.versions(1, "1") == [StoredFile("1", 1, "p/1.v1", 3, DIGEST, NOW, ("not_gzip",))]
    kept = await got(catalog, "1")
    assert (kept.wanted, kept.versions, kept.failure) == (False, 1, "")
    assert await catalog.transfers.intents() == [intent("2")]
    assert await catalog.transfers.partials() == []
    assert await catalog.transfers.sightings(1, "1") == []
    await catalog.transfers.drop_intents([intent("2")])
    assert await catalog.transfers.intents() == []
    assert (await got(catalog, "2")).wanted
    assert await catalog.files.totals(1) == (1, 3)
    assert await catalog.files.totals(2) == (0, 0)


async def test_recording_a_publication_twice_is_recording_it_once(catalog: Catalog) -> None:
    await list_files(catalog, [file("1")])
    for later in range(2):
        await catalog.transfers.archived([intent("1")], now=NOW + timedelta(seconds=later))
    assert [version.version for version in await catalog.files.versions(1, "1")] == [1]


async def test_the_same_bytes_are_never_two_versions_of_a_file(catalog: Catalog) -> None:
    """The whole batch is refused, for the record of a file that is not there must not appear in part."""
    await list_files(catalog, [file("1"), file("2")])
    await catalog.transfers.archived([intent("1")], now=NOW)
    with pytest.raises(CatalogError, match="UNIQUE"):
        await catalog.transfers.archived([intent("2"), intent("1", version=2)], now=NOW)
    assert await catalog.files.versions(1, "2") == []
    assert (await got(catalog, "2")).wanted


@pytest.mark.parametrize(("listed_now", "wanted"), [(3, False), (5, True), (None, True)])
async def test_a_file_that_was_listed_anew_while_it_was_fetched_stays_wanted(
    catalog: Catalog, listed_now: int | None, wanted: bool
) -> None:
    await list_files(catalog, [file("1", size_bytes=listed_now)])
    await catalog.transfers.archived([intent("1", listed_bytes=3)], now=NOW)
    assert (await got(catalog, "1")).wanted is wanted


async def test_bytes_that_were_archived_before_end_the_want_and_add_nothing(catalog: Catalog) -> None:
    await list_files(catalog, [file("1")])
    await catalog.transfers.archived([intent("1")], now=NOW)
    await catalog.transfers.archived([intent("1", version=2, sha256=OTHER)], now=NOW)
    await list_files(catalog, [replace(file("1"), versions=2, failure="before")])
    await catalog.transfers.unchanged(1, "1", listed_bytes=3, now=NOW)
    kept = await got(catalog, "1")
    assert (kept.wanted, kept.versions, kept.failure) == (False, 2, "")
    assert len(await catalog.files.versions(1, "1")) == 2


async def test_parts_and_sightings_belong_to_their_file(catalog: Catalog) -> None:
    first, second = PartialRecord(1, "1", "t1", '"a"', None), PartialRecord(2, "1", "t2", '"b"', 7)
    await catalog.transfers.save_partial(replace(first, validator='"old"', total_bytes=4))
    await catalog.transfers.save_partial(first)
    await catalog.transfers.save_partial(second)
    seen = [Sighting(DIGEST, NOW, "not_gzip", 1), Sighting(OTHER, NOW + timedelta(hours=1), "size_differs", 2)]
    for sighting in seen:
        await catalog.transfers.add_sighting(1, "1", sighting)
    assert await catalog.transfers.partials() == [first, second]
    assert await catalog.transfers.sightings(1, "1") == seen
    assert await catalog.transfers.sightings(2, "1") == []
    await catalog.transfers.drop_partial(1, "1")
    assert await catalog.transfers.partials() == [second]
