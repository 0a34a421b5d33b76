"""What is told of gaps: each hour that lacks something once, joined where the same can be said of hours in a row."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.catalog.records import AccountRecord, FileFacts, FileRecord, HourRecord
from logkeep.files.ledger import Judged, expires_at
from logkeep.files.report import adrift_gaps, gap_json, gaps_of, orphan_gap
from logkeep.model import AccountKey, Hour, HourState, Span

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
THIS = Hour.of(NOW)
KEY = AccountKey("pan123", "main")
PATIENCE = timedelta(hours=3)
FIRST = THIS + -20


def file(file_id: str, failure: str = "url_refused: HTTP 403", hour: Hour | None = FIRST) -> FileRecord:
    return FileRecord(file_id, "x.gz", 10, hour, Span(FIRST, FIRST), NOW, NOW, failure=failure)


def judged(hour: Hour, state: HourState, reason: str = "why", files: FileFacts | None = None, **record: Any) -> Judged:
    return Judged(HourRecord(hour, **record), state, reason, files or FileFacts())


def told(*ledger: Judged) -> list[tuple[int, int, str, str]]:
    """Gaps as (first hour, hour after the last, state, reason), hours counted from FIRST."""
    gaps = gaps_of(ledger, KEY, now=NOW, patience=PATIENCE)
    return [(_back(gap.start), _back(gap.end), gap.state, gap.reason) for gap in gaps]


def _back(moment: datetime | None) -> int:
    assert moment is not None
    return Hour.of(moment) - FIRST


def test_hours_in_a_row_of_which_the_same_is_said_are_one_gap() -> None:
    pending, lost = HourState.PENDING, HourState.LOST
    assert told(
        judged(FIRST, pending),
        judged(FIRST + 1, pending),
        judged(FIRST + 2, pending, "another"),
        judged(FIRST + 3, HourState.COMPLETE),
        judged(FIRST + 4, pending, "another"),
        judged(FIRST + 5, lost),
        judged(FIRST + 6, lost),
    ) == [
        (0, 2, "pending", "why"),
        (2, 3, "pending", "another"),
        (4, 5, "pending", "another"),
        (5, 7, "lost", "why"),
    ]


def test_a_joined_gap_expires_with_its_first_hour_and_a_lost_one_no_more() -> None:
    ledger = [judged(FIRST + i, HourState.PENDING) for i in range(3)] + [judged(FIRST + 3, HourState.LOST)]
    gaps = gaps_of(ledger, KEY, now=NOW, patience=PATIENCE)
    assert [gap.expires_at for gap in gaps] == [expires_at(FIRST), None]


@pytest.mark.parametrize("state", [HourState.OPEN, HourState.COMPLETE, HourState.EMPTY, HourState.ACKNOWLEDGED])
def test_what_is_well_or_vouched_for_is_no_gap(state: HourState) -> None:
    assert told(judged(FIRST, state)) == []


@pytest.mark.parametrize("state", [HourState.PENDING, HourState.FAILED])
def test_an_hour_is_given_until_it_settled_and_one_poll_more(state: HourState) -> None:
    """Closed three hours and five minutes ago it is a gap, closed two hours and five minutes ago not yet."""
    assert told(judged(THIS + -3, state), judged(THIS + -4, state)) == [(16, 17, state.value, "why")]


def test_a_lost_hour_is_a_gap_at_once() -> None:
    assert told(judged(THIS + -1, HourState.LOST)) == [(19, 20, "lost", "why")]


def test_each_file_that_cannot_be_fetched_is_a_gap_of_its_own_and_joins_nothing() -> None:
    facts = FileFacts(missing=3, failing=(file("1"), file("2", "stalled: silent")))
    ledger = [
        judged(FIRST, HourState.FAILED, "why", facts),
        judged(FIRST + 1, HourState.FAILED, "url_refused: HTTP 403"),
    ]
    gaps = gaps_of(ledger, KEY, now=NOW, patience=PATIENCE)
    assert [(gap.file_id, gap.reason) for gap in gaps] == [
        ("1", "url_refused: HTTP 403"),
        ("2", "stalled: silent"),
        (None, "url_refused: HTTP 403"),
    ]


def test_where_the_hours_own_listing_fails_that_is_the_gap_and_not_its_files() -> None:
    facts = FileFacts(missing=1, failing=(file("1"),))
    ledger = [judged(FIRST, HourState.FAILED, "unreadable row", facts, failure="unreadable row")]
    assert [gap.file_id for gap in gaps_of(ledger, KEY, now=NOW, patience=PATIENCE)] == [None]


states = st.sampled_from(HourState)
ledgers = st.lists(st.tuples(states, st.sampled_from(["a", "b"]), st.integers(0, 2)), max_size=30)


@settings(deadline=None)
@given(ledgers)
def test_joined_or_not_each_hour_that_lacks_something_is_told_exactly_once(
    ledger: list[tuple[HourState, str, int]],
) -> None:
    hours = [
        judged(THIS + -len(ledger) + i, state, reason, FileFacts(failing=tuple(file(str(n)) for n in range(count))))
        for i, (state, reason, count) in enumerate(ledger)
    ]
    gaps = gaps_of(hours, KEY, now=NOW, patience=PATIENCE)
    expected: list[tuple[Hour, str, str | None]] = []
    for one in hours:
        overdue = one.state in (HourState.PENDING, HourState.FAILED) and NOW - one.hour.end > PATIENCE
        if overdue and one.state is HourState.FAILED and one.files.failing:
            expected.extend((one.hour, "failed", bad.file_id) for bad in one.files.failing)
        elif overdue or one.state is HourState.LOST:
            expected.append((one.hour, one.state.value, None))
    found: list[tuple[Hour, str, str | None]] = []
    for gap in gaps:
        assert gap.start is not None
        assert gap.end is not None
        run = range(Hour.of(gap.start).index, Hour.of(gap.end).index)
        found.extend((Hour(index), gap.state, gap.file_id) for index in run)
    assert found == expected
    for before, after in pairwise(gaps):
        joinable = before.file_id is None and after.file_id is None
        same = (before.end, before.state, before.reason) == (after.start, after.state, after.reason)
        assert not (joinable and same), "two gaps that could be one"


def test_a_file_of_no_known_hour_is_a_gap_from_the_start_and_stays_one_when_it_is_lost() -> None:
    gaps = adrift_gaps(KEY, [file("1", "", None), file("2", "stalled: silent", None)], [file("3", "", None)])
    assert [(gap.file_id, gap.state, gap.start, gap.expires_at) for gap in gaps] == [
        ("1", "pending", None, NOW + timedelta(days=30)),
        ("2", "failed", None, NOW + timedelta(days=30)),
        ("3", "lost", None, None),
    ]
    assert gaps[1].reason == "stalled: silent"


def test_a_gap_on_the_wire_has_all_its_keys_and_times_in_china() -> None:
    (gap,) = gaps_of([judged(FIRST, HourState.PENDING)], KEY, now=NOW, patience=PATIENCE)
    assert gap_json(gap) == {
        "vendor": "pan123",
        "account": "main",
        "from": "2026-03-09T16:00:00+08:00",
        "to": "2026-03-09T17:00:00+08:00",
        "state": "pending",
        "reason": "why",
        "file_id": None,
        "expires_at": "2026-04-08T17:00:00+08:00",
    }


def test_an_account_that_left_the_configuration_is_told_with_the_way_out() -> None:
    gap = orphan_gap(AccountRecord(1, "pan123", "main", NOW, FIRST, FIRST))
    assert (gap.account, gap.state, gap.start, gap.file_id) == (KEY, "orphaned", None, None)
    assert "--ack pan123/main" in gap.reason
