"""The daemon's life: open, ready, keep until told to stop, drain, stop.

APScheduler is the alarm clock only. What is due is computed from the catalog, so an alarm that is missed, late or
doubled changes nothing; its jobs set an event, and the passes run in our own task group, because a scheduler's
shutdown cancels its own jobs.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from logkeep.clock import Clock
from logkeep.daemon.alarm import longest_wait, trigger
from logkeep.daemon.archiver import Archiver, Kept, KeptStream, open_archiver, patience_of
from logkeep.daemon.lookout import Lookout
from logkeep.daemon.scrub import Scrub, share
from logkeep.errors import HomeError
from logkeep.files.report import standing
from logkeep.model import AccountKey, Checked
from logkeep.records.report import stream_standing
from logkeep.vendors.lexiang.settings import STREAM
from logkeep.vendors.settings import Settings
from logkeep.web.server import WebServer

log = structlog.stdlib.get_logger("logkeep.daemon")


class Next(Enum):
    """When a pass is followed by the next one."""

    AT_ALARM = auto()
    SOON = auto()
    AT_ONCE = auto()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long a daemon waits for what.

    Attributes:
        jitter_s: Passes start up to this much after their alarm, so that many installations do not knock at once.
        again_after_s: A pass that was stopped by trouble is tried again this much later, whatever the cron line says.
        verify_every_s: How often the next share of the archive is read again (``daemon.scrub``).
        look_again_s: How often a disk that is full, or a storage that is gone, is looked at again.
    """

    jitter_s: float = 20.0
    again_after_s: float = 300.0
    look_again_s: float = 15.0
    verify_every_s: float = 900.0


