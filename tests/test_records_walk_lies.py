"""The walk over a listing whose pages lie: sizes, numbers, counts, and pages that are empty or shown twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from listing_world import Listing, Trip, Twist, at, rows, travel
from logkeep.records.sight import Sight
from logkeep.records.stretch import Stretch
from logkeep.records.walk import Walk
from logkeep.records.windows import Window

PROMISED_AT_MOST = 40
"""Requests for 60 rows, ten to a page, whatever is amiss."""


def empty(sight: Sight) -> Sight:
    return replace(sight, ids=[], times=[], has_next=False)


def page_one(listing: Listing, **words: int | None) -> Sight:
    """What page 1 shows, in the place of the page that was asked."""
    served = listing.page(Window(1, 10))
    assert served is not None
    return replace(served, **words)  # type: ignore[arg-type]


def assert_whole(trip: Trip, listing: Listing) -> None:
    assert (trip.error, trip.missed(listing), trip.suspects) == ("", [], [])
    assert trip.steps[-1].at_end
    assert len(trip.asked) <= PROMISED_AT_MOST


# Sizes.

HABITS = [
    {"clamp": 4},
    {"clamp": 4, "echoes_size": True},
    {"clamp": 4, "states_size": False},
    {"fixed": 4},
    {"fixed": 4, "echoes_size": True},
    {"fixed": 4, "states_size": False},
    {"fixed": 15},
    {"fixed": 15, "echoes_size": True},
    {"fixed": 15, "states_size": False},
    {"fixed": 100},
    {"refuses_above": 4},
    {"refuses_above": 1},
]


@pytest.mark.parametrize("habits", HABITS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 12, 35, 40])
def test_whatever_becomes_of_the_size_everything_is_read(habits: dict[str, int], count: int) -> None:
    listing = Listing(rows(count), **habits)  # type: ignore[arg-type]
    trip = travel(listing)
    assert (trip.error, trip.missed(listing), trip.suspects) == ("", [], [])
    assert trip.steps[-1].at_end


@pytest.mark.parametrize("habits", HABITS, ids=str)
@pytest.mark.parametrize("at_request", [2, 3, 5, 7])
def test_a_size_that_changes_in_the_middle_hides_no_row_in_silence(habits: dict[str, int], at_request: int) -> None:
    """Where the vendor misstates it, the walk may go astray; then it says so, and the next one starts anew."""
    listing = Listing(rows(60))

    def change() -> None:
        for name, value in habits.items():
            setattr(listing, name, value)

    trip = travel(listing, before={at_request: change})
    assert not trip.missed(listing) or trip.error or trip.suspects
    if not {"echoes_size", "states_size"} & set(habits):
        assert trip.missed(listing) == []


@pytest.mark.parametrize("words", [{}, {"echoes_size": True}, {"states_size": False}], ids=str)
def test_a_clamped_page_size_is_learned_from_the_first_page_and_steps_stay_proven(words: dict[str, bool]) -> None:
    listing = Listing(rows(200), clamp=20, **words)  # type: ignore[arg-type]
    trip = travel(listing, size=100)
    assert trip.walk.page_size == 20
    assert not trip.unproven
    assert_whole(trip, listing)


def test_a_size_that_nobody_may_choose_makes_all_steps_go_from_edge_to_edge() -> None:
    listing = Listing(rows(200), fixed=20)
    trip = travel(listing, size=100)
    assert {window.size for window in trip.asked[2:]} == {20}
    assert trip.unproven
    assert_whole(trip, listing)


def test_a_size_that_nobody_may_choose_steps_back_where_the_count_fell() -> None:
    listing = Listing(rows(200), fixed=20)
    trip = travel(listing, size=20, before={4: lambda: listing.delete(0, 3)})
    assert any(why.startswith("stepped back") for why in trip.why)
    assert_whole(trip, listing)


def test_a_size_that_is_stated_beyond_reason_is_not_asked_for() -> None:
    """Nobody configured pages of ten thousand."""
    listing = Listing(rows(60))
    trip = travel(listing, twist=lambda _, sight: replace(sight, per_page=10_000))
    assert max(window.size for window in trip.asked[:-1]) == 10
    assert_whole(trip, listing)


@pytest.mark.parametrize("stated", [0, -5])
def test_a_size_that_is_stated_as_nothing_is_not_believed(stated: int) -> None:
    listing = Listing(rows(60))
    assert_whole(travel(listing, twist=lambda _, sight: replace(sight, per_page=stated)), listing)


def test_refused_sizes_are_halved_down_to_one_and_then_it_is_a_failure() -> None:
    walk = Walk([Stretch(None, None)], 10)
    sizes = []
    while (step := walk.refused()).ask is not None:
        sizes.append(step.ask.size)
    assert sizes == [5, 2, 1]
    assert step.error == "not even a page of one record is served"


def test_sizes_that_are_refused_and_exceeded_in_turn_end_the_walk() -> None:
    """Each refusal halves the size, and each page shows that larger ones are served."""
    walk, known = Walk([Stretch(None, None)], 4), {"a", "b", "c", "d"}
    step = walk.refused()
    for request in range(200):
        turn = request % 3
        ids = ["abcd"[(n + request) % 4] for n in range(4)]
        step = walk.tell(Sight(ids, [at(0)] * 4, known, has_next=True)) if turn == 0 else walk.refused()
        if step.ask is None:
            break
    assert step.error == "page sizes are refused that were served before"


def test_a_refusal_repeats_nothing_that_the_page_before_said() -> None:
    walk = Walk([Stretch(None, None)], 4)
    told = walk.tell(Sight(["a", "b", "c", "d"], [at(9), at(3), at(5), at(1)], has_next=True))
    assert told.suspects
    assert walk.refused().suspects == ()


# Page numbers.


def misnumbered(*requests: int, number: int | None = 1) -> tuple[Listing, Twist]:
    """The requests of these numbers are answered with page 1; with none, all but those for page 1."""
    listing = Listing(rows(60))

    def twist(request: int, sight: Sight) -> Sight:
        wrong = request in requests if requests else sight.page != 1
        return page_one(listing, page=number or sight.page) if wrong else sight

    return listing, twist


@pytest.mark.parametrize("requests", [(2,), (3,), (5,), (2, 3), (4, 5), (3, 5, 7)])
def test_another_page_in_the_answer_is_asked_again(requests: tuple[int, ...]) -> None:
    listing, twist = misnumbered(*requests)
    trip = travel(listing, twist=twist)
    assert_whole(trip, listing)
    assert sum(why == "asked again: page 1 answered" for why in trip.why) >= 1


def test_nothing_is_learned_of_sizes_from_an_answer_to_something_else() -> None:
    listing = Listing(rows(200))
    trip = travel(listing, size=20, twist=lambda request, sight: page_one(listing) if request == 3 else sight)
    assert_whole(trip, listing)
    assert not trip.unproven


def test_page_one_in_every_answer_is_a_failure() -> None:
    """It once made the walk turn in a circle between the pages one and two."""
    listing, twist = misnumbered()
    trip = travel(listing, twist=twist)
    assert trip.error == "paging is not honoured: page 2 was asked, page 1 answered"
    assert len(trip.asked) <= 12


@pytest.mark.parametrize("floor", [None, at(-1200)])
@pytest.mark.parametrize("number", [None, 0])
def test_a_page_number_that_is_ignored_in_silence_is_a_failure(floor: object, number: int | None) -> None:
    """The rows of page 1, as whatever page was asked or without a number."""
    listing = Listing(rows(60))
    trip = travel(
        listing,
        Stretch(None, floor),  # type: ignore[arg-type]
        twist=lambda _, sight: page_one(listing, page=None if number is None else sight.page),
    )
    assert trip.error.startswith("paging is not honoured")
    assert trip.error.endswith("shows the rows of another page")
    assert len(trip.asked) <= 12


def test_a_page_past_the_end_that_is_answered_with_page_one_is_the_end() -> None:
    listing = Listing(rows(30), fixed=10)

    def beyond(_: int, sight: Sight) -> Sight:
        return page_one(listing) if not sight.ids else sight

    assert_whole(travel(listing, twist=beyond), listing)


def test_a_page_shown_once_more_for_the_next_one_is_passed_by() -> None:
    listing = Listing(rows(60))
    shown: list[Sight] = []

    def twist(request: int, sight: Sight) -> Sight:
        shown.append(sight)
        return replace(shown[2], page=sight.page) if request == 4 else sight

    assert_whole(travel(listing, twist=twist), listing)


def test_the_first_page_with_another_number_for_ever_is_a_failure() -> None:
    trip = travel(Listing(rows(60)), twist=lambda _, sight: replace(sight, page=7))
    assert trip.error == "paging is not honoured: page 1 was asked, page 7 answered"
    assert len(trip.asked) == 5


# Empty pages.


@pytest.mark.parametrize("at_request", [1, 2, 3, 6])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fixed", [None, 10])
def test_an_empty_page_by_a_glitch_ends_nothing_while_more_are_counted(
    at_request: int, times: int, fixed: int | None
) -> None:
    listing = Listing(rows(60), fixed=fixed)
    glitch = range(at_request, at_request + times)
    trip = travel(listing, twist=lambda request, sight: empty(sight) if request in glitch else sight)
    assert_whole(trip, listing)


@pytest.mark.parametrize("at_request", [2, 3, 6])
def test_an_empty_page_by_a_glitch_ends_nothing_where_rows_were_seen_to_be(at_request: int) -> None:
    """No total speaks against it; that the page should have overlapped the one before does."""
    listing = Listing(rows(60), total=lambda _: None)
    trip = travel(listing, twist=lambda request, sight: empty(sight) if request == at_request else sight)
    assert_whole(trip, listing)


def test_an_empty_first_page_for_ever_is_a_failure_while_records_are_counted() -> None:
    trip = travel(Listing(rows(60)), twist=lambda _, sight: empty(sight))
    assert trip.error == "an empty first page, although 60 are counted"
    assert len(trip.asked) == 3


def below(depth: int) -> Callable[[int, Sight], Sight]:
    """Some vendors serve nothing beyond so many rows."""
    return lambda _, sight: empty(sight) if f"r{depth}" in sight.ids or not sight.ids else sight


@pytest.mark.parametrize("counts", [True, False])
def test_pages_that_stay_empty_where_rows_were_seen_are_a_failure(*, counts: bool) -> None:
    """It once made the walk turn in a circle; and it is never the end, behind which a hole would be forgotten."""
    listing = Listing(rows(60), total=lambda count: count if counts else None)

    def deep(_: int, sight: Sight) -> Sight:
        return empty(sight) if not {f"r{n}" for n in range(31)}.issuperset(sight.ids) else sight

    trip = travel(listing, twist=deep)
    assert "although more rows were seen or are counted" in trip.error
    assert trip.finished == []
    assert len(trip.asked) <= PROMISED_AT_MOST


def test_pages_that_stay_empty_although_a_next_was_announced_and_more_are_counted_are_a_failure() -> None:
    listing = Listing(rows(60), fixed=10)

    def deep(_: int, sight: Sight) -> Sight:
        return empty(sight) if sight.page is not None and sight.page > 3 else sight

    trip = travel(listing, twist=deep)
    assert trip.error == "page 4 of 10 is empty, although more rows were seen or are counted"
    assert trip.finished == []


# Counts.


@pytest.mark.parametrize("total", [0, 3, 25, 34, 35, 36, 40, 135, None])
@pytest.mark.parametrize("fixed", [None, 10, 35])
def test_a_wrong_total_hides_no_row_and_ends_no_walk_too_soon(total: int | None, fixed: int | None) -> None:
    listing = Listing(rows(35), total=lambda _: total, fixed=fixed)
    assert_whole(travel(listing), listing)


@pytest.mark.parametrize("fixed", [None, 10])
def test_a_total_that_falls_before_every_request_hides_no_row(fixed: int | None) -> None:
    totals = iter(range(1000, 0, -1))
    listing = Listing(rows(35), total=lambda _: next(totals), fixed=fixed)
    trip = travel(listing)
    assert (trip.error, trip.missed(listing)) == ("", [])


def test_an_end_that_the_count_speaks_against_is_unproven() -> None:
    listing = Listing(rows(35), total=lambda count: count + 5)
    assert travel(listing).steps[-1].unproven


# Whether a page follows.


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("fixed", [None, 10])
@pytest.mark.parametrize("count", [7, 30, 35])
def test_a_word_about_the_next_page_that_never_changes_hides_no_row(
    *, says: bool, counts: bool, fixed: int | None, count: int
) -> None:
    listing = Listing(rows(count), fixed=fixed, total=lambda n: n if counts else None)
    assert_whole(travel(listing, twist=lambda _, sight: replace(sight, has_next=says)), listing)


# Rows that are taken out after paging.


def hiding(*hidden: int) -> Twist:
    """Rows that the vendor counts and places, and does not show."""

    def twist(_: int, sight: Sight) -> Sight:
        kept = [n for n, record_id in enumerate(sight.ids) if int(record_id[1:]) not in hidden]
        return replace(sight, ids=[sight.ids[n] for n in kept], times=[sight.times[n] for n in kept])

    return twist


@pytest.mark.parametrize("hidden", [(0,), (4,), (9,), (10, 11), (8, 9, 10, 11), tuple(range(5, 55, 4)), (33, 58)])
@pytest.mark.parametrize("fixed", [None, 10])
def test_pages_short_of_rows_end_nothing(hidden: tuple[int, ...], fixed: int | None) -> None:
    listing = Listing(rows(60), fixed=fixed)
    trip = travel(listing, twist=hiding(*hidden))
    assert (trip.error, trip.suspects) == ("", [])
    assert trip.missed(listing) == [f"r{n}" for n in hidden]
