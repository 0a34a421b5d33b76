"""What a listing proves, what it changes, and what it leaves alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.catalog.records import FileRecord, HourRecord
from logkeep.files.evidence import UNREADABLE, Listing, absorb, contradicted, fail, glimpse, proves
from logkeep.files.ledger import NO_FILES, attested
from logkeep.files.rows import WITHDRAWN
from logkeep.model import Hour, ListedFile, SignedUrl, Span

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
THIS = Hour.of(NOW)
SETTLE = timedelta(hours=2)
H = [THIS + -30 + i for i in range(12)]
"""Twelve hours in a row, settled long ago."""


def row(file_id: str, hour: Hour | None, *, name: str = "x.gz", size: int | None = 10) -> ListedFile:
    return ListedFile(file_id, name, size, hour, SignedUrl("https://cdn.example/x"))


def listing(
    first: Hour, last: Hour, *rows: ListedFile, now: datetime = NOW, unreadable: tuple[str, ...] = ()
) -> Listing:
    return Listing(Span(first, last), now, rows, unreadable)


def known_file(file_id: str, hour: Hour | None, **more: Any) -> FileRecord:
    seen = hour or H[0]
    return replace(FileRecord(file_id, "x.gz", 10, hour, Span(seen, seen), NOW, NOW), **more)


def taken(made: Listing, hours: list[HourRecord], files: list[FileRecord], **how: Any) -> Any:
    by_hour, by_id = {r.hour: r for r in hours}, {f.file_id: f for f in files}
    return absorb(made, by_hour, by_id, now=NOW, settle=how.pop("settle", SETTLE), **how)


def hour_of(changes: Any, hour: Hour) -> HourRecord:
    (record,) = (r for r in changes.hours if r.hour == hour)
    assert isinstance(record, HourRecord)
    return record


def file_of(changes: Any, file_id: str) -> FileRecord:
    (record,) = (f for f in changes.files if f.file_id == file_id)
    assert isinstance(record, FileRecord)
    return record


# --- proof


@pytest.mark.parametrize(
    ("first", "last", "shown", "hour", "proven"),
    [
        (3, 3, [], 3, True),
        (3, 3, [3], 3, True),
        (3, 5, [4], 4, True),
        (3, 5, [3, 5], 4, True),
        (3, 5, [], 4, False),
        (3, 5, [3], 4, False),
        (3, 5, [5], 4, False),
        (3, 5, [4], 3, False),
        (3, 5, [3, 5], 6, False),
        (3, 5, [3, 6], 5, True),
        (3, 5, [3, 9], 5, False),
        (3, 5, [0, 5], 3, False),
    ],
)
def test_an_hour_is_proven_alone_or_by_its_own_row_or_from_both_sides(
    first: int, last: int, shown: list[int], hour: int, proven: bool
) -> None:
    """Rows far outside the span are no side: whoever labels rows so may label anything so."""
    assert proves(Span(H[first], H[last]), frozenset(H[i] for i in shown), H[hour]) is proven


@settings(deadline=None)
@given(
    first=st.integers(0, 8),
    length=st.integers(1, 12),
    traffic=st.sets(st.integers(0, 20)),
    kept=st.integers(1, 12),
    keeps_last=st.booleans(),
    inclusive=st.booleans(),
)
def test_no_server_that_answers_only_one_end_of_a_span_makes_an_unseen_hour_proven(
    *, first: int, length: int, traffic: set[int], kept: int, keeps_last: bool, inclusive: bool
) -> None:
    span = Span(Hour(first), Hour(first + length - 1))
    asked = [*range(first, first + length + inclusive)]
    answered = asked[-kept:] if keeps_last else asked[:kept]
    shown = frozenset(Hour(i) for i in traffic if i in answered)
    if length > 1:
        assert all(hour.index in answered for hour in span if proves(span, shown, hour))


# --- hours


def test_an_hour_shown_after_it_settled_is_attested_and_before_only_listed() -> None:
    settled, open_still = H[0], THIS + -1
    changes = taken(listing(settled, settled, row("1", settled)), [], [])
    assert hour_of(changes, settled).attested_at == NOW
    changes = taken(listing(open_still, open_still, row("1", open_still)), [], [])
    assert (hour_of(changes, open_still).listed_at, hour_of(changes, open_still).attested_at) == (NOW, None)


def test_it_is_the_vendors_clock_that_says_whether_an_hour_has_settled() -> None:
    hour = THIS + -40
    early = taken(listing(hour, hour, now=hour.end + SETTLE - timedelta(seconds=1)), [], [])
    assert (hour_of(early, hour).attested_at, hour_of(early, hour).blanks) == (None, 0)
    late = taken(listing(hour, hour, now=hour.end + SETTLE), [], [])
    assert (hour_of(late, hour).attested_at, hour_of(late, hour).blanks) == (NOW, 1)


def test_two_blank_looks_of_different_spans_make_an_hour_empty_and_the_same_span_twice_does_not() -> None:
    once = hour_of(taken(listing(H[3], H[3]), [], []), H[3])
    again = hour_of(taken(listing(H[3], H[3]), [once], []), H[3])
    assert not attested(again, NO_FILES)
    other = hour_of(taken(listing(H[3], H[4]), [once], []), H[3])
    assert (other.blanks, attested(other, NO_FILES)) == (2, True)
    alone = hour_of(taken(listing(H[3], H[3]), [once], [], hour_by_hour=True), H[3])
    assert attested(alone, NO_FILES), "asked strictly hour by hour, a second time serves"


def test_two_blank_looks_none_of_which_proves_anything_do_not_make_an_hour_empty() -> None:
    once = hour_of(taken(listing(H[3], H[6]), [], []), H[3])
    twice = hour_of(taken(listing(H[2], H[6]), [once], []), H[3])
    assert (twice.blanks, attested(twice, NO_FILES)) == (2, False)


def test_a_row_of_an_hour_that_seemed_empty_begins_its_count_anew() -> None:
    empty = HourRecord(H[3], NOW, NOW, blanks=2, blank_span=Span(H[3], H[3]))
    changes = taken(listing(H[3], H[3], row("1", H[3])), [empty], [])
    record = hour_of(changes, H[3])
    assert (record.blanks, record.blank_span, record.offered) == (0, None, 1)
    assert [m.kind for m in changes.mutations] == ["late"]


def test_a_listing_that_hides_known_rows_counts_for_nothing_where_it_proves_nothing() -> None:
    """The server answers less than it was asked: the blank hours beside the hidden ones were not looked at either."""
    known = HourRecord(H[5], NOW - SETTLE, NOW - SETTLE, offered=2)
    made = listing(H[3], H[6], row("1", H[3]))
    assert contradicted(made, {H[5]: known})
    changes = taken(made, [known], [])
    assert hour_of(changes, H[5]) == known
    assert hour_of(changes, H[4]) == HourRecord(H[4])
    assert hour_of(changes, H[3]).attested_at == NOW


def test_an_hour_whose_known_rows_are_provably_gone_is_no_contradiction() -> None:
    known = HourRecord(H[4], NOW, NOW, offered=2)
    made = listing(H[3], H[5], row("1", H[3]), row("2", H[5]))
    assert not contradicted(made, {H[4]: known})
    assert hour_of(taken(made, [known], []), H[4]).offered == 0


def test_an_unreadable_row_fails_every_hour_of_its_span_and_is_kept() -> None:
    made = listing(H[3], H[4], row("1", H[3]), unreadable=('{"x":1}',))
    complete = HourRecord(H[4], NOW, NOW, offered=1)
    changes = taken(made, [complete], [known_file("2", H[4])])
    assert {(r.failure, r.ask_alone) for r in changes.hours} == {(UNREADABLE, True)}
    assert changes.unreadable == ('{"x":1}',)
    assert [f.file_id for f in changes.files] == ["1"], "the other may be the one whose id cannot be read"


def test_a_failure_that_is_the_hours_own_ends_only_with_a_listing_that_proves_it() -> None:
    failed = HourRecord(H[4], failure=UNREADABLE, failed_at=NOW, ask_alone=True)
    beside = hour_of(taken(listing(H[3], H[5], row("1", H[3])), [failed], []), H[4])
    assert (beside.failure, beside.ask_alone) == (UNREADABLE, True)
    alone = hour_of(taken(listing(H[4], H[4]), [failed], []), H[4])
    assert (alone.failure, alone.ask_alone, alone.failed_at) == ("", False, None)


def test_a_failure_that_was_anybodys_ends_with_any_listing_that_covers_the_hour() -> None:
    failed = HourRecord(H[4], failure="HTTP 503", failed_at=NOW)
    assert hour_of(taken(listing(H[3], H[5]), [failed], []), H[4]).failure == ""


@pytest.mark.parametrize("acked", [False, True])
def test_a_lost_hour_that_is_shown_again_is_open_to_judgement_with_all_that_was_lost_with_it(acked: bool) -> None:
    lost = HourRecord(H[3], lost_at=NOW, lost_reason="gone", acked_at=NOW if acked else None, acked_by="ops")
    both = [known_file("1", H[3], lost_at=NOW), known_file("2", H[3], lost_at=NOW)]
    changes = taken(listing(H[3], H[3], row("1", H[3])), [lost], both)
    record = hour_of(changes, H[3])
    assert (record.lost_at, record.lost_reason, record.acked_at, record.acked_by) == (None, "", None, "")
    assert file_of(changes, "1").lost_at is None
    assert (file_of(changes, "2").lost_at, file_of(changes, "2").failure) == (None, WITHDRAWN)


def test_a_lost_hour_that_a_listing_shows_blank_stays_lost() -> None:
    lost = HourRecord(H[3], lost_at=NOW, lost_reason="gone")
    assert hour_of(taken(listing(H[3], H[3]), [lost], []), H[3]).lost_at == NOW


def test_an_hour_that_no_ledger_holds_any_more_stays_lost_although_a_row_claims_it() -> None:
    """What else it held is gone for good; the row's own file is kept account of by itself."""
    ancient = THIS + -24 * 60
    lost = HourRecord(ancient, lost_at=NOW, lost_reason="gone")
    changes = taken(listing(H[3], H[3], row("1", ancient)), [lost], [])
    assert hour_of(changes, ancient).lost_at == NOW
    assert file_of(changes, "1").hour is None


