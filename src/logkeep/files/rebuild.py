"""Adopting archived files into a new catalog: their paths tell what they are, their bytes whether they are whole."""

from datetime import datetime
from functools import partial

from logkeep.catalog.adoption import Found
from logkeep.files.inspect import Inspection, Inspector, Verdict
from logkeep.files.ledger import GRACE, expires_at
from logkeep.files.naming import ParsedPath, shown_name
from logkeep.model import Hour, StoredFile
from logkeep.store.blocking import in_thread
from logkeep.store.port import Entry, Readable

_INLINE_BYTES = 64 * 1024


async def read_file(store: Readable, entry: Entry, parsed: ParsedPath, account_id: int, now: datetime) -> Found:
    """Read one archived file; the path must tell its id.

    What is not whole gzip is either what the vendor gave or damaged since. It is asked for once more while the vendor
    may have it; the same bytes again change nothing.

    Raises:
        StorageError: it cannot be read.
    """
    assert parsed.file_id is not None, "the caller has looked"
    inspector = Inspector()
    async for block in store.read(entry.path):
        if len(block) > _INLINE_BYTES:
            await in_thread(partial(inspector.feed, block))
        else:
            inspector.feed(block)
    found = inspector.finish()
    stored = StoredFile(
        file_id=parsed.file_id,
        version=parsed.version,
        path=entry.path,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        stored_at=entry.written_at,
        flags=() if found.verdict is Verdict.WHOLE else ("not_gzip",),
    )
    return Found(account_id, stored, shown_name(entry.path), parsed.hour, _doubt(found, parsed.hour, now))


def _doubt(found: Inspection, hour: Hour | None, now: datetime) -> str:
    if found.verdict is Verdict.WHOLE or hour is None or now >= expires_at(hour) + GRACE:
        return ""
    return f"{found.verdict.value} when the catalog was rebuilt: being fetched again to compare"
