"""What each page adds to what is known of a stream: never more than was read, and never what could be lost by a cut."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listing_world import at
from logkeep.catalog.records import Covered, StreamRecord, Suspect
from logkeep.model import ListedRecord
from logkeep.records.plan import Moment, Plan, plan
from logkeep.records.progress import Progress
from logkeep.records.stretch import Step, Stretch
from logkeep.records.windows import Window
from stream_world import POLICY, Habits, StreamWorld

REACH = POLICY.reach
NEXT = Window(2, 100)
STREAM = StreamRecord(1, 1, "download-logs")
WHOLE = Stretch(None, None, why="the whole history")


def hours(n: float) -> datetime:
    return at(3600 * n)


def records(*moments: datetime | None) -> list[ListedRecord]:
    return [ListedRecord(f"r{n}", moment, b"{}") for n, moment in enumerate(moments)]


def begin(
    stream: StreamRecord,
    *stretches: Stretch,
    top: datetime | None = None,
    sweep: bool = False,
    deep: bool = False,
    second: bool = False,
) -> Progress:
    return Progress(stream, Plan(stretches, sweep, deep, second), top or hours(0), hours(1), REACH)


def ends(progress: Progress) -> list[datetime]:
    return [each.end for each in progress.stream.covered]


def page(stretch: Stretch, reached: datetime | None, **facts: object) -> Step:
    return Step(NEXT, "next page", stretch, reached=reached, **facts)  # type: ignore[arg-type]


def last(stretch: Stretch, reached: datetime | None = None, **facts: object) -> Step:
    return Step(None, "old and known", stretch, reached=reached, finished=(stretch,), **facts)  # type: ignore[arg-type]


def end(*stretches: Stretch, **facts: object) -> Step:
    return Step(None, "the end", stretches[0], finished=stretches, at_end=True, **facts)  # type: ignore[arg-type]


def read_once(**facts: object) -> StreamRecord:
    """The whole history was read two hours ago."""
    stream = replace(STREAM, covered=(Covered(None, hours(-2), 50),), looks=1, confirmed_at=hours(-2), mark=hours(-2))
    return replace(stream, **facts)  # type: ignore[arg-type]


HEAD = Stretch(None, hours(-2) - REACH, why="news")


# Pages.


def test_a_page_covers_what_is_newer_than_what_it_reached() -> None:
    """The second that it reached may go on below, and no second is covered in part."""
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-5), depth=2), records(hours(-1), hours(-5)))
    assert progress.stream.covered == (Covered(hours(-5), hours(0), 2),)


def test_a_page_that_reached_nothing_new_covers_nothing() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, None), records(hours(-1)))
    assert progress.stream.covered == ()


def test_nothing_later_than_the_passs_begin_is_covered() -> None:
    """Records dated ahead of the vendor's clock are kept; they vouch for nothing."""
    progress = begin(STREAM, WHOLE, top=hours(-3))
    progress.take(page(WHOLE, hours(-1)), records(hours(9), hours(-1)))
    assert ends(progress) == []
    progress.take(last(WHOLE, hours(-5)), [])
    assert ends(progress) == [hours(-3)]
    assert progress.stream.mark == hours(-3)


def test_records_without_a_time_are_read_and_say_nothing() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-5)), records(None, None, hours(-4)))
    assert progress.stream.oldest == hours(-4)


def test_the_oldest_record_is_remembered() -> None:
    progress = begin(read_once(oldest=hours(-90)), HEAD)
    progress.take(page(HEAD, hours(-1)), records(hours(-1)))
    assert progress.stream.oldest == hours(-90)
    progress.take(page(HEAD, hours(-1)), records(hours(-91)))
    assert progress.stream.oldest == hours(-91)


def test_pages_in_a_hole_close_it_from_above() -> None:
    hole = Stretch(hours(-3), hours(-9) - REACH)
    stream = read_once(covered=(Covered(None, hours(-9), 5), Covered(hours(-3), hours(-2), 5)))
    progress = begin(stream, HEAD, hole)
    progress.take(page(hole, hours(-6), depth=70), records(hours(-4), hours(-6)))
    assert progress.stream.covered == (Covered(None, hours(-9), 5), Covered(hours(-6), hours(-2), 70))


