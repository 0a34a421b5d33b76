"""A walk through several stretches: each hole is found by its time, wherever its rows are by now."""

from dataclasses import replace

import pytest

from listing_world import Listing, Row, Trip, at, rows, travel
from logkeep.records.closing import Closing
from logkeep.records.sight import Sight
from logkeep.records.stretch import Stretch
from logkeep.records.windows import Window

COUNT = 1000
TOP, BOTTOM = 400, 600
"""The hole: rows r401 to r600 were never read, rows r400 and newer, r601 and older were."""


def minutes(n: float) -> float:
    return -60 * n


def known() -> set[str]:
    return {f"r{n}" for n in range(COUNT) if not TOP < n <= BOTTOM}


def stretches(above: int) -> tuple[Stretch, Stretch]:
    return (
        Stretch(None, at(minutes(3))),
        Stretch(at(minutes(TOP)), at(minutes(BOTTOM + 5)), above, "left by an interruption"),
    )


def looking(trip: Trip) -> int:
    """Requests that only served to find the place."""
    return sum(why.startswith("looking for") for why in trip.why)


def assert_filled(trip: Trip, listing: Listing) -> None:
    """The hole is read; with pages as small as these, three requests in five bring a whole page of it."""
    assert (trip.error, trip.suspects) == ("", [])
    assert set(trip.missed(listing)) <= known()
    assert [stretch.why for stretch in trip.finished] == ["", "left by an interruption"]
    assert len(trip.asked) - looking(trip) <= 8 + 1.7 * (BOTTOM - TOP) / trip.walk.page_size


@pytest.mark.parametrize(
    ("above", "at_most"), [(400, 0), (395, 0), (405, 1), (500, 6), (300, 8), (0, 10), (999, 12), (100_000, 26)]
)
@pytest.mark.parametrize("habits", [{}, {"fixed": 13}], ids=str)
@pytest.mark.parametrize("size", [13, 20])
def test_a_hole_is_found_whatever_the_estimate(above: int, at_most: int, habits: dict[str, int], size: int) -> None:
    """A good one leads there at once."""
    listing = Listing(rows(COUNT), **habits)  # type: ignore[arg-type]
    trip = travel(listing, *stretches(above), size=size, known=known())
    assert_filled(trip, listing)
    assert looking(trip) <= at_most


@pytest.mark.parametrize("habits", [{}, {"fixed": 20}], ids=str)
@pytest.mark.parametrize("edge", range(380, 421, 2))
def test_a_hole_that_begins_at_any_place_of_a_page_is_landed_on_from_right_above(
    edge: int, habits: dict[str, int]
) -> None:
    """Pages of one size may begin with the hole's first row; the one above is then where to go on from."""
    listing = Listing(rows(COUNT), **habits)  # type: ignore[arg-type]
    hole = Stretch(at(minutes(edge)), at(minutes(edge + 40)), edge)
    trip = travel(listing, Stretch(None, at(600)), hole, size=20, known={f"r{n}" for n in range(COUNT)})
    assert {f"r{n}" for n in range(edge, edge + 40)} <= trip.read
    assert "r120" not in trip.read
    assert len(trip.asked) <= 13


@pytest.mark.parametrize("deleted", [1, 50, 300])
@pytest.mark.parametrize("above", [400, 0])
def test_a_hole_is_found_after_rows_above_it_were_deleted(deleted: int, above: int) -> None:
    listing = Listing(rows(COUNT))
    listing.delete(50, deleted)
    assert_filled(travel(listing, *stretches(above), size=20, known=known()), listing)


@pytest.mark.parametrize("inserted", [1, 50, 2000])
@pytest.mark.parametrize("above", [400, 0])
def test_a_hole_is_found_after_rows_came_in_above_it(inserted: int, above: int) -> None:
    listing = Listing(rows(COUNT))
    newest = rows(inserted, gap_s=0.01, newest_s=2)
    listing.rows[:0] = [Row(f"n{row.record_id}", row.created_at) for row in newest]
    new = {f"nr{n}" for n in range(inserted)}
    trip = travel(listing, *stretches(above), size=20, known=known() | new)
    assert set(trip.missed(listing)) <= known() | new
    assert trip.error == ""
    assert looking(trip) <= 16


@pytest.mark.parametrize("request_number", range(3, 12))
def test_rows_that_go_while_a_hole_is_looked_for_hide_none_of_it(request_number: int) -> None:
    listing = Listing(rows(COUNT))
    trip = travel(
        listing, *stretches(700), size=20, known=known(), before={request_number: lambda: listing.delete(9, 70)}
    )
    assert set(trip.missed(listing)) <= known()
    assert trip.error == ""


def test_a_hole_past_the_end_is_closed_after_the_end_was_looked_at_twice() -> None:
    """All its rows, and many above it, are gone."""
    listing = Listing(rows(300))
    trip = travel(listing, *stretches(400), size=20, known=known())
    assert trip.why[-2:] == ["the end, looked at again", "the end of the listing"]
    assert trip.steps[-1].at_end
    assert trip.finished[-1].why == "left by an interruption"


