"""When bytes that disagree with their promise count as the vendor's object."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.catalog.records import Sighting
from logkeep.files.compare import APART, ARRIVALS, KEPT, arrivals, counts, outdated

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)


def seen(*arrived: tuple[int, str]) -> list[Sighting]:
    """Arrivals as (minutes after now, digest)."""
    return [Sighting(sha256, NOW + timedelta(minutes=minutes), "not_gzip", 10) for minutes, sha256 in arrived]


@pytest.mark.parametrize(
    ("arrived", "count"),
    [
        ([], 0),
        ([(0, "a")], 1),
        ([(0, "a"), (54, "a")], 1),
        ([(0, "a"), (55, "a")], 2),
        ([(0, "a"), (60, "a"), (120, "a")], 3),
        ([(0, "a"), (30, "a"), (60, "a"), (90, "a")], 2),
        ([(0, "a"), (60, "b"), (120, "a")], 2),
        ([(0, "b"), (60, "b"), (120, "b")], 0),
        ([(120, "a"), (0, "a"), (60, "a")], 3),
    ],
)
def test_only_the_same_bytes_an_hour_apart_count(arrived: list[tuple[int, str]], count: int) -> None:
    assert arrivals(seen(*arrived), "a") == count


@pytest.mark.parametrize(
    ("minutes", "sha256", "counted"), [(54, "a", False), (55, "a", True), (10, "b", True), (-10, "a", False)]
)
def test_an_arrival_counts_an_hour_after_the_last_one_of_the_same_bytes(
    minutes: int, sha256: str, counted: bool
) -> None:
    assert counts(seen((0, "a")), sha256, NOW + timedelta(minutes=minutes)) is counted


def test_all_but_the_three_digests_seen_last_need_not_be_kept() -> None:
    assert outdated(seen((0, "a"), (1, "b"), (2, "c"))) == []
    assert outdated(seen((0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "a"), (5, "e"))) == ["b", "c"]


digests = st.sampled_from("abcde")
histories = st.lists(st.tuples(st.integers(0, 600), digests), max_size=25)


@settings(deadline=None)
@given(histories, digests)
def test_three_arrivals_that_count_span_two_hours_whatever_came_between(
    history: list[tuple[int, str]], sha256: str
) -> None:
    mine = sorted(minutes for minutes, digest in history if digest == sha256)
    counted = arrivals(seen(*history), sha256)
    assert counted <= len(mine)
    if counted >= ARRIVALS:
        assert timedelta(minutes=mine[-1] - mine[0]) >= (ARRIVALS - 1) * APART
    if mine and counted == 1:
        assert timedelta(minutes=mine[-1] - mine[0]) < APART


@settings(deadline=None)
@given(histories)
def test_what_is_kept_are_the_latest_and_never_more_than_a_few(history: list[tuple[int, str]]) -> None:
    sightings = seen(*history)
    gone = outdated(sightings)
    kept = {digest for _, digest in history} - set(gone)
    assert len(kept) == min(KEPT, len({digest for _, digest in history}))
    latest = {digest: max(minutes for minutes, other in history if other == digest) for _, digest in history}
    assert all(latest[old] <= latest[young] for old in gone for young in kept)
