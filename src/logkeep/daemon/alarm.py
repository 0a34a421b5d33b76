"""Cron lines: when one last came, and how far apart it comes. The alarm clock itself is APScheduler."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

_LOOK_BACK = (timedelta(hours=2), timedelta(days=2), timedelta(days=40), timedelta(days=4 * 366))
_STEPS_AT_MOST = 400


def trigger(cron: str, zone: ZoneInfo) -> CronTrigger:
    """The trigger of a validated cron line."""
    return CronTrigger.from_crontab(cron, timezone=zone)


def last_came(cron: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The latest moment not after ``now`` at which the line came; four years ago where it never did since."""
    clock = trigger(cron, zone)
    for back in _LOOK_BACK:
        came: datetime | None = None
        moment = clock.get_next_fire_time(None, now - back)
        while moment is not None and moment <= now:
            came = moment
            moment = clock.get_next_fire_time(moment, moment)
        if came is not None:
            return came
    return now - _LOOK_BACK[-1]


def longest_wait(cron: str, zone: ZoneInfo, now: datetime) -> timedelta:
    """The longest time between two comings in the near future."""
    clock = trigger(cron, zone)
    longest = timedelta()
    before = clock.get_next_fire_time(None, now)
    for _ in range(_STEPS_AT_MOST):
        after = None if before is None else clock.get_next_fire_time(before, before)
        if before is None or after is None or after - now > timedelta(days=8) > longest > timedelta():
            break
        longest = max(longest, after - before)
        before = after
    return longest
