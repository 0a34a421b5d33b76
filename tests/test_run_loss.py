"""When something is lost, and when it only seems so: outages, wrong clocks, and a vendor that changes its mind."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from logkeep.cli.gaps import all_gaps
from logkeep.cli.invocation import beside
from logkeep.errors import Unreachable
from logkeep.files.report import Standing
from logkeep.model import Hour, HourState, Span
from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.offered import OMIT, OfferedFile

from archive_world import HOUR, World, reasons, state_of, states, truth, world

DAY = timedelta(days=1)
FINE = {HourState.COMPLETE, HourState.EMPTY, HourState.OPEN}


async def away(w: World, days: float) -> tuple[datetime, list[OfferedFile]]:
    """Archive four hours, then hear nothing for so long; returns when that began, and what is offered by its end.

    A file every sixth hour keeps the listings few: what lies between two files of a span is proven by them.
    """
    w.watched_hours = 4
    w.account.populate(4, 1)
    await w.sync()
    began = w.clock.now()
    w.clock.advance(timedelta(days=days))
    offered = [w.account.publish(w.hour(back)) for back in range(min(int(days * 24), 719), 0, -6)]
    return began, offered


def oldest_only(w: World, *others: Fault, answers: int = 12) -> None:
    """The vendor answers a few listings from now on, which are those of what expires soonest; that saves the time.

    ``others`` are the only faults beside.
    """
    w.cloud.faults.clear()
    w.cloud.faults.add(Fault("list", "code_5113", after=answers, times=None), *others)


def counted(events: Iterable[object], name: str) -> int:
    return sum(isinstance(event, dict) and event["event"] == name for event in events)


def by_state(stands: Standing, *wanted: HourState) -> list[Hour]:
    return [judged.hour for judged in stands.ledger if judged.state in wanted]


# --- an outage


async def test_an_outage_of_forty_days_is_lost_as_one_range_said_once_and_can_be_acknowledged(tmp_path: Path) -> None:
    """What the vendor still offers comes home; what it deleted is named with its reason until somebody vouches."""
    async with world(tmp_path) as w:
        began, offered = await away(w, 40)
        with capture_logs() as events:
            _, stands = await w.sync()
        # the two newest hours of before had not settled; 31 days back, the vendor may still have had it a day longer
        first, last = Hour.of(began) + -2, Hour.of(w.clock.now() - 31 * DAY) + -1
        lost = by_state(stands, HourState.LOST)
        assert (lost[0], lost[-1], len(lost)) == (first, last, last - first + 1)
        assert counted(events, "hours_lost") == 1
        assert set(truth(offered)) <= set(w.digests())
        gaps = [gap for gap in stands.gaps if gap.state == "lost"]
        assert gaps[0].start == first.start
        assert gaps[-1].end == last.end
        assert len(gaps) == 2, "listed once before it settled, and never: two reasons, two ranges"
        assert all(gap.reason.startswith("the vendor deleted it before it could be kept: ") for gap in gaps)
        w.clock.advance(HOUR)
        with capture_logs() as events:
            _, stands = await w.sync()
        assert counted(events, "hours_lost") == 1, "only the hour that left the window since"
        async with w.catalog() as (catalog, account_id):
            done = await catalog.hours.acknowledge(
                account_id, Span(first, last + 1), by="ops", reason="the line was cut", now=w.clock.now()
            )
        assert done == len(lost) + 1
        w.clock.advance(timedelta(minutes=10))
        _, stands = await w.sync()
        assert len(by_state(stands, HourState.ACKNOWLEDGED)) == len(lost) + 1
        assert state_of(stands, first.start)[1].endswith("; acknowledged by ops: the line was cut")
        assert {gap.state for gap in stands.gaps} == {"pending"}, "only hours that the vendor may have deleted already"


async def test_hours_that_the_vendor_deleted_during_an_outage_are_never_taken_for_empty(tmp_path: Path) -> None:
    """Between 30 and 31 days the vendor shows nothing any more: that is no proof, and they are lost a day later."""
    async with world(tmp_path) as w:
        began, _ = await away(w, 30.5)
        oldest_only(w, answers=40)
        _, stands = await w.sync()
        late = [Hour.of(began) + i for i in range(13)]
        assert not {*late} & {*by_state(stands, HourState.EMPTY, HourState.COMPLETE, HourState.LOST)}
        w.clock.advance(DAY + HOUR)
        oldest_only(w)
        _, stands = await w.sync()
        assert set(late) <= set(by_state(stands, HourState.LOST))


async def test_a_file_that_was_listed_but_not_fetched_in_time_is_lost_with_its_hour_and_its_reason(
    tmp_path: Path,
) -> None:
    """Once the vendor no longer offers the missing file there is nothing to wait for: not even the day of grace."""
    async with world(tmp_path) as w:
        w.watched_hours = 4
        hour = w.hour(4)
        kept = w.account.publish(hour)
        missed = w.account.publish(hour)
        broken = Fault("download", "http_500", file_id=missed.file_id, times=None)
        oldest_only(w, broken)
        await w.sync()
        w.clock.advance(30 * DAY - 5 * HOUR)
        oldest_only(w, broken)
        _, stands = await w.sync()
        assert state_of(stands, hour)[0] is HourState.FAILED
        assert [gap.file_id for gap in stands.gaps if gap.file_id] == [str(missed.file_id)]
        w.clock.advance(6 * HOUR)
        oldest_only(w, broken)
        with capture_logs() as events:
            _, stands = await w.sync()
        state, reason = state_of(stands, hour)
        assert state is HourState.LOST
        assert f"{missed.file_id}: the vendor no longer offers it" in reason
        assert counted(events, "hours_lost") >= 1
        assert kept.sha256() in w.digests()


async def test_files_that_vanish_because_their_time_is_over_are_no_news(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        hour = w.hour(4)
        w.account.publish(hour, count=2)
        await w.sync()
        w.clock.advance(30 * DAY - 4 * HOUR)  # the hour has begun more than thirty days ago, and ended less
        w.cloud.reset()
        oldest_only(w)
        with capture_logs() as events:
            _, stands = await w.sync()
        asked = {request.params["startHour"] for request in w.cloud.requests if request.kind == "list"}
        assert str(Hour.of(hour)) in asked
        assert counted(events, "vendor_mutation") == 0
        assert state_of(stands, hour)[0] is HourState.COMPLETE


async def test_an_unreachable_vendor_loses_nothing_in_judgement_until_it_answers(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        began, _ = await away(w, 31.5)
        await w.cloud.stop()
        with capture_logs() as events:
            passing, stands = await w.sync()
        assert isinstance(passing.error, Unreachable)
        assert HourState.LOST not in states(stands)
        assert counted(events, "hours_lost") == 0
        assert state_of(stands, Hour.of(began).start)[0] is HourState.FAILED
        assert all("no connection" in reason for reason in reasons(stands))
        await w.cloud.start()
        w.clock.advance(timedelta(minutes=10))
        oldest_only(w)
        _, stands = await w.sync()
        assert Hour.of(began) in by_state(stands, HourState.LOST)


# --- again on offer


async def test_a_lost_hour_that_a_listing_shows_again_is_reopened_acknowledged_or_not(tmp_path: Path) -> None:
    """The vendor refused it, and the next day it does not: the hour is judged anew, with all its missing files."""
    async with world(tmp_path, refuse_older="error") as w:
        w.watched_hours = 4
        hour = w.hour(4)
        files = w.account.publish(hour, count=2)
        broken = Fault("download", "http_500", times=None)
        oldest_only(w, broken)
        await w.sync()
        w.clock.advance(30 * DAY - 3 * HOUR)
        oldest_only(w, broken)
        _, stands = await w.sync()
        assert state_of(stands, hour)[0] is HourState.LOST
        async with w.catalog() as (catalog, account_id):
            span = Span(Hour.of(hour), Hour.of(hour))
            await catalog.hours.acknowledge(account_id, span, by="ops", reason="gone", now=w.clock.now())
        w.account.withdraw(files[1])
        # shown beside another hour's rows, as by a server that lists more than it is asked for
        beside_it = w.hour(700)
        shown = w.account.publish(
            beside_it, file_id=files[0].file_id, content=files[0].content, overrides={"logTimeRange": _range(hour)}
        )
        w.clock.advance(HOUR)
        oldest_only(w)
        _, stands = await w.sync()
        state, reason = state_of(stands, hour)
        assert shown.sha256() in w.digests()
        assert state in (HourState.FAILED, HourState.LOST), "the other file is still missing"
        assert str(files[1].file_id) in reason
        assert any(gap.start == hour for gap in stands.gaps), "what was acknowledged was something else"


def _range(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H}:00~{hour + HOUR:%H}:00"


# --- clocks


@pytest.mark.parametrize("offset", [timedelta(minutes=6), -timedelta(minutes=6), 3 * DAY, -3 * DAY], ids=str)
async def test_nothing_is_judged_lost_while_the_hosts_clock_and_the_vendors_differ(
    tmp_path: Path, offset: timedelta
) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.account.populate(4, 1)
        await w.sync()
        began = w.clock.now()
        w.clock.advance(40 * DAY)
        w.cloud.date_offset = offset
        w.cloud.faults.add(Fault("list", "code_5113", after=1, times=None))  # one answer is enough for its clock
        with capture_logs() as events:
            _, stands = await w.sync()
        assert HourState.LOST not in states(stands)
        assert counted(events, "hours_lost") == 0
        assert counted(events, "clock_differs") == 1
        assert state_of(stands, Hour.of(began).start)[0] in (HourState.PENDING, HourState.FAILED)
        w.cloud.date_offset = timedelta(minutes=4)
        w.cloud.faults.clear()
        w.cloud.faults.add(Fault("list", "code_5113", after=1, times=None))
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert Hour.of(began) in by_state(stands, HourState.LOST)


@pytest.mark.parametrize("ahead", [12, 48])
async def test_a_host_whose_clock_is_ahead_takes_no_hour_to_come_for_empty(tmp_path: Path, ahead: int) -> None:
    """What has not happened yet is asked for in vain; once the clock is right, all of it is archived."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        past = w.account.populate(8, 1)
        await w.sync()
        vendor_now = w.clock.now()
        w.cloud.now = lambda: vendor_now
        w.clock.advance(ahead * HOUR)
        await w.sync()
        _, stands = await w.sync()
        to_come = [j for j in stands.ledger if j.hour >= Hour.of(vendor_now)]
        assert len(to_come) == ahead
        assert {judged.record.blanks for judged in to_come} == {0}, "a look ahead of time is none"
        assert {judged.state for judged in to_come} <= {HourState.PENDING, HourState.OPEN}
        assert set(truth(past)) == set(w.digests())
        w.cloud.now = w.clock.now
        later = [w.account.publish(w.hour(back)) for back in (5, 8, ahead - 1)]
        _, stands = await w.sync()
        assert set(truth(later)) <= set(w.digests())
        assert stands.gaps == []


