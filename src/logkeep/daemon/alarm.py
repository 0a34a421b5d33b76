"""Cron lines: when one last came, and how far apart it comes. The alarm clock itself is APScheduler."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from logkeep.model import utc

_LOOK_BACK = (timedelta(hours=2), timedelta(days=2), timedelta(days=40), timedelta(days=4 * 366))
_NEAR_FUTURE = timedelta(days=40)
_STEPS_AT_LEAST = 60
_STEPS_AT_MOST = 2000


def trigger(cron: str, zone: ZoneInfo) -> CronTrigger:
    """The trigger of a validated cron line."""
    return CronTrigger.from_crontab(cron, timezone=zone)


def last_came(cron: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The latest moment not after ``now`` at which the line came, in UTC; four years ago where it never did since."""
    clock = trigger(cron, zone)
    for back in _LOOK_BACK:
        came: datetime | None = None
        moment = clock.get_next_fire_time(None, now - back)
        while moment is not None and moment <= now:
            came = moment
            moment = clock.get_next_fire_time(moment, moment)
        if came is not None:
            return utc(came)
    return now - _LOOK_BACK[-1]


@lru_cache(maxsize=64)
def longest_wait(cron: str, zone: ZoneInfo, now: datetime) -> timedelta:
    """The longest time between two comings in the near future, such as from Friday evening to Monday morning.

    Every hour that has any comings has them at the same minutes, so hours are gone through, not minutes.
    """
    minute, hours = cron.split(maxsplit=1)
    minutes = _minutes(minute)
    longest = max((after - before for before, after in pairwise(minutes)), default=timedelta())
    clock = trigger(f"0 {hours}", zone)
    before = clock.get_next_fire_time(None, now)
    for step in range(_STEPS_AT_MOST):
        after = None if before is None else clock.get_next_fire_time(before, before)
        if before is None or after is None:
            break
        longest = max(longest, utc(after) + minutes[0] - utc(before) - minutes[-1])
        if after - now > _NEAR_FUTURE and step >= _STEPS_AT_LEAST:
            break
        before = after
    return longest


def _minutes(field: str) -> list[timedelta]:
    """The minutes of an hour that a cron line's first field names."""
    hour = datetime(2000, 1, 1, tzinfo=UTC)
    clock, last, found = CronTrigger.from_crontab(f"{field} * * * *", timezone=UTC), hour + timedelta(minutes=59), []
    moment = clock.get_next_fire_time(None, hour)
    while moment is not None and moment <= last:
        found.append(moment - hour)
        moment = clock.get_next_fire_time(moment, moment)
    return found