def test_intervals_know_about_how_many_records_they_hold_from_how_deep_the_walk_stood() -> None:
    """What was archived before a crash and is found to be known counts as well."""
    progress = begin(replace(STREAM, covered=(Covered(hours(-1), hours(0), 30),)), HEAD)
    hole = Stretch(hours(-4), None)
    progress.take(page(hole, hours(-9), depth=100), [])
    assert [each.records for each in progress.stream.covered] == [70, 30]


@pytest.mark.parametrize("back_s", [0, 1, 599])
def test_a_pass_cut_in_the_look_back_leaves_the_look_back_due(back_s: int) -> None:
    """Late records may lie there; were the intervals joined, no pass but a sweep would read it."""
    progress = begin(read_once(swept_at=hours(-2), deep_swept_at=hours(-2)), HEAD)
    progress.take(page(HEAD, hours(-2) - timedelta(seconds=back_s), depth=1), records(hours(-1)))
    cut = progress.stream
    assert cut.covered == (Covered(None, hours(-2), 50), Covered(at(-7199), hours(0), 1))
    again = plan(cut, POLICY, Moment(hours(1), at(-1e9), at(-1e9)))
    assert again.stretches[-1].bottom == hours(-2) - REACH


def test_a_pass_that_has_read_the_look_back_joins_the_intervals() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-2) - REACH), records(hours(-1)))
    assert [(each.start, each.end) for each in progress.stream.covered] == [(None, hours(0))]


def test_a_pass_that_is_complete_joins_the_intervals_and_moves_the_mark() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(last(HEAD, hours(-2)), records(hours(-1)))
    stream = progress.stream
    assert [(each.start, each.end) for each in stream.covered] == [(None, hours(0))]
    assert (stream.mark, stream.passed_at) == (hours(0), hours(1))


def test_the_mark_does_not_move_before_the_stretch_from_the_top_is_complete() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-1)), records(hours(-1)))
    assert (progress.stream.mark, progress.stream.passed_at) == (hours(-2), None)


def test_the_mark_never_goes_back() -> None:
    progress = begin(read_once(mark=hours(7)), HEAD)
    progress.take(last(HEAD), [])
    assert progress.stream.mark == hours(7)


@pytest.mark.parametrize("bottom", [None, hours(-9)])
def test_the_end_of_the_listing_covers_everything_below(bottom: datetime | None) -> None:
    hole = Stretch(hours(-5), bottom)
    progress = begin(replace(STREAM, covered=(Covered(hours(-5), hours(-2), 5),)), HEAD, hole)
    progress.take(end(hole), [])
    assert progress.stream.covered == (Covered(None, hours(-2), 5),)


# Sweeps.


@pytest.mark.parametrize(("sweep", "deep"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_complete_pass_counts_as_what_it_was_planned_as(*, sweep: bool, deep: bool) -> None:
    progress = begin(read_once(), HEAD, sweep=sweep, deep=deep)
    progress.take(last(HEAD), [])
    assert progress.stream.swept_at == (hours(1) if sweep else None)
    assert progress.stream.deep_swept_at == (hours(1) if deep else None)


def test_a_look_at_the_whole_history_counts_as_both_sweeps() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(end(WHOLE), [])
    assert (progress.stream.swept_at, progress.stream.deep_swept_at) == (hours(1), hours(1))


# Looks at the whole history.


def test_a_first_look_whose_every_step_was_proven_confirms_itself() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-5)), records(hours(-5)))
    progress.take(end(WHOLE), [])
    assert (progress.stream.looks, progress.stream.confirmed_at) == (1, hours(1))


def test_a_first_look_with_one_unproven_step_needs_another() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-5), unproven=True), records(hours(-5)))
    progress.take(end(WHOLE), [])
    assert (progress.stream.looks, progress.stream.confirmed_at) == (1, None)


def test_an_unproven_step_is_remembered_over_an_interruption() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-5), unproven=True), records(hours(-5)))
    rest = Stretch(hours(-5), None)
    later = begin(progress.stream, HEAD, rest)
    later.take(last(HEAD), [])
    later.take(end(rest), [])
    assert (later.stream.looks, later.stream.confirmed_at) == (1, None)


