"""A simulated 123pan, a storage folder and a clock that the test owns; passes over real sockets into real files."""

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from logkeep.catalog import Catalog
from logkeep.config.sections import DownloadSettings, StorageSettings
from logkeep.daemon.archiver import Archiver, catalog_path, open_archiver, patience_of
from logkeep.daemon.sync import begin_passes, sync_once
from logkeep.files.report import Standing, standing
from logkeep.files.run import Pass
from logkeep.model import Hour, HourState
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.simulator.pan123.offered import OfferedFile
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings

from manual_clock import ManualClock

START = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class World:
    """Everything a test needs.

    ``watched_hours`` bounds what the first ``open`` makes the account answer for; 0: thirty days, as at a first start.
    """

    cloud: Pan123Cloud
    account: Account
    clock: ManualClock
    root: Path
    watched_hours: int = 72
    pan123: dict[str, Any] = field(default_factory=dict)
    download: dict[str, Any] = field(default_factory=dict)
    min_free_bytes: int = 0
    others: dict[str, Account] = field(default_factory=dict)

    def settings(self) -> Settings:
        download = {"allow_http": True, "allow_private_addresses": True, "idle_timeout": timedelta(seconds=2)}
        others = (self._account(name, account) for name, account in self.others.items())
        return Settings(
            storage=StorageSettings(path=self.root, min_free=self.min_free_bytes),
            download=DownloadSettings(**{**download, **self.download}),
            pan123=(self._account("main", self.account, **self.pan123), *others),
        )

    def _account(self, name: str, account: Account, **more: Any) -> Pan123Settings:
        known = {"client_id": account.client_id, "client_secret": account.client_secret}
        usual = {"name": name, "base_url": self.cloud.base_url, "requests_per_second": 500.0}
        return Pan123Settings(**{**known, **usual, **more})

    async def watch_from(self, hour: Hour) -> None:
        """Make the accounts known as ones that answer only for hours from ``hour`` on: fewer requests, same rules."""
        (self.root / ".logkeep").mkdir(parents=True, exist_ok=True)
        catalog = Catalog(catalog_path(self.settings()))
        await catalog.open()
        keys = [account.key for account in self.settings().pan123]
        await catalog.accounts.enrol(keys, now=self.clock.now(), watched_from=hour)
        await catalog.close()

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[tuple[Catalog, int]]:
        """What the catalog knows, while nothing runs; and the number of the account ``main`` in it."""
        catalog = Catalog(catalog_path(self.settings()))
        await catalog.open_beside()
        try:
            yield catalog, next(known.account_id for known in await catalog.accounts.all() if known.name == "main")
        finally:
            await catalog.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Archiver]:
        if not self.root.exists() and self.watched_hours:
            await self.watch_from(Hour.of(self.clock.now()) + -self.watched_hours)
        async with open_archiver(self.settings(), self.clock, random.Random(1)) as archiver:
            yield archiver

    async def sync(self) -> tuple[Pass, Standing]:
        """What ``logkeep sync`` does; then how the account ``main`` stands."""
        return (await self.sync_all())["main"]

    async def sync_all(self) -> dict[str, tuple[Pass, Standing]]:
        """What ``logkeep sync`` does; then how each account stands."""
        async with self.open() as archiver:
            passes = begin_passes(archiver, None)
            await sync_once(archiver, passes)
            return {
                kept.run.account.key.name: (passing, await self.stands(archiver, number))
                for number, (kept, passing) in enumerate(passes.files)
            }

    async def sync_hourly(self, times: int) -> tuple[Pass, Standing]:
        """A sync now, and one an hour after the other; the last one's result."""
        last = await self.sync()
        for _ in range(times - 1):
            self.clock.advance(HOUR)
            last = await self.sync()
        return last

    async def stands(self, archiver: Archiver, number: int = 0) -> Standing:
        account, now = archiver.settings.pan123[number], self.clock.now()
        return await standing(
            archiver.catalog,
            await archiver.catalog.accounts.get(archiver.accounts[number].run.account.account_id),
            now=now,
            settle=account.settle,
            patience=patience_of(account, archiver.settings.schedule.zone, now),
        )

    def archived(self) -> dict[str, bytes]:
        """Every object in the archive: its path below the storage, and its bytes."""
        paths = sorted(self.root.glob("pan123/**/*"))
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths if path.is_file()}

    def digests(self) -> list[str]:
        return sorted(hashlib.sha256(data).hexdigest() for data in self.archived().values())

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".logkeep" / "tmp").iterdir())

    def quarantined(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".logkeep" / "quarantine").iterdir())

    def hour(self, back: int) -> datetime:
        """Start of the hour that closed ``back`` hours ago; 1 is the newest closed one."""
        return (Hour.of(self.clock.now()) + -back).start


def truth(files: list[OfferedFile]) -> list[str]:
    return sorted(file.sha256() for file in files)


def states(stands: Standing) -> dict[HourState, int]:
    return {state: count for state, count in stands.counts.items() if count}


def reasons(stands: Standing) -> list[str]:
    """Why each gap is one, in order."""
    return [gap.reason for gap in stands.gaps]


def state_of(stands: Standing, hour: datetime) -> tuple[HourState, str]:
    judged = next(judged for judged in stands.ledger if judged.hour == Hour.of(hour))
    return judged.state, judged.reason


@asynccontextmanager
async def world(root: Path, **quirks: Any) -> AsyncIterator[World]:
    """A cloud with one account on loopback, its clock and the archiver's the same."""
    clock = ManualClock(START)
    async with Pan123Cloud(now=clock.now, **quirks) as cloud:
        yield World(cloud, cloud.add_account(), clock, root / "storage")
