"""What every command starts from: its settings, its log, and the catalog beside a daemon that may be running."""

import asyncio
import gc
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from logkeep.catalog import Catalog
from logkeep.catalog.records import AccountRecord, StreamRecord
from logkeep.clock import Clock, SystemClock
from logkeep.daemon.archiver import account_named, catalog_path, credential_of, patience_of, policy_of
from logkeep.errors import UsageError
from logkeep.files.ledger import first_watched
from logkeep.files.report import Standing, standing
from logkeep.model import AccountKey
from logkeep.observe.logging import configure
from logkeep.records.report import StreamStanding, stream_standing
from logkeep.vendors.lexiang.settings import STREAM, LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings, load_settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the program."""

    config: Path | None

    def settings(self, *, log_level: str | None = None) -> Settings:
        """Read the settings and set the log up; secrets are hidden from then on.

        Args:
            log_level: overrides ``log.level``, for commands whose output is for people.

        Raises:
            ConfigError: with every problem there is.
        """
        settings = load_settings(self.config)
        redactor = configure(log_level or settings.log.level, settings.log.format, sys.stderr)
        for secret in settings.secrets:
            redactor.hide(secret.get_secret_value())
        for warning in settings.warnings:
            print(f"logkeep: warning: {warning}", file=sys.stderr)  # noqa: T201 - for the person who called
        return settings

    @property
    def clock(self) -> Clock:
        """The host's clock."""
        return SystemClock()

    @property
    def rng(self) -> random.Random:
        """Chance for jitter, which nobody needs to repeat."""
        return random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Known:
    """A configured account and the catalog that knows it; a blank one where no daemon ever ran."""

    settings: Pan123Settings
    record: AccountRecord
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class KnownStream:
    """A configured account with a record stream, and the catalog that knows it; a blank one likewise."""

    settings: LexiangSettings
    record: AccountRecord
    catalog: Catalog

    async def stream(self) -> StreamRecord | None:
        """What is known of the stream, None when it was never read."""
        streams = await self.catalog.streams.of_account(self.record.account_id)
        return next((stream for stream in streams if stream.name == STREAM), None)


@dataclass(frozen=True, slots=True)
class Beside:
    """The catalog, opened beside a daemon that may be running."""

    catalog: Catalog
    accounts: tuple[Known, ...]
    streams: tuple[KnownStream, ...]
    orphans: tuple[AccountRecord, ...]
    settings: Settings
    now: datetime

    async def standing(self, known: Known) -> Standing:
        """How one account stands."""
        account, zone = known.settings, self.settings.schedule.zone
        token = await known.catalog.tokens.load(credential_of(account))
        return await standing(
            known.catalog,
            known.record,
            now=self.now,
            settle=policy_of(account).settle,
            patience=patience_of(account, zone, self.now),
            token=token,
        )

    async def stream_standing(self, known: KnownStream) -> StreamStanding:
        """How one record stream stands."""
        account = known.settings
        token = await known.catalog.tokens.load(credential_of(account))
        return await stream_standing(
            known.catalog, known.record, STREAM, now=self.now, interval=account.interval, token=token
        )

    def chosen(self, account: str | None) -> "Beside":
        """The same with all accounts, or with the one that is named.

        Raises:
            UsageError: none has that name, or several have.
        """
        if account is None:
            return self
        key = account_named(self.settings, account)
        if key is None:
            names = ", ".join(map(str, self.settings.account_keys))
            raise UsageError(f"--account: {account!r} names none of the configured accounts, or several: {names}")
        accounts = tuple(known for known in self.accounts if known.settings.key == key)
        return replace(self, accounts=accounts, streams=tuple(s for s in self.streams if s.settings.key == key))


@asynccontextmanager
async def beside(settings: Settings, clock: Clock) -> AsyncIterator[Beside]:
    """Open the catalog for reading; nothing is created, nothing migrated.

    Raises:
        CatalogError: it cannot be read, or is of another schema.
    """
    catalog, blank, now = Catalog(catalog_path(settings)), Catalog.blank(), clock.now()
    try:
        await catalog.open_beside()
        await blank.open_beside()
        records = {AccountKey(r.vendor, r.name): r for r in await catalog.accounts.all()}
        strangers = [key for key in settings.account_keys if key not in records]
        unseen = await blank.accounts.enrol(strangers, now=now, watched_from=first_watched(now))

        def known(key: AccountKey) -> tuple[AccountRecord, Catalog]:
            return (records[key], catalog) if key in records else (unseen[key], blank)

        accounts = tuple(Known(account, *known(account.key)) for account in settings.pan123)
        streams = tuple(KnownStream(account, *known(account.key)) for account in settings.lexiang)
        orphans = tuple(
            r for key, r in records.items() if key not in settings.account_keys and r.orphan_acked_at is None
        )
        yield Beside(catalog, accounts, streams, orphans, settings, now)
    finally:
        await blank.close()
        await catalog.close()


def with_catalog(invocation: Invocation, work: Callable[[Beside], Awaitable[T]]) -> T:
    """Run a command that only looks."""
    settings = invocation.settings(log_level="warning")

    async def looking() -> T:
        async with beside(settings, invocation.clock) as opened:
            return await work(opened)

    return run_async(looking())


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; one error out of a group of tasks stands for the group.

    Raises:
        SystemExit: SIGTERM ended it, after cleaning up; the status is the shell's for that signal.
    """
    gc.freeze()  # what was loaded stays; looking through it again and again took about a tenth of a backfill
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None
    except BaseExceptionGroup as group:
        raise _first_of(group) from None


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
