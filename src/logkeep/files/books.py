"""Read an account's ledger from the catalog; close it where the vendor's window has passed."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import AccountRecord, FileFacts, FileRecord, HourRecord
from logkeep.files.ledger import GRACE, RETENTION, Judged, assess, losses
from logkeep.files.plan import Moment
from logkeep.model import CLOCK_TOLERANCE, Hour, runs

log = structlog.stdlib.get_logger("logkeep.files")


@dataclass(frozen=True, slots=True)
class Books:
    """All that planning and the ledger need to know of one account, read at one moment."""

    account: AccountRecord
    hours: dict[Hour, HourRecord]
    facts: dict[Hour, FileFacts]
    wanted: tuple[FileRecord, ...]

    @property
    def adrift(self) -> list[FileRecord]:
        """Wanted files whose hour is unknown, or none that a ledger holds."""
        return [file for file in self.wanted if file.hour is None]

    def wanting(self, moment: Moment, ordered: Container[str] = ()) -> list[FileRecord]:
        """Wanted files that were not tried since the poll and are not ``ordered`` already."""
        return [f for f in self.wanted if f.file_id not in ordered and is_due(f, moment)]

    def ledger(self, *, now: datetime, settle: timedelta) -> list[Judged]:
        """The account's hours with their states, oldest first."""
        return assess(self.account, self.hours, self.facts, now=now, settle=settle)


async def read_books(catalog: Catalog, account_id: int, now: datetime) -> Books:
    """Read them."""
    account = await catalog.accounts.get(account_id)
    window = Hour.of(now - RETENTION - GRACE) + -1
    first = min(window, max(account.judged_to, account.watched_from + -1))
    return Books(
        account=account,
        hours=await catalog.hours.window(account_id, first),
        facts=await catalog.files.facts(account_id, first),
        wanted=tuple(await catalog.files.wanted(account_id)),
    )


def is_due(file: FileRecord, moment: Moment) -> bool:
    """Whether a file is to be fetched: wanted, and not tried since the poll."""
    return file.wanted and not moment.stands(file.attempted_at, moment.poll_since)


async def close_books(catalog: Catalog, account_id: int, *, now: datetime, skew: timedelta, settle: timedelta) -> None:
    """Judge what can no longer be had, in one step however many hours it is; say so once, loudly.

    Nothing is judged while this host's clock differs from the vendor's by more than the tolerance.
    """
    if abs(skew) > CLOCK_TOLERANCE:
        return
    books = await read_books(catalog, account_id, now)
    lost = losses(books.ledger(now=now, settle=settle), now, skew.total_seconds())
    if await _give_up_damaged(catalog, books, {record.hour for record in lost}, now):
        books = await read_books(catalog, account_id, now)
        lost = losses(books.ledger(now=now, settle=settle), now, skew.total_seconds())
    name = f"{books.account.vendor}/{books.account.name}"
    if lost:
        await catalog.hours.save(account_id, lost)
        await catalog.files.lose(account_id, hours=[record.hour for record in lost], file_ids=[], now=now)
        for span in runs(record.hour for record in lost):
            reason = next(record.lost_reason for record in lost if record.hour in span)
            log.error("hours_lost", account=name, span=str(span), hours=len(span), reason=reason)
    over = [file for file in books.adrift if file.first_seen_at + RETENTION + GRACE <= now]
    if over:
        await catalog.files.lose(account_id, hours=[], file_ids=[file.file_id for file in over], now=now)
        log.error("files_lost", account=name, file_ids=[file.file_id[:64] for file in over[:20]], count=len(over))
    settled_to = Hour.of(now - RETENTION - GRACE)
    if settled_to > books.account.judged_to:
        await catalog.accounts.judged(account_id, settled_to)


async def _give_up_damaged(catalog: Catalog, books: Books, over: Container[Hour], now: datetime) -> bool:
    """Want damaged files no longer that cannot be had any more; their damage lasts, and their hours are not lost."""
    account = books.account
    adrift = {file.file_id for file in books.adrift if file.first_seen_at + RETENTION + GRACE <= now}
    gone = [
        damage
        for damage in await catalog.damages.of_account(account.account_id)
        if damage.fetching and (damage.hour in over if damage.hour is not None else damage.file_id in adrift)
    ]
    await catalog.damages.give_up(account.account_id, [damage.file_id for damage in gone if damage.file_id is not None])
    for damage in gone:
        log.error("damage_lasts", account=f"{account.vendor}/{account.name}", path=damage.path, damage=damage.what)
    return bool(gone)