def second_look(**facts: object) -> Progress:
    return begin(read_once(confirmed_at=None, unproven=True, **facts), WHOLE, second=True)


def test_a_second_look_that_finds_nothing_confirms_the_history() -> None:
    progress = second_look()
    progress.take(page(WHOLE, hours(-9)), [])
    progress.take(end(WHOLE), [])
    assert (progress.stream.looks, progress.stream.confirmed_at, progress.stream.second) == (2, hours(1), ())


def test_news_do_not_spoil_a_second_look() -> None:
    progress = second_look()
    progress.take(page(WHOLE, hours(-9)), records(hours(-1), hours(-2), at(-7200 - 599)))
    progress.take(end(WHOLE), [])
    assert progress.stream.confirmed_at == hours(1)


def test_a_second_look_that_finds_what_the_first_one_missed_proves_nothing() -> None:
    progress = second_look()
    progress.take(page(WHOLE, hours(-9)), records(hours(-8)))
    progress.take(end(WHOLE), [])
    assert (progress.stream.confirmed_at, progress.stream.second) == (None, ())


def test_a_second_look_goes_on_after_an_interruption() -> None:
    progress = second_look()
    progress.take(page(WHOLE, hours(-9), depth=77), [])
    cut = progress.stream
    assert cut.second == (Covered(hours(-9), hours(0), 77),)
    rest = Stretch(hours(-9), None, 77)
    later = begin(cut, HEAD, rest, top=hours(1), second=True)
    later.take(last(HEAD, hours(0) - REACH), [])
    later.take(end(rest), [])
    assert later.stream.confirmed_at == hours(1)


def test_an_interrupted_second_look_confirms_nothing() -> None:
    progress = second_look()
    progress.take(page(WHOLE, hours(-9)), [])
    assert progress.stream.confirmed_at is None


# Suspects.

DISORDER = Suspect(hours(-9), hours(-8), "disorder: …")
DRIFT = Suspect(hours(-9), hours(-8), "drift: …")


def test_disorder_is_suspect_where_a_page_has_new_records() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-1), suspects=(DISORDER,)), records(hours(-1)))
    assert progress.stream.suspects == (DISORDER,)


def test_disorder_among_known_records_is_no_news() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-1), suspects=(DISORDER,)), [])
    assert progress.stream.suspects == ()


def test_drift_is_suspect_in_any_case() -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-1), suspects=(DRIFT,)), [])
    assert progress.stream.suspects == (DRIFT,)


@pytest.mark.parametrize(
    "suspect",
    [Suspect(hours(-1), hours(-1), "drift"), Suspect(hours(-1), None, "drift")],
)
def test_a_stretch_without_length_or_end_is_not_suspect(suspect: Suspect) -> None:
    progress = begin(read_once(), HEAD)
    progress.take(page(HEAD, hours(-1), suspects=(suspect,)), [])
    assert progress.stream.suspects == ()


def test_what_lies_in_something_suspect_is_not_suspect_once_more() -> None:
    progress = begin(read_once(suspects=(Suspect(hours(-10), hours(-7), "drift"),)), HEAD)
    progress.take(page(HEAD, hours(-1), suspects=(DRIFT,)), [])
    assert len(progress.stream.suspects) == 1


def test_what_became_suspect_in_a_pass_is_not_cleared_by_it() -> None:
    progress = begin(STREAM, WHOLE)
    progress.take(page(WHOLE, hours(-9), suspects=(DISORDER,)), records(hours(-9)))
    progress.take(end(WHOLE), [])
    assert progress.stream.suspects == (DISORDER,)


@pytest.mark.parametrize("stretch", [WHOLE, Stretch(hours(-8), hours(-9)), Stretch(hours(-7), hours(-10))])
def test_what_was_read_again_without_news_is_suspect_no_more(stretch: Stretch) -> None:
    progress = begin(read_once(suspects=(DISORDER,)), stretch)
    progress.take(last(stretch), [])
    assert progress.stream.suspects == ()


