"""What a pass is to read, and the arithmetic of what was read: checked second by second against a model."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listing_world import at
from logkeep.catalog.records import Covered, StreamRecord, Suspect
from logkeep.records.coverage import concerns, covering, holes, whole, within
from logkeep.records.plan import LOOKBACK_AT_LEAST, Moment, Plan, Policy, needs_second_look, plan
from logkeep.records.stretch import Stretch

LAST = 40
"""The model's seconds are 1 to 40; second 0 stands for all that is older."""

NEVER = at(-1e7)
POLICY = Policy(interval=timedelta(seconds=60), lookback=timedelta(seconds=60))
QUIET = Moment(at(LAST + 5), sweep_since=NEVER, deep_since=NEVER)
STREAM = StreamRecord(1, 1, "download-logs")

seconds = st.integers(1, LAST)
interval = st.tuples(st.one_of(st.none(), st.integers(0, LAST)), seconds)


def moment(second: int | None) -> datetime | None:
    return None if second is None else at(second)


def seconds_in(start: datetime | None, end: datetime | None) -> set[int]:
    return {
        second
        for second in range(LAST + 1)
        if (start is None or start < at(second)) and (end is None or at(second) <= end)
    }


def seconds_covered(covered: Iterable[Covered]) -> set[int]:
    return set[int]().union(*(seconds_in(each.start, each.end) for each in covered))


def covered_by(intervals: Iterable[tuple[int | None, int]]) -> tuple[Covered, ...]:
    covered: tuple[Covered, ...] = ()
    for start, end in intervals:
        covered = covering(covered, moment(start), at(end), 10)
    return covered


coverages = st.lists(interval, max_size=5).map(covered_by)
suspects = st.lists(
    st.tuples(seconds, seconds).map(lambda pair: Suspect(at(min(pair) - 1), at(max(pair)), f"drift: {pair}")),
    max_size=3,
)


# Coverage.


@given(coverages, interval)
def test_covering_adds_exactly_its_seconds(covered: tuple[Covered, ...], added: tuple[int | None, int]) -> None:
    start, end = moment(added[0]), at(added[1])
    result = covering(covered, start, end, 1)
    assert seconds_covered(result) == seconds_covered(covered) | seconds_in(start, end)


@given(coverages)
def test_covered_intervals_stay_sorted_and_apart(covered: tuple[Covered, ...]) -> None:
    """Apart by a second at least; only the oldest may reach back for ever; none is empty."""
    assert all(each.start is None or each.start < each.end for each in covered)
    for below, above in pairwise(covered):
        assert above.start is not None
        assert below.end < above.start


@given(st.lists(interval, max_size=5))
def test_covering_forgets_no_record(intervals: list[tuple[int | None, int]]) -> None:
    real = [pair for pair in intervals if pair[0] is None or pair[0] < pair[1]]
    assert sum(each.records for each in covered_by(intervals)) == 10 * len(real)


@given(coverages, seconds)
def test_an_interval_that_is_none_changes_nothing(covered: tuple[Covered, ...], second: int) -> None:
    assert covering(covered, at(second), at(second), 5) == covered
    assert covering(covered, at(second), at(second - 1), 5) == covered


@given(coverages)
def test_holes_are_all_that_is_not_covered_below_the_newest_end(covered: tuple[Covered, ...]) -> None:
    newest = {second for second in range(LAST + 1) if covered and at(second) <= covered[-1].end}
    found = [seconds_in(start, end) for start, end in holes(covered)]
    assert set[int]().union(*found) == newest - seconds_covered(covered)
    assert found == sorted(found, key=max, reverse=True)


@given(coverages)
def test_everything_is_covered_where_there_is_one_interval_and_no_hole(covered: tuple[Covered, ...]) -> None:
    assert whole(covered) == (bool(covered) and not holes(covered))


@given(suspects, seconds)
def test_a_suspect_concerns_the_seconds_after_its_start_up_to_its_end(found: list[Suspect], second: int) -> None:
    for suspect in found:
        assert concerns(suspect, at(second)) == (second in seconds_in(suspect.start, suspect.end))


