"""Hours and listings in the catalog: what goes in comes out, and a listing counts as a whole or not at all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.catalog import Catalog
from logkeep.catalog.records import Changes, FileRecord, HourRecord, ListingRecord, Mutation
from logkeep.errors import CatalogError
from logkeep.model import AccountKey, Hour, Span

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
FIRST = Hour.of(NOW) + -48
SPAN = Span(FIRST, FIRST + 5)
LISTING = ListingRecord(SPAN, "look-back", NOW, NOW + timedelta(seconds=2), 3, 7, "trace-7")

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
hours = st.integers(0, 47).map(lambda after: FIRST + after)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
spans = st.tuples(hours, hours).map(lambda both: Span(min(both), max(both)))
hour_records = st.builds(
    HourRecord,
    hours,
    listed_at=st.none() | moments,
    attested_at=st.none() | moments,
    blanks=st.integers(0, 2),
    blank_span=st.none() | spans,
    offered=st.integers(0, 9),
    listings=st.integers(0, 9),
    lateness_s=st.none() | st.floats(-1e6, 1e9),
    failure=texts,
    failed_at=st.none() | moments,
    ask_alone=st.booleans(),
    refused_at=st.none() | moments,
    lost_at=st.none() | moments,
    lost_reason=texts,
    acked_at=st.none() | moments,
    acked_by=texts,
    ack_reason=texts,
)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    """Two accounts, 1 and 2, so that what belongs to one must not show with the other."""
    made = Catalog(tmp_path / "catalog.sqlite3")
    await made.open()
    keys = [AccountKey("pan123", "main"), AccountKey("pan123", "other")]
    await made.accounts.enrol(keys, now=NOW, watched_from=FIRST)
    yield made
    await made.close()


@given(st.lists(hour_records, unique_by=lambda record: record.hour, max_size=4))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_records_come_back_as_they_were_saved(catalog: Catalog, records: list[HourRecord]) -> None:
    await catalog.hours.save(1, records)
    await catalog.hours.save(2, [HourRecord(record.hour, failure="another account's") for record in records])
    kept = await catalog.hours.window(1, FIRST)
    assert {record.hour: kept[record.hour] for record in records} == {record.hour: record for record in records}
    assert list(kept) == sorted(kept)


async def test_the_window_begins_at_its_first_hour_but_shows_every_lost_one(catalog: Catalog) -> None:
    old, lost, young = (HourRecord(FIRST + after) for after in (0, 1, 10))
    await catalog.hours.save(1, [old, replace(lost, lost_at=NOW), young])
    assert list(await catalog.hours.window(1, FIRST + 10)) == [lost.hour, young.hour]


async def test_a_listing_that_cannot_be_taken_in_leaves_nothing(catalog: Catalog) -> None:
    """Not even itself: evidence stands together with what it changed."""

    def decide(*_: object) -> Changes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await catalog.hours.absorb(1, LISTING, [], [], decide)
    assert await catalog.hours.listings_of(1, SPAN) == []


async def test_a_listing_whose_last_change_is_impossible_leaves_nothing(catalog: Catalog) -> None:
    file = FileRecord("12", "2026030807.gz", 3, FIRST, SPAN, NOW, NOW)
    impossible = replace(file, name=None)  # type: ignore[arg-type]
    for changes in (
        Changes(hours=(HourRecord(FIRST),), files=(impossible,)),
        Changes(hours=(HourRecord(FIRST),), files=(file,), unreadable=(None,)),  # type: ignore[arg-type]
    ):
        with pytest.raises(CatalogError, match="NOT NULL"):
            await catalog.hours.absorb(1, LISTING, [], [], lambda *_, changes=changes: changes)
    assert await catalog.hours.window(1, FIRST) == {}
    assert await catalog.files.get(1, "12") is None
    assert await catalog.hours.listings_of(1, SPAN) == []


async def test_a_listing_is_decided_on_what_is_known_of_its_span_its_rows_and_its_ids(catalog: Catalog) -> None:
    inside = FileRecord("1", "a.gz", 3, FIRST + 2, SPAN, NOW, NOW)
    moved = FileRecord("2", "b.gz", 3, FIRST + 30, SPAN, NOW, NOW)
    outside = FileRecord("3", "c.gz", 3, FIRST + 31, SPAN, NOW, NOW)
    records = (HourRecord(FIRST + 2, offered=1), HourRecord(FIRST + 40, offered=2), HourRecord(FIRST + 41, offered=3))
    await catalog.hours.absorb(1, LISTING, [], [], lambda *_: Changes(hours=records, files=(inside, moved, outside)))
    many = [str(number) for number in range(1_200)]
    seen: list[object] = []

    def decide(*known: object) -> Changes:
        seen.extend(known)
        return Changes()

    await catalog.hours.absorb(1, LISTING, [FIRST + 40], [*many[:3], *many[4:]], decide)
    assert seen == [{record.hour: record for record in records[:2]}, {"1": inside, "2": moved}]


async def test_listings_are_told_newest_first_and_only_where_they_cover_the_hour(catalog: Catalog) -> None:
    for number in range(60):
        await catalog.hours.absorb(1, replace(LISTING, calls=number), [], [], lambda *_: Changes())
    failed = Changes(hours=(HourRecord(FIRST, failure="code 5: no"),))
    await catalog.hours.absorb(1, replace(LISTING, error="code 5: no"), [], [], lambda *_: failed)
    await catalog.hours.absorb(2, LISTING, [], [], lambda *_: Changes())
    found = await catalog.hours.listings_of(1, Span(SPAN.last, SPAN.last + 9))
    assert [listing.error for listing in found[:2]] == ["code 5: no", ""]
    assert [listing.calls for listing in found[1:]] == list(range(59, 10, -1))
    assert replace(found[0], listing_id=None) == replace(LISTING, error="code 5: no")
    assert (await catalog.hours.window(1, FIRST))[FIRST].failure == "code 5: no"
    assert await catalog.hours.listings_of(1, Span(SPAN.last + 1, SPAN.last + 9)) == []


async def test_what_the_vendor_changed_and_what_could_not_be_read_is_kept_with_its_listing(catalog: Catalog) -> None:
    told = (Mutation("1", FIRST, "withdrawn", "no longer listed"), Mutation("2", None, "moved", "hour unknown now"))
    changes = Changes(mutations=told, unreadable=('{"x": 1}', '{"y": 2}', '{"x": 1}'), lateness_s=60.0)
    await catalog.hours.absorb(1, LISTING, [], [], lambda *_: changes)
    await catalog.hours.absorb(1, LISTING, [], [], lambda *_: Changes(lateness_s=30.0))
    numbers = [listing.listing_id or 0 for listing in await catalog.hours.listings_of(1, SPAN)]
    assert await catalog.hours.mutations_of(1, FIRST) == [(LISTING.finished_at, told[0])]
    assert await catalog.hours.unreadable(1, numbers) == ['{"x": 1}', '{"y": 2}']
    assert await catalog.hours.unreadable(2, numbers) == []
    assert (await catalog.accounts.get(1)).lateness_s == 60.0, "the longest lateness is kept"


async def test_only_lost_hours_of_the_span_are_acknowledged(catalog: Catalog) -> None:
    records = [HourRecord(hour, lost_at=NOW if hour - FIRST != 1 else None) for hour in SPAN]
    await catalog.hours.save(1, records)
    await catalog.hours.save(2, records)
    done = await catalog.hours.acknowledge(1, Span(FIRST, FIRST + 2), by="Li Na", reason="outage", now=NOW)
    assert done == 2
    acked = {record.hour for record in (await catalog.hours.window(1, FIRST)).values() if record.acked_at == NOW}
    assert acked == {FIRST, FIRST + 2}
    assert all(record.acked_at is None for record in (await catalog.hours.window(2, FIRST)).values())
