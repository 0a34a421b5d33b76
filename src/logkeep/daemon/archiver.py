"""Everything that archives, opened in order and closed in reverse: what ``sync`` and ``run`` have in common."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from logkeep.store.local import LocalStore
from logkeep.store.lock import StorageLock
from logkeep.vendors.pace import Pace
from logkeep.vendors.pan123.client import Pan123Client
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings
from logkeep.vendors.token_rules import credential_key

log = structlog.stdlib.get_logger("logkeep.daemon")


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
        accounts = await _open_accounts(settings, catalog, deliveries, clock, rng, stack)
        yield Archiver(settings, clock, store, catalog, room, queue, publisher, deliveries, accounts)


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


async def _open_accounts(
    settings: Settings,
    catalog: Catalog,
    deliveries: Deliveries,
    clock: Clock,
    rng: random.Random,
    stack: AsyncExitStack,
) -> tuple[Kept, ...]:
    now = clock.now()
    keys = [account.key for account in settings.pan123]
    records = await catalog.accounts.enrol(keys, now=now, watched_from=first_watched(now))
    paces = shared_paces(settings, clock)
    accounts = []
    for account in settings.pan123:
        client = pan123_client(settings, account, catalog, clock, rng, paces[credential_of(account)])
        await client.open()
        stack.push_async_callback(client.close)
        known = FileAccount(account.key, records[account.key].account_id, policy_of(account), account.page_size, client)
        run = FileRun(known, catalog, deliveries, clock)
        accounts.append(Kept(run, account.poll, account.sweep, settings.schedule.zone))
    return tuple(accounts)


def policy_of(account: Pan123Settings) -> Policy:
    """What planning obeys."""
    return Policy(account.settle, account.lookback, account.span_hours)


def patience_of(account: Pan123Settings, zone: ZoneInfo, now: datetime) -> timedelta:
    """How long after its end an hour that lacks something becomes a gap: until it settled, and one poll more."""
    return account.settle + longest_wait(account.poll, zone, now)


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


def credential_of(account: Pan123Settings) -> str:
    """The name of an account's credential in the catalog."""
    return credential_key(
        account.key.vendor, account.base_url, account.client_id, account.client_secret.get_secret_value()
    )


def shared_paces(settings: Settings, clock: Clock) -> dict[str, Pace]:
    """One pace for each credential, however many accounts use it; the slowest of them sets it."""
    slowest: dict[str, float] = {}
    for account in settings.pan123:
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


def account_named(settings: Settings, text: str) -> AccountKey | None:
    """The configured account that ``name`` or ``vendor/name`` means, None when there is none such."""
    keys = [account.key for account in settings.pan123]
    return next((key for key in keys if text in (key.name, str(key))), None)
