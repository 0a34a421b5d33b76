"""Accounts: every one ever configured, how far each is judged, and what troubles it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database
from logkeep.catalog.records import AccountRecord, Trouble, TroubleKind
from logkeep.catalog.tables import accounts
from logkeep.model import AccountKey, Hour


class Accounts:
    """The accounts of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[AccountRecord]:
        """Every account ever configured, in the order they were first seen."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(accounts).order_by(accounts.c.account_id))
            return [_record(row) for row in rows.mappings()]

    async def get(self, account_id: int) -> AccountRecord:
        """One account that is known to exist."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(accounts).where(accounts.c.account_id == account_id))
            return _record(rows.mappings().one())

    async def enrol(
        self, keys: Sequence[AccountKey], *, now: datetime, watched_from: Hour
    ) -> dict[AccountKey, AccountRecord]:
        """Make the catalog know exactly these accounts as configured; new ones are watched from ``watched_from``.

        Accounts that left the configuration stay, as orphans; one that comes back is no orphan any more.
        """

        async def work(connection: AsyncConnection) -> None:
            known = {
                AccountKey(row.vendor, row.name)
                for row in await connection.execute(select(accounts.c.vendor, accounts.c.name))
            }
            await connection.execute(update(accounts).values(configured=False))
            for key in keys:
                if key in known:
                    mine = (accounts.c.vendor == key.vendor) & (accounts.c.name == key.name)
                    await connection.execute(
                        update(accounts)
                        .where(mine)
                        .values(configured=True, orphan_acked_at=None, orphan_acked_by="", orphan_ack_reason="")
                    )
                else:
                    await connection.execute(insert(accounts), [_newcomer(key, now, watched_from)])

        await self._database.write(work)
        return {AccountKey(a.vendor, a.name): a for a in await self.all() if a.configured}

    async def answered(self, account_id: int, *, at: datetime, skew_s: float | None) -> None:
        """The vendor answered usefully: no trouble any more; ``skew_s`` is its ``Date`` minus this host's time."""
        await self._set(
            account_id,
            answered_at=at,
            trouble_kind=None,
            trouble_reason=None,
            trouble_since=None,
            **({} if skew_s is None else {"skew_s": skew_s}),
        )

    async def trouble(self, account_id: int, kind: TroubleKind, reason: str, *, now: datetime) -> Trouble:
        """The account as a whole gets nowhere; the moment it began is kept while the kind stays the same."""
        before = (await self.get(account_id)).trouble
        since = before.since if before is not None and before.kind is kind else now
        await self._set(account_id, trouble_kind=kind.value, trouble_reason=reason, trouble_since=since)
        return Trouble(kind, reason, since)

    async def limit_span(self, account_id: int, hours: int, *, now: datetime) -> None:
        """Remember the longest span the vendor seems to answer in full."""
        await self._set(account_id, span_limit=hours, span_limited_at=now)

    async def watch_from(self, account_id: int, hour: Hour) -> None:
        """Answer for the hours from ``hour`` on; only before anything was judged."""
        await self._set(account_id, watched_from=hour, judged_to=hour)

    async def judged(self, account_id: int, judged_to: Hour) -> None:
        """Hours before ``judged_to`` have their final state."""
        await self._set(account_id, judged_to=judged_to)

    async def acknowledge_orphan(self, account_id: int, *, by: str, reason: str, now: datetime) -> None:
        """Somebody vouches that the account left the configuration on purpose."""
        await self._set(account_id, orphan_acked_at=now, orphan_acked_by=by, orphan_ack_reason=reason)

    async def _set(self, account_id: int, **values: Any) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(update(accounts).where(accounts.c.account_id == account_id).values(**values))

        await self._database.write(work)


def _newcomer(key: AccountKey, now: datetime, watched_from: Hour) -> dict[str, Any]:
    return {
        "vendor": key.vendor,
        "name": key.name,
        "first_seen_at": now,
        "watched_from": watched_from,
        "judged_to": watched_from,
        "configured": True,
    }


def _record(row: RowMapping) -> AccountRecord:
    values = dict(row)
    kind, reason, since = (values.pop(name) for name in ("trouble_kind", "trouble_reason", "trouble_since"))
    record = AccountRecord(**values)
    return record if kind is None else replace(record, trouble=Trouble(TroubleKind(kind), reason, since))