@given(suspects, interval)
def test_a_suspect_was_read_again_where_every_second_of_it_was(
    found: list[Suspect], read: tuple[int | None, int]
) -> None:
    for suspect in found:
        if within(suspect, moment(read[0]), at(read[1])):
            missing = seconds_in(suspect.start, suspect.end) - seconds_in(moment(read[0]), at(read[1]))
            assert len(missing) <= 1, "the oldest second belongs to a row that is archived"


def test_a_reading_without_an_upper_bound_has_read_suspects_of_the_future_too() -> None:
    assert within(Suspect(at(0), at(1e9), "disorder"), at(0), None)
    assert not within(Suspect(at(0), at(1e9), "disorder"), at(0), at(100))
    assert not within(Suspect(at(0), at(1e9), "disorder"), at(2), None)


# The plan.


def known(**facts: object) -> StreamRecord:
    """A stream that was read as a whole, up to second 40."""
    whole_stream = replace(
        STREAM,
        covered=(Covered(None, at(LAST), 500),),
        looks=1,
        confirmed_at=at(0),
        mark=at(LAST),
        swept_at=at(0),
        deep_swept_at=at(0),
    )
    return replace(whole_stream, **facts)  # type: ignore[arg-type]


def whys(made: Plan) -> list[str]:
    return [stretch.why for stretch in made.stretches]


def test_the_first_pass_reads_the_whole_history() -> None:
    made = plan(STREAM, POLICY, Moment(at(0), at(0), at(0)))
    assert made == Plan((Stretch(None, None, why="the whole history"),), sweep=False, deep=False, second=False)


def test_after_success_only_the_news_are_read_down_to_the_look_back() -> None:
    made = plan(known(), POLICY, QUIET)
    assert made.stretches == (Stretch(None, at(LAST) - LOOKBACK_AT_LEAST, why="news"),)
    assert (made.sweep, made.deep, made.second) == (False, False, False)


@pytest.mark.parametrize(
    ("interval_s", "lookback_s", "reach_s"), [(60, 60, 600), (60, 601, 601), (301, 60, 602), (300, 300, 600)]
)
def test_the_look_back_is_ten_minutes_and_two_intervals_at_least(
    interval_s: int, lookback_s: int, reach_s: int
) -> None:
    policy = Policy(timedelta(seconds=interval_s), timedelta(seconds=lookback_s))
    assert policy.reach == timedelta(seconds=reach_s)


@pytest.mark.parametrize(
    ("sweep_s", "deep_s", "hours", "why"),
    [
        (0, 0, 0, "news"),
        (2, 0, 48, "the last 48 hours"),
        (0, 2, 720, "the last 30 days"),
        (2, 2, 720, "the last 30 days"),
    ],
)
def test_a_sweep_that_is_due_reads_deeper(sweep_s: int, deep_s: int, hours: int, why: str) -> None:
    now = at(LAST + 5)
    made = plan(known(swept_at=at(1), deep_swept_at=at(1)), POLICY, Moment(now, at(sweep_s), at(deep_s)))
    floor = now - timedelta(hours=hours) if hours else at(LAST) - POLICY.reach
    assert made.stretches == (Stretch(None, floor, why=why),)
    assert (made.sweep, made.deep) == (sweep_s > 1, deep_s > 1)


def test_a_sweep_is_not_shallower_than_the_news() -> None:
    """The daemon stood still for a month: everything since is read, not the last 48 hours."""
    now = at(LAST) + timedelta(days=31)
    made = plan(known(), POLICY, Moment(now, now, now))
    assert made.stretches[0].bottom == at(LAST) - POLICY.reach


def test_while_the_first_look_is_not_complete_no_sweep_is_due() -> None:
    made = plan(replace(STREAM, covered=(Covered(at(9), at(20), 30),)), POLICY, Moment(at(50), at(50), at(50)))
    assert (made.sweep, made.deep) == (False, False)


def test_an_interrupted_first_look_goes_on_below_where_it_came_to() -> None:
    made = plan(replace(STREAM, covered=(Covered(at(3000), at(9000), 30),)), POLICY, QUIET)
    assert made.stretches == (
        Stretch(None, at(9000) - POLICY.reach, why="news"),
        Stretch(at(3000), None, 30, "the history"),
    )


