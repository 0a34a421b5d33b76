from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.files.plan import Policy, cover
from logkeep.model import Hour, HourState, Span

from planning_world import POLICY, Vendor, World

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
THIS = Hour.of(NOW)
HOUR = timedelta(hours=1)


def busy(vendor: Vendor, hours: range, files_per_hour: int = 3) -> None:
    for back in hours:
        hour = THIS + -back
        for i in range(files_per_hour):
            vendor.publish(hour, f"{hour}-{i}", hour.end)


def unsettled(world: World, now: datetime) -> list[str]:
    fine = (HourState.OPEN, HourState.COMPLETE, HourState.EMPTY)
    return [f"{j.hour} {j.state} {j.reason}" for j in world.ledger(now) if j.state not in fine]


def test_first_start_of_a_busy_account_lists_thirty_days_in_at_most_eighty_requests() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    calls = world.run_pass(NOW)
    assert len(world.archived) == 720 * 3
    assert unsettled(world, NOW) == []
    assert calls <= 79  # and one for the token


def test_steady_state_of_a_busy_account_takes_at_most_six_requests_a_poll() -> None:
    vendor = Vendor()
    busy(vendor, range(-60, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    for hour in range(1, 25):
        now = NOW + hour * HOUR
        assert world.run_pass(now, sweep_since=NOW - HOUR) <= 6
        assert unsettled(world, now) == []


def test_an_hour_that_falls_silent_costs_one_more_request_when_it_settles() -> None:
    vendor = Vendor()
    busy(vendor, range(4, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    for hour in range(1, 10):
        now = NOW + hour * HOUR
        assert world.run_pass(now, sweep_since=NOW - HOUR) <= 6
        assert unsettled(world, now) == []


def test_a_second_pass_at_the_same_moment_asks_nothing() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 100, 7))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    assert world.plan(NOW, NOW, NOW - HOUR) == []


def test_an_account_without_any_traffic_is_proven_empty_hour_by_hour() -> None:
    world = World.begin(Vendor(), NOW)
    calls = world.run_pass(NOW)
    assert {j.state for j in world.ledger(NOW)} == {HourState.OPEN, HourState.EMPTY}
    assert calls <= 800


def test_nights_without_traffic_are_proven_by_shifted_spans_not_one_by_one() -> None:
    vendor = Vendor()
    for back in range(1, 721):
        hour = THIS + -back
        if 9 <= hour.start.hour < 18:
            vendor.publish(hour, f"{hour}", hour.end)
    world = World.begin(vendor, NOW)
    calls = world.run_pass(NOW)
    assert unsettled(world, NOW) == []
    assert calls <= 160


def test_what_expires_soonest_is_asked_first() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    spans = [ask.span for ask in world.plan(NOW, NOW, NOW)]
    assert spans == sorted(spans)
    assert spans[-1] == Span(THIS + -1, THIS + -1), "the newest closed hour is asked alone"


def test_span_hours_of_one_asks_strictly_hour_by_hour() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 30, 2))
    world = World.begin(vendor, NOW, Policy(POLICY.settle, POLICY.lookback, 1))
    world.run_pass(NOW)
    assert {len(ask.span) for ask in world.asked} == {1}
    assert unsettled(world, NOW) == []


def test_a_file_that_appears_a_day_late_is_seen_by_the_look_back_and_its_lateness_recorded() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    late = THIS + -24
    vendor.publish(late, "late", NOW + HOUR)
    world.run_pass(NOW + HOUR)
    assert "late" in world.archived
    assert world.hours[late].lateness_s == (NOW + HOUR - late.end).total_seconds()


def test_a_file_that_appears_weeks_late_is_seen_by_the_sweep() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    vendor.publish(THIS + -400, "late", NOW + HOUR)
    world.run_pass(NOW + HOUR)
    assert "late" not in world.archived
    world.run_pass(NOW + 2 * HOUR, sweep_since=NOW + HOUR)
    assert "late" in world.archived


def test_a_withdrawn_file_is_recorded_as_the_vendors_mutation_and_its_hour_stays_complete() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 100))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    hour = THIS + -20
    vendor.files[hour].clear()
    world.run_pass(NOW + HOUR)
    assert all(world.files[f"{hour}-{i}"].withdrawn_at == NOW + HOUR for i in range(3))
    assert unsettled(world, NOW + HOUR) == []


@pytest.mark.parametrize("refuses_beyond", [1, 5, 23])
def test_a_vendor_that_refuses_long_spans_is_asked_shorter_ones(refuses_beyond: int) -> None:
    vendor = Vendor(refuses_beyond=refuses_beyond)
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    assert len(world.archived) == 720 * 3
    assert unsettled(world, NOW) == []