@pytest.mark.parametrize("stretch", [HEAD, Stretch(hours(-8.5), hours(-9)), Stretch(hours(-8), hours(-8.5))])
def test_what_was_not_read_again_as_a_whole_stays_suspect(stretch: Stretch) -> None:
    progress = begin(read_once(suspects=(DISORDER,)), stretch)
    progress.take(last(stretch), [])
    assert progress.stream.suspects == (DISORDER,)


def test_what_was_read_again_with_news_stays_suspect() -> None:
    progress = begin(read_once(suspects=(DISORDER,)), WHOLE)
    progress.take(page(WHOLE, hours(-8.5)), records(hours(-8.2)))
    progress.take(last(WHOLE), [])
    assert progress.stream.suspects == (DISORDER,)


def test_disorder_with_a_record_of_the_future_is_cleared_by_reading_it_again() -> None:
    """It once stayed suspect until that time had come, for centuries perhaps."""
    ahead = Suspect(hours(-1), hours(9e4), "disorder: …")
    progress = begin(read_once(suspects=(ahead,)), HEAD)
    progress.take(last(HEAD, hours(-3)), [])
    assert progress.stream.suspects == ()


# Whatever happens.


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([13, 14, 20, 33]), st.booleans())
def test_no_second_is_covered_of_which_a_row_that_was_there_all_the_time_is_unread(
    seed: int, page_size: int, counts: bool
) -> None:
    """Rows come, go, and change places within their second; passes are cut. After every page it holds."""
    rng = random.Random(seed)
    world = StreamWorld(Habits(page_size=page_size, counts=counts))
    for _ in range(rng.choice([10, 60, 150])):
        world.insert(0)
        world.wait(rng.choice([0, 1, 1, 2, 30, 900]))
    for _ in range(rng.randrange(1, 5)):
        world.apply((rng.choice(["regular", "nightly", "weekly"]), 0))
        while world.passing is not None:
            for _ in range(rng.choice([0, 0, 1, 3])):
                kind = rng.choice(["insert", "delete", "shuffle", "wait"])
                world.apply((kind, rng.choice([0, 1, 60]) if kind in {"insert", "wait"} else rng.randrange(200)))
            world.read()
            assert world.claimed_unread() == []
            if rng.random() < 0.05:
                world.crash(rng.randrange(4))
        world.wait(rng.choice([1, 300, 90_000]))


moments = st.one_of(st.none(), st.integers(-50, 50).map(lambda n: at(60 * n)))


@st.composite
def any_steps(draw: st.DrawFn) -> list[tuple[Step, list[ListedRecord]]]:
    wanted = [Stretch(None, draw(moments)), Stretch(draw(moments), draw(moments))]
    pair = st.tuples(moments, moments).map(lambda ends: Suspect(ends[0], ends[1], "drift: …"))
    step = st.builds(
        Step,
        ask=st.sampled_from([NEXT, NEXT, NEXT, None]),
        why=st.just("why"),
        stretch=st.sampled_from(wanted),
        reached=moments,
        finished=st.lists(st.sampled_from(wanted), max_size=2).map(tuple),
        at_end=st.booleans(),
        depth=st.integers(0, 1000),
        unproven=st.booleans(),
        suspects=st.lists(pair, max_size=2).map(tuple),
    )
    new = st.lists(moments, max_size=3).map(lambda times: records(*times))
    return draw(st.lists(st.tuples(step, new), max_size=12))


@given(any_steps(), st.booleans(), st.booleans(), st.integers(-50, 50))
def test_whatever_a_walk_says_intervals_stay_sorted_and_apart_and_end_at_the_passs_begin(
    steps: Sequence[tuple[Step, list[ListedRecord]]], second: bool, looked: bool, top: int
) -> None:
    stream = read_once(confirmed_at=None) if looked else STREAM
    progress = begin(stream, HEAD, top=at(60 * top), second=second)
    for step, new in steps:
        progress.take(step, new)
        for covered in (progress.stream.covered, progress.stream.second):
            assert all(each.end <= max(at(60 * top), hours(-2)) for each in covered)
            assert all(above.start is not None and below.end < above.start for below, above in pairwise(covered))