async def run_daemon(settings: Settings, clock: Clock, rng: random.Random, rhythm: Rhythm | None = None) -> None:
    """Keep until SIGTERM or SIGINT, then drain and return.

    Raises:
        HomeError: the storage, the catalog or the lock cannot be had at the start.
        UsageError: the web endpoint's address cannot be had.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_archiver(settings, clock, rng) as archiver:
        daemon = Daemon(archiver, rng, rhythm)
        async with daemon.listening(), archiver.working(settings.daemon.drain), asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(work, name="keep") for work in daemon.work()]
            with daemon.scheduled():
                accounts = len(archiver.accounts) + len(archiver.streams)
                log.info("ready", accounts=accounts, storage=str(settings.storage.path))
                await stop.wait()
            log.info("stopping", drain_s=settings.daemon.drain.total_seconds())
            for task in keeping:
                task.cancel()
    log.info("stopped")


class Daemon:
    """The work of an open archiver, called for by alarms."""

    def __init__(self, archiver: Archiver, rng: random.Random, rhythm: Rhythm | None = None) -> None:
        self._archiver = archiver
        self._rng = rng
        self._rhythm = rhythm or Rhythm()
        keys = [kept.run.account.key for kept in archiver.accounts] + [
            kept.run.account.key for kept in archiver.streams
        ]
        self._alarms = {str(key): asyncio.Event() for key in keys}
        self._lookout = Lookout(archiver.settings.alerts.unreachable_after)
        self._scheduler = AsyncIOScheduler(timezone=archiver.settings.schedule.zone)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """One endless coroutine for each account, and one that watches the disk."""
        now = self._archiver.clock.now()
        files = [
            self._keep(kept.run.account.key, partial(self._pass, kept), longest_wait(kept.poll, kept.zone, now))
            for kept in self._archiver.accounts
        ]
        records = [
            self._keep(kept.run.account.key, partial(self._stream_pass, kept), kept.interval)
            for kept in self._archiver.streams
        ]
        return [self._watch_the_disk(), self._verify_by_and_by(), *files, *records]

    def ring(self) -> None:
        """Call for a pass over every account; one that is under way is followed by one more, however often it rang."""
        for alarm in self._alarms.values():
            alarm.set()

    @contextmanager
    def scheduled(self) -> Iterator[None]:
        """The alarm clock runs: each cron line of each account sets that account's alarm."""
        for kept in self._archiver.accounts:
            self._set_alarms(kept.run.account.key, [trigger(cron, kept.zone) for cron in (kept.poll, kept.sweep)])
        for stream in self._archiver.streams:
            looks = [trigger(cron, stream.zone) for cron in (stream.sweep, stream.deep_sweep)]
            self._set_alarms(
                stream.run.account.key,
                [IntervalTrigger(seconds=stream.interval.total_seconds(), timezone=stream.zone), *looks],
            )
        self._scheduler.start()
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)

    def _set_alarms(self, key: AccountKey, triggers: Iterable[BaseTrigger]) -> None:
        for number, when in enumerate(triggers):
            self._scheduler.add_job(
                self._sound,
                when,
                args=(str(key),),
                id=f"{key} {number}",
                misfire_grace_time=None,  # the default drops an alarm that comes late
                coalesce=True,
                max_instances=1,
            )

    async def _sound(self, account: str) -> None:
        """An alarm; a coroutine, because the scheduler runs anything else in a thread, where no event may be set."""
        self._alarms[account].set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The web endpoint is up, where one is set."""
        listen = self._archiver.settings.web.listen
        if listen is None:
            yield
            return
        probes = {"storage": self._probe_storage, "catalog": self._probe_catalog, "scheduler": self._probe_scheduler}
        server = WebServer(listen.host, listen.port, probes)
        await server.open()
        try:
            yield
        finally:
            await server.close()

    async def _keep(self, key: AccountKey, make_pass: Callable[[str], Awaitable[Next]], every: timedelta) -> None:
        """Pass after pass: at the start, at each alarm, at once where one asks for it, soon again after trouble.

        Alarms go by the host's clock: set back by days, it would ring days late. So nothing waits for much longer than
        ``every``, the longest time between two of them, by a clock that nobody sets.
        """
        overdue_s = every.total_seconds() + self._rhythm.again_after_s
        alarm, cause = self._alarms[str(key)], "start"
        while True:
            alarm.clear()
            try:
                await self._storage_is_there()
                then = await make_pass(cause)
            except HomeError as error:
                log.error("pass_failed", account=str(key), reason=str(error))  # noqa: TRY400 - no traceback
                then = Next.SOON
            if then is Next.AT_ONCE:
                cause = "again"
                continue
            try:
                await asyncio.wait_for(alarm.wait(), self._rhythm.again_after_s if then is Next.SOON else overdue_s)
            except TimeoutError:
                cause = "again"
            else:
                cause = "alarm"
                await asyncio.sleep(self._rng.uniform(0, self._rhythm.jitter_s))

    async def _pass(self, kept: Kept, cause: str) -> Next:
        """One pass over the files of an account."""
        archiver, clock = self._archiver, self._archiver.clock
        passing = await kept.run.run(kept.begin_pass(cause, clock.now()))
        account = next(a for a in archiver.settings.pan123 if a.key == kept.run.account.key)
        now = clock.now()
        stands = await standing(
            archiver.catalog,
            await archiver.catalog.accounts.get(kept.run.account.account_id),
            now=now,
            settle=account.settle,
            patience=patience_of(account, kept.zone, now),
        )
        self._lookout.look(stands, now)
        return Next.AT_ALARM if passing.error is None else Next.SOON

    async def _stream_pass(self, kept: KeptStream, cause: str) -> Next:
        """One pass over a record stream; while it reads history it looks for news at each interval."""
        catalog, now = self._archiver.catalog, self._archiver.clock.now()
        passing = await kept.run.run(kept.begin_pass(cause, now, news_after=kept.interval))
        record = await catalog.accounts.get(kept.run.account.account_id)
        now = self._archiver.clock.now()
        self._lookout.look_at_stream(
            await stream_standing(catalog, record, STREAM, now=now, interval=kept.interval), now
        )
        if passing.error is not None:
            return Next.SOON
        return Next.AT_ONCE if passing.cut else Next.AT_ALARM

    async def _storage_is_there(self) -> None:
        """Wait until the storage is the one that was opened; nothing is asked of a vendor meanwhile."""
        told = False
        while (problem := await self._probe_storage()) is not None:
            if not told:
                log.error("storage_gone", reason=problem, hint="everything waits until it is back")
                told = True
            await asyncio.sleep(self._rhythm.look_again_s)
        if told:
            log.info("storage_back")

    async def _watch_the_disk(self) -> None:
        """When there is room again, call for passes that fetch what had to wait."""
        while True:
            await asyncio.sleep(self._rhythm.look_again_s)
            with suppress(HomeError):  # each pass says so itself
                if await self._archiver.room.look_again():
                    self.ring()

    async def _verify_by_and_by(self) -> None:
        """Read a share of the archive every now and then, and call for passes where anything has to be mended."""
        archiver, every_s = self._archiver, self._rhythm.verify_every_s
        while True:
            await asyncio.sleep(every_s)
            with suppress(HomeError):  # each pass says so itself
                objects, size_bytes = await archiver.catalog.checks.totals()
                part = share(objects, size_bytes, timedelta(seconds=every_s), archiver.clock.now())
                scrub = Scrub(archiver.catalog, archiver.store, archiver.clock, self._ring_for_damage)
                await scrub.part(part)

    def _ring_for_damage(self, checked: Checked) -> None:
        alarm = self._alarms.get(str(checked.account))
        if checked.damage and not checked.known and alarm is not None:
            alarm.set()

    async def _probe_storage(self) -> str | None:
        try:
            await self._archiver.store.check()
        except HomeError as error:
            return str(error)
        return None

    async def _probe_catalog(self) -> str | None:
        try:
            await self._archiver.catalog.accounts.all()
        except HomeError as error:
            return str(error)
        return None

    async def _probe_scheduler(self) -> str | None:
        return None if self._scheduler.running else "not running"
