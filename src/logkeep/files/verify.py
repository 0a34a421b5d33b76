"""Reads the archived files of an account again, and compares each with what the catalog recorded of it."""

from collections.abc import AsyncIterator

from logkeep.catalog.catalog import Catalog
from logkeep.errors import StorageError
from logkeep.model import AccountKey, Checked, StoredFile
from logkeep.store.port import Store


async def verify_files(catalog: Catalog, store: Store, key: AccountKey, account_id: int) -> AsyncIterator[Checked]:
    """Every archived version, in the order of ids. What cannot be read is damage, not an error.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    last: StoredFile | None = None
    while some := await catalog.files.stored_after(account_id, last):
        for stored in some:
            damage = await _damage(store, stored)
            yield Checked(key, stored.path, stored.size_bytes, file_id=stored.file_id, damage=damage)
        last = some[-1]


async def _damage(store: Store, stored: StoredFile) -> str:
    try:
        size_bytes = await store.size(stored.path)
        if size_bytes is None:
            return "it is missing"
        if size_bytes != stored.size_bytes:
            return f"it has {size_bytes} bytes where {stored.size_bytes} are recorded"
        digest = await store.digest(stored.path)
    except StorageError as error:
        return str(error)
    return "" if digest == stored.sha256 else "its digest is not the recorded one"
