"""However a server treats the spans it is asked for, every file that it offers is archived and every hour is proven."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logkeep.model import HourState
from logkeep.simulator.pan123.offered import OfferedFile

from archive_world import HOUR, World, state_of, states, truth, world

FINE = {HourState.COMPLETE, HourState.EMPTY, HourState.OPEN}
WATCHED = 16
TRAFFIC = {15: 1, 14: 2, 10: 1, 9: 3, 4: 1, 3: 1}
"""Files by hours back: a silent start, a silent stretch in the middle, a silent end."""


def publish(w: World) -> list[OfferedFile]:
    w.watched_hours = WATCHED
    return [file for back, count in TRAFFIC.items() for file in w.account.publish(w.hour(back), count=count)]


SERVERS: dict[str, dict[str, Any]] = {
    "answers as asked": {},
    "refuses more than five hours": {"max_span_hours": 5},
    "refuses more than one hour": {"max_span_hours": 1},
    "answers the first hour only": {"clamp_span_hours": 1},
    "answers the last hour only": {"clamp_span_hours": 1, "clamp_keeps": "last"},
    "answers the first three hours only": {"clamp_span_hours": 3},
    "answers the last three hours only": {"clamp_span_hours": 3, "clamp_keeps": "last"},
    "lists the end hour too": {"end_inclusive": True},
    "lists the end hour too and answers two": {"end_inclusive": True, "clamp_span_hours": 2},
    "mixes the order": {"order": "shuffled", "page_cap": 2},
    "repeats its last page": {"repeat_last_page": True, "page_cap": 2},
    "says null at the end": {"null_list_at_end": True, "page_cap": 1},
    "ignores the page number": {"ignore_page_num": True, "page_cap": 4},
    "ignores the page number and mixes the order": {"ignore_page_num": True, "order": "shuffled", "page_cap": 4},
    "does everything at once": {
        "max_span_hours": 7,
        "clamp_span_hours": 3,
        "clamp_keeps": "last",
        "end_inclusive": False,
        "order": "shuffled",
        "repeat_last_page": True,
        "page_cap": 2,
        "null_list_at_end": True,
    },
}


@pytest.mark.parametrize("quirks", SERVERS.values(), ids=SERVERS.keys())
async def test_whatever_a_server_makes_of_spans_nothing_is_missed_and_nothing_is_taken_for_empty_that_is_not(
    tmp_path: Path, quirks: dict[str, Any]
) -> None:
    async with world(tmp_path, **quirks) as w:
        offered = publish(w)
        _, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert stands.gaps == []
        assert states(stands) == {
            HourState.OPEN: 2,
            HourState.COMPLETE: len(TRAFFIC),
            HourState.EMPTY: WATCHED - 2 - len(TRAFFIC),
        }
        offered.append(w.account.publish(w.hour(7)))  # late, in the middle of the silent stretch
        w.clock.advance(HOUR)
        passing, stands = await w.sync()
        assert passing.batch.files == 1
        assert w.digests() == truth(offered)
        assert state_of(stands, w.hour(8))[0] is HourState.COMPLETE
        assert set(states(stands)) <= FINE


@pytest.mark.parametrize("span_hours", [1, 2, 5])
async def test_a_span_set_by_the_operator_is_never_exceeded(tmp_path: Path, span_hours: int) -> None:
    async with world(tmp_path) as w:
        w.pan123["span_hours"] = span_hours
        offered = publish(w)
        _, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert set(states(stands)) <= FINE
        params = [request.params for request in w.cloud.requests if request.kind == "list"]
        hours = {(_hour(asked["endHour"]) - _hour(asked["startHour"])) / HOUR for asked in params}
        assert max(hours) <= max(span_hours, 1)


def _hour(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H")  # noqa: DTZ007 - only differences are looked at


async def test_a_span_that_was_refused_is_not_asked_again_until_a_day_has_passed(tmp_path: Path) -> None:
    async with world(tmp_path, max_span_hours=4) as w:
        offered = publish(w)
        await w.sync()
        w.cloud.reset()
        w.clock.advance(HOUR)
        await w.sync()
        assert refused(w) == 0
        w.clock.advance(24 * HOUR)
        w.cloud.reset()
        _, stands = await w.sync()
        assert refused(w) >= 1, "longer spans are tried again after a day"
        assert w.digests() == truth(offered)
        assert set(states(stands)) <= FINE


def refused(w: World) -> int:
    return sum(request.kind == "list" and request.code == 1 for request in w.cloud.requests)


async def test_a_file_that_straddles_the_end_of_a_span_is_filed_by_its_own_range_however_often_it_is_shown(
    tmp_path: Path,
) -> None:
    """The vendor lists the end hour as well: each hour on a boundary is shown by two spans, and archived once."""
    async with world(tmp_path, end_inclusive=True) as w:
        w.pan123["span_hours"] = 1
        offered = publish(w)
        _, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert w.cloud.count("download") == len(offered)
        assert set(states(stands)) <= FINE


async def test_a_vendor_that_refuses_hours_older_than_thirty_days_loses_nothing_of_the_thirty(tmp_path: Path) -> None:
    """First start, then a sweep a day later: the hour on the edge is asked alone, so it spoils no other's listing."""
    async with world(tmp_path, refuse_older="error") as w:
        w.watched_hours = 0
        offered = [w.account.publish(w.hour(back)) for back in range(719, 0, -8)]
        passing, stands = await w.sync()
        assert passing.error is None
        assert w.digests() == truth(offered)
        assert set(states(stands)) <= FINE
        assert stands.books.account.span_limit is None, "no span was shortened"
        w.clock.advance(timedelta(days=1))
        _, stands = await w.sync()
        assert HourState.LOST not in states(stands)
        assert stands.books.account.span_limit is None


async def test_after_more_than_thirty_days_away_hours_that_are_refused_for_their_age_spoil_no_span(
    tmp_path: Path,
) -> None:
    """Half a day of hours is past the vendor's edge: each is refused alone, and lost; the one on the edge not yet."""
    async with world(tmp_path, refuse_older="error") as w:
        w.watched_hours = 4
        w.account.populate(4, 1)
        await w.sync()
        w.clock.advance(timedelta(days=30, hours=12))
        offered = [w.account.publish(w.hour(back)) for back in range(719, 0, -8)]
        w.cloud.reset()
        _, stands = await w.sync()
        assert set(truth(offered)) <= set(w.digests())
        assert stands.books.account.span_limit is None
        assert w.cloud.count("list") <= 160
        assert [(gap.state, gap.end) for gap in stands.gaps] == [("lost", w.hour(720)), ("failed", w.hour(719))]
