"""A whole daemon, as ``logkeep run`` makes it, through months of simulated time: one seed, one history.

The history is cut into lives of one event loop. A crash ends a life between two effects: the loop is dropped with all
its tasks, whatever their remains still try has no effect, locks and connections go as the kernel would take them; and
the next life begins on the same folder. Restarts by SIGTERM stay within a life.
"""

import asyncio
import hashlib
import json
import random
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from logkeep.catalog import Catalog
from logkeep.config.sections import DownloadSettings, StorageSettings
from logkeep.daemon.archiver import catalog_path
from logkeep.daemon.lifecycle import Rhythm, run_daemon
from logkeep.errors import LogkeepError
from logkeep.model import Hour
from logkeep.vendors.lexiang.settings import LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings
from simulated_host import Host, let_go, seeded
from simulated_loop import Crash, VirtualLoop, drop
from simulated_network import Network
from simulated_oracle import Oracle
from simulated_world import DAY, HOUR, Habits, World

START = datetime(2026, 3, 1, tzinfo=UTC)
CHECKED_AT = timedelta(minutes=47)
_KEPT_LINES = 4000
_RESTARTED_S = 30.0
_QUIET = timedelta(hours=60)
_RHYTHM = Rhythm(look_again_s=300.0)  # the disk is looked at every five minutes: most of the time nothing else happens


@dataclass(slots=True)
class Outcome:
    """What came of a history; ``digest`` is that of all that was logged and asked."""

    seed: int
    days: float
    digest: str
    violations: list[str]
    totals: dict[str, int] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)


