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

    def settings(self) -> Settings:
        account = {
            "name": "main",
            "client_id": self.account.client_id,
            "client_secret": self.account.client_secret,
            "base_url": self.cloud.base_url,
            "requests_per_second": 500.0,
            **self.pan123,
        }
        download = {"allow_http": True, "allow_private_addresses": True, "idle_timeout": timedelta(seconds=2)}
        return Settings(
            storage=StorageSettings(path=self.root, min_free=0),
            download=DownloadSettings(**{**download, **self.download}),
            pan123=(Pan123Settings(**account),),
        )

    async def watch_from(self, hour: Hour) -> None:
        """Make the account known as one that answers only for hours from ``hour`` on: fewer requests, same rules."""
        settings = self.settings()
        (self.root / ".logkeep").mkdir(parents=True, exist_ok=True)
        catalog = Catalog(catalog_path(settings))
        await catalog.open()
        await catalog.accounts.enrol([settings.pan123[0].key], now=self.clock.now(), watched_from=hour)
        await catalog.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Archiver]:
        if not self.root.exists() and self.watched_hours:
            await self.watch_from(Hour.of(self.clock.now()) + -self.watched_hours)
        async with open_archiver(self.settings(), self.clock, random.Random(1)) as archiver:
            yield archiver

    async def sync(self) -> tuple[Pass, Standing]:
        """What ``logkeep sync`` does; then how the account stands."""
        async with self.open() as archiver:
            passes = begin_passes(archiver, None)
            await sync_once(archiver, passes)
            return passes[0][1], await self.stands(archiver)

    async def stands(self, archiver: Archiver) -> Standing:
        account, now = archiver.settings.pan123[0], self.clock.now()
        return await standing(
            archiver.catalog,
            await archiver.catalog.accounts.get(archiver.accounts[0].run.account.account_id),
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


def state_of(stands: Standing, hour: datetime) -> tuple[HourState, str]:
    judged = next(judged for judged in stands.ledger if judged.hour == Hour.of(hour))
    return judged.state, judged.reason


@asynccontextmanager
async def world(root: Path, **quirks: Any) -> AsyncIterator[World]:
    """A cloud with one account on loopback, its clock and the archiver's the same."""
    clock = ManualClock(START)
    async with Pan123Cloud(now=clock.now, **quirks) as cloud:
        yield World(cloud, cloud.add_account(), clock, root / "storage")