def test_a_vendor_that_refuses_the_hour_on_the_edge_of_its_window_spoils_nothing_else() -> None:
    vendor = Vendor(refuses_older=True)
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    calls = world.run_pass(NOW)
    assert len(world.archived) == 719 * 3
    assert unsettled(world, NOW) == []
    assert calls <= 79


def test_an_outage_of_five_months_is_judged_in_one_step_and_named_once() -> None:
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    world.run_pass(NOW)
    later = NOW + timedelta(days=150)
    world.run_pass(later)
    world.judge(later)
    ledger = world.ledger(later)
    lost = [j.hour for j in ledger if j.state is HourState.LOST]
    # hours that closed after the first pass (or had not settled then) and left the vendor's window and grace since
    assert lost == [Hour(i) for i in range((THIS + -2).index, (Hour.of(later) + -744).index)]
    young = [j.state for j in ledger if j.hour >= Hour.of(later) + -719]
    assert set(young) == {HourState.OPEN, HourState.EMPTY}


def test_a_blank_look_at_an_hour_that_may_be_deleted_already_is_no_proof_that_it_was_empty() -> None:
    """Between 30 and 31 days after an hour an outage ends: the vendor shows nothing, and nothing is claimed of it."""
    vendor = Vendor()
    busy(vendor, range(1, 721))
    world = World.begin(vendor, NOW)
    world.account = replace(world.account, watched_from=THIS + -760, judged_to=THIS + -760)
    world.run_pass(NOW)
    late = [j for j in world.ledger(NOW) if j.hour.end <= NOW - timedelta(days=30)]
    assert {j.state for j in late} == {HourState.PENDING}
    assert "may have deleted it" in late[-1].reason
    next_day = NOW + timedelta(hours=26)
    world.run_pass(next_day)
    world.judge(next_day)
    assert {j.state for j in world.ledger(next_day) if j.hour.end <= NOW - timedelta(days=30)} == {HourState.LOST}


def test_a_clock_in_doubt_never_declares_an_hour_lost() -> None:
    world = World.begin(Vendor(), NOW)
    later = NOW + timedelta(days=40)
    world.account = replace(world.account, skew_s=600.0)
    world.judge(later)
    assert not any(j.state is HourState.LOST for j in world.ledger(later))


hours_back = st.integers(1, 719)


@settings(max_examples=8, deadline=None)
@given(
    traffic=st.sets(hours_back, max_size=60),
    clamp=st.sampled_from([None, 1, 3, 10]),
    keeps_last=st.booleans(),
    refuses=st.sampled_from([None, 1, 2, 7]),
    inclusive=st.booleans(),
    span_hours=st.sampled_from([1, 2, 24, 48]),
    late=st.dictionaries(st.integers(60, 550), st.integers(1, 90), max_size=6),
)
def test_whatever_the_vendor_does_to_spans_every_file_offered_is_listed(
    *,
    traffic: set[int],
    clamp: int | None,
    keeps_last: bool,
    refuses: int | None,
    inclusive: bool,
    span_hours: int,
    late: dict[int, int],
) -> None:
    """Passes every third day until every late file had its last look: nothing the vendor offered is missing."""
    vendor = Vendor(
        clamp_hours=clamp,
        clamp_keeps_last=keeps_last and not inclusive,
        refuses_beyond=refuses,
        end_inclusive=inclusive,
    )
    for back in traffic:
        vendor.publish(THIS + -back, f"f{back}", (THIS + -back).end)
    world = World.begin(vendor, NOW, Policy(POLICY.settle, POLICY.lookback, span_hours))
    world.run_pass(NOW)
    settled = {file for file, hour in vendor.offered(NOW).items() if hour.end + POLICY.settle <= NOW}
    assert settled <= world.archived
    assert unsettled(world, NOW) == []
    for back, days in late.items():
        vendor.publish(THIS + -back, f"late{back}", NOW + timedelta(days=min(days, 24 - back // 24)))
    for day in range(1, 31, 3):
        now = NOW + timedelta(days=day)
        world.run_pass(now, sweep_since=now - timedelta(hours=12))
        world.judge(now)
    assert {f for hour in vendor.files.values() for f in hour} <= world.archived
    assert not any(j.state is HourState.LOST for j in world.ledger(NOW + timedelta(days=30)))


@given(
    st.sets(st.integers(0, 200)),
    st.integers(1, 30),
    st.sets(st.integers(0, 200), max_size=10),
    st.integers(1, 30),
)
def test_covering_spans_hold_every_hour_once_and_no_wall(
    hours: set[int], limit: int, walls: set[int], first: int
) -> None:
    spans = cover(map(Hour, hours), limit, map(Hour, walls), first_length=min(first, limit))
    covered = [hour.index for span in spans for hour in span]
    assert hours - walls <= set(covered)
    assert len(covered) == len(set(covered))
    assert not walls & set(covered)
    assert all(len(span) <= limit for span in spans)
