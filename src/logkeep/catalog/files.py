"""Files and their versions; what was tried and why it failed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database, upsert
from logkeep.catalog.records import FileFacts, FileRecord
from logkeep.catalog.tables import attempts, files, versions
from logkeep.model import Hour, Span, StoredFile

_KEEP_ATTEMPTS = 20
"""Failed attempts remembered of one file."""
_IDS_PER_QUERY = 500


class Files:
    """The files of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, account_id: int, file_id: str) -> FileRecord | None:
        """One id's record."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(files).where(*is_file(files, account_id, file_id)))
            row = rows.mappings().one_or_none()
            return None if row is None else _record(row)

    async def facts(self, account_id: int, first: Hour) -> dict[Hour, FileFacts]:
        """How the files of every hour from ``first`` on stand."""
        async with self._database.read() as connection:
            counted = await connection.execute(
                select(files.c.hour, func.count())
                .where(files.c.account_id == account_id, files.c.hour >= first, files.c.versions > 0)
                .group_by(files.c.hour)
            )
            archived: dict[Hour, int] = {row[0]: row[1] for row in counted}
            missing: dict[Hour, list[FileRecord]] = {}
            for file in await _wanted(connection, account_id):
                if file.hour is not None and file.hour >= first:
                    missing.setdefault(file.hour, []).append(file)
        return {hour: _facts(archived.get(hour, 0), missing.get(hour, [])) for hour in archived.keys() | missing.keys()}

    async def wanted(self, account_id: int) -> list[FileRecord]:
        """Files promised and not archived yet, those given up as lost excepted."""
        async with self._database.read() as connection:
            return await _wanted(connection, account_id)

    async def of_hour(self, account_id: int, hour: Hour) -> list[FileRecord]:
        """The hour's files, those no longer offered included."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(files).where(files.c.account_id == account_id, files.c.hour == hour).order_by(files.c.file_id)
            )
            return [_record(row) for row in rows.mappings()]

    async def versions(self, account_id: int, file_id: str) -> list[StoredFile]:
        """The archived versions of one id, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(versions).where(*is_file(versions, account_id, file_id)).order_by(versions.c.version)
            )
            return [stored_file(row) for row in rows.mappings()]

    async def stored_after(self, account_id: int, last: StoredFile | None, *, limit: int = 500) -> list[StoredFile]:
        """The archived objects that follow on ``last`` in the order of id and version; the first ones for None."""
        place = tuple_(versions.c.file_id, versions.c.version)
        query = select(versions).where(versions.c.account_id == account_id)
        if last is not None:
            query = query.where(place > tuple_(last.file_id, last.version))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(versions.c.file_id, versions.c.version).limit(limit))
            return [stored_file(row) for row in rows.mappings()]

    async def totals(self, account_id: int) -> tuple[int, int]:
        """Archived objects and their bytes."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(func.count(), func.coalesce(func.sum(versions.c.size_bytes), 0)).where(
                    versions.c.account_id == account_id
                )
            )
            count, size_bytes = rows.one()
            return int(count), int(size_bytes)

    async def attempts(self, account_id: int, file_id: str) -> list[tuple[datetime, str]]:
        """The latest failed attempts and their reasons, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(attempts.c.at, attempts.c.reason)
                .where(*is_file(attempts, account_id, file_id))
                .order_by(attempts.c.attempt_id)
            )
            return [(row[0], row[1]) for row in rows]

    async def failed(self, account_id: int, file_id: str, reason: str, *, now: datetime) -> None:
        """One fetch failed."""

        async def work(connection: AsyncConnection) -> None:
            mine = is_file(attempts, account_id, file_id)
            entry = {"account_id": account_id, "file_id": file_id, "at": now, "reason": reason}
            await connection.execute(insert(attempts).values(entry))
            kept = (
                select(attempts.c.attempt_id).where(*mine).order_by(attempts.c.attempt_id.desc()).limit(_KEEP_ATTEMPTS)
            )
            await connection.execute(delete(attempts).where(*mine, attempts.c.attempt_id.not_in(kept)))
            await connection.execute(
                update(files)
                .where(*is_file(files, account_id, file_id))
                .values(attempts=files.c.attempts + 1, attempted_at=now, failure=reason)
            )

        await self._database.write(work)

    async def waits(self, account_id: int, file_id: str, reason: str) -> None:
        """The file could not be kept, for a reason on this side: it is no failed attempt, and stays due."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(update(files).where(*is_file(files, account_id, file_id)).values(failure=reason))

        await self._database.write(work)

    async def lose(self, account_id: int, *, hours: Sequence[Hour], file_ids: Sequence[str], now: datetime) -> None:
        """Stop wanting what can no longer be had: the wanted files of these hours, and these ids."""

        async def work(connection: AsyncConnection) -> None:
            for part in _parts(hours):
                await connection.execute(_losing(account_id, now).where(files.c.hour.in_(part)))
            for ids in _parts(file_ids):
                await connection.execute(_losing(account_id, now).where(files.c.file_id.in_(ids)))

        await self._database.write(work)

    async def lost(self, account_id: int) -> list[FileRecord]:
        """Files of unknown hour that were lost and not acknowledged."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(files).where(*_lost_adrift(account_id)).order_by(files.c.file_id))
            return [_record(row) for row in rows.mappings()]

    async def acknowledge_lost(self, account_id: int, *, by: str, reason: str, now: datetime) -> int:
        """Somebody vouches for the lost files of unknown hour; returns how many that were."""

        async def work(connection: AsyncConnection) -> int:
            values = {"acked_at": now, "acked_by": by, "ack_reason": reason}
            done = await connection.execute(update(files).where(*_lost_adrift(account_id)).values(**values))
            return int(done.rowcount)

        return await self._database.write(work)


async def files_of_listing(
    connection: AsyncConnection, account_id: int, span: Span, shown: Iterable[Hour], ids: Iterable[str]
) -> Mapping[str, FileRecord]:
    """The records of these ids, and of every file of the span's hours and of those shown."""
    mine = files.c.account_id == account_id
    in_span = (files.c.hour >= span.first) & (files.c.hour <= span.last)
    found = list((await connection.execute(select(files).where(mine, in_span))).mappings())
    for hours in _parts([hour for hour in shown if hour not in span]):
        found.extend((await connection.execute(select(files).where(mine, files.c.hour.in_(hours)))).mappings())
    for part in _parts(sorted(ids)):
        found.extend((await connection.execute(select(files).where(mine, files.c.file_id.in_(part)))).mappings())
    return {row["file_id"]: _record(row) for row in found}


