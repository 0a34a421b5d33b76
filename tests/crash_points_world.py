"""Both vendors on loopback with a small world that is the same every time, and the settings of who archives from it.

Several files an hour, a large one that can be resumed, one that has grown since it was listed first, and records of
several days, most of which are closed and get compacted. All of it follows from the moment ``begun``, so worlds in
several processes offer the same.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from logkeep.catalog import Catalog
from logkeep.clock import SystemClock
from logkeep.daemon.archiver import open_archiver
from logkeep.daemon.sync import begin_passes, sync_once
from logkeep.model import AccountKey, Hour
from logkeep.records.segment import SegmentKeeper
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.simulator.pan123.offered import OfferedFile
from logkeep.vendors.settings import Settings, load_settings

from config_text import write_config

PAN123 = AccountKey("pan123", "main")
LEXIANG = AccountKey("lexiang", "hq")
FIRST_HOUR = 6
"""How many hours back the files begin; the account answers for no hour before."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is; with no ``hours``, no account that publishes files."""

    hours: int = 4
    files_per_hour: int = 2
    large_bytes: int = 9 * 2**20
    records: int = 300
    days: int = 6
    page_size: int = 50


SMALL = Size(hours=1, large_bytes=0, records=40, days=5, page_size=10)
RECORDS = Size(hours=0, large_bytes=0, records=120, page_size=20)


@dataclass
class Truth:
    """The truth: each id with the digest of each content that it had; the records by their id."""

    files: set[tuple[str, str]] = field(default_factory=set)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class World:
    """Two clouds, and what they offer. ``folder`` takes the settings files."""

    pan123: Pan123Cloud
    files: Account
    lexiang: LexiangCloud
    records: LexiangAccount
    size: Size
    folder: Path
    truth: Truth = field(default_factory=Truth)

    def offer_first(self, begun: datetime) -> None:
        """What is archived before anything goes wrong: two files and, of all the records, some."""
        if self.size.hours:
            self._learn(self.files.populate(1, 2, end=begun - timedelta(hours=FIRST_HOUR - 1)))
        self.records.populate(self.size.records, days=self.size.days, end=begun)
        self.truth.records = {record_id: self.records.row(record_id) for record_id in self.records.ids()}

    def offer_more(self, begun: datetime) -> None:
        """What the run under test is to archive: more files, a large one, more bytes for a known one."""
        size = self.size
        if not size.hours:
            return
        end = begun - timedelta(hours=FIRST_HOUR - 1 - size.hours)
        grown = self.files.files()[0]
        self.files.grow(grown)
        offered = [grown, *self.files.populate(size.hours, size.files_per_hour, end=end)]
        if size.large_bytes:
            offered.append(self.files.publish(end - timedelta(hours=1), size=size.large_bytes, visible_from=begun))
        self._learn(offered)

    def _learn(self, offered: Iterable[OfferedFile]) -> None:
        self.truth.files |= {(str(file.file_id), file.sha256()) for file in offered}

    def tree(self, storage: Path) -> dict[str, Any]:
        """The settings for a storage."""
        pan123 = {
            "name": PAN123.name,
            "client_id": self.files.client_id,
            "client_secret": self.files.client_secret,
            "base_url": self.pan123.base_url,
            "requests_per_second": 500.0,
            "span_hours": 720,
        }
        lexiang = {
            "name": LEXIANG.name,
            "app_key": self.records.app_key,
            "app_secret": self.records.app_secret,
            "base_url": self.lexiang.base_url,
            "requests_per_second": 500.0,
            "per_page": self.size.page_size,
        }
        return {
            "storage": {"path": str(storage), "min_free": 0},
            "download": {"allow_http": True, "allow_private_addresses": True, "concurrency": 3},
            "web": {"listen": ""},
            "log": {"format": "json"},
            "lexiang": [lexiang],
            **({"pan123": [pan123]} if self.size.hours else {}),
        }

    def config(self, storage: Path) -> Path:
        """A settings file for a storage."""
        folder = self.folder / storage.name
        folder.mkdir(exist_ok=True, parents=True)
        return write_config(folder, self.tree(storage))

    async def settings(self, storage: Path) -> Settings:
        """The settings as the program reads them."""
        return await asyncio.to_thread(load_settings, self.config(storage), {})

    @property
    def downloads(self) -> int:
        """How many downloads were asked for since the last ``reset``."""
        return self.pan123.count("download")

    def reset(self) -> None:
        """Forget the requests seen."""
        self.pan123.reset()
        self.lexiang.reset()


async def prepare(made: World, storage: Path, begun: datetime) -> None:
    """Archive what was offered first, and two batches of records of the same days: there will be days to compact."""
    await _watch(storage, begun)
    async with open_archiver(await made.settings(storage), SystemClock(), random.Random(1)) as archiver:
        await sync_once(archiver, begin_passes(archiver, "pan123"))
        keeper, kept = SegmentKeeper(archiver.store, archiver.catalog, archiver.clock), archiver.streams[0].run.account
        page = await kept.vendor.read_page(2, made.size.records // 2)
        stream = await archiver.catalog.streams.get(kept.stream_id)
        for some in (page.records[::3], page.records[1::3]):
            await keeper.keep(LEXIANG, stream, some, [])


async def _watch(storage: Path, begun: datetime) -> None:
    """A storage whose account answers for the world's hours only, as if it had been configured that long ago."""
    (storage / ".logkeep").mkdir(parents=True)
    catalog = Catalog(storage / ".logkeep" / "catalog.sqlite3")
    await catalog.open()
    await catalog.accounts.enrol([PAN123, LEXIANG], now=begun, watched_from=Hour.of(begun) + -FIRST_HOUR)
    await catalog.close()


@asynccontextmanager
async def world(folder: Path, begun: datetime, size: Size, storage: Path | None = None) -> AsyncIterator[World]:
    """The clouds, serving, with all that they offer; ``storage`` is made, holding what was offered first."""
    async with Pan123Cloud() as pan123, LexiangCloud(token_calls=None) as lexiang:
        made = World(pan123, pan123.add_account(), lexiang, lexiang.add_account(), size, folder)
        made.offer_first(begun)
        if storage is not None:
            await prepare(made, storage, begun)
        made.offer_more(begun)
        yield made
