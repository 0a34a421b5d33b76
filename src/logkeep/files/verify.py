"""Reads an archived file again, and compares it with what the catalog recorded of it."""

import hashlib
from functools import partial

from logkeep.errors import StorageError
from logkeep.model import StoredFile
from logkeep.store.blocking import in_thread
from logkeep.store.port import Readable

MISSING = "it is missing"
CANNOT = "cannot "
"""How damage begins that is no fault of the bytes: what the system said when they were to be read."""

_INLINE_BYTES = 64 * 1024


async def damage_of(store: Readable, stored: StoredFile) -> str:
    """What is wrong with an archived file, "" for nothing. What cannot be read is damage, not an error."""
    try:
        size_bytes = await store.size(stored.path)
        if size_bytes is None:
            return MISSING
        if size_bytes != stored.size_bytes:
            return f"it has {size_bytes} bytes where {stored.size_bytes} are recorded"
        digest = hashlib.sha256()
        async for block in store.read(stored.path):
            if len(block) > _INLINE_BYTES:
                await in_thread(partial(digest.update, block))
            else:
                digest.update(block)
    except StorageError as error:
        return str(error)
    return "" if digest.hexdigest() == stored.sha256 else "its digest is not the recorded one"
