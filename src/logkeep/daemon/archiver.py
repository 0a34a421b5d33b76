"""Everything that archives, opened in order and closed in reverse: what ``sync`` and ``run`` have in common."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from logkeep import __version__
from logkeep.catalog import Catalog
from logkeep.clock import Clock
from logkeep.daemon.alarm import last_came, longest_wait
from logkeep.errors import StorageError
from logkeep.files.delivery import Deliveries, Delivery
from logkeep.files.fetch import Downloader, FetchLimits
from logkeep.files.ledger import first_watched
from logkeep.files.listing import FileAccount
from logkeep.files.plan import Policy
from logkeep.files.publish import Publisher
from logkeep.files.reconcile import reconcile
from logkeep.files.room import Room
from logkeep.files.run import FileRun, Pass
from logkeep.model import AccountKey
from logkeep.observe.logging import redactor
from logkeep.queue.inline import InlineQueue
from logkeep.records.account import Pass as RecordPass
from logkeep.records.account import RecordAccount
from logkeep.records.plan import Policy as RecordPolicy
from logkeep.records.reconcile import reconcile_records
from logkeep.records.run import RecordRun
from logkeep.store.local import LocalStore
from logkeep.store.lock import StorageLock
from logkeep.vendors.lexiang.client import LexiangClient
from logkeep.vendors.lexiang.settings import STREAM, LexiangSettings
from logkeep.vendors.pace import Pace
from logkeep.vendors.pan123.client import Pan123Client
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings
from logkeep.vendors.token_rules import credential_key

log = structlog.stdlib.get_logger("logkeep.daemon")

RECORDS_BYTES = 16 * 2**20
"""Room that is looked for before records are written: more than a batch of them ever takes."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One account at work, with the cron lines that call for it."""

    run: FileRun
    poll: str
    sweep: str
    zone: ZoneInfo

    def begin_pass(self, cause: str, now: datetime, *, always_poll: bool = False) -> Pass:
        """A pass that lists what was not listed since the cron lines last came.

        With ``always_poll`` the look-back is due now, whenever it was last made.
        """
        poll_since = now if always_poll else last_came(self.poll, self.zone, now)
        return Pass(cause, poll_since=poll_since, sweep_since=last_came(self.sweep, self.zone, now))


@dataclass(frozen=True, slots=True)
class KeptStream:
    """One record stream at work, with its interval and the cron lines that call for deeper looks."""

    run: RecordRun
    interval: timedelta
    sweep: str
    deep_sweep: str
    zone: ZoneInfo

    def begin_pass(self, cause: str, now: datetime, *, news_after: timedelta | None = None) -> RecordPass:
        """A pass that reads what is due; see ``records.account.Pass`` for ``news_after``."""
        return RecordPass(
            cause,
            sweep_since=last_came(self.sweep, self.zone, now),
            deep_since=last_came(self.deep_sweep, self.zone, now),
            news_after=news_after,
        )


@dataclass(frozen=True, slots=True)
class Archiver:
    """An open storage with its catalog, vendors and workers."""

    settings: Settings
    clock: Clock
    store: LocalStore
    catalog: Catalog
    room: Room
    queue: InlineQueue[Delivery]
    publisher: Publisher
    deliveries: Deliveries
    accounts: tuple[Kept, ...]
    streams: tuple[KeptStream, ...]

    @asynccontextmanager
    async def working(self, drain: timedelta) -> AsyncIterator[None]:
        """Workers at work. Leaving: no new work, those in flight get ``drain``, then end cleanly."""
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(self.publisher.run(), name="publisher")
            concurrency = self.settings.download.concurrency
            tasks.create_task(self.queue.run(self.deliveries.handle, concurrency), name="downloads")
            try:
                yield
            finally:
                if not await self.queue.drain(drain.total_seconds()):
                    log.warning("downloads_cut_off", hint="they go on at the next start")
                self.publisher.finish()
                await asyncio.wait((publishing,))  # leaving because of an error, the group would cancel it