async def save_files(connection: AsyncConnection, account_id: int, records: Sequence[FileRecord]) -> None:
    """Replace these records; the caller read them in the same transaction."""
    rows = [{"account_id": account_id, **_values(record)} for record in records]
    await upsert(connection, files, rows, ["account_id", "file_id"])


async def _wanted(connection: AsyncConnection, account_id: int) -> list[FileRecord]:
    rows = await connection.execute(
        select(files)
        .where(files.c.account_id == account_id, files.c.wanted, files.c.lost_at.is_(None))
        .order_by(files.c.hour, files.c.file_id)
    )
    return [_record(row) for row in rows.mappings()]


def _lost_adrift(account_id: int) -> tuple[Any, ...]:
    return (
        files.c.account_id == account_id,
        files.c.lost_at.is_not(None),
        files.c.hour.is_(None),
        files.c.acked_at.is_(None),
    )


def _losing(account_id: int, now: datetime) -> Any:
    return (
        update(files)
        .where(files.c.account_id == account_id, files.c.wanted, files.c.lost_at.is_(None))
        .values(lost_at=now)
    )


def _parts(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _IDS_PER_QUERY] for start in range(0, len(items), _IDS_PER_QUERY))


def is_file(table: Any, account_id: int, file_id: str) -> tuple[Any, Any]:
    """The condition that a row of the table belongs to this file."""
    return table.c.account_id == account_id, table.c.file_id == file_id


def stored_file(row: RowMapping) -> StoredFile:
    """A row of ``versions``."""
    return StoredFile(**{name: row[name] for name in StoredFile.__slots__})


def _facts(archived: int, missing: Sequence[FileRecord]) -> FileFacts:
    return FileFacts(archived, len(missing), tuple(file for file in missing if file.failure))


def _values(record: FileRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in record.__slots__}
    span: Span = values.pop("seen_in")
    return values | {"seen_first": span.first, "seen_last": span.last}


def _record(row: RowMapping) -> FileRecord:
    values = {name: value for name, value in row.items() if name not in ("account_id", "seen_first", "seen_last")}
    return FileRecord(**values, seen_in=Span(row["seen_first"], row["seen_last"]))
