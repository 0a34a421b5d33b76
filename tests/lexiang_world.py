"""A simulated Lexiang, a storage folder and a clock that the test owns; passes over real sockets into real segments."""

import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from logkeep.catalog import Catalog
from logkeep.catalog.records import Oddity, StreamRecord
from logkeep.config.sections import DaemonSettings, DownloadSettings, StorageSettings
from logkeep.daemon.archiver import Archiver, KeptStream, catalog_path, open_archiver
from logkeep.daemon.sync import begin_passes, sync_once
from logkeep.model import StreamState
from logkeep.records.account import Pass
from logkeep.records.report import StreamStanding, stream_standing
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.wire import Wire
from logkeep.vendors.lexiang.settings import STREAM, LexiangSettings
from logkeep.vendors.settings import Settings

from manual_clock import ManualClock

START = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
"""A Tuesday, 12:05 by the vendor's clock."""
INTERVAL = timedelta(minutes=5)
LOOKBACK = timedelta(minutes=10)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
Result = tuple[Pass, StreamStanding]


@dataclass
class StreamWorld:
    """Everything a test needs. ``keys`` are settings of the account ``hq``; ``others`` are further accounts."""

    cloud: LexiangCloud
    account: LexiangAccount
    clock: ManualClock
    root: Path
    keys: dict[str, Any] = field(default_factory=dict)
    others: dict[str, LexiangAccount] = field(default_factory=dict)
    other_keys: dict[str, Any] = field(default_factory=dict)
    min_free_bytes: int = 0

    def settings(self) -> Settings:
        return Settings(
            storage=StorageSettings(path=self.root, min_free=self.min_free_bytes),
            download=DownloadSettings(allow_http=True, allow_private_addresses=True),
            daemon=DaemonSettings(drain=timedelta(seconds=1)),
            lexiang=(
                self._account("hq", self.account, **self.keys),
                *(self._account(name, account, **self.other_keys) for name, account in self.others.items()),
            ),
        )

    def _account(self, name: str, account: LexiangAccount, **more: Any) -> LexiangSettings:
        known = {"app_key": account.app_key, "app_secret": account.app_secret}
        usual = {"name": name, "base_url": self.cloud.base_url, "requests_per_second": 1000.0, "per_page": 20}
        return LexiangSettings(**{**known, **usual, **more})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Archiver]:
        async with open_archiver(self.settings(), self.clock, random.Random(1)) as archiver:
            yield archiver

    async def sync(self, archiver: Archiver | None = None) -> Result:
        """What ``logkeep sync`` does; then how the account ``hq`` stands."""
        return (await self.sync_all(archiver))["hq"]

    async def sync_all(self, archiver: Archiver | None = None) -> dict[str, Result]:
        """What ``logkeep sync`` does, with an archiver of its own unless one is open; then how each account stands."""
        if archiver is None:
            async with self.open() as opened:
                return await self.sync_all(opened)
        passes = begin_passes(archiver, None)
        await sync_once(archiver, passes)
        return {
            kept.run.account.key.name: (passing, await self.stands(archiver, kept)) for kept, passing in passes.records
        }

    async def look(
        self, archiver: Archiver, after: timedelta = timedelta(), *, news_after: timedelta | None = None
    ) -> Pass:
        """Exactly one pass over ``hq``, as the daemon makes it, so much later."""
        self.clock.advance(after)
        kept = archiver.streams[0]
        return await kept.run.run(kept.begin_pass("alarm", self.clock.now(), news_after=news_after))

    async def stands(self, archiver: Archiver, kept: KeptStream | None = None) -> StreamStanding:
        kept = kept or archiver.streams[0]
        record = await archiver.catalog.accounts.get(kept.run.account.account_id)
        return await stream_standing(archiver.catalog, record, STREAM, now=self.clock.now(), interval=kept.interval)

    async def stream(self, archiver: Archiver) -> StreamRecord:
        return await archiver.catalog.streams.get(archiver.streams[0].run.account.stream_id)

    async def oddities(self, archiver: Archiver) -> list[Oddity]:
        """What is odd about the stream of ``hq``, oldest first."""
        found = await archiver.catalog.streams.oddities(archiver.streams[0].run.account.stream_id)
        return found[::-1]

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[Catalog]:
        """What the catalog knows, while nothing runs."""
        catalog = Catalog(catalog_path(self.settings()))
        await catalog.open_beside()
        try:
            yield catalog
        finally:
            await catalog.close()

    def asked(self, kind: str = "logs") -> int:
        return self.cloud.count(kind)

    def ago(self, **parts: float) -> datetime:
        """That long before now."""
        return self.clock.now() - timedelta(**parts)

    def segments(self, account: str = "hq") -> dict[str, list[dict[str, Any]]]:
        """Every segment on the disk: its path below the storage, and its lines."""
        return read_segments(self.root, account)

    def lines(self, account: str = "hq") -> list[dict[str, Any]]:
        return [line for lines in self.segments(account).values() for line in lines]

    def line(self, record_id: str, account: str = "hq") -> dict[str, Any]:
        (found,) = (line for line in self.lines(account) if line["id"] == record_id)
        return found

    def ids(self, account: str = "hq") -> Counter[str]:
        """On how many lines each id stands."""
        return Counter(line["id"] for line in self.lines(account))

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in (self.root / ".logkeep" / "tmp").iterdir())


def read_segments(root: Path, account: str = "hq") -> dict[str, list[dict[str, Any]]]:
    """Every segment that a reader sees, each whole gzip with whole lines."""
    found = {}
    for path in sorted(root.glob(f"lexiang/{account}/**/*.gz")):
        text = gzip.decompress(path.read_bytes()).decode()
        assert text.endswith("\n"), path
        found[str(path.relative_to(root))] = [json.loads(line) for line in text.splitlines()]
    return found


def once(ids: list[str]) -> Counter[str]:
    """Each of these on exactly one line."""
    assert len(set(ids)) == len(ids)
    return Counter(ids)


def assert_whole(w: StreamWorld, stands: StreamStanding) -> None:
    """All that is offered is archived once, nothing is doubtful, and nothing was left or done that may not be."""
    assert (stands.state, stands.reason, list(stands.gaps)) == (StreamState.COVERED, "", [])
    missing = Counter(w.account.ids()) - w.ids()
    assert not missing, f"{len(missing)} of {len(w.account)} are missing"
    assert set(w.ids().values()) <= {1}
    assert w.leftovers() == []
    assert w.cloud.violations == []


@asynccontextmanager
async def stream_world(
    folder: Path, *, keys: dict[str, Any] | None = None, kind: type[LexiangCloud] = LexiangCloud, **quirks: Any
) -> AsyncIterator[StreamWorld]:
    """A cloud with one account on loopback, its clock and the archiver's the same; ``keys`` as for ``StreamWorld``."""
    clock = ManualClock(START)
    async with kind(now=clock.now, **quirks) as cloud:
        yield StreamWorld(cloud, cloud.add_account(), clock, folder / "storage", keys or {})


class _DatelessWire(Wire):
    async def stamp(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        del response.headers["Date"]


class DatelessCloud(LexiangCloud):
    """Its answers have no ``Date``."""

    def _fresh_wire(self) -> Wire:
        self._wire = _DatelessWire(self._server_time)
        return self._wire