async def test_a_host_whose_clock_is_two_days_behind_misses_nothing_of_those_days(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.account.populate(4, 1)
        await w.sync()
        vendor_now = w.clock.now() + 2 * DAY
        w.cloud.now = lambda: vendor_now
        ahead = [w.account.publish(vendor_now - back * HOUR) for back in (1, 3, 20, 47)]
        _, stands = await w.sync()
        assert set(truth(ahead)) <= set(w.digests())
        assert set(states(stands)) <= FINE
        w.cloud.now = w.clock.now
        w.clock.advance(2 * DAY)
        late = w.account.publish(w.hour(10))
        _, stands = await w.sync()
        assert late.sha256() in w.digests()
        assert set(states(stands)) <= FINE


@pytest.mark.parametrize("off", [2 * DAY, -2 * DAY], ids=["ahead", "behind"])
async def test_a_wrong_clock_at_the_first_start_does_not_move_the_thirty_days_that_are_answered_for(
    tmp_path: Path, off: timedelta
) -> None:
    """The vendor's clock says how far back it still offers files, and the watch begins there."""
    async with world(tmp_path) as w:
        w.watched_hours = 0
        vendor_now = w.clock.now() - off
        w.cloud.now = lambda: vendor_now
        first = Hour.of(vendor_now - 30 * DAY) + 1
        oldest = w.account.publish(first.start)
        w.cloud.faults.add(Fault("list", "code_5113", after=30, times=None))  # the rest is of no interest here
        _, stands = await w.sync()
        assert stands.books.account.watched_from == first
        assert stands.ledger[0].hour == first
        assert oldest.sha256() in w.digests()


# --- versions, and what the vendor changes about its files


async def test_the_same_id_with_another_size_but_the_same_bytes_gets_no_second_version(tmp_path: Path) -> None:
    """The bytes may be an old copy, so they must come three times, an hour apart, before the size is disbelieved."""
    async with world(tmp_path) as w:
        w.watched_hours = 4
        file = w.account.publish(w.hour(4), file_id=12)
        await w.sync()
        file.listed_size = file.size_bytes + 1
        w.clock.advance(HOUR)
        _, stands = await w.sync_hourly(2)
        assert [gap.file_id for gap in stands.gaps] == ["12"]
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert stands.gaps == []
        assert w.digests() == truth([file])
        assert w.quarantined() == []
        w.cloud.reset()
        w.clock.advance(HOUR)
        await w.sync()
        assert w.cloud.count("download") == 0


async def test_bytes_that_were_replaced_by_more_are_a_second_version_and_the_first_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        hour = w.hour(4)
        file = w.account.publish(hour, file_id=12)
        await w.sync()
        before = file.sha256()
        w.account.replace(file, file.content.read(0, file.size_bytes) * 2)
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert w.digests() == sorted([before, file.sha256()])
        assert state_of(stands, hour)[0] is HourState.COMPLETE
        assert await told(w) == [("12", "resized")]


async def test_a_file_that_grows_while_it_is_fetched_is_wanted_until_all_of_it_is_archived(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        file = w.account.publish(w.hour(4), file_id=12)
        grown = False

        def grow(_request: object) -> bool:
            nonlocal grown
            if not grown:
                w.account.grow(file)
            grown = True
            return False

        w.cloud.faults.add(Fault("download", "drop", times=None, match=grow))
        await w.sync()
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert file.sha256() in w.digests()
        assert stands.gaps == []


async def test_withdrawn_returned_renamed_and_moved_files_are_recorded_and_stay_archived(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 6
        here, there = w.hour(6), w.hour(5)
        gone, renamed, moved = (w.account.publish(here, file_id=number) for number in (1, 2, 3))
        w.account.publish(there, file_id=4)
        await w.sync()
        w.account.withdraw(gone)
        renamed.name = "another.gz"
        moved.overrides = {"logTimeRange": _range(there)}
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert await told(w) == [("1", "withdrawn"), ("2", "renamed"), ("3", "moved")]
        gone.withdrawn_at = None
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert (await told(w))[3:] == [("1", "returned")]
        assert set(states(stands)) <= FINE
        assert len(w.archived()) == 4
        assert w.cloud.count("download") == 4


async def told(w: World) -> list[tuple[str, str]]:
    """What is on record of the vendor's changes, in order of id."""
    async with w.catalog() as (catalog, account_id):
        hours = sorted({Hour.of(w.hour(back)) for back in range(12)})
        changes = [change for hour in hours for change in await catalog.hours.mutations_of(account_id, hour)]
    return [(m.file_id, m.kind) for _, m in sorted(changes, key=lambda change: (change[0], change[1].file_id))]


async def test_a_known_row_that_loses_its_id_is_unreadable_and_its_file_is_not_taken_for_withdrawn(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        file = w.account.publish(w.hour(4), file_id=12)
        await w.sync()
        file.overrides = {"id": OMIT}
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert "unreadable row" in state_of(stands, file.hour)[1]
        assert await told(w) == []


# --- accounts that are no longer configured


async def test_an_account_that_left_the_configuration_is_a_gap_until_it_is_acknowledged_or_comes_back(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.account.populate(4, 1)
        other = w.others["other"] = w.cloud.add_account("other-client", "other-secret")
        other.populate(4, 1)
        await w.sync_all()
        del w.others["other"]
        await w.sync()
        assert await gap_states(w) == [("other", "orphaned")]
        async with w.catalog() as (catalog, _):
            (orphan,) = (known for known in await catalog.accounts.all() if not known.configured)
            await catalog.accounts.acknowledge_orphan(orphan.account_id, by="ops", reason="sold", now=w.clock.now())
        assert await gap_states(w) == []
        w.others["other"] = other
        w.clock.advance(HOUR)
        await w.sync_all()
        del w.others["other"]
        await w.sync()
        assert await gap_states(w) == [("other", "orphaned")], "an acknowledgement ends when the account comes back"


async def gap_states(w: World) -> list[tuple[str, str]]:
    async with beside(w.settings(), w.clock) as opened:
        return [(gap.account.name, gap.state) for gap in await all_gaps(opened)]
