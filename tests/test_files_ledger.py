"""The seven states of an hour, which of them wins, and when an hour is given up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.catalog.records import AccountRecord, FileFacts, FileRecord, HourRecord, Trouble, TroubleKind
from logkeep.files.ledger import GRACE, RETENTION, assess, first_watched, judge, losses, watched_hours
from logkeep.model import CLOCK_TOLERANCE, Hour, HourState, Span

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
THIS = Hour.of(NOW)
SETTLE = timedelta(hours=2)
OLD = THIS + -50
RECENT = THIS + -2
FIRST = THIS + -100
ACCOUNT = AccountRecord(1, "pan123", "main", NOW, FIRST, FIRST)
TROUBLE = Trouble(TroubleKind.UNREACHABLE, "no connection", NOW)
SPAN = Span(OLD, OLD)


def failing(file_id: str = "7", failure: str = "url_refused: HTTP 403") -> FileRecord:
    return FileRecord(file_id, "x.gz", 10, OLD, SPAN, NOW, NOW, failure=failure)


MISSING = FileFacts(missing=2)
FAILING = FileFacts(archived=1, missing=2, failing=(failing(),))
ARCHIVED = FileFacts(archived=3)
LOST: dict[str, Any] = {"lost_at": NOW, "lost_reason": "gone"}
ACKED: dict[str, Any] = {**LOST, "acked_at": NOW, "acked_by": "ops", "ack_reason": "known"}
SHOWN: dict[str, Any] = {"listed_at": NOW, "attested_at": NOW, "offered": 3}
BLANK: dict[str, Any] = {"listed_at": NOW, "attested_at": NOW, "blanks": 2, "blank_span": SPAN}

LADDER: list[tuple[str, Hour, dict[str, Any], FileFacts, HourState, str]] = [
    ("never listed", OLD, {}, FileFacts(), HourState.PENDING, "not listed yet"),
    ("shown too early", OLD, {"listed_at": NOW, "offered": 1}, ARCHIVED, HourState.PENDING, "listed only before"),
    ("unproven", OLD, {"listed_at": NOW, "blanks": 2}, FileFacts(), HourState.PENDING, "no listing proves it"),
    ("blank once", OLD, BLANK | {"blanks": 1}, FileFacts(), HourState.PENDING, "seen empty once"),
    ("files to fetch", OLD, SHOWN, MISSING, HourState.PENDING, "2 file(s) still to fetch"),
    ("file fails", OLD, SHOWN, FAILING, HourState.FAILED, "1 file(s) cannot be fetched; 7: url_refused"),
    ("listing fails", OLD, {"failure": "HTTP 503"}, FileFacts(), HourState.FAILED, "HTTP 503"),
    ("listing fails, files too", OLD, SHOWN | {"failure": "HTTP 503"}, FAILING, HourState.FAILED, "HTTP 503"),
    ("all archived", OLD, SHOWN, ARCHIVED, HourState.COMPLETE, "listed after it settled"),
    ("archived, then withdrawn", OLD, BLANK, ARCHIVED, HourState.COMPLETE, "listed after it settled"),
    ("blank twice", OLD, BLANK, FileFacts(), HourState.EMPTY, "no row in two"),
    ("too young to tell", RECENT, {}, FileFacts(), HourState.OPEN, "closed so recently"),
    ("young, failing", RECENT, {"failure": "HTTP 503"}, FAILING, HourState.OPEN, "closed so recently"),
    ("lost", OLD, LOST, FAILING, HourState.LOST, "gone"),
    ("lost, failing", OLD, LOST | {"failure": "HTTP 503"}, FAILING, HourState.LOST, "gone"),
    ("lost, young", RECENT, LOST, FileFacts(), HourState.LOST, "gone"),
    ("acknowledged", OLD, ACKED, FAILING, HourState.ACKNOWLEDGED, "gone; acknowledged by ops: known"),
    ("acknowledged without a loss", OLD, SHOWN | {"acked_at": NOW}, ARCHIVED, HourState.COMPLETE, "listed after"),
]


@pytest.mark.parametrize(
    ("hour", "record", "files", "state", "reason"), [row[1:] for row in LADDER], ids=[row[0] for row in LADDER]
)
def test_the_first_state_of_the_ladder_that_fits_wins(
    hour: Hour, record: dict[str, Any], files: FileFacts, state: HourState, reason: str
) -> None:
    judged = judge(HourRecord(hour, **record), files, ACCOUNT, NOW, SETTLE)
    assert judged.state is state
    assert judged.reason.startswith(reason)


def test_every_state_is_reached() -> None:
    assert {row[4] for row in LADDER} == set(HourState)


@pytest.mark.parametrize(("minutes", "state"), [(0, HourState.OPEN), (119, HourState.OPEN), (120, HourState.PENDING)])
def test_an_hour_is_open_until_it_has_settled(minutes: int, state: HourState) -> None:
    now = OLD.end + timedelta(minutes=minutes)
    assert judge(HourRecord(OLD), FileFacts(), ACCOUNT, now, SETTLE).state is state


@pytest.mark.parametrize("row", LADDER, ids=[row[0] for row in LADDER])
def test_an_accounts_trouble_stands_in_for_the_reason_of_what_is_pending_and_of_nothing_else(row: Any) -> None:
    _, hour, record, files, state, reason = row
    judged = judge(HourRecord(hour, **record), files, replace(ACCOUNT, trouble=TROUBLE), NOW, SETTLE)
    if state is HourState.PENDING:
        assert (judged.state, judged.reason) == (HourState.FAILED, "no connection")
    else:
        assert judged.state is state
        assert judged.reason.startswith(reason)


# --- which hours


def test_the_ledger_holds_every_closed_watched_hour_whether_anything_is_on_record_of_it_or_not() -> None:
    assert watched_hours(ACCOUNT, NOW, {}) == [FIRST + i for i in range(100)]


def test_hours_judged_for_good_leave_the_ledger_unless_they_were_lost() -> None:
    account = replace(ACCOUNT, judged_to=THIS + -3)
    records = {
        OLD: HourRecord(OLD, **LOST),
        OLD + 1: HourRecord(OLD + 1, **SHOWN),
        OLD + 2: HourRecord(OLD + 2, **ACKED),
    }
    assert watched_hours(account, NOW, records) == [OLD, OLD + 2, THIS + -3, THIS + -2, THIS + -1]


def test_the_hour_on_the_edge_of_the_first_watch_counts_only_while_it_has_files_and_is_young() -> None:
    edge = FIRST + -1
    assert watched_hours(ACCOUNT, NOW, {edge: HourRecord(edge, **SHOWN)})[0] == edge
    assert watched_hours(ACCOUNT, NOW, {edge: HourRecord(edge, **BLANK)})[0] == FIRST
    grown = replace(ACCOUNT, judged_to=FIRST + 1)
    assert watched_hours(grown, NOW, {edge: HourRecord(edge, **SHOWN)})[0] == FIRST + 1


def test_an_hour_that_is_still_running_is_in_no_ledger() -> None:
    records = {THIS: HourRecord(THIS, **SHOWN), THIS + 9: HourRecord(THIS + 9, **SHOWN)}
    ledger = assess(ACCOUNT, records, {}, now=NOW, settle=SETTLE)
    assert ledger[-1].hour == THIS + -1


def test_the_first_hour_ever_answered_for_lies_wholly_within_what_the_vendor_offers() -> None:
    first = first_watched(NOW)
    assert first.start >= NOW - RETENTION > (first + -1).start


# --- losses

GONE = OLD.end + RETENTION
LOSSES: list[tuple[str, dict[str, Any], FileFacts, timedelta, bool]] = [
    ("never listed, in the grace", {}, FileFacts(), timedelta(hours=23), False),
    ("never listed, past the grace", {}, FileFacts(), GRACE, True),
    ("refused since", {"refused_at": GONE, "failure": "no"}, FileFacts(), timedelta(), True),
    ("refused before", {"refused_at": GONE - GRACE, "failure": "no"}, FileFacts(), timedelta(), False),
    ("refused too early", {"refused_at": GONE, "failure": "no"}, FileFacts(), -timedelta(seconds=1), False),
    ("withdrawn since", SHOWN | {"offered": 0, "attested_at": GONE}, FAILING, timedelta(), True),
    ("withdrawn before", SHOWN | {"offered": 0, "attested_at": GONE - GRACE}, FAILING, timedelta(), False),
    ("failing, still offered", SHOWN | {"attested_at": GONE}, FAILING, timedelta(), False),
    ("failing, past the grace", SHOWN | {"attested_at": GONE}, FAILING, GRACE, True),
    ("complete", SHOWN, ARCHIVED, GRACE, False),
    ("empty", BLANK, FileFacts(), GRACE, False),
    ("lost already", LOST, FileFacts(), GRACE, False),
    ("acknowledged already", ACKED, FileFacts(), GRACE, False),
]


@pytest.mark.parametrize(
    ("record", "files", "after", "lost"), [row[1:] for row in LOSSES], ids=[row[0] for row in LOSSES]
)
def test_when_an_hour_is_given_up(record: dict[str, Any], files: FileFacts, after: timedelta, lost: bool) -> None:
    now = GONE + after
    judged = judge(HourRecord(OLD, **record), files, ACCOUNT, now, SETTLE)
    given_up = losses([judged], now, 0.0)
    assert [r.hour for r in given_up] == ([OLD] if lost else [])
    for gone in given_up:
        assert gone.lost_at == now
        assert gone.lost_reason == f"the vendor deleted it before it could be kept: {judged.reason}"


@pytest.mark.parametrize(
    ("skew_s", "judges"), [(None, False), (0.0, True), (299.0, True), (-300.0, True), (301.0, False)]
)
def test_nothing_is_given_up_while_the_clock_is_in_doubt(skew_s: float | None, judges: bool) -> None:
    now = GONE + GRACE
    assert bool(losses([judge(HourRecord(OLD), FileFacts(), ACCOUNT, now, SETTLE)], now, skew_s)) is judges


moments = st.none() | st.just(NOW)
records = st.builds(
    HourRecord,
    hour=st.just(OLD),
    listed_at=moments,
    attested_at=moments,
    blanks=st.integers(0, 2),
    offered=st.integers(0, 2),
    failure=st.sampled_from(["", "HTTP 503"]),
    refused_at=moments,
    lost_at=moments,
    acked_at=moments,
)
facts = st.builds(
    lambda archived, missing, failures: FileFacts(archived, missing + failures, (failing(),) * failures),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 2),
)


@settings(deadline=None)
@given(records, facts, st.booleans())
def test_an_hour_is_well_only_on_evidence_and_with_nothing_missing(
    record: HourRecord, files: FileFacts, troubled: bool
) -> None:
    """Whatever is on record: complete and empty need a proof, and no file and no failure may be outstanding."""
    account = replace(ACCOUNT, trouble=TROUBLE) if troubled else ACCOUNT
    state = judge(record, files, account, NOW, SETTLE).state
    if state in (HourState.COMPLETE, HourState.EMPTY):
        assert record.attested_at is not None
        assert (files.missing, record.failure, record.lost_at) == (0, "", None)
        assert (state is HourState.EMPTY) == (not record.offered and not files.archived)
    if state is HourState.EMPTY:
        assert record.blanks == 2
    assert (state in (HourState.LOST, HourState.ACKNOWLEDGED)) == (record.lost_at is not None)


@settings(deadline=None)
@given(records, facts, st.floats(-10, 40), st.floats(-600, 600))
def test_what_is_given_up_was_missing_is_old_and_is_judged_by_a_sure_clock(
    record: HourRecord, files: FileFacts, days_after: float, skew_s: float
) -> None:
    now = GONE + timedelta(days=days_after)
    judged = judge(record, files, ACCOUNT, now, SETTLE)
    given_up = losses([judged], now, skew_s)
    if given_up:
        assert now >= GONE
        assert abs(skew_s) <= CLOCK_TOLERANCE.total_seconds()
        assert judged.state in (HourState.PENDING, HourState.FAILED)
        after = judge(given_up[0], files, ACCOUNT, now, SETTLE)
        assert after.state in (HourState.LOST, HourState.ACKNOWLEDGED)
        assert losses([after], now, skew_s) == [], "once"
