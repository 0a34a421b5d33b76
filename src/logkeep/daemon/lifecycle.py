"""The daemon's life: open, ready, keep until told to stop, drain, stop.

APScheduler is the alarm clock only. What is due is computed from the catalog, so an alarm that is missed, late or
doubled changes nothing; its jobs set an event, and the passes run in our own task group, because a scheduler's
shutdown cancels its own jobs.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from logkeep.clock import Clock
from logkeep.daemon.alarm import trigger
from logkeep.daemon.archiver import Archiver, Kept, open_archiver, patience_of
from logkeep.daemon.lookout import Lookout
from logkeep.errors import HomeError
from logkeep.files.report import standing
from logkeep.vendors.settings import Settings
from logkeep.web.server import WebServer

log = structlog.stdlib.get_logger("logkeep.daemon")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long a daemon waits for what.

    Attributes:
        jitter_s: Passes start up to this much after their alarm, so that many installations do not knock at once.
        again_after_s: A pass that was stopped by trouble is tried again this much later, whatever the cron line says.
        look_again_s: How often a disk that is full, or a storage that is gone, is looked at again.
    """

    jitter_s: float = 20.0
    again_after_s: float = 300.0
    look_again_s: float = 15.0


async def run_daemon(settings: Settings, clock: Clock, rng: random.Random) -> None:
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
        daemon = Daemon(archiver, rng)
        async with daemon.listening(), archiver.working(settings.daemon.drain), asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(work, name="keep") for work in daemon.work()]
            with daemon.scheduled():
                log.info("ready", accounts=len(archiver.accounts), storage=str(settings.storage.path))
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
        self._alarms = {str(kept.run.account.key): asyncio.Event() for kept in archiver.accounts}
        self._lookout = Lookout(archiver.settings.alerts.unreachable_after)
        self._scheduler = AsyncIOScheduler(timezone=archiver.settings.schedule.zone)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """One endless coroutine for each account, and one that watches the disk."""
        return [self._watch_the_disk(), *(self._keep(kept) for kept in self._archiver.accounts)]

    def ring(self) -> None:
        """Call for a pass over every account; one that is under way is followed by one more, however often it rang."""
        for alarm in self._alarms.values():
            alarm.set()

    @contextmanager
    def scheduled(self) -> Iterator[None]:
        """The alarm clock runs: each cron line of each account sets that account's alarm."""
        for kept in self._archiver.accounts:
            account = str(kept.run.account.key)
            for name, cron in (("poll", kept.poll), ("sweep", kept.sweep)):
                self._scheduler.add_job(
                    self._alarms[account].set,
                    trigger(cron, kept.zone),
                    id=f"{name} {account}",
                    misfire_grace_time=None,  # the default drops an alarm that comes late
                    coalesce=True,
                    max_instances=1,
                )
        self._scheduler.start()
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)

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

    async def _keep(self, kept: Kept) -> None:
        """Pass after pass: at the start, at each alarm, and soon again after trouble."""
        alarm = self._alarms[str(kept.run.account.key)]
        cause = "start"
        while True:
            alarm.clear()
            sound = await self._pass(kept, cause)
            try:
                await asyncio.wait_for(alarm.wait(), None if sound else self._rhythm.again_after_s)
            except TimeoutError:
                cause = "again"
            else:
                cause = "alarm"
                await asyncio.sleep(self._rng.uniform(0, self._rhythm.jitter_s))

    async def _pass(self, kept: Kept, cause: str) -> bool:
        """One pass; whether it ended without trouble."""
        archiver, clock = self._archiver, self._archiver.clock
        try:
            await self._storage_is_there()
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
        except HomeError as error:
            log.error("pass_failed", account=str(kept.run.account.key), reason=str(error))  # noqa: TRY400 - no traceback
            return False
        self._lookout.look(stands, now)
        return passing.error is None

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
