"""Record streams in the catalog: their state, their segments, the ids of their records, what is odd."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logkeep.catalog import Catalog
from logkeep.catalog.records import Covered, Oddity, SegmentIntent, SegmentRecord, StreamRecord, Suspect
from logkeep.errors import CatalogError
from logkeep.model import CHINA, AccountKey, Hour

NOW = datetime(2018, 5, 1, 4, 5, tzinfo=UTC)
DAY = "2018-04-10"


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    await made.open()
    await made.accounts.enrol([AccountKey("lexiang", "hq"), AccountKey("lexiang", "eu")], now=NOW, watched_from=Hour(1))
    await made.streams.enrol(1, "download-logs")
    yield made
    await made.close()


def segment(name: str, records: int = 1, day: str = DAY) -> SegmentRecord:
    return SegmentRecord(1, day, f"lexiang/hq/download-logs/date={day}/{name}", "ab" * 32, 100 * records, records, NOW)


def intent(name: str, replaces: tuple[int, ...] = ()) -> SegmentIntent:
    made = segment(name)
    return SegmentIntent(1, DAY, f"segment-{name}", made.path, made.sha256, 100, 1, replaces)


async def archive(catalog: Catalog, **segments: tuple[str, ...]) -> dict[str, SegmentRecord]:
    """Segments by name with their ids; what the catalog then has of each."""
    await catalog.streams.archived([(segment(name, len(ids)), ids) for name, ids in segments.items()], None)
    return {made.path.rpartition("/")[2]: made for made in await catalog.streams.segments(1)}


async def test_a_stream_is_enrolled_once(catalog: Catalog) -> None:
    first = await catalog.streams.enrol(1, "download-logs")
    assert first == StreamRecord(1, 1, "download-logs")
    other = await catalog.streams.enrol(2, "download-logs")
    assert other == StreamRecord(2, 2, "download-logs")
    assert await catalog.streams.of_account(1) == [first]
    assert await catalog.streams.of_account(3) == []


async def test_enrolling_again_leaves_the_state_as_it_is(catalog: Catalog) -> None:
    known = StreamRecord(1, 1, "download-logs", mark=NOW, looks=2, covered=(Covered(None, NOW, 3),))
    await catalog.streams.save(known)
    assert await catalog.streams.enrol(1, "download-logs") == known


async def test_a_stream_that_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="no record stream 7"):
        await catalog.streams.get(7)


moments = st.datetimes(datetime(2, 1, 1), timezones=st.just(CHINA))  # noqa: DTZ001 - hypothesis takes naive bounds
maybe = st.none() | moments
covered = st.lists(st.builds(Covered, maybe, moments, st.integers(0, 2**40)), max_size=3).map(tuple)
streams = st.builds(
    StreamRecord,
    stream_id=st.just(1),
    account_id=st.just(1),
    name=st.just("download-logs"),
    mark=maybe,
    looks=st.integers(0, 9),
    unproven=st.booleans(),
    confirmed_at=maybe,
    page_size=st.none() | st.integers(1, 1000),
    page_size_at=maybe,
    passed_at=maybe,
    swept_at=maybe,
    deep_swept_at=maybe,
    failure=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    failed_at=maybe,
    oldest=maybe,
    total=st.none() | st.integers(0, 2**40),
    covered=covered,
    second=covered,
    suspects=st.lists(st.builds(Suspect, maybe, maybe, st.sampled_from(["drift", "disorder"])), max_size=3).map(tuple),
)


@given(states=st.lists(streams, min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_state_was_saved_last_is_the_streams(catalog: Catalog, states: list[StreamRecord]) -> None:
    """Field by field, intervals in their order; nothing of an earlier state stays."""
    for number, state in enumerate(states):
        if number % 2:
            await catalog.streams.archived([], state)
        else:
            await catalog.streams.save(state)
        assert await catalog.streams.get(1) == state


async def test_a_moment_before_the_first_one_of_utc_can_be_read_back(catalog: Catalog) -> None:
    """A vendor may write any date; the catalog stays readable."""
    first = datetime(1, 1, 1, tzinfo=CHINA)
    await catalog.streams.save(StreamRecord(1, 1, "download-logs", oldest=first))
    oldest = (await catalog.streams.get(1)).oldest
    assert oldest is not None
    assert oldest - first <= timedelta(hours=8)


async def test_records_segments_and_state_are_recorded_together(catalog: Catalog) -> None:
    state = replace(await catalog.streams.get(1), looks=1, covered=(Covered(None, NOW, 3),))
    await catalog.streams.intend([intent("a"), intent("b")])
    batch = [(segment("a", 2), ["1", "2"]), (segment("c", 1, "2018-04-11"), ["3"])]
    await catalog.streams.archived(batch, state, [Oddity(NOW, "future", "tomorrow", "3")])
    assert await catalog.streams.get(1) == state
    assert await catalog.streams.known(1, {"1", "2", "3", "4"}) == {"1", "2", "3"}
    assert await catalog.streams.intents() == [intent("b")], "intents end by their path"
    assert await catalog.streams.days(1) == [(DAY, 1, 2, 200), ("2018-04-11", 1, 1, 100)]
    assert await catalog.streams.totals(1) == (3, 2, 300)
    assert [made.day for made in await catalog.streams.segments(1)] == [DAY, "2018-04-11"]
    assert [made.records for made in await catalog.streams.segments(1, DAY)] == [2]
    assert await catalog.streams.oddity_counts(1) == {"future": 1}


async def test_nothing_is_recorded_where_one_id_is_there_already(catalog: Catalog) -> None:
    await archive(catalog, a=("1",))
    state = await catalog.streams.get(1)
    await catalog.streams.intend([intent("b")])
    with pytest.raises(CatalogError):
        await catalog.streams.archived([(segment("b", 2), ["2", "1"])], replace(state, looks=1), [])
    assert await catalog.streams.known(1, ["1", "2"]) == {"1"}
    assert await catalog.streams.get(1) == state
    assert await catalog.streams.intents() == [intent("b")]
    assert await catalog.streams.totals(1) == (1, 1, 100)


async def test_ids_belong_to_their_stream(catalog: Catalog) -> None:
    other = await catalog.streams.enrol(2, "download-logs")
    await archive(catalog, a=("1",))
    assert await catalog.streams.known(other.stream_id, ["1"]) == set()
    assert await catalog.streams.segment_of(other.stream_id, "1") is None
    assert await catalog.streams.totals(other.stream_id) == (0, 0, 0)
    assert await catalog.streams.days(other.stream_id) == []


async def test_known_ids_come_back_as_they_were_asked_for(catalog: Catalog) -> None:
    """Of every kind, and more of them than one query takes."""
    odd = ("7", "F59DE3063C9311E8B64995597300A871", "f59de3063c9311e8b64995597300a871", "é" * 300, "a" * 15)
    many = tuple(f"{number:032x}" for number in range(1203))
    await archive(catalog, a=odd, b=many)
    assert await catalog.streams.known(1, {*odd, *many, "8", "e" * 32, "é" * 301}) == {*odd, *many}
    assert await catalog.streams.known(1, []) == set()


async def test_an_intent_reads_back_and_can_be_dropped(catalog: Catalog) -> None:
    await catalog.streams.intend([intent("a", tuple(range(1, 2000))), intent("b")])
    await catalog.streams.intend([intent("b")])
    assert await catalog.streams.intents() == [intent("a", tuple(range(1, 2000))), intent("b")]
    await catalog.streams.drop_intents([intent("a")])
    await catalog.streams.drop_intents([intent("a")])
    assert await catalog.streams.intents() == [intent("b")]


async def test_a_compacted_segment_takes_the_place_of_others(catalog: Catalog) -> None:
    made = await archive(catalog, a=("1", "2"), b=("3",), other=("4",))
    await catalog.streams.intend([intent("c")])
    await catalog.streams.compacted(segment("c", 3), [made["a"].segment_id, made["b"].segment_id])
    holders = [await catalog.streams.segment_of(1, record_id) for record_id in "1234"]
    assert [holder and holder.path.rpartition("/")[2] for holder in holders] == ["c", "c", "c", "other"]
    assert await catalog.streams.retired() == [made["a"], made["b"]]
    assert await catalog.streams.intents() == []
    assert await catalog.streams.totals(1) == (4, 2, 400)
    assert await catalog.streams.known(1, "1234") == set("1234")
    await catalog.streams.drop_retired([made["a"].segment_id])
    assert await catalog.streams.retired() == [made["b"]]


async def test_a_compacted_segment_is_itself_compacted(catalog: Catalog) -> None:
    """Records that were in the first ones are found in the last."""
    made = await archive(catalog, a=("1",), b=("2",))
    await catalog.streams.compacted(segment("c", 2), [one.segment_id for one in made.values()])
    again = await archive(catalog, late=("3",))
    assert set(again) == {"c", "late"}
    await catalog.streams.compacted(segment("d", 3), [one.segment_id for one in again.values()])
    holders = [await catalog.streams.segment_of(1, record_id) for record_id in "123"]
    assert {holder and holder.path.rpartition("/")[2] for holder in holders} == {"d"}
    assert {one.path.rpartition("/")[2] for one in await catalog.streams.retired()} == {"a", "b", "c", "late"}
    assert await catalog.streams.totals(1) == (3, 1, 300)


async def test_what_was_replaced_is_not_replaced_again(catalog: Catalog) -> None:
    """Its lines would lie in two live segments."""
    made = await archive(catalog, a=("1",), b=("2",))
    numbers = [one.segment_id for one in made.values()]
    await catalog.streams.compacted(segment("c", 2), numbers)
    with pytest.raises(CatalogError, match="was replaced already"):
        await catalog.streams.compacted(segment("d", 2), numbers)
    assert [one.path.rpartition("/")[2] for one in await catalog.streams.segments(1)] == ["c"]


async def test_live_segments_cannot_be_dropped_as_retired(catalog: Catalog) -> None:
    """Their files would be forgotten once they retire."""
    made = await archive(catalog, a=("1",), b=("2",))
    numbers = [one.segment_id for one in made.values()]
    await catalog.streams.drop_retired(numbers)
    await catalog.streams.compacted(segment("c", 2), numbers)
    assert await catalog.streams.retired() == list(made.values())


async def test_the_same_oddity_seen_again_is_one_and_was_seen_last_now(catalog: Catalog) -> None:
    state = await catalog.streams.get(1)
    first, other = Oddity(NOW, "future", "2999", "1"), Oddity(NOW, "zone", "2999", "1")
    later = replace(first, at=NOW + timedelta(hours=1))
    await catalog.streams.save(state, [first, other, first])
    await catalog.streams.save(state, [later, replace(first, record_id="2"), replace(first, record_id=None)])
    found = await catalog.streams.oddities(1)
    assert found[0] == later
    assert set(found) == {later, other, replace(first, record_id="2"), replace(first, record_id=None)}
    assert await catalog.streams.oddity_counts(1) == {"future": 3, "zone": 1}
    assert await catalog.streams.oddities(1, "1", limit=1) == [later]
    assert set(await catalog.streams.oddities(1, "1")) == {later, other}


async def test_of_each_kind_the_thousand_oddities_seen_last_are_remembered(catalog: Catalog) -> None:
    state = await catalog.streams.get(1)
    kept = Oddity(NOW + timedelta(days=1), "unreadable", "seen again")
    await catalog.streams.save(state, [kept, Oddity(NOW, "drift", "the only one")])
    for start in range(0, 1500, 500):
        batch = [Oddity(NOW + timedelta(seconds=at), "unreadable", f"row {at}") for at in range(start, start + 500)]
        await catalog.streams.save(state, batch)
    assert await catalog.streams.oddity_counts(1) == {"unreadable": 1000, "drift": 1}
    found = [oddity.detail for oddity in await catalog.streams.oddities(1, limit=2000)]
    assert found[:2] == ["seen again", "row 1499"]
    assert found[-2:] == ["row 501", "the only one"]
