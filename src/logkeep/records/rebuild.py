"""Adopting segments into a new catalog, a day at a time: every one is read to its last byte before its ids count.

A segment all of whose lines lie in another one is what a compaction left that was cut off: it is retired. Which ids
lie where is remembered for one day only, so memory does not grow with the archive.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from logkeep.catalog.records import SegmentIntent
from logkeep.errors import StorageError
from logkeep.records.line import read_id
from logkeep.records.naming import ParsedSegment
from logkeep.records.reading import SegmentReader
from logkeep.store.port import Entry, Readable


@dataclass(frozen=True, slots=True)
class Read:
    """One segment as it was read: ``new`` are its ids that lie in none before it; ``into`` holds all of its lines.

    ``damage`` says why it cannot be adopted, "" for nothing.
    """

    entry: Entry
    parsed: ParsedSegment
    sha256: str = ""
    new: tuple[str, ...] = ()
    into: str = ""
    damage: str = ""


@dataclass(slots=True)
class DayOfSegments:
    """The segments of one day of one stream, told one after another, the largest first."""

    _lines: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def read(self, store: Readable, entry: Entry, parsed: ParsedSegment) -> Read:
        """Read the next segment."""
        try:
            sha256 = await _digest(store, entry.path)
            if not sha256.startswith(parsed.sha256_begin):
                return Read(entry, parsed, damage="its digest is not the one in its name")
            expected = SegmentIntent(0, parsed.day, "", entry.path, sha256, entry.size_bytes, parsed.records)
            reader = SegmentReader(store, expected)
            lines = {read_id(line): hashlib.sha256(line).digest()[:16] async for line in reader.lines()}
        except StorageError as error:
            return Read(entry, parsed, damage=str(error))
        except ValueError:
            return Read(entry, parsed, damage="a line is no record")
        if reader.damage:
            return Read(entry, parsed, damage=reader.damage)
        new = tuple(record_id for record_id in lines if record_id not in self._lines)
        into = self._holder(lines) if not new else ""
        self._lines |= {record_id: (lines[record_id], entry.path) for record_id in new}
        return Read(entry, parsed, sha256, new, into)

    def _holder(self, lines: dict[str, bytes]) -> str:
        """The one segment that has all of these lines, word for word; "" for none."""
        holders = {self._lines[record_id][1] for record_id in lines}
        same = all(self._lines[record_id][0] == digest for record_id, digest in lines.items())
        return holders.pop() if same and len(holders) == 1 else ""


def largest_first(day: Sequence[tuple[Entry, ParsedSegment]]) -> list[tuple[Entry, ParsedSegment]]:
    """A compacted segment before those that it was made of."""
    return sorted(day, key=lambda found: (-found[1].records, found[0].path))


async def _digest(store: Readable, path: str) -> str:
    digest = hashlib.sha256()
    async for block in store.read(path):
        digest.update(block)
    return digest.hexdigest()