def test_one_short_page_by_a_glitch_does_not_close_a_hole() -> None:
    """A page without its last row and without a next one looks like the end; what is asked again then goes on."""
    listing = Listing(rows(COUNT), total=lambda _: None)
    trip = travel(
        listing,
        *stretches(400),
        size=20,
        known=known(),
        twist=lambda request, sight: (
            replace(sight, ids=sight.ids[:-1], times=sight.times[:-1], has_next=False) if request == 1 else sight
        ),
    )
    assert_filled(trip, listing)


def test_one_empty_first_page_by_a_glitch_does_not_close_a_hole() -> None:
    listing = Listing(rows(COUNT), total=lambda _: None)
    trip = travel(
        listing,
        *stretches(400),
        size=20,
        known=known(),
        twist=lambda request, sight: replace(sight, ids=[], times=[], has_next=False) if request == 1 else sight,
    )
    assert_filled(trip, listing)


def test_a_page_of_another_number_while_a_hole_is_looked_for_is_asked_again_and_then_left() -> None:
    listing = Listing(rows(COUNT))
    trip = travel(
        listing,
        *stretches(400),
        size=20,
        known=known(),
        twist=lambda request, sight: replace(sight, page=1) if request in {3, 4} else sight,
    )
    assert_filled(trip, listing)


def test_a_page_without_any_time_is_no_place_to_land_on() -> None:
    """Undated rows stand at the end; an estimate that is too deep leads among them, far below the hole."""
    listing = Listing(rows(COUNT) + [Row(f"undated{n}", None) for n in range(60)])
    archive = known() | {f"undated{n}" for n in range(60)}
    trip = travel(listing, *stretches(COUNT + 20), size=20, known=archive)
    assert set(trip.missed(listing)) <= archive
    assert len(trip.finished) == 2


@pytest.mark.parametrize("above", range(425, 465, 3))
def test_one_row_that_stands_too_low_is_no_place_to_land_on(above: int) -> None:
    """It is newer than the hole, and some estimates lead to a page in the midst of it that begins with this row."""
    listing = Listing(rows(COUNT))
    listing.rows.insert(430, listing.rows.pop(380))
    for size in (8, 13, 20):
        trip = travel(listing, *stretches(above), size=size, known=known())
        assert set(trip.missed(listing)) <= known()


def closing_on(*times: float, start: int = 40) -> bool:
    """Whether a page with these rows is one to land on; the hole begins at second 0."""
    sight = Sight([f"r{n}" for n in range(len(times))], [at(second) for second in times], has_next=True)
    return Closing(at(0), above=40).lands(sight, Window(start + 1, 1))


def test_a_page_to_land_on_begins_above_the_hole_and_reaches_it() -> None:
    assert closing_on(2, 1, 0)
    assert not closing_on(3, 2, 1)
    assert not closing_on(-1, -2, -3)


def test_the_second_that_the_hole_begins_with_may_have_rows_above_the_page() -> None:
    assert not closing_on(0, 0, -1)
    assert not closing_on(1, 0, -1)


def test_one_newer_row_is_enough_on_a_page_of_one() -> None:
    assert not closing_on(1)
    assert not closing_on(0)
    assert closing_on(0, start=0)


def test_a_stretch_that_follows_close_below_is_read_on_without_looking_for_it() -> None:
    listing = Listing(rows(100))
    trip = travel(
        listing,
        Stretch(None, at(minutes(10))),
        Stretch(at(minutes(30)), at(minutes(50))),
        size=20,
        known={row.record_id for row in listing.rows},
    )
    assert not any(why.startswith("looking for") for why in trip.why)
    assert len(trip.finished) == 2


def test_the_last_hole_may_be_the_whole_rest_of_the_history() -> None:
    listing = Listing(rows(COUNT))
    trip = travel(
        listing,
        Stretch(None, at(minutes(3))),
        Stretch(at(minutes(400)), None, 400, "the history"),
        size=100,
        known={f"r{n}" for n in range(400)},
    )
    assert trip.error == ""
    assert set(trip.missed(listing)) <= {f"r{n}" for n in range(400)}
    assert trip.why[-2:] == ["the end, looked at again", "the end of the listing"]
    assert len(trip.asked) <= 12


# What each step says of how far the walk has come.


def test_each_step_belongs_to_the_stretch_that_its_page_was_read_for() -> None:
    listing = Listing(rows(COUNT))
    head, hole = stretches(400)
    trip = travel(listing, head, hole, size=20, known=known())
    turn = next(n for n, step in enumerate(trip.steps) if step.finished)
    assert {step.stretch for step in trip.steps[: turn + 1]} == {head}
    assert {step.stretch for step in trip.steps[turn + 1 :]} == {hole}
    assert trip.steps[turn].why == hole.why


def test_reached_leaves_the_last_row_of_a_page_aside() -> None:
    """It may stand too high; were it believed, an interruption there would forget what lies between."""
    listing = Listing([Row("new", at(50)), Row("newer", at(40)), Row("ancient", at(-9e8)), Row("old", at(30))])
    trip = travel(listing, size=3)
    assert trip.steps[0].reached == at(40)


def test_nothing_is_reached_while_a_hole_is_looked_for() -> None:
    listing = Listing(rows(COUNT))
    trip = travel(listing, *stretches(0), size=20, known=known())
    steps = [step for step in trip.steps if step.why.startswith("looking for")]
    assert len(steps) > 2
    assert all(step.reached is None for step in steps)
