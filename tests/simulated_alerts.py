"""Alerts in time, once and over; the vendors' pace and limits; memory that stays flat."""

import asyncio
import gc
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from logkeep.simulator import Request
from simulated_world import DAY, HOUR, RETENTION, World

UNREACHABLE_AFTER = 6 * HOUR
SLACK = timedelta(minutes=45)
_DANGERS = {"hours_endangered": timedelta(days=5), "hours_about_to_expire": timedelta(days=1)}
_WORRIES = (*_DANGERS, "vendor_long_unreachable", "stream_behind")
_ACCOUNTS = {"pan123": "pan123/main", "lexiang": "lexiang/hq"}
_PER_SECOND = 5.0
_JITTER_S = 0.2
_MONTH = 30
_OURS = ("logkeep", "aiohttp", "asyncio", "_asyncio", "aiosqlite", "sqlalchemy", "apscheduler", "sqlite3")
_ONCE = {"storage_gone": "storage_back", "disk_low": "disk_has_room_again"}


class Alerts:
    """Fed with what is logged and what the vendors saw."""

    def __init__(self, world: World, violation: Callable[[str], None]) -> None:
        self.listings: list[tuple[datetime, datetime]] = []
        self.listed_at: datetime | None = None
        self.record_well_at: datetime | None = None
        self.record_begun_at: datetime | None = None
        self._world = world
        self._violation = violation
        self._up_since: datetime | None = None
        self._told: dict[str, set[str]] = {}
        self._trouble: dict[str, datetime] = {}
        self._recovered: dict[str, datetime] = {}
        self._days = 0
        self._live: Counter[str] = Counter()
        self.rss: list[int] = []

    @property
    def now(self) -> datetime:
        return self._world.host.true_now()

    def begin(self, now: datetime) -> None:
        self._began = now

    def started(self, now: datetime) -> None:
        self._up_since = now
        self._told = {account: set() for account in _ACCOUNTS.values()}

    def stopped(self) -> None:
        self._up_since = None

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        account = str(fields.get("account", ""))
        if event == "vendor_trouble":
            self._trouble.setdefault(account, self.now)
            self._recovered.pop(account, None)
        elif event == "vendor_recovered":
            self._trouble.pop(account, None)
            self._recovered[account] = self.now
        elif event in _WORRIES:
            self._worry(account, event)
        elif event == "danger_over":
            if fields["danger"] not in self._told[account]:
                self._violation(f"alert: {fields['danger']} of {account} is over and was never told")
            self._told[account].discard(str(fields["danger"]))
        if event in ("pass_finished", "record_pass_finished", "listing_failed"):
            self._overdue()

    def _worry(self, account: str, event: str) -> None:
        if event in self._told[account]:
            self._violation(f"alert: {event} of {account} is told twice")
        self._told[account].add(event)
        if not self._clock_right():
            return
        since = self._trouble.get(account)
        early = event == "vendor_long_unreachable" and (since is None or self.now - since < UNREACHABLE_AFTER - SLACK)
        begun, three = self.record_begun_at, 3 * self._world.habits.interval
        early = early or (event == "stream_behind" and begun is not None and self.now - begun < three)
        if early:
            self._violation(f"alert: {event} of {account} is told too early")

    def _clock_right(self) -> bool:
        set_at = self._world.clock_set_at
        return not self._world.host.offset and (set_at is None or set_at < self.now - 2 * DAY)

    def _overdue(self) -> None:
        """What should have been told by now; where nothing can be read or asked, that itself was told."""
        up, now = self._up_since, self.now
        troubled = self._world.troubled_at.get("disk")
        disk_well = self._world.host.mode == "well" and (troubled is None or troubled < now - 2 * HOUR)
        if up is None or not self._clock_right() or not disk_well:
            return
        for account, since in self._trouble.items():
            due = max(since + UNREACHABLE_AFTER, up) + SLACK
            if now > due and "vendor_long_unreachable" not in self._told[account]:
                self._violation(f"alert: {account} is in trouble since {since}, and it is not told")
        for account, since in self._recovered.items():
            told = "vendor_long_unreachable" in self._told[account]
            if told and now > since + self._world.habits.poll_hours * HOUR + self._world.habits.interval + SLACK:
                self._violation(f"alert: {account} recovered at {since}, and vendor_long_unreachable does not end")
        self._endangered(up, now)

    def _endangered(self, up: datetime, now: datetime) -> None:
        self.take_requests()
        last = self.listed_at or self._began - RETENTION
        oldest = last - 2 * HOUR
        for event, within in _DANGERS.items():
            due = oldest + RETENTION - within + self._world.habits.poll_hours * HOUR + SLACK + 2 * HOUR
            waited = now > max(due, up + SLACK)
            if waited and now < oldest + RETENTION and event not in self._told["pan123/main"]:
                self._violation(f"alert: nothing was listed since {last}, and {event} is not told")

    def file_pass(self, *, ok: bool) -> None:
        """A pass over the files ended."""

    def record_pass(self, now: datetime, *, ok: bool, begun: datetime | None) -> None:
        """A pass over the records ended."""
        if ok:
            self.record_well_at, self.record_begun_at = now, begun or now
        elif self.record_well_at is not None and self._up_since is not None and self._clock_right():
            due = max(self.record_well_at + 3 * self._world.habits.interval, self._up_since) + SLACK
            if now > due + self._world.habits.interval and "stream_behind" not in self._told["lexiang/hq"]:
                self._violation(f"alert: no pass over the records since {self.record_well_at}, and it is not told")

    def daily(self) -> None:
        """Pace, limits, tasks, and once a month the memory."""
        self.take_requests()
        self._days += 1
        for cloud in self._world.clouds.values():
            for text in cloud.violations:
                self._violation(f"vendor: {text}")
            cloud.reset()
        if (tasks := len(asyncio.all_tasks())) > 200:
            self._violation(f"memory: {tasks} tasks are alive")
        if self._days % _MONTH == 0:
            self._weigh()

    def take_requests(self) -> None:
        """What the vendors saw since it was last asked."""
        for vendor, cloud in self._world.clouds.items():
            requests = cloud.witness.requests()
            cloud.witness._requests.clear()
            self._judge_pace(vendor, requests)
            for request in requests:
                if request.kind == "list" and request.fault is None and request.code == 0:
                    self._listed(request.at)

    def _listed(self, at: datetime) -> None:
        self.listed_at = at
        if self.listings and at - self.listings[-1][1] < 13 * HOUR:
            self.listings[-1] = (self.listings[-1][0], at)
        else:
            self.listings.append((at, at))

    def _judge_pace(self, vendor: str, requests: list[Request]) -> None:
        recent: deque[datetime] = deque(maxlen=10)
        tokens: deque[datetime] = deque(maxlen=12)
        for request in requests:
            if request.kind == "download":
                continue
            if len(recent) == recent.maxlen:
                least = timedelta(seconds=len(recent) / _PER_SECOND - _JITTER_S)
                if request.at - recent[0] < least and self._clock_right():
                    self._violation(f"pace: {vendor} is asked 11 times from {recent[0]} to {request.at}")
            recent.append(request.at)
            if request.kind == "token" and self._clock_right():
                if tokens and request.at - tokens[-1] < timedelta(seconds=59):
                    self._violation(f"pace: {vendor} is asked for tokens at {tokens[-1]} and {request.at}")
                tokens.append(request.at)

    def _weigh(self) -> None:
        gc.collect()
        live = Counter(
            type(found).__qualname__
            for found in gc.get_objects()
            if (module := str(type(found).__module__)).partition(".")[0] in _OURS and "simulator" not in module
        )
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.rss.append(pages * 4 // 1024)
        for name, count in live.items():
            if self._live and count > 2 * self._live[name] + 300:
                self._violation(f"memory: {count} of {name} are alive, {self._live[name]} were after a month")
        self._live = self._live or live
