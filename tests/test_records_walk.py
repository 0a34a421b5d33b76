"""The walk over an honest listing: what it costs, where it ends, and that rows that come and go hide none."""

import random
from collections.abc import Callable

import pytest

from listing_world import Listing, Row, Trip, at, rows, travel
from logkeep.catalog.records import Suspect
from logkeep.records.coverage import concerns
from logkeep.records.sight import Sight
from logkeep.records.stretch import Stretch
from logkeep.records.windows import Window

SIZES = [13, 20, 37, 100]
"""From 13 rows to a page on there is a window that overlaps the one before by two rows, wherever that ends."""


def archived(listing: Listing) -> set[str]:
    return {row.record_id for row in listing.rows}


def assert_whole(trip: Trip, listing: Listing) -> None:
    """The whole history is read, and nothing about it is in doubt."""
    assert (trip.error, trip.missed(listing), trip.suspects) == ("", [], [])
    assert trip.steps[-1].at_end
    assert not trip.unproven


# An interval with nothing new.


def test_nothing_new_and_all_old_costs_a_page_and_a_guard_page() -> None:
    listing = Listing(rows(1000))
    trip = travel(listing, Stretch(None, at(600)), known=archived(listing), size=100)
    assert trip.why == ["guard page", "old and known"]


def test_nothing_new_and_some_rows_in_the_look_back_costs_a_page_more() -> None:
    listing = Listing(rows(1000))
    trip = travel(listing, Stretch(None, at(-600)), known=archived(listing), size=100)
    assert trip.why == ["next page", "guard page", "old and known"]


@pytest.mark.parametrize("count", [1, 7, 9])
def test_a_listing_shorter_than_a_page_costs_one_request(count: int) -> None:
    listing = Listing(rows(count))
    trip = travel(listing, Stretch(None, at(-600)), known=archived(listing))
    assert trip.why == ["the end of the listing"]
    assert trip.steps[-1].at_end


def test_an_empty_listing_costs_one_request() -> None:
    trip = travel(Listing(), Stretch(None, at(-600)))
    assert trip.why == ["the end of the listing"]


# Where a walk ends.


def test_a_whole_history_ends_at_the_end_which_is_looked_at_twice() -> None:
    listing = Listing(rows(35))
    trip = travel(listing)
    assert_whole(trip, listing)
    assert trip.why[-2:] == ["the end, looked at again", "the end of the listing"]
    assert trip.asked[-2] == trip.asked[-1]


def test_what_the_second_look_at_the_end_brings_is_looked_at_once_more() -> None:
    listing = Listing(rows(5))
    trip = travel(listing, before={2: lambda: listing.rows.append(Row("older", at(-9999)))})
    assert_whole(trip, listing)
    assert len(trip.asked) == 3


def test_an_empty_history_is_looked_at_twice() -> None:
    trip = travel(Listing())
    assert trip.why == ["the end, looked at again", "the end of the listing"]


def test_records_that_came_with_the_second_look_are_read() -> None:
    listing = Listing()
    trip = travel(listing, before={2: lambda: listing.insert("first", at(0))})
    assert_whole(trip, listing)


def test_a_page_older_than_the_floor_ends_nothing_while_a_row_of_it_is_new() -> None:
    listing = Listing(rows(40))
    trip = travel(listing, Stretch(None, at(600)), known=archived(listing) - {"r5", "r16"})
    assert {"r5", "r16"} <= trip.read
    assert trip.error == ""


def test_known_rows_that_this_walk_brought_do_not_end_it() -> None:
    """Of the first page all is new; the second overlaps it, and what it shares with it is known by then."""
    listing = Listing(rows(12))
    trip = travel(listing, Stretch(None, at(600)), known=archived(listing) - set(archived(Listing(rows(4)))), size=4)
    assert trip.why[:2] == ["next page", "next page"]


def test_rows_that_a_page_brought_which_did_not_follow_do_not_end_the_walk_either() -> None:
    """Deleted rows make the walk step back; what the page that it left had shown is news of this walk."""
    listing = Listing(rows(80))
    known = archived(listing) - {"r17", "r18", "r19"}
    trip = travel(listing, Stretch(None, at(600)), known=known, before={2: lambda: listing.delete(0, 9)})
    assert trip.why[:3] == ["guard page", "stepped back: the page does not follow on the one before it", "next page"]


def test_a_guard_page_with_news_is_followed_by_a_guard_page_of_its_own() -> None:
    listing = Listing(rows(60))
    trip = travel(listing, Stretch(None, at(600)), known=archived(listing) - {"r12"})
    assert trip.why == ["guard page", "next page", "guard page", "old and known"]


