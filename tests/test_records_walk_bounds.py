"""Whatever a vendor answers, a walk raises nothing and comes to an end.

The bound: between two pages that justify going on, a walk asks for at most ``WITHOUT_PROGRESS`` others. Going on is
justified by a record that was not known, by a page from further down in time than any before it, and by a new stretch.
So with finitely many records a walk is finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from listing_world import at
from logkeep.records.closing import Closing
from logkeep.records.patience import ABOVE_AT_MOST, STILL_AT_MOST, Patience
from logkeep.records.sight import Sight
from logkeep.records.stretch import Stretch
from logkeep.records.walk import Walk
from logkeep.records.windows import Window, aligned

WITHOUT_PROGRESS = STILL_AT_MOST + ABOVE_AT_MOST + 200
"""Pages that lead nowhere, pages from above, and what is asked again, stepped back for or looked for meanwhile."""
IDS = [f"id{n}" for n in range(12)]

moments = st.sampled_from([at(second) for second in (-4e8, -60, -2, -1, 0, 1, 5e10)])
row_times = st.one_of(moments, moments, moments, st.none())


@dataclass(frozen=True)
class Answer:
    """What a vendor answers: ids and times may contradict each other from page to page."""

    rows: Sequence[tuple[str, datetime | None]]
    page: int | None
    per_page: int | None
    total: int | None
    has_next: bool
    refuses: bool = False

    def sight(self, known: set[str]) -> Sight:
        ids = [record_id for record_id, _ in self.rows]
        times = [moment for _, moment in self.rows]
        return Sight(ids, times, known & set(ids), self.page, self.per_page, self.total, self.has_next)


answers = st.builds(
    Answer,
    rows=st.lists(st.tuples(st.sampled_from(IDS), row_times), max_size=6, unique_by=lambda row: row[0]),
    page=st.one_of(st.none(), st.integers(-1, 4)),
    per_page=st.one_of(st.none(), st.integers(-1, 8), st.just(10**9)),
    total=st.one_of(st.none(), st.integers(-1, 20), st.just(10**9)),
    has_next=st.booleans(),
    refuses=st.sampled_from([False] * 9 + [True]),
)
stretches = st.lists(
    st.builds(
        Stretch, st.one_of(st.none(), moments), st.one_of(st.none(), moments), st.integers(0, 10**6), st.just("due")
    ),
    min_size=1,
    max_size=3,
)


def pages_without_progress(walk: Walk, script: Sequence[Answer], *, by_page: bool, echoes: bool, in_order: bool) -> int:
    """The longest run of requests that nothing justified, in a walk that the script answers over and over."""
    known: set[str] = set()
    lowest: datetime | None = None
    asked = run = longest = 0
    ask: Window | None = walk.first
    while ask is not None:
        answer = script[(ask.page if by_page else asked) % len(script)]
        asked, run = asked + 1, run + 1
        longest = max(longest, run)
        assert run <= WITHOUT_PROGRESS, "the walk goes on without a reason"
        if answer.refuses:
            ask = walk.refused().ask
            continue
        sight = _plausible(answer.sight(known), ask, echoes=echoes, in_order=in_order)
        step = walk.tell(sight)
        middle = sight.middle
        if not known.issuperset(sight.ids) or step.finished:
            run, lowest = 0, None if step.finished else lowest
        if middle is not None and (lowest is None or middle < lowest):
            run, lowest = 0, middle
        known |= set(sight.ids)
        ask = step.ask
    return longest


def _plausible(sight: Sight, ask: Window, *, echoes: bool, in_order: bool) -> Sight:
    """The nearer to the truth, the further a walk gets."""
    if echoes:
        sight = replace(sight, page=ask.page, per_page=ask.size)
    if in_order:
        newest_first = sorted(sight.times, key=lambda moment: moment or at(0), reverse=True)
        sight = replace(sight, times=newest_first)
    return sight


def old(count: int, *, page: int | None = None) -> Answer:
    return Answer([(IDS[n], at(-n)) for n in range(count)], page, None, None, has_next=True)


@settings(max_examples=400, deadline=None)
@given(
    stretches,
    st.integers(1, 7),
    st.lists(answers, min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@example([Stretch(None, None)], 4, [old(4, page=1)], False, False, False)
@example([Stretch(None, None)], 4, [old(4)], False, True, True)
@example([Stretch(None, None)], 4, [old(4), Answer([], None, None, None, has_next=False)], True, True, True)
def test_any_answers_over_and_over_end_a_walk(
    wanted: list[Stretch], size: int, script: list[Answer], by_page: bool, echoes: bool, in_order: bool
) -> None:
    pages_without_progress(Walk(wanted, size), script, by_page=by_page, echoes=echoes, in_order=in_order)


@settings(max_examples=200, deadline=None)
@given(stretches, st.integers(1, 7), st.integers(0, 2), st.lists(answers, max_size=40))
def test_every_step_belongs_to_a_stretch_and_says_why(
    wanted: list[Stretch], size: int, guard_pages: int, script: list[Answer]
) -> None:
    """A failure finishes nothing; the end finishes what is left; each stretch is finished at most once."""
    walk, finished = Walk(wanted, size, guard_pages=guard_pages), list[Stretch]()
    for answer in script:
        step = walk.refused() if answer.refuses else walk.tell(answer.sight(set(IDS[:6])))
        assert step.why
        assert step.stretch in wanted
        assert not (step.error and (step.finished or step.ask or step.reached))
        assert step.ask is None or (step.ask.page >= 1 and step.ask.size >= 1)
        finished += step.finished
        if step.ask is None:
            assert step.error or finished == wanted
            break
    assert finished == wanted[: len(finished)]


def test_new_records_are_worth_any_number_of_pages_and_those_from_above_only_so_many() -> None:
    patience = Patience()
    for second in range(0, -10 * STILL_AT_MOST, -1):
        patience.landed(Sight(["r"], [at(second)]), brought=False)
    assert patience.exhausted == ""
    for _ in range(10 * STILL_AT_MOST):
        patience.landed(Sight(["r"], [at(0)]), brought=True)
        assert patience.exhausted == ""
    for _ in range(ABOVE_AT_MOST + 1):
        assert patience.exhausted == ""
        patience.above += 1
        patience.landed(Sight(["r"], [at(0)]), brought=True)
    assert patience.exhausted.endswith("newer rows than the ones before")


def test_pages_that_lead_nowhere_are_worth_only_so_many() -> None:
    patience = Patience()
    for _ in range(STILL_AT_MOST + 1):
        assert patience.exhausted == ""
        patience.landed(Sight(["r"], [at(0)]), brought=False)
    patience.landed(Sight(["r"], [at(0)]), brought=False)
    assert patience.exhausted.endswith("led nowhere")


@given(st.integers(0, 10**6), st.integers(2, 20), st.lists(st.sampled_from(["newer", "older", "none"]), max_size=9))
def test_looking_for_a_place_ends_on_the_first_page_at_the_latest(above: int, size: int, script: list[str]) -> None:
    """However rows move meanwhile, so that what was seen before is true no more."""
    closing = Closing(at(0), above)
    window = aligned(closing.begin(size), size)
    for requests in range(60):
        shown = script[requests % len(script)] if script else "none"
        moment = at(60 if shown == "newer" else -60)
        sight = Sight(IDS[:2], [moment, moment], has_next=True)
        if shown == "none" and window.start:
            closing.too_deep(window)
        elif closing.lands(sight, window):
            return
        window = aligned(closing.next(window, size), size)
    assert window.page == 1
