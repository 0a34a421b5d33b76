"""Two vendors and their weather for some months: what is offered when, what changes, what goes wrong.

Everything is drawn day by day from a seed, as actions with a time. The clouds outlive every crash of the daemon: what
they offer is plain data, and their servers come back on their ports.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from logkeep.simulator import Account, Fault, LexiangCloud, OfferedFile, Pan123Cloud
from logkeep.simulator.pan123.offered import CHINA, hour_index
from simulated_host import Host, seeded
from simulated_network import Network

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RETENTION = timedelta(days=30)
_KEPT_BY_VENDOR = timedelta(days=33)
_WEATHERS = ("silent", "broken")
_FAULTS = ("http_503", "html_200", "http_429", "malformed_json", "reset", "drop_body", "stall")


@dataclass(frozen=True, slots=True)
class Habits:
    """How a history goes; rates are a day's, each drawn evenly over it.

    ``poll_hours``: hours between two polls; ``long_outage``: once, for more than a month, 123pan is not to be had.
    """

    poll_hours: int = 1
    span_hours: int = 24
    interval: timedelta = HOUR
    files_an_hour: float = 1.0
    records: int = 20
    churn: float = 0.02
    outages: float = 0.15
    crashes: float = 0.4
    restarts: float = 0.2
    disk: float = 0.08
    clock: float = 0.05
    evictions: float = 0.3
    long_outage: bool = False

    @classmethod
    def drawn(cls, rng: random.Random) -> "Habits":
        """Habits of one history among many."""
        return cls(
            poll_hours=rng.choice((1, 3, 6, 6, 12)),
            span_hours=rng.choice((24, 72, 168, 168)),
            interval=timedelta(minutes=rng.choice((60, 120, 360, 360, 720))),
            files_an_hour=rng.choice((0.8, 1.0, 1.5)),
            records=rng.choice((0, 5, 20, 20, 60)),
            churn=rng.choice((0.0, 0.02, 0.2)),
            outages=rng.choice((0.03, 0.08, 0.2)),
            crashes=rng.choice((0.1, 0.4, 1.5)),
            disk=rng.choice((0.0, 0.08, 0.2)),
            clock=rng.choice((0.0, 0.05, 0.15)),
            long_outage=rng.random() < 0.2,
        )


@dataclass(eq=False, slots=True)
class Version:
    """Bytes that the vendor offered under an id, from ``since`` until ``until`` (None: still)."""

    file_id: str
    hour: datetime
    sha256: str
    since: datetime
    until: datetime


@dataclass(eq=False)
class World:
    """The vendors, and ``actions``: what happens next, by seconds since the start."""

    seed: int
    habits: Habits
    host: Host
    network: Network
    versions: list[Version] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)
    troubled_at: dict[str, datetime] = field(default_factory=dict)
    clock_set_at: datetime | None = None
    down_until: datetime | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        self.rng = seeded(self.seed, "world")
        self.pan = Pan123Cloud(now=self.host.true_now, seed=self.seed, qps=None)
        self.lexiang = LexiangCloud(now=self.host.true_now, seed=self.seed, before_request=self._churn)
        self.clouds: dict[str, Pan123Cloud | LexiangCloud] = {"pan123": self.pan, "lexiang": self.lexiang}
        self._churn_rng = seeded(self.seed, "churn")
        self._actions: list[tuple[datetime, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._numbers = count()
        self._current: dict[OfferedFile, Version] = {}

    def begin(self) -> None:
        """What is there on the first day."""
        now = self.host.true_now()
        self.account: Account = self.pan.add_account()
        self.readers = self.lexiang.add_account()
        if self.habits.records:
            self.readers.populate(self.habits.records * 20, days=20, end=now)
        for file in self.account.populate(48, 1):
            self._offer(file)

    def at(self, moment: datetime, action: Callable[..., Any], *args: Any) -> None:
        """Let something happen then."""
        heapq.heappush(self._actions, (moment, next(self._numbers), action, args))

    def next_action(self) -> datetime:
        """When something happens next; each day at least is planned."""
        return self._actions[0][0]

    def take_action(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What happens next; it is taken off before it happens, so that it happens once."""
        _, _, action, args = heapq.heappop(self._actions)
        return action, args

    def ports(self, vendor: str) -> list[int]:
        """Where a vendor listens."""
        cloud = self.clouds[vendor]
        bases = [cloud.base_url, *([cloud.download_base] if isinstance(cloud, Pan123Cloud) else [])]
        return [int(base.rpartition(":")[2]) for base in bases]

    def plan_day(self, day: datetime) -> None:
        """Draw one day: its files, its records, and, unless all is to be quiet, its troubles."""
        for hour in range(24):
            for _ in range(_drawn(self.rng, self.habits.files_an_hour)):
                self._plan_file(day + hour * HOUR)
        for _ in range(_drawn(self.rng, self.habits.records)):
            self.at(day + DAY * self.rng.random(), self._record)
        for _ in range(_drawn(self.rng, self.habits.records / 8)):
            self.at(day + DAY * self.rng.random(), self._delete_record)
        if not self.quiet:
            self._plan_troubles(day)
        self._forget(day)

    def _plan_file(self, hour: datetime) -> None:
        rng = self.rng
        late = rng.choices((90 / 60, 8.0, 40.0), (0.7, 0.2, 0.1))[0] * HOUR * rng.random()
        seen = hour + HOUR + late
        file = self.account.publish(hour, visible_from=seen)
        self._offer(file)
        if rng.random() < 0.06:
            self.at(seen + 30 * HOUR * rng.random() ** 2, self._grow, file)
        if rng.random() < 0.02:
            self.at(seen + 20 * DAY * rng.random() ** 2, self._withdraw, file)

    def _offer(self, file: OfferedFile) -> None:
        until = file.hour + RETENTION
        version = Version(str(file.file_id), file.hour, file.sha256(), file.visible_from, until)
        self._current[file] = version
        self.versions.append(version)

    def _grow(self, file: OfferedFile) -> None:
        version, now = self._current[file], self.host.true_now()
        if now < version.until:
            self.account.grow(file)
            version.until = now
            self._current[file] = grown = Version(version.file_id, file.hour, file.sha256(), now, file.hour + RETENTION)
            self.versions.append(grown)

    def _withdraw(self, file: OfferedFile) -> None:
        version, now = self._current[file], self.host.true_now()
        if now < version.until:
            self.account.withdraw(file)
            version.until = now

    def _record(self) -> None:
        rng, reach = self.rng, max(timedelta(minutes=10), 2 * self.habits.interval)
        most = rng.choices((timedelta(seconds=2), reach, 40 * HOUR, 20 * DAY), (0.8, 0.13, 0.05, 0.02))[0]
        self.readers.add_record(back=most * rng.random())

    def _delete_record(self) -> None:
        self.readers.delete_random(newest=300)

    def _churn(self, _request: int) -> None:
        """Rows come and go between two requests for pages."""
        rng = self._churn_rng
        if rng.random() < self.habits.churn and len(self.readers):
            if rng.random() < 0.5:
                self.readers.delete_random(newest=150)
            else:
                self.readers.add_record(back=timedelta(minutes=20) * rng.random() ** 3)

    def _plan_troubles(self, day: datetime) -> None:
        rng, habits = self.rng, self.habits
        for vendor in self.clouds:
            for _ in range(_drawn(rng, habits.outages)):
                kind = rng.choice(("refused", *_WEATHERS, *_FAULTS))
                self.at(day + DAY * rng.random(), self.break_vendor, vendor, kind, _spell(rng, 3, 5 * 1440))
            for _ in range(_drawn(rng, habits.evictions)):
                self.at(day + DAY * rng.random(), self._evict, vendor)
        for _ in range(_drawn(rng, habits.outages)):
            chaos = (rng.randrange(1 << 30), rng.uniform(0.01, 0.15), _spell(rng, 10, 1440))
            self.at(day + DAY * rng.random(), self._chaos, *chaos)
        for _ in range(_drawn(rng, habits.disk)):
            mode = rng.choice(("full", "readonly", "gone"))
            self.at(day + DAY * rng.random(), self._ail, mode, _spell(rng, 5, 2 * 1440))
        for _ in range(_drawn(rng, habits.clock)):
            jump = rng.choice((-1, 1)) * _spell(rng, 6, 3 * 1440)
            self.at(day + DAY * rng.random(), self.set_clock, jump, _spell(rng, 10, 2 * 1440))

    async def break_vendor(self, vendor: str, kind: str, spell: timedelta) -> None:
        """An outage, unless there is one already."""
        if vendor in self.trouble or self.quiet:
            return
        self.trouble[vendor], self.troubled_at[vendor] = kind, self.host.true_now()
        self.at(self.host.true_now() + spell, self.mend_vendor, vendor)
        if kind == "refused":
            await self.clouds[vendor].stop()
        elif kind in _WEATHERS:
            self.network.weather.update(dict.fromkeys(self.ports(vendor), kind))
        else:
            where = {"pan123": ("token", "list"), "lexiang": ("token", "logs")}[vendor]
            self.clouds[vendor].faults.add(*(Fault(place, kind, times=None) for place in where))

    async def mend_vendor(self, vendor: str) -> None:
        """The outage is over."""
        kind = self.trouble.pop(vendor, None)
        self.troubled_at[vendor] = self.host.true_now()
        if kind == "refused":
            await self.clouds[vendor].start()
        for port in self.ports(vendor):
            self.network.weather.pop(port, None)
        self.clouds[vendor].faults.clear()

    def _evict(self, vendor: str) -> None:
        (self.account if vendor == "pan123" else self.readers).tokens.evict_all()

    def _chaos(self, seed: int, rate: float, spell: timedelta) -> None:
        """Some requests fail, here and there."""
        for vendor, cloud in self.clouds.items():
            if vendor not in self.trouble and not self.quiet:
                self.trouble[vendor], self.troubled_at[vendor] = "chaos", self.host.true_now()
                cloud.faults.chaos(seed, rate)
                self.at(self.host.true_now() + spell, self.mend_vendor, vendor)

    def _ail(self, mode: str, spell: timedelta) -> None:
        if self.host.mode == "well" and not self.quiet:
            self.host.ail(mode)
            self.troubled_at["disk"] = self.host.true_now()
            self.at(self.host.true_now() + spell, self.mend_disk)

    def mend_disk(self) -> None:
        """The disk is as it should be."""
        self.host.ail("well")
        self.troubled_at["disk"] = self.host.true_now()

    def set_clock(self, offset: timedelta, spell: timedelta) -> None:
        if not self.host.offset and not self.quiet:
            self.at(self.host.true_now() + spell, self.right_clock)
            self.host.offset, self.clock_set_at = offset, self.host.true_now()

    def right_clock(self) -> None:
        """The host's clock is right."""
        self.host.offset, self.clock_set_at = timedelta(), self.host.true_now()

    def _forget(self, day: datetime) -> None:
        """The vendor forgets what it deleted; a history may be long."""
        last = hour_index(day - _KEPT_BY_VENDOR)
        for index in [index for index in self.account._by_hour if index < last]:
            for file in self.account._by_hour.pop(index):
                self._current.pop(file, None)
                self.pan._objects.pop(file.path, None)


def _drawn(rng: random.Random, mean: float) -> int:
    """A number that is ``mean`` on average and mostly near it."""
    whole = int(mean)
    varied = rng.randint(whole // 2, whole + whole - whole // 2) if whole else 0
    return varied + (rng.random() < mean - whole)


def _spell(rng: random.Random, least_min: float, most_min: float) -> timedelta:
    """As often short as long."""
    return timedelta(minutes=least_min * (most_min / least_min) ** rng.random())


def china(moment: datetime) -> datetime:
    """The moment by the vendors' clocks."""
    return moment.astimezone(CHINA)
