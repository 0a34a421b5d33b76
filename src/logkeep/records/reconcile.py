"""After a crash: bring catalog and archive to one story about segments, looking only at what was under way."""

from dataclasses import dataclass

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.clock import Clock
from logkeep.records.naming import TEMP_PREFIX
from logkeep.records.outcome import remove_retired, settle
from logkeep.store.port import Store

log = structlog.stdlib.get_logger("logkeep.records")


@dataclass(frozen=True, slots=True)
class RecordsReconciled:
    """What start-up found: ``adopted`` segments, ``removed`` ones that were compacted, ``swept`` leftovers."""

    adopted: int
    removed: int
    swept: int


async def reconcile_records(catalog: Catalog, store: Store, clock: Clock) -> RecordsReconciled:
    """Idempotent; only the holder of the storage lock may call it, and nobody may archive records meanwhile.

    Raises:
        StorageError: the store cannot be read or written.
        CatalogError: likewise the catalog.
    """
    adopted = await settle(await catalog.streams.intents(), catalog, store, clock)
    removed = await remove_retired(catalog, store)
    leftovers = [temp_name for temp_name in await store.staged_sizes() if temp_name.startswith(TEMP_PREFIX)]
    for temp_name in leftovers:
        await store.discard(temp_name)
    result = RecordsReconciled(adopted, removed, len(leftovers))
    if adopted or removed or leftovers:
        log.info("records_reconciled", adopted=adopted, removed=removed, swept=len(leftovers))
    return result