def test_a_blank_look_at_an_hour_that_may_be_deleted_already_is_none() -> None:
    old = THIS + -24 * 30
    changes = taken(listing(old, old), [], [])
    assert (hour_of(changes, old).blanks, hour_of(changes, old).attested_at) == (0, None)


def test_lateness_is_told_of_a_new_row_where_an_earlier_listing_lacked_it_and_the_longest_is_kept() -> None:
    before = HourRecord(H[3], NOW, NOW, offered=1, lateness_s=5.0)
    changes = taken(listing(H[3], H[3], row("1", H[3])), [before], [])
    expected = (NOW - H[3].end).total_seconds()
    assert (changes.lateness_s, hour_of(changes, H[3]).lateness_s) == (expected, expected)
    assert taken(listing(H[3], H[3], row("1", H[3])), [], []).lateness_s is None, "a first sight is not late"


# --- files


def test_a_new_row_is_wanted_under_its_hour_wherever_it_was_shown() -> None:
    changes = taken(listing(H[3], H[3], row("1", H[5])), [], [])
    file = file_of(changes, "1")
    assert (file.hour, file.wanted, file.seen_in) == (H[5], True, Span(H[3], H[3]))
    assert hour_of(changes, H[5]).offered == 1


@pytest.mark.parametrize("hour", [THIS + 1, THIS + (-24 * 31 - 1), THIS + 24 * 365], ids=["next", "old", "far"])
def test_a_row_that_claims_an_hour_no_ledger_holds_is_booked_as_of_unknown_hour_and_says_so_once(hour: Hour) -> None:
    first = taken(listing(H[3], H[3], row("1", hour)), [], [])
    assert file_of(first, "1").hour is None
    again = taken(listing(H[3], H[3], row("1", hour)), [], [file_of(first, "1")])
    assert (file_of(again, "1").hour, again.mutations) == (None, ())