@asynccontextmanager
async def open_archiver(settings: Settings, clock: Clock, rng: random.Random) -> AsyncIterator[Archiver]:
    """Take the storage, bring the catalog up to date, reconcile what a crash left, make the clients.

    Raises:
        LockHeld: another process keeps this storage.
        StorageError: the storage path is not usable.
        CatalogError: the catalog is not usable.
    """
    async with AsyncExitStack() as stack:
        store = LocalStore(settings.storage.path, create=settings.storage.create)
        await store.open()
        stack.push_async_callback(store.close)
        stack.enter_context(StorageLock(lock_path(settings)))
        catalog = await _open_catalog(settings, store, stack)
        await reconcile_records(catalog, store, clock)
        await reconcile(catalog, store, clock)
        room = Room(store, settings.storage.min_free, clock)
        catalog.database.on_full = room.give_up_reserve
        queue = InlineQueue[Delivery](clock, [str(account.key) for account in settings.pan123])
        downloader = Downloader(
            store,
            fetch_limits(settings),
            proxy=proxy(settings),
            user_agent=f"logkeep/{__version__}",
            concurrency=settings.download.concurrency,
        )
        await downloader.open()
        stack.push_async_callback(downloader.close)
        publisher = Publisher(store, catalog, clock)
        deliveries = Deliveries(
            catalog=catalog,
            store=store,
            downloader=downloader,
            publisher=publisher,
            room=room,
            queue=queue,
            clock=clock,
            rng=rng,
        )
        await deliveries.open()
        await _enrol(settings, catalog, clock)
        accounts = await _open_accounts(settings, catalog, deliveries, clock, rng, stack)
        streams = await _open_streams(settings, catalog, store, room, clock, rng, stack)
        yield Archiver(settings, clock, store, catalog, room, queue, publisher, deliveries, accounts, streams)


async def _open_catalog(settings: Settings, store: LocalStore, stack: AsyncExitStack) -> Catalog:
    path = catalog_path(settings)
    network = store.network_file_system()
    if network is not None and settings.catalog.sqlite_path is None:
        raise StorageError(
            f"storage.path: {settings.storage.path} lies on {network}, where SQLite is not safe; "
            "set catalog.url to a file on a local disk"
        )
    catalog = Catalog(path)
    stack.push_async_callback(catalog.close)
    await catalog.open()
    return catalog


async def _enrol(settings: Settings, catalog: Catalog, clock: Clock) -> None:
    now = clock.now()
    await catalog.accounts.enrol(settings.account_keys, now=now, watched_from=first_watched(now))


async def _open_accounts(
    settings: Settings,
    catalog: Catalog,
    deliveries: Deliveries,
    clock: Clock,
    rng: random.Random,
    stack: AsyncExitStack,
) -> tuple[Kept, ...]:
    numbers = await _numbers(catalog)
    paces = shared_paces(settings.pan123, clock)
    accounts = []
    for account in settings.pan123:
        client = pan123_client(settings, account, catalog, clock, rng, paces[credential_of(account)])
        await client.open()
        stack.push_async_callback(client.close)
        known = FileAccount(account.key, numbers[account.key], policy_of(account), account.page_size, client)
        run = FileRun(known, catalog, deliveries, clock)
        accounts.append(Kept(run, account.poll, account.sweep, settings.schedule.zone))
    return tuple(accounts)


async def _open_streams(
    settings: Settings,
    catalog: Catalog,
    store: LocalStore,
    room: Room,
    clock: Clock,
    rng: random.Random,
    stack: AsyncExitStack,
) -> tuple[KeptStream, ...]:
    numbers = await _numbers(catalog)
    paces = shared_paces(settings.lexiang, clock)
    streams = []
    for account in settings.lexiang:
        client = lexiang_client(settings, account, catalog, clock, rng, paces[credential_of(account)])
        await client.open()
        stack.push_async_callback(client.close)
        stream = await catalog.streams.enrol(numbers[account.key], STREAM)
        policy = RecordPolicy(account.interval, account.lookback)
        known = RecordAccount(account.key, stream.account_id, stream.stream_id, policy, account.per_page, client)
        run = RecordRun(known, catalog=catalog, store=store, clock=clock, admit=partial(_admit_records, room))
        streams.append(KeptStream(run, account.interval, account.sweep, account.deep_sweep, settings.schedule.zone))
    return tuple(streams)