def test_the_floor_itself_is_not_older_than_the_floor() -> None:
    """Everything after the floor is asked for; a row of that very second may have company below."""
    listing = Listing(rows(30))
    trip = travel(listing, Stretch(None, at(0)), known=archived(listing))
    assert trip.why == ["next page", "guard page", "old and known"]


def test_the_guard_page_has_to_lie_further_down() -> None:
    """The answer to it is page 1 twice, so that the walk looks at the quiet page again."""
    listing = Listing(rows(60))

    def page_one(request: int, sight: Sight) -> Sight:
        return listing.page(Window(1, 8)) or sight if request in {2, 3} else sight

    trip = travel(listing, Stretch(None, at(600)), known=archived(listing) - {"r11"}, twist=page_one)
    assert trip.why[3] == "guard page"
    assert "r11" in trip.read


# Rows that come and go between two requests.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 50, 150])
def test_rows_deleted_above_hide_none(size: int, count: int) -> None:
    listing = Listing(rows(600))
    trip = travel(listing, size=size, before={4: lambda: listing.delete(0, count)})
    assert_whole(trip, listing)


@pytest.mark.parametrize("count", range(1000, 1008))
def test_more_rows_deleted_above_than_the_walk_steps_back_make_the_gap_suspect(count: int) -> None:
    """Two rows to a second; every row that was hidden is of a second that is suspect, to be read again."""
    listing = Listing([Row(f"r{n}", at(-(n // 2))) for n in range(3000)])
    trip = travel(listing, size=13, before={220: lambda: listing.delete(0, count)})
    missed = [row for row in listing.rows if row.record_id in trip.missed(listing)]
    suspects = [suspect for step in trip.steps for suspect in step.suspects]
    assert len(missed) > 100
    assert all(any(concerns(suspect, row.created_at or at(0)) for suspect in suspects) for row in missed)
    assert [step.unproven for step in trip.steps if step.suspects] == [True]
    assert trip.error == ""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 25, 150])
def test_rows_inserted_above_hide_none(size: int, count: int) -> None:
    listing = Listing(rows(300))
    old = Listing(list(listing.rows))

    def insert() -> None:
        for n in range(count):
            listing.insert(f"new{n}", at(1 + n))

    trip = travel(listing, size=size, before={4: insert})
    assert_whole(trip, old)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("many", [1, 2, 7])
def test_inserts_and_deletions_that_cancel_in_the_count_hide_none(size: int, many: int) -> None:
    """Before every request; the vendor's total never changes."""
    listing = Listing(rows(300))
    old = {row.record_id for row in listing.rows}

    def change(request: int) -> None:
        for n in range(many):
            listing.delete(request % 5)
            listing.insert(f"new{request}.{n}", at(request))

    trip = travel(listing, size=size, before=change)
    assert trip.error == ""
    assert not old & set(trip.missed(listing))
    assert not trip.unproven


@pytest.mark.parametrize("seed", range(20))
def test_a_second_at_the_edge_whose_rows_change_places_hides_none(seed: int) -> None:
    rng = random.Random(seed)
    listing = Listing([Row(f"r{n}", at(-(n // 4))) for n in range(160)])

    def change(request: int) -> None:
        listing.shuffle_ties(rng)
        if request % 2:
            listing.delete(rng.randrange(len(listing.rows)))

    trip = travel(listing, size=rng.choice([20, 21, 33]), before=change)
    assert_whole(trip, listing)


@pytest.mark.parametrize("clamp", [None, 10])
def test_pages_of_one_second_are_read_without_proof(clamp: int | None) -> None:
    listing = Listing(rows(95, gap_s=0), clamp=clamp)
    trip = travel(listing, size=20)
    assert (trip.error, trip.missed(listing)) == ("", [])
    assert trip.unproven


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_too_small_to_overlap_are_read_without_proof(size: int) -> None:
    listing = Listing(rows(35))
    trip = travel(listing, size=size)
    assert (trip.error, trip.missed(listing), trip.suspects) == ("", [], [])
    assert trip.unproven


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_the_smallest_pages_step_back_where_the_count_fell(size: int, count: int) -> None:
    listing = Listing(rows(100))
    trip = travel(listing, size=size, before={9: lambda: listing.delete(0, count)})
    assert (trip.error, trip.missed(listing)) == ("", [])


def test_rows_that_come_as_fast_as_pages_are_read_end_the_walk_with_a_failure() -> None:
    """What came is read; it never gets down, and says so rather than going on for ever."""
    listing = Listing(rows(60))

    def flood(request: int) -> None:
        for n in range(12):
            listing.insert(f"new{request}.{n}", at(request * 20 + n))

    trip = travel(listing, before=flood)
    assert trip.error.startswith("paging is not honoured")
    assert len(trip.asked) < 100


# Rows whose time is odd.


def undated(count: int) -> list[Row]:
    return [Row(f"undated{n}", None) for n in range(count)]


@pytest.mark.parametrize("place", [0, 3, 9, 10, 11, 57])
@pytest.mark.parametrize("count", [1, 9, 25])
def test_undated_rows_are_read_wherever_they_stand(place: int, count: int) -> None:
    listing = Listing(rows(60))
    listing.rows[place:place] = undated(count)
    trip = travel(listing)
    assert (trip.error, trip.missed(listing), trip.suspects) == ("", [], [])


def test_known_pages_without_any_time_on_top_end_nothing() -> None:
    """Some databases put what has no time before everything else."""
    listing = Listing(undated(40) + rows(60))
    trip = travel(listing, Stretch(None, at(-600)), known=archived(listing) - {"r4"})
    assert "r4" in trip.read
    assert trip.why[-1] == "old and known"


def test_a_step_from_a_page_without_any_time_is_no_proof() -> None:
    listing = Listing(undated(10) + rows(20))
    trip = travel(listing, size=10)
    assert trip.steps[1].unproven


@pytest.mark.parametrize("place", [0, 1, 8, 9, 10, 30, 59])
@pytest.mark.parametrize("second", [1e6, 2.5e11, -1.7e9], ids=["soon", "year 9948", "year 1972"])
@pytest.mark.parametrize("fixed", [None, 10])
def test_one_date_far_off_neither_hides_a_row_nor_stops_a_walk(place: int, second: float, fixed: int | None) -> None:
    """Wherever it stands, at a page's edge too; it once made the walk turn in a circle."""
    listing = Listing(rows(60), fixed=fixed)
    in_order = travel(listing)
    listing.rows.insert(place, Row("odd", at(second)))
    trip = travel(listing)
    assert (trip.error, trip.missed(listing)) == ("", [])
    assert len(trip.asked) <= len(in_order.asked) + 2


def test_one_date_far_off_makes_a_regular_pass_no_more_than_two_days_deeper() -> None:
    """It once lowered the floor by as much as it was wrong, beyond the calendar."""
    listing = Listing(rows(1000, gap_s=3600))
    listing.rows.insert(1, Row("odd", at(2.5e11)))
    trip = travel(listing, Stretch(None, at(-1800)), known=archived(listing))
    assert trip.why[-1] == "old and known"
    assert len(trip.asked) <= 12


# Order that is not kept.


def disturbed(*times: float) -> Listing:
    return Listing([Row(f"r{n}", at(second)) for n, second in enumerate(times)])


def test_a_newer_row_below_an_older_one_makes_what_lies_between_suspect() -> None:
    trip = travel(disturbed(50, 40, 10, 30, 20, 0))
    reason = "disorder: a record of 2026-03-10T12:00:20+08:00 stands below one of 2026-03-10T12:00:10+08:00"
    assert trip.steps[0].suspects == (Suspect(at(10), at(30), reason),)


def test_disorder_across_an_edge_is_seen_where_pages_overlap() -> None:
    trip = travel(disturbed(90, 80, 70, 60, 50, 20, 40, 30, 10, 0), size=6)
    assert "disorder" in trip.suspects


def test_the_floor_is_lowered_by_as_much_as_a_row_was_out_of_place() -> None:
    listing = disturbed(100, 90, 20, 80, *range(19, -100, -1))
    trip = travel(listing, Stretch(None, at(10)), known=archived(listing), size=5)
    reached = [step.reached for step in trip.steps if step.why == "guard page"]
    assert reached[0] is not None
    assert reached[0] < at(10 - 60)


def test_an_unread_row_one_page_below_the_floor_is_found_by_the_guard_page() -> None:
    """The vendor put a new record below a whole page of old ones."""
    listing = Listing(rows(40))
    listing.rows.insert(10, Row("late", at(700)))
    floor = Stretch(None, at(600))
    known = archived(listing) - {"late"}
    assert "late" in travel(listing, floor, known=known).read
    assert "late" not in travel(listing, floor, known=known, guard_pages=0).read


@pytest.mark.parametrize("change", [lambda listing: listing.delete(0, 300), lambda listing: listing.rows.clear()])
def test_a_listing_that_is_emptied_ends_the_walk(change: Callable[[Listing], None]) -> None:
    listing = Listing(rows(305))
    trip = travel(listing, before={3: lambda: change(listing)})
    assert trip.missed(listing) == []
    assert len(trip.asked) < 80