def test_a_known_files_hour_stays_booked_while_it_leaves_the_window() -> None:
    old = THIS + (-24 * 31 - 5)
    assert file_of(taken(listing(old, old, row("1", old)), [], [known_file("1", old)]), "1").hour == old


@pytest.mark.parametrize(
    ("before", "now", "kinds", "wanted"),
    [
        ({}, {}, [], False),
        ({}, {"size": 11}, ["resized"], True),
        ({}, {"size": None}, [], False),
        ({}, {"name": "y.gz"}, ["renamed"], False),
        ({}, {"hour": H[4]}, ["moved"], False),
        ({}, {"hour": None}, ["moved"], False),
        ({"withdrawn_at": NOW, "failure": WITHDRAWN}, {}, ["returned"], False),
        ({"versions": 0, "wanted": True}, {"size": 11}, [], True),
        ({"lost_at": NOW, "wanted": True, "versions": 0, "acked_at": NOW}, {}, [], True),
    ],
)
def test_what_a_row_tells_about_a_file_that_is_archived(
    before: dict[str, Any], now: dict[str, Any], kinds: list[str], wanted: bool
) -> None:
    file = known_file("1", H[3], **{"wanted": False, "versions": 1, **before})
    changes = taken(listing(H[3], H[4], row("1", now.pop("hour", H[3]), **now)), [], [file])
    assert [m.kind for m in changes.mutations] == kinds
    seen = file_of(changes, "1")
    assert (seen.wanted, seen.withdrawn_at, seen.lost_at, seen.acked_at, seen.failure) == (wanted, None, None, None, "")


