"""Mending archived files: the damaged copy is set aside, and the vendor's bytes take its place again.

Whoever reads the archive only records damage (``catalog.damages``), which makes the file wanted. What is moved, is
moved here, by the one who holds the storage lock. Bytes that are fetched again take the old place only when they have
the recorded digest; others are a new version, and the damage lasts.
"""

import structlog

from logkeep.catalog.care import Damage
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import AccountRecord, FileRecord, HourRecord
from logkeep.clock import Clock
from logkeep.errors import StorageError
from logkeep.files.ledger import GRACE, RETENTION, expires_at
from logkeep.files.verify import CANNOT, MISSING, damage_of
from logkeep.model import AccountKey, StoredFile
from logkeep.store.aside import damaged_name
from logkeep.store.port import Store

log = structlog.stdlib.get_logger("logkeep.files")


def may_be_had(file: FileRecord, hour: HourRecord | None, account: AccountRecord, clock: Clock) -> bool:
    """Whether the vendor may still offer a file, so that asking for it makes sense."""
    now = clock.now()
    if file.hour is None:
        return now < file.first_seen_at + RETENTION + GRACE
    lost = hour is not None and hour.lost_at is not None
    return not lost and file.hour >= account.watched_from + -1 and now < expires_at(file.hour) + GRACE


class Mender:
    """Under the storage lock only."""

    def __init__(self, catalog: Catalog, store: Store, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock

    async def set_aside(self, key: AccountKey, account_id: int) -> None:
        """Look at what is on record as damaged of an account, and set the damaged copies aside.

        Whatever is whole again is no damage any more. What merely cannot be read stays until there is something to
        replace it.

        Raises:
            HomeError: it could not be done as a whole; calling again is safe.
        """
        for damage in await self._catalog.damages.of_account(account_id):
            if damage.file_id is None or damage.aside:
                continue
            versions = await self._catalog.files.versions(account_id, damage.file_id)
            stored = next(version for version in versions if version.path == damage.path)
            what = await damage_of(self._store, stored)
            if not what:
                await self._whole(key, damage)
            elif what == MISSING:
                await self._find_aside(damage)
            elif not what.startswith(CANNOT):
                await self._move(key, damage)

    async def must_replace(self, key: AccountKey, stored: StoredFile) -> bool:
        """Whether bytes with this version's digest are needed in its place, which is free when this returns True."""
        damage = await self._catalog.damages.at(stored.path)
        if damage is None:
            return False
        try:
            whole = await self._store.digest(stored.path) == stored.sha256
        except StorageError:
            whole = False
        if whole:
            await self._whole(key, damage)
            return False
        await self._store.present()
        await self._move(key, damage)
        return True

    async def _whole(self, key: AccountKey, damage: Damage) -> None:
        if await self._catalog.damages.whole(damage.path):
            log.info("damage_repaired", account=str(key), path=damage.path, how="found whole again")

    async def _find_aside(self, damage: Damage) -> None:
        """A kill may have come between setting a copy aside and recording it."""
        name = damaged_name(damage.path, damage.found_at)
        if name in await self._store.quarantined():
            await self._catalog.damages.set_aside(damage.path, f".logkeep/quarantine/{name}")

    async def _move(self, key: AccountKey, damage: Damage) -> None:
        where = await self._store.set_aside(damage.path, damaged_name(damage.path, damage.found_at))
        if where is not None:
            await self._catalog.damages.set_aside(damage.path, where)
            log.warning("damaged_set_aside", account=str(key), path=damage.path, aside=where)