class Simulation:
    """Used once. ``root`` is a folder that does not exist yet."""

    def __init__(self, seed: int, root: Path, days: int, habits: Habits | None = None) -> None:
        self.seed = seed
        self.days = days
        self.habits = habits or Habits.drawn(seeded(seed, "habits"))
        self.host = Host(root, START)
        self.network = Network(seeded(seed, "network"))
        self.world = World(seed, self.habits, self.host, self.network)
        self.oracle = Oracle(self.world, self._settings)
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._hash = hashlib.sha256()
        self._chance = seeded(seed, "fate")
        self._now_s = 0.0
        self._ended = False
        self._running = False
        self._lives = 0

    def run(self) -> Outcome:
        """Live through all of it; what the oracle says of it stands in the outcome."""
        with self.host.lent(), self._listened():
            self._begin()
            while not self._ended:
                self._live_once()
        totals = {
            **self.oracle.totals,
            **self.oracle.weight,
            "lives": self._lives,
            "connections": self.network.connections,
        }
        return Outcome(self.seed, self.days, self._hash.hexdigest(), self.oracle.violations, totals, list(self.lines))

    def _begin(self) -> None:
        loop = self._loop()
        self.world.begin()
        self.oracle.begin()
        self.host.root.mkdir()
        loop.close()
        for day in range(self.days):
            self.world.at(START + day * DAY, self._day, day)
        if self.habits.long_outage:
            begin = START + DAY * self._chance.uniform(8, max(9, self.days - 45))
            spell = DAY * self._chance.uniform(26, 36)
            self.world.at(begin, self.world.break_vendor, "pan123", self._chance.choice(("refused", "silent")), spell)
        end = START + self.days * DAY
        self.world.at(end - _QUIET, self._calm)
        self.world.at(end, self._end)

    def _loop(self) -> VirtualLoop:
        loop = VirtualLoop(self._now_s, seeded(self.seed, f"loop {self._lives}"), self.network)
        loop.set_exception_handler(self._unhandled)
        self.host.loop = loop
        return loop

    def _live_once(self) -> None:
        self._lives += 1
        loop = self._loop()
        crashed = False
        try:
            loop.run_until_complete(self._live())
        except Crash:
            crashed = True  # its frames hold everything alive until it is gone itself
        self._now_s = loop.time()
        if crashed:
            self._bury(loop)
            self.note("crash")
        else:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _enrol(self) -> None:
        """The account answers for two days before the first start, not for thirty: the months are enough."""
        settings = self._settings()
        catalog_path(settings).parent.mkdir(parents=True)
        catalog = Catalog(catalog_path(settings))
        await catalog.open()
        watched_from = Hour.of(START - 2 * DAY)
        await catalog.accounts.enrol(settings.account_keys, now=START, watched_from=watched_from)
        await catalog.close()

    async def _live(self) -> None:
        for vendor, cloud in self.world.clouds.items():
            if self.world.trouble.get(vendor) != "refused":
                await cloud.start()
        if self._lives == 1:
            await self._enrol()
        async with asyncio.TaskGroup() as tasks:
            directing = tasks.create_task(self._direct())
            while not self._ended:
                await self._run_daemon()
            directing.cancel()
        for vendor, cloud in self.world.clouds.items():
            if self.world.trouble.get(vendor) != "refused":
                await cloud.stop()
        await self.oracle.close_books()

    async def _run_daemon(self) -> None:
        down = self.world.down_until
        wait_s = 0.0 if down is None else (down - self.host.true_now()).total_seconds()
        await asyncio.sleep(max(wait_s, _RESTARTED_S if self.host.mode != "well" else 0.0, 0.001))
        if self._ended or self.host.mode != "well":
            return
        self._running = True
        self.oracle.started()
        try:
            await run_daemon(self._settings(), self.host, random.Random(self._lives), _RHYTHM)
        except LogkeepError as error:
            self.note(f"refused to start: {error}")
            self.world.down_until = self.host.true_now() + timedelta(seconds=_RESTARTED_S)
        finally:
            self._running = False
            self.oracle.stopped()

    async def _direct(self) -> None:
        """Let what is planned happen when it is time."""
        while not self._ended:
            wait_s = (self.world.next_action() - self.host.true_now()).total_seconds()
            await asyncio.sleep(max(wait_s, 0.0))
            action, args = self.world.take_action()
            self.note(f"world {getattr(action, '__name__', action)} {args!r}"[:160])
            result = action(*args)
            if asyncio.iscoroutine(result):
                await result

    def _day(self, day: int) -> None:
        start = START + day * DAY
        self.world.plan_day(start)
        self.world.at(start + 12 * HOUR + CHECKED_AT, self.oracle.look)
        if not self.world.quiet:
            for rate, action in ((self.habits.crashes, self._crash), (self.habits.restarts, self._restart)):
                for _ in range(int(rate) + (self._chance.random() < rate % 1)):
                    self.world.at(start + DAY * self._chance.random(), action)

    def _crash(self) -> None:
        """Some effects from now the process is gone."""
        assert self.host.loop is not None
        if self._running:
            self.host.loop.fuse = self._chance.randrange(2 ** self._chance.randrange(1, 12))
            self.world.down_until = None

    def _restart(self) -> None:
        if self._running and self.host.loop is not None:
            self.world.down_until = self.host.true_now() + HOUR * 12 * self._chance.random() ** 4
            self.host.loop.terminate()

    async def _calm(self) -> None:
        """Everything is mended and stays so: now the archive has to come up with the truth."""
        self.world.quiet = True
        for vendor in list(self.world.trouble):
            await self.world.mend_vendor(vendor)
        self.world.mend_disk()
        self.world.right_clock()
        assert self.host.loop is not None
        self.host.loop.fuse = None

    def _end(self) -> None:
        self._ended = True
        if self._running and self.host.loop is not None:
            self.host.loop.terminate()

    def _bury(self, loop: VirtualLoop) -> None:
        """Drop a loop and everybody on it."""
        mode, self.host.mode = self.host.mode, "dead"
        self._running = False
        self.oracle.stopped()
        self.host.close_connections()
        for cloud in self.world.clouds.values():
            cloud._runners.clear()  # servers of the dropped loop
            cloud.witness._in_flight.clear()
        drop(loop)
        self.host.mode = mode
        let_go(self.host.root / ".logkeep" / "lock")
        self.world.down_until = START + timedelta(seconds=self._now_s + 6 * 3600 * self._chance.random() ** 5)

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if self.host.mode != "dead" and error is not None and not isinstance(error, OSError | LogkeepError | Crash):
            self.oracle.violation(f"unhandled: {context.get('message')}: {error!r}")

    def _settings(self) -> Settings:
        habits, pan, lexiang = self.habits, self.world.pan, self.world.lexiang
        own = self.host.root / ".logkeep"
        return Settings(
            storage=StorageSettings(path=self.host.root, create=not own.exists()),
            download=DownloadSettings(allow_http=True, allow_private_addresses=True),
            pan123=(
                Pan123Settings(
                    name="main",
                    client_id=self.world.account.client_id,
                    client_secret=self.world.account.client_secret,
                    base_url=pan.base_url,
                    requests_per_second=5.0,
                    poll=f"5 */{habits.poll_hours} * * *",
                    span_hours=habits.span_hours,
                    page_size=200,
                ),
            ),
            lexiang=(
                LexiangSettings(
                    name="hq",
                    app_key=self.world.readers.app_key,
                    app_secret=self.world.readers.app_secret,
                    base_url=lexiang.base_url,
                    requests_per_second=5.0,
                    interval=habits.interval,
                    per_page=10,
                ),
            ),
        )

    def note(self, text: str) -> None:
        """One line of the history."""
        line = f"{self.host.true_now():%m-%d %H:%M:%S.%f} {text.replace(str(self.host.root), '<storage>')}"
        self._hash.update(line.encode())
        self.lines.append(line)

    @contextmanager
    def _listened(self) -> Iterator[None]:
        """Everything logged is part of the history, and told to the oracle."""
        before = structlog.get_config()
        structlog.configure(processors=[self._logged])
        try:
            yield
        finally:
            structlog.configure(**before)

    def _logged(self, _logger: object, level: str, event: MutableMapping[str, Any]) -> str:
        if level == "debug":
            self._hash.update(f"{self.host.monotonic_s()} {event}".encode())
        else:
            self.note(f"{level} {json.dumps(event, default=str, ensure_ascii=False)}")
            assert self.host.loop is not None
            self.host.loop.inline(lambda: self.oracle.told(str(event["event"]), event))
        raise structlog.DropEvent