def test_a_file_that_is_provably_no_longer_offered_is_withdrawn_once() -> None:
    first = taken(listing(H[3], H[3]), [], [known_file("1", H[3], wanted=False, versions=1)])
    assert (file_of(first, "1").withdrawn_at, [m.kind for m in first.mutations]) == (NOW, ["withdrawn"])
    again = taken(listing(H[3], H[3]), [], [file_of(first, "1")])
    assert (again.files, again.mutations) == ((), ())


@pytest.mark.parametrize(("wanted", "told"), [(False, []), (True, ["withdrawn"])])
def test_a_file_whose_time_is_over_is_withdrawn_only_where_it_is_still_missing(wanted: bool, told: list[str]) -> None:
    old = THIS + -24 * 30
    changes = taken(listing(old, old), [], [known_file("1", old, wanted=wanted)])
    assert [m.kind for m in changes.mutations] == told


def test_a_file_of_an_hour_that_the_listing_does_not_prove_is_left_alone() -> None:
    assert taken(listing(H[3], H[5], row("2", H[3])), [], [known_file("1", H[4])]).files[1:] == ()


def test_a_walk_that_broke_off_makes_its_rows_known_and_proves_nothing() -> None:
    made = listing(H[3], H[3], row("1", H[3]), unreadable=("{}",))
    changes = glimpse(made, {"2": known_file("2", H[3])}, now=NOW)
    assert [f.file_id for f in changes.files] == ["1"]
    assert (changes.hours, changes.unreadable) == ((), ("{}",))


hours = st.sampled_from(H[:6])
rows = st.builds(
    lambda file_id, hour, name, size: row(file_id, hour, name=name, size=size),
    st.sampled_from("123456"),
    st.none() | hours | st.sampled_from([THIS + 50, THIS + -24 * 40]),
    st.sampled_from(["x.gz", "y.gz"]),
    st.none() | st.integers(1, 3),
)
walks = st.builds(
    lambda ends, listed, unreadable: Listing(Span(min(ends), max(ends)), NOW, tuple(listed), tuple(unreadable)),
    st.tuples(hours, hours),
    st.lists(rows, max_size=6),
    st.lists(st.just("{}"), max_size=1),
)


