"""Conservation: what was offered is in the archive, unchanged, once, and the catalog tells the same story."""

import gzip
import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crash_points_world import Truth

Tree = Mapping[str, bytes | None]
CATALOG = ".logkeep/catalog.sqlite3"
_STAGING = ".logkeep/tmp/"
_FILE = re.compile(r"pan123/.*/(\d+)(?:\.v\d+)?-[^/]*")
_SEGMENT = re.compile(r"lexiang/.*/[^/]*-(\d+)-([0-9a-f]{12})\.jsonl\.gz")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a catalog vouches for: digests of files and of segments by path, ids with digests, and all of it as text."""

    files: dict[str, str]
    versions: frozenset[tuple[str, str]]
    segments: dict[str, str]
    records: frozenset[bytes]
    text: str


def on_disk(root: Path) -> dict[str, bytes | None]:
    """The tree below a storage, the catalog and the reserve left out."""
    skipped = (CATALOG, ".logkeep/reserve", ".logkeep/lock")
    found = ((str(path.relative_to(root)), path) for path in sorted(root.rglob("*")))
    return {name: None if path.is_dir() else path.read_bytes() for name, path in found if not name.startswith(skipped)}


def ledger(catalog: Path) -> Ledger | None:
    """None where there is no catalog, or nothing in it yet.

    The copy made before a migration stands for the catalog while it is there: the next start puts it back.

    Raises:
        sqlite3.Error: it is damaged.
    """
    copy = catalog.with_name(f"{catalog.name}.migrating")
    catalog = copy if copy.exists() else catalog
    if not catalog.exists():
        return None
    with closing(sqlite3.connect(catalog)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        text = "\n".join(connection.iterdump())
        if "CREATE TABLE alembic_version" not in text:
            return None
        versions = connection.execute("SELECT path, file_id, lower(hex(sha256)) FROM versions").fetchall()
        live = "SELECT path, lower(hex(sha256)) FROM segments WHERE merged_into IS NULL AND NOT removed"
        keys = frozenset(key for (key,) in connection.execute("SELECT record_key FROM records"))
        return Ledger(
            {path: digest for path, _, digest in versions},
            frozenset((file_id, digest) for _, file_id, digest in versions),
            dict(connection.execute(live).fetchall()),
            keys,
            text,
        )


class Oracle:
    """Judges trees of storages by what the vendors offered. Segments are read once, whatever tree they lie in."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._read: dict[str, tuple[list[str], str]] = {}

    def partial(self, tree: Tree) -> list[str]:
        """What a reader can see and must not: anything that is not whole, unchanged and offered under its id."""
        found = []
        for path, content in tree.items():
            if content is None or path.startswith(".logkeep"):
                continue
            if trouble := self._trouble(path, content):
                found.append(f"{path}: {trouble}")
        return found

    def broken_word(self, tree: Tree, vouched: Ledger) -> list[str]:
        """What the catalog says is archived, and is not."""
        found = []
        for path, digest in (vouched.files | vouched.segments).items():
            content = tree.get(path)
            if content is None:
                found.append(f"{path} is recorded, and is not there")
            elif _digest(content) != digest:
                found.append(f"{path} is recorded, and other bytes are there")
        return found

    def incomplete(self, tree: Tree, vouched: Ledger) -> list[str]:
        """What lacks, is there twice, or is left over when all is done."""
        files = [(match[1], _digest(content)) for path, content, match in _matching(_FILE, tree)]
        lines = Counter(
            line for path, content, _ in _matching(_SEGMENT, tree) for line in self._segment(path, content)[0]
        )
        paths = {path for path, content in tree.items() if content is not None}
        kept = {path for path in paths if not path.startswith(".logkeep")}
        found: dict[str, Collection[object]] = {
            "files lack": self._truth.files - set(files),
            "files twice": {file for file, count in Counter(files).items() if count > 1},
            "records lack": self._truth.records.keys() - lines.keys(),
            "records twice": {line for line, count in lines.items() if count > 1},
            "the catalog lacks files": self._truth.files - vouched.versions,
            "not in the catalog": kept - vouched.files.keys() - vouched.segments.keys(),
            "records in the catalog": set() if len(vouched.records) == len(lines) else {str(len(vouched.records))},
            "left in staging": {path for path in paths if path.startswith(_STAGING)},
        }
        told = [f"{what}: {sorted(map(str, some))[:3]} ({len(some)})" for what, some in found.items() if some]
        return told + self.partial(tree) + self.broken_word(tree, vouched)

    def _trouble(self, path: str, content: bytes) -> str:
        if match := _FILE.fullmatch(path):
            return "" if (match[1], _digest(content)) in self._truth.files else "not what the vendor offered"
        if match := _SEGMENT.fullmatch(path):
            lines, trouble = self._segment(path, content)
            return trouble or ("" if len(lines) == int(match[1]) else "its name tells another count")
        return "a name that nothing archived has"

    def _segment(self, path: str, content: bytes) -> tuple[list[str], str]:
        digest = _digest(content)
        if digest not in self._read:
            self._read[digest] = self._read_segment(content)
        lines, trouble = self._read[digest]
        match = _SEGMENT.fullmatch(path)
        named = match is not None and digest.startswith(match[2])
        return lines, trouble or ("" if named else "its name tells another digest")

    def _read_segment(self, content: bytes) -> tuple[list[str], str]:
        try:
            read = [json.loads(line) for line in gzip.decompress(content).splitlines()]
        except (OSError, EOFError, ValueError):
            return [], "not whole"
        changed = [line["id"] for line in read if line["record"] != self._truth.records.get(line["id"])]
        return [line["id"] for line in read], f"records are not as offered: {changed[:3]}" if changed else ""


def _matching(pattern: re.Pattern[str], tree: Tree) -> list[tuple[str, bytes, re.Match[str]]]:
    matched = ((path, content, pattern.fullmatch(path)) for path, content in tree.items())
    return [(path, content, match) for path, content, match in matched if content is not None and match is not None]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