def test_a_hole_is_read_down_to_the_look_back_below_it() -> None:
    covered = (Covered(None, at(1000), 100), Covered(at(3000), at(9000), 30))
    made = plan(known(covered=covered), POLICY, QUIET)
    assert made.stretches[1:] == (Stretch(at(3000), at(1000) - POLICY.reach, 30, "left by an interruption"),)


def test_an_unproven_history_is_read_a_second_time() -> None:
    made = plan(known(confirmed_at=None, unproven=True), POLICY, QUIET)
    assert made.second
    assert made.stretches == (Stretch(None, None, why="news; the whole history, a second time"),)


def test_an_interrupted_second_look_goes_on_where_it_came_to() -> None:
    stream = known(confirmed_at=None, second=(Covered(at(-5000), at(LAST), 77),))
    made = plan(stream, POLICY, QUIET)
    assert made.stretches == (
        Stretch(None, at(LAST) - POLICY.reach, why="news"),
        Stretch(at(-5000), None, 77, "the whole history, a second time"),
    )


@pytest.mark.parametrize(
    ("covered", "confirmed_at", "needed"),
    [
        ((Covered(None, at(9), 1),), None, True),
        ((Covered(None, at(9), 1),), at(0), False),
        ((Covered(at(1), at(9), 1),), None, False),
    ],
)
def test_a_second_look_is_needed_where_all_is_covered_and_unconfirmed(
    covered: tuple[Covered, ...], confirmed_at: datetime | None, *, needed: bool
) -> None:
    assert needs_second_look(known(covered=covered, confirmed_at=confirmed_at)) == needed


@settings(max_examples=300)
@given(coverages, suspects, st.integers(0, 20), st.booleans(), st.sampled_from([None, (0, 10), (10, 30)]))
def test_every_second_that_is_due_lies_in_a_stretch(
    covered: tuple[Covered, ...],
    found: list[Suspect],
    reach: int,
    looked: bool,
    second: tuple[int, int] | None,
) -> None:
    """Holes with the look-back below them, suspects, the look-back below the newest end, what a second look lacks."""
    policy = _Short(interval=timedelta(), lookback=timedelta(seconds=reach))
    again = (Covered(at(second[0]), at(second[1]), 5),) if second and looked else ()
    stream = replace(STREAM, covered=covered, suspects=tuple(found), looks=int(looked), second=again)
    made = plan(stream, policy, QUIET)
    read = set[int]().union(*(seconds_in(stretch.bottom, stretch.top) for stretch in made.stretches))
    assert set(range(LAST + 1)) - seconds_covered(covered) <= read
    if covered:
        assert seconds_in(covered[-1].end - policy.reach, covered[-1].end) <= read
        assert all(seconds_in(suspect.start, suspect.end) <= read for suspect in found)
    for below in (floor for floor, _ in holes(covered) if floor is not None):
        assert seconds_in(below - policy.reach, below) <= read
    if made.second:
        assert set(range(LAST + 1)) - seconds_covered(again) <= read
    _assert_newest_first_and_apart(made.stretches)


class _Short(Policy):
    """A model of forty seconds needs look-backs of less than ten minutes."""

    @property
    def reach(self) -> timedelta:
        return self.lookback


def _assert_newest_first_and_apart(stretches: Sequence[Stretch]) -> None:
    assert stretches[0].top is None
    for above, below in pairwise(stretches):
        assert above.bottom is not None
        assert below.top is not None
        assert below.top < above.bottom


@given(coverages, suspects)
def test_the_estimate_of_the_rows_above_counts_what_was_archived_there(
    covered: tuple[Covered, ...], found: list[Suspect]
) -> None:
    policy = _Short(interval=timedelta(), lookback=timedelta())
    made = plan(replace(STREAM, covered=covered, suspects=tuple(found), looks=1, confirmed_at=at(0)), policy, QUIET)
    for stretch in made.stretches[1:]:
        top = stretch.top
        assert top is not None
        assert stretch.above == sum(each.records for each in covered if each.start and each.start >= top)