@settings(deadline=None)
@given(st.lists(walks, min_size=1, max_size=6))
def test_no_row_is_ever_dropped_and_the_same_listing_twice_tells_nothing_new(made: list[Listing]) -> None:
    """Through any sequence of listings: each id is on record and wanted until archived; a repetition is no mutation."""
    hour_records: dict[Hour, HourRecord] = {}
    file_records: dict[str, FileRecord] = {}
    for one in made:
        for repetition in (False, True):
            changes = absorb(one, hour_records, file_records, now=NOW, settle=SETTLE)
            assert not (repetition and changes.mutations)
            assert {row.file_id for row in one.rows} <= {file.file_id for file in changes.files}
            assert len({f.file_id for f in changes.files}) == len(changes.files), "one record of each file"
            assert {r.hour for r in changes.hours} >= set(one.span)
            hour_records.update((r.hour, r) for r in changes.hours)
            file_records.update((f.file_id, f) for f in changes.files)
    seen = {row.file_id for one in made for row in one.rows}
    assert set(file_records) == seen
    assert all(file.wanted for file in file_records.values())


@settings(deadline=None)
@given(st.lists(walks, max_size=8), hours)
def test_an_hour_is_taken_for_empty_only_after_two_blank_looks_one_of_which_was_proof(
    made: list[Listing], hour: Hour
) -> None:
    records: dict[Hour, HourRecord] = {}
    for one in made:
        records.update((r.hour, r) for r in absorb(one, records, {}, now=NOW, settle=SETTLE).hours)
    record = records.get(hour, HourRecord(hour))
    if attested(record, NO_FILES) and not record.offered:
        blank = [one for one in made if hour in one.span and hour not in one.shown and not one.unreadable]
        assert len({one.span for one in blank}) >= 2
        assert any(proves(one.span, one.shown, hour) for one in blank)


# --- failures


@pytest.mark.parametrize(
    ("record", "how", "failure", "ask_alone"),
    [
        (HourRecord(H[3]), {}, "no", False),
        (HourRecord(H[3]), {"alone": True}, "no", True),
        (HourRecord(H[3]), {"own": True}, "no", True),
        (HourRecord(H[3]), {"refused": True}, "no", True),
        (HourRecord(H[3], attested_at=NOW), {"own": True}, "no", True),
        (HourRecord(H[3], attested_at=NOW), {"alone": True}, "", True),
        (HourRecord(H[3], attested_at=NOW), {"refused": True}, "", True),
    ],
)
def test_whom_a_failed_listing_is_blamed_on(record: HourRecord, how: Any, failure: str, ask_alone: bool) -> None:
    (changed,) = fail(Span(H[3], H[3]), {H[3]: record}, "no", now=NOW, **how)
    assert (changed.failure, changed.ask_alone) == (failure, ask_alone)
    assert changed.failed_at == (NOW if failure else None)
    assert changed.refused_at == (NOW if "refused" in how else None)
    assert changed.attested_at == record.attested_at


@pytest.mark.parametrize(
    ("record", "how"),
    [
        (HourRecord(H[3], attested_at=NOW), {}),
        (HourRecord(H[3], lost_at=NOW), {"own": True}),
        (HourRecord(H[3], lost_at=NOW), {"refused": True}),
    ],
)
def test_what_is_proven_or_lost_already_bears_no_failure(record: HourRecord, how: Any) -> None:
    assert fail(Span(H[3], H[3]), {H[3]: record}, "no", now=NOW, **how) == ()


def test_every_hour_of_the_span_bears_the_failure_known_or_not() -> None:
    failed = fail(Span(H[3], H[6]), {}, "no", now=NOW)
    assert [record.hour for record in failed] == H[3:7]
    assert {record.failure for record in failed} == {"no"}
