"""When a cron line last came, and how far apart it comes, against going through time minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.daemon.alarm import last_came, longest_wait, trigger
from logkeep.model import utc

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

minutes = st.one_of(st.just("*"), st.sampled_from(["*/5", "*/20", "5", "0,30", "10-12", "59"]))
hours = st.one_of(st.just("*"), st.sampled_from(["*/6", "3", "0-9", "8-18", "2", "1,2,3", "23"]))
weekdays = st.sampled_from(["*", "*", "mon-fri", "sun", "sat,sun"])
days = st.sampled_from(["*", "*", "*", "1", "15,16", "31"])
lines = st.builds(lambda m, h, d, w: f"{m} {h} {d} * {w}", minutes, hours, days, weekdays)
weekly = st.builds(lambda m, h, w: f"{m} {h} * * {w}", minutes, hours, weekdays)
fixed_zones = st.sampled_from([SHANGHAI, ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata")])
any_zone = st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")])
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def named(field: str, top: int) -> set[int]:
    """The numbers that a field of a cron line names."""
    found: set[int] = set()
    for part in field.split(","):
        first, _, step = part.partition("/")
        low, _, high = first.partition("-")
        if first == "*":
            low, high = "0", str(top)
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


def weekdays_named(field: str) -> set[int]:
    for number, day in enumerate(DAYS):
        field = field.replace(day, str(number))
    return named(field, 6)


def comings(cron: str, zone: ZoneInfo, start: datetime, minutes_on: Iterator[int]) -> Iterator[datetime]:
    """Going minute by minute, the moments at which the clock on the wall shows what the line says."""
    minute, hour, day, _, weekday = cron.split()
    wanted = named(minute, 59), named(hour, 23), named(day, 31), weekdays_named(weekday)
    whole = start.replace(second=0, microsecond=0)
    for later in minutes_on:
        moment = whole + later * MINUTE
        wall = moment.astimezone(zone)
        shown = wall.minute, wall.hour, wall.day, wall.weekday()
        if all(number in numbers for number, numbers in zip(shown, wanted, strict=True)):
            yield moment


@given(lines, fixed_zones, moments)
@settings(max_examples=60, deadline=None)
def test_when_a_line_last_came(cron: str, zone: ZoneInfo, now: datetime) -> None:
    """Where the clock is never set: the latest minute, going back, that the line names."""
    came = last_came(cron, zone, now)
    assert came <= now
    expected = next(comings(cron, zone, now, (-back for back in range(40 * 24 * 60))), None)
    assert came == expected or (expected is None and came < now - 39 * DAY)


@given(weekly, any_zone, moments)
@settings(max_examples=60, deadline=None)
def test_nothing_came_between_the_last_coming_and_now(cron: str, zone: ZoneInfo, now: datetime) -> None:
    """In every zone, on the nights when clocks are set as well: by the alarm clock's own reckoning."""
    came = last_came(cron, zone, now)
    following = trigger(cron, zone).get_next_fire_time(came, came)
    assert came <= now < following


@given(weekly, fixed_zones, moments)
@settings(max_examples=40, deadline=None)
def test_the_longest_wait_of_a_week(cron: str, zone: ZoneInfo, now: datetime) -> None:
    """Neither less, which would call an hour overdue too early, nor more, which would hide it."""
    found = comings(cron, zone, now, iter(range(16 * 24 * 60)))
    assert longest_wait(cron, zone, now) == max(after - before for before, after in pairwise(found))


@given(weekly, any_zone, moments)
@settings(max_examples=40, deadline=None)
def test_no_wait_is_longer_when_clocks_are_set(cron: str, zone: ZoneInfo, now: datetime) -> None:
    longest, clock = longest_wait(cron, zone, now), trigger(cron, zone)
    before = clock.get_next_fire_time(None, now)
    for _ in range(500):
        after = clock.get_next_fire_time(before, before)
        if after - now > 30 * DAY:
            break
        assert utc(after) - utc(before) <= longest + HOUR
        before = after


@pytest.mark.parametrize("now", [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (1, 9, 17, 23)])
@pytest.mark.parametrize(
    ("cron", "longest"),
    [
        ("* * * * *", MINUTE),
        ("5 * * * *", HOUR),
        ("30 3 * * *", DAY),
        ("0 5 * * sun", 7 * DAY),
        ("* 0-9 * * *", 14 * HOUR + MINUTE),
        ("*/5 8-18 * * mon-fri", 2 * DAY + 13 * HOUR + 5 * MINUTE),
        ("* * 1 * *", 30 * DAY + MINUTE),
        ("0 0 1 * *", 31 * DAY),
    ],
)
def test_waits_as_people_write_them(cron: str, longest: timedelta, now: datetime) -> None:
    assert longest_wait(cron, SHANGHAI, now) == longest


def test_the_night_on_which_an_hour_is_missing_and_the_one_on_which_it_comes_twice() -> None:
    """Berlin, a line in the hour concerned: it comes every day; what is due is never put off for a day."""
    spring = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert spring.date() == last_came("30 2 * * *", BERLIN, spring).date()
    autumn = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert last_came("30 2 * * *", BERLIN, autumn) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert last_came("30 2 * * *", BERLIN, autumn + HOUR) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_line_that_never_came() -> None:
    """Four years ago is long enough ago for everything."""
    now = datetime(2026, 3, 10, tzinfo=UTC)
    assert last_came("0 0 31 2 *", SHANGHAI, now) == now - timedelta(days=4 * 366)
