"""The contact with a vendor account during a pass: how its clock stands to ours, and whether it answers at all."""

from datetime import datetime, timedelta

import structlog

from logkeep.catalog.accounts import Accounts
from logkeep.catalog.records import AccountRecord, TroubleKind
from logkeep.clock import Clock
from logkeep.errors import FatalVendorError, VendorError
from logkeep.model import CLOCK_TOLERANCE, AccountKey

log = structlog.stdlib.get_logger("logkeep.vendors")

_SKEW_MOVED_S = 5.0
_ANSWERED_EVERY = timedelta(minutes=10)


class Contact:
    """Remembers, and tells once, when a vendor's trouble begins and ends. ``skew`` is its clock minus this host's."""

    def __init__(self, accounts: Accounts, account_id: int, key: AccountKey, clock: Clock) -> None:
        self._accounts = accounts
        self._account_id = account_id
        self._clock = clock
        self._log = log.bind(account=str(key))
        self.skew: timedelta | None = None

    def now(self) -> datetime:
        """The vendor's time where this host's clock is off, this host's otherwise."""
        off = self.skew if self.skew is not None and abs(self.skew) > CLOCK_TOLERANCE else timedelta()
        return self._clock.now() + off

    async def answered(self, skew_s: float | None) -> AccountRecord:
        """The vendor answered: trouble ends, and its clock is compared with ours. Returns what was known before."""
        known, now = await self._accounts.get(self._account_id), self._clock.now()
        if known.trouble is not None:
            self._log.info("vendor_recovered", after=known.trouble.kind.value, since=known.trouble.since.isoformat())
        if skew_s is not None:
            if abs(skew_s) > CLOCK_TOLERANCE.total_seconds() and self.skew is None:
                self._log.error("clock_differs", vendor_minus_host_s=round(skew_s), hint="set this host's clock")
            self.skew = timedelta(seconds=skew_s)
        moved = skew_s is not None and (known.skew_s is None or abs(known.skew_s - skew_s) > _SKEW_MOVED_S)
        old = known.answered_at is None or now - known.answered_at > _ANSWERED_EVERY
        if known.trouble is not None or moved or old:
            await self._accounts.answered(self._account_id, at=now, skew_s=skew_s)
        return known

    async def failed(self, error: VendorError) -> None:
        """The account as a whole gets nowhere; said when it begins, not every time."""
        kind = TroubleKind.CREDENTIALS if isinstance(error, FatalVendorError) else TroubleKind.UNREACHABLE
        before = (await self._accounts.get(self._account_id)).trouble
        await self._accounts.trouble(self._account_id, kind, str(error), now=self._clock.now())
        if before is None or before.kind is not kind:
            self._log.error("vendor_trouble", kind=kind.value, reason=str(error))