async def _numbers(catalog: Catalog) -> dict[AccountKey, int]:
    return {AccountKey(a.vendor, a.name): a.account_id for a in await catalog.accounts.all()}


async def _admit_records(room: Room) -> None:
    """Records are small, but what is to stay free stays free."""
    await room.admit("records", RECORDS_BYTES)
    room.release("records")


def policy_of(account: Pan123Settings) -> Policy:
    """What planning obeys."""
    return Policy(account.settle, account.lookback, account.span_hours)


def patience_of(account: Pan123Settings, zone: ZoneInfo, now: datetime) -> timedelta:
    """How long after its end an hour that lacks something becomes a gap: until it settled, and one poll more."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)  # asked in every pass, and computed once a day
    return account.settle + longest_wait(account.poll, zone, today)


def catalog_path(settings: Settings) -> Path:
    """Where the catalog lies."""
    return settings.catalog.sqlite_path or settings.storage.path / ".logkeep" / "catalog.sqlite3"


def lock_path(settings: Settings) -> Path:
    """Where the storage's lock lies."""
    return settings.storage.path / ".logkeep" / "lock"


def proxy(settings: Settings) -> str:
    """The proxy's address with its password, empty for none."""
    return "" if settings.http.proxy is None else settings.http.proxy.get_secret_value()


def fetch_limits(settings: Settings) -> FetchLimits:
    """What a download may do."""
    download = settings.download
    return FetchLimits(
        max_file_size_bytes=download.max_file_size,
        idle_timeout=download.idle_timeout,
        total_timeout=download.total_timeout,
        allow_http=download.allow_http,
        allow_private_addresses=download.allow_private_addresses,
    )


def credential_of(account: Pan123Settings | LexiangSettings) -> str:
    """The name of an account's credential in the catalog."""
    name, secret = account.credential
    return credential_key(account.key.vendor, account.base_url, name, secret.get_secret_value())


def shared_paces(accounts: Iterable[Pan123Settings | LexiangSettings], clock: Clock) -> dict[str, Pace]:
    """One pace for each credential, however many accounts use it; the slowest of them sets it."""
    slowest: dict[str, float] = {}
    for account in accounts:
        credential, rate = credential_of(account), account.requests_per_second
        slowest[credential] = min(rate, slowest.get(credential, rate))
    return {credential: Pace(per_second=rate, clock=clock) for credential, rate in slowest.items()}


def pan123_client(
    settings: Settings,
    account: Pan123Settings,
    catalog: Catalog,
    clock: Clock,
    rng: random.Random,
    pace: Pace | None = None,
) -> Pan123Client:
    """A client whose token lives in the catalog, shared by everything that uses it."""
    return Pan123Client(
        account_name=account.name,
        client_id=account.client_id,
        client_secret=account.client_secret,
        base_url=account.base_url,
        carrier=account.carrier,
        page_size=account.page_size,
        requests_per_second=account.requests_per_second,
        pace=pace,
        token_store=catalog.tokens,
        clock=clock,
        rng=rng,
        allow_http=settings.download.allow_http,
        allow_private_addresses=settings.download.allow_private_addresses,
        proxy=proxy(settings),
        hide=redactor().hide,
    )


def lexiang_client(
    settings: Settings,
    account: LexiangSettings,
    catalog: Catalog,
    clock: Clock,
    rng: random.Random,
    pace: Pace | None = None,
) -> LexiangClient:
    """A client whose token lives in the catalog, shared by everything that uses it."""
    return LexiangClient(
        account_name=account.name,
        app_key=account.app_key,
        app_secret=account.app_secret,
        base_url=account.base_url,
        requests_per_second=account.requests_per_second,
        pace=pace,
        token_store=catalog.tokens,
        clock=clock,
        rng=rng,
        allow_http=settings.download.allow_http,
        allow_private_addresses=settings.download.allow_private_addresses,
        proxy=proxy(settings),
        hide=redactor().hide,
    )


def account_named(settings: Settings, text: str) -> AccountKey | None:
    """The configured account that ``name`` or ``vendor/name`` means, None when there is none such, or not just one."""
    found = [key for key in settings.account_keys if text in (key.name, str(key))]
    return found[0] if len(found) == 1 else None
