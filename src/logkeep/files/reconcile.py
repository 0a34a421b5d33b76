"""After a crash: bring catalog and store to one story, looking only at what was under way.

A published file whose outcome was not recorded is adopted by its id and digest. A flushed one that was never renamed
is published now. Large parts that can be resumed stay; every other staged file is swept.
"""

import hashlib
from dataclasses import dataclass

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import Intent
from logkeep.clock import Clock
from logkeep.errors import StorageError
from logkeep.store.port import Publication, Store

log = structlog.stdlib.get_logger("logkeep.files")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What start-up found: ``adopted`` files, ``kept`` parts to resume, ``swept`` leftovers."""

    adopted: int
    kept: int
    swept: int


async def reconcile(catalog: Catalog, store: Store, clock: Clock) -> Reconciled:
    """Idempotent; only the holder of the storage lock may call it.

    Raises:
        StorageError: the store cannot be read or written.
        CatalogError: likewise the catalog.
    """
    adopted = [intent for intent in await catalog.transfers.intents() if await _finish(intent, store)]
    await catalog.transfers.archived(adopted, now=clock.now())
    await catalog.transfers.drop_intents(await catalog.transfers.intents())
    staged = await store.staged_sizes()
    resumable = set()
    for partial in await catalog.transfers.partials():
        if partial.temp_name in staged:
            resumable.add(partial.temp_name)
        else:
            await catalog.transfers.drop_partial(partial.account_id, partial.file_id)
    leftovers = staged.keys() - resumable
    for temp_name in leftovers:
        await store.discard(temp_name)
    result = Reconciled(len(adopted), len(resumable), len(leftovers))
    if adopted or resumable or leftovers:
        log.info("reconciled", adopted=result.adopted, kept=result.kept, swept=result.swept)
    return result


async def _finish(intent: Intent, store: Store) -> bool:
    """Whether the intent's object is, or could now be, in the archive."""
    if await store.digest(intent.path) == intent.sha256:
        await store.discard(intent.temp_name)
        return True
    if await _staged_digest(intent.temp_name, store) != intent.sha256:
        return False
    try:
        await store.flush([intent.temp_name])
        await store.publish([Publication(intent.temp_name, intent.path, intent.sha256)])
    except StorageError as error:
        log.warning("reconcile_failed", path=intent.path, error=str(error))
        return False
    return True


async def _staged_digest(temp_name: str, store: Store) -> str | None:
    if temp_name not in await store.staged_sizes():
        return None
    digest = hashlib.sha256()
    async for block in store.staged(temp_name):
        digest.update(block)
    return digest.hexdigest()
