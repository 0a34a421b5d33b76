"""Both vendors on loopback with a small world that is the same every time, and the settings of who archives from it.

Several files an hour, a large one that can be resumed, one that has grown since it was listed first, and records of
several days, most of which are closed and get compacted. All of it follows from the moment ``begun``, so worlds in
several processes offer the same.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from logkeep.catalog import Catalog
from logkeep.model import AccountKey, Hour
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.vendors.settings import Settings, load_settings

from config_text import write_config

PAN123 = AccountKey("pan123", "main")
LEXIANG = AccountKey("lexiang", "hq")
FIRST_HOUR = 6
"""How many hours back the files begin; the account answers for no hour before."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    hours: int = 4
    files_per_hour: int = 2
    large_bytes: int = 9 * 2**20
    records: int = 300
    days: int = 6
    page_size: int = 50


SMALL = Size(hours=2, large_bytes=0, records=40, days=4, page_size=10)


@dataclass
class Archived:
    """The truth: digests of all contents that an id ever had, and of the last; the records by their id."""

    ever: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
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
    truth: Archived = field(default_factory=Archived)

    def offer(self, begun: datetime) -> None:
        """Everything there is."""
        size = self.size
        end = begun - timedelta(hours=FIRST_HOUR - size.hours)
        offered = self.files.populate(size.hours, size.files_per_hour, end=end)
        if size.large_bytes:
            offered.append(self.files.publish(end - timedelta(hours=2), size=size.large_bytes, visible_from=begun))
        self.records.populate(size.records, days=size.days, end=begun)
        for file in offered:
            self.truth.ever[str(file.file_id)] = {file.sha256()}
            self.truth.last[str(file.file_id)] = file.sha256()
        for record_id in self.records.ids():
            self.truth.records[record_id] = self.records.row(record_id)

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
            "pan123": [pan123],
            "lexiang": [lexiang],
        }

    def config(self, storage: Path) -> Path:
        """A settings file for a storage."""
        folder = self.folder / storage.name
        folder.mkdir(exist_ok=True, parents=True)
        return write_config(folder, self.tree(storage))

    def settings(self, storage: Path) -> Settings:
        """The settings as the program reads them."""
        return load_settings(self.config(storage), {})

    @property
    def downloads(self) -> int:
        """How many downloads were asked for since the last ``reset``."""
        return self.pan123.count("download")

    def reset(self) -> None:
        """Forget the requests seen."""
        self.pan123.reset()
        self.lexiang.reset()


async def watch(storage: Path, begun: datetime) -> None:
    """A storage whose account answers for the world's hours only, as if it had been configured that long ago."""
    (storage / ".logkeep").mkdir(parents=True)
    catalog = Catalog(storage / ".logkeep" / "catalog.sqlite3")
    await catalog.open()
    await catalog.accounts.enrol([PAN123, LEXIANG], now=begun, watched_from=Hour.of(begun) + -FIRST_HOUR)
    await catalog.close()


@asynccontextmanager
async def world(folder: Path, begun: datetime, size: Size) -> AsyncIterator[World]:
    """The clouds, serving, with all that they offer."""
    async with Pan123Cloud() as pan123, LexiangCloud(token_calls=None) as lexiang:
        made = World(pan123, pan123.add_account(), lexiang, lexiang.add_account(), size, folder)
        made.offer(begun)
        yield made
