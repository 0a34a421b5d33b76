"""Making the catalog again from the archive alone.

The new one grows beside the place of the old (``<catalog>.rebuilding``) and takes it when it is whole: until then the
old one is untouched, and a rebuild that was cut off goes on where it ended. What is adopted is what can be proved by
reading: objects, digests, ids of records. No listing and no covered stretch of time is made up, so the next pass asks
the vendors for everything they still have, and finds what it knows.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from logkeep.catalog.adoption import Adoption, Found
from logkeep.catalog.catalog import Catalog
from logkeep.catalog.records import SegmentRecord
from logkeep.clock import Clock
from logkeep.daemon.archiver import catalog_path, lock_path
from logkeep.errors import CatalogError, StorageError
from logkeep.files.ledger import first_watched
from logkeep.files.naming import ParsedPath, parse_path
from logkeep.files.rebuild import read_file
from logkeep.model import CHINA, AccountKey
from logkeep.records.naming import ParsedSegment, parse_segment_path
from logkeep.records.rebuild import DayOfSegments, Read, largest_first
from logkeep.store.local import LocalStore
from logkeep.store.lock import StorageLock
from logkeep.store.port import Entry, Store
from logkeep.vendors.lexiang.settings import VENDOR as RECORD_VENDOR
from logkeep.vendors.pan123.settings import VENDOR as FILE_VENDOR
from logkeep.vendors.settings import Settings

_AT_ONCE = 200
_NO_ID = "its id is so long that only a digest of it is in the name; it is recognised when it is listed again"
_NO_NAME = "it is not called like anything that logkeep archives"
_TAKEN = "another object has the same id and version, or the same id and bytes"


@dataclass(slots=True)
class Rebuilt:
    """What was found. ``strangers`` and ``damaged`` were left alone; each is a path and why. ``former`` is kept there.

    ``doubtful`` files are adopted as they are; the vendor is asked for them once more where it may have them.
    """

    files: int = 0
    segments: int = 0
    records: int = 0
    bytes: int = 0
    kept: int = 0
    strangers: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    doubtful: list[tuple[str, str]] = field(default_factory=list)
    former: Path | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """How much lies in the archive, told before anything is read."""

    objects: int
    bytes: int


async def rebuild(
    settings: Settings, clock: Clock, *, replace: bool, begin: Callable[[Work], Callable[[int], None]]
) -> Rebuilt:
    """Make the catalog anew under the storage lock.

    Args:
        settings: Whose storage.
        clock: The time.
        replace: A catalog that has content is kept under another name, instead of being a reason to refuse.
        begin: Told how much there is; what it returns is told of the bytes of each object that is done.

    Raises:
        LockHeld: another process keeps this storage.
        StorageError: the storage path is not usable.
        CatalogError: there is a catalog with content, or the new one cannot be written.
    """
    root, path = settings.storage.path, catalog_path(settings)
    if not await asyncio.to_thread(root.is_dir):
        raise StorageError(f"storage.path: {root} is no folder; there is nothing to make a catalog from")
    store = LocalStore(root, create=settings.storage.create)
    await store.open()
    with StorageLock(lock_path(settings)):
        if not replace and await asyncio.to_thread(_has_content, path):
            raise CatalogError(
                f"catalog {path}: it has content; `logkeep rebuild --replace` keeps it beside the new one,"
                f" as {path.name}.before-rebuild-TIME"
            )
        draft = path.with_name(f"{path.name}.rebuilding")
        catalog = await _opened(draft)
        try:
            result = await _Rebuilding(catalog, store, clock, begin).run(settings.account_keys)
        finally:
            await catalog.close()
        result.former = await asyncio.to_thread(_put_in_place, draft, path, clock.now())
    await store.close()
    return result


async def _opened(draft: Path) -> Catalog:
    """The draft that an earlier attempt left, or a new one where that is none."""
    catalog = Catalog(draft)
    try:
        await catalog.open()
    except CatalogError:
        await catalog.close()
        await asyncio.to_thread(_remove, draft)
        catalog = Catalog(draft)
        await catalog.open()
    return catalog


class _Rebuilding:
    def __init__(
        self, catalog: Catalog, store: Store, clock: Clock, begin: Callable[[Work], Callable[[int], None]]
    ) -> None:
        self._catalog = catalog
        self._adoption = Adoption(catalog.database)
        self._store = store
        self._clock = clock
        self._begin = begin
        self._tell: Callable[[int], None] = lambda _: None
        self._result = Rebuilt()
        self._known: dict[str, int] = {}
        self._numbers: dict[AccountKey, int] = {}
        self._batch: list[Found] = []

    async def run(self, configured: Sequence[AccountKey]) -> Rebuilt:
        self._known = await self._adoption.known()
        await self._look_round()
        async for entries in self._store.walk():
            day: list[tuple[Entry, ParsedSegment]] = []
            for entry in entries:
                parsed = _parsed(entry.path)
                if isinstance(parsed, ParsedPath):
                    await self._file(entry, parsed)
                elif isinstance(parsed, ParsedSegment):
                    day.append((entry, parsed))
                else:
                    self._result.strangers.append((entry.path, parsed))
                    self._tell(entry.size_bytes)
            await self._day(day)
        await self._adopt()
        await self._enrol([*self._numbers, *configured])
        await self._enrol(configured)
        return self._result

    async def _look_round(self) -> None:
        """Count what there is, and forget what an earlier attempt adopted that is there no more."""
        gone, objects, size_bytes = dict(self._known), 0, 0
        async for entries in self._store.walk():
            for entry in entries:
                objects, size_bytes = objects + 1, size_bytes + entry.size_bytes
                if gone.get(entry.path) == entry.size_bytes:
                    del gone[entry.path]
        await self._adoption.forget(gone.keys())
        for path in gone:
            del self._known[path]
        self._tell = self._begin(Work(objects, size_bytes))

    async def _file(self, entry: Entry, parsed: ParsedPath) -> None:
        key = AccountKey(parsed.vendor, parsed.account)
        account_id = await self._number(key)
        if entry.path in self._known:
            self._result.kept += 1
        elif parsed.file_id is None:
            self._result.strangers.append((entry.path, _NO_ID))
            self._tell(entry.size_bytes)
            return
        else:
            try:
                self._batch.append(await read_file(self._store, entry, parsed, account_id, self._clock.now()))
            except StorageError as error:
                self._result.damaged.append((entry.path, str(error)))
                self._tell(entry.size_bytes)
                return
        self._count(entry, files=1)
        if len(self._batch) >= _AT_ONCE:
            await self._adopt()

    async def _adopt(self) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        taken = set(await self._adoption.files(batch, now=self._clock.now()))
        self._result.files -= len(taken)
        self._result.strangers += [(path, _TAKEN) for path in sorted(taken)]
        adopted = [found for found in batch if found.stored.path not in taken]
        self._result.doubtful += [(f.stored.path, " ".join(f.stored.flags)) for f in adopted if f.stored.flags]

    async def _day(self, day: Sequence[tuple[Entry, ParsedSegment]]) -> None:
        """All segments of one day of one stream; half a day that was adopted before is read again."""
        if not day:
            return
        if all(entry.path in self._known for entry, _ in day):
            for entry, parsed in day:
                self._result.kept += 1
                self._count(entry, segments=1, records=parsed.records)
            return
        await self._adoption.forget([entry.path for entry, _ in day if entry.path in self._known])
        key, stream = day[0][1].key, day[0][1].stream
        stream_id = (await self._catalog.streams.enrol(await self._number(key), stream)).stream_id
        lines = DayOfSegments()
        for entry, parsed in largest_first(day):
            await self._segment(await lines.read(self._store, entry, parsed), stream_id)

    async def _segment(self, read: Read, stream_id: int) -> None:
        entry, parsed = read.entry, read.parsed
        if read.damage:
            self._result.damaged.append((entry.path, read.damage))
            self._tell(entry.size_bytes)
            return
        segment = SegmentRecord(
            stream_id=stream_id,
            day=parsed.day,
            path=entry.path,
            sha256=read.sha256,
            size_bytes=entry.size_bytes,
            records=parsed.records,
            stored_at=entry.written_at,
        )
        if read.into:
            await self._adoption.retire(segment, read.into)
        else:
            known = await self._catalog.streams.known(stream_id, read.new)
            new = [record_id for record_id in read.new if record_id not in known]
            await self._adoption.segment(segment, new, now=self._clock.now())
        if parsed.first_at is not None:
            await self._adoption.oldest(stream_id, parsed.first_at)
        self._count(entry, segments=1, records=len(read.new))

    async def _number(self, key: AccountKey) -> int:
        if key not in self._numbers:
            await self._enrol([*self._numbers, key])
            self._numbers = {AccountKey(a.vendor, a.name): a.account_id for a in await self._catalog.accounts.all()}
        return self._numbers[key]

    async def _enrol(self, keys: Iterable[AccountKey]) -> None:
        now = self._clock.now()
        await self._catalog.accounts.enrol(list(dict.fromkeys(keys)), now=now, watched_from=first_watched(now))

    def _count(self, entry: Entry, *, files: int = 0, segments: int = 0, records: int = 0) -> None:
        self._result.files += files
        self._result.segments += segments
        self._result.records += records
        self._result.bytes += entry.size_bytes
        self._tell(entry.size_bytes)


def _parsed(path: str) -> ParsedPath | ParsedSegment | str:
    """What a path tells, or why it tells nothing."""
    with suppress(ValueError):
        file = parse_path(path)
        return file if file.vendor == FILE_VENDOR else _NO_NAME
    with suppress(ValueError):
        segment = parse_segment_path(path)
        return segment if segment.key.vendor == RECORD_VENDOR else _NO_NAME
    return _NO_NAME


def _has_content(path: Path) -> bool:
    """Whether anything would be lost with this file; one that cannot be read counts as such."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM accounts)").fetchone()[0])
    except sqlite3.Error:
        return True


def _put_in_place(draft: Path, path: Path, now: datetime) -> Path | None:
    """Let the draft take the catalog's name in one step; the former catalog keeps its bytes under another."""
    _checkpoint(draft)
    former = None
    if path.exists():
        with suppress(sqlite3.Error):  # a damaged one is kept as it is, its log beside it
            _checkpoint(path)
        former = _free_name(path.with_name(f"{path.name}.before-rebuild-{now.astimezone(CHINA):%Y%m%dT%H%M%S}"))
        os.link(path, former)
    kept = path.name if former is None else former.name
    for suffix in ("-wal", "-shm", ".migrating"):
        left = path.with_name(path.name + suffix)
        if left.exists():  # it would be taken for the new catalog's
            left.rename(path.with_name(kept + suffix if former is not None else f"{path.name}.left{suffix}"))
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return former


def _checkpoint(path: Path) -> None:
    """Everything is in the file itself, and durable."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".migrating", ".copying"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _free_name(wanted: Path) -> Path:
    number, free = 1, wanted
    while free.exists():
        number += 1
        free = wanted.with_name(f"{wanted.name}.{number}")
    return free
