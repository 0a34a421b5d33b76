"""What lies in the archive, read from the disk alone: file by file, each once, and all again at the end."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from simulated_world import china


class FileShelf:
    """The files of 123pan: which digests lie under which id."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = root / "pan123" / "main"
        self._digests: dict[str, str] = {}
        self._fresh: list[str] = []

    def __len__(self) -> int:
        return len(self._digests)

    def holds(self, hour: datetime, file_id: str, sha256: str) -> bool:
        """Whether these bytes lie there under that id."""
        local = china(hour)
        folder = self._top / f"date={local:%Y-%m-%d}" / f"hour={local:%H}"
        self._read(folder)
        return any(
            self._digests[str(path)] == sha256
            for path in (folder.iterdir() if folder.is_dir() else ())
            if _id(path) == file_id
        )

    def read(self, *, again: bool) -> None:
        """Look at every folder; ``again``: at every byte as well, also of what was read before."""
        if again:
            self._digests.clear()
        for folder in self._top.glob("*/*"):
            self._read(folder)

    def _read(self, folder: Path) -> None:
        for path in folder.iterdir() if folder.is_dir() else ():
            if str(path) not in self._digests:
                self._digests[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
                self._fresh.append(str(path))

    def fresh(self) -> Iterator[tuple[str, str, str]]:
        """Path, id and digest of what was not told of yet."""
        fresh, self._fresh = self._fresh, []
        for path in fresh:
            yield path, _id(Path(path)), self._digests[path]

    def doubled(self) -> list[str]:
        """Paths whose id and bytes lie under another one as well."""
        counted = Counter((_id(Path(path)), digest) for path, digest in self._digests.items())
        return [path for path, digest in self._digests.items() if counted[_id(Path(path)), digest] > 1]


def _id(path: Path) -> str:
    return path.name.partition("-")[0].partition(".")[0]


class RecordShelf:
    """The segments of Lexiang: which ids lie in which of them."""

    def __init__(self, root: Path) -> None:
        self._top = root / "lexiang" / "hq"
        self._segments: dict[Path, list[str]] = {}
        self._ids: Counter[str] = Counter()
        self._fresh: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def holds(self, record_id: str) -> bool:
        """Whether the record lies on a line."""
        if record_id not in self._ids:
            self.read(again=False)
        return self._ids[record_id] > 0

    def read(self, *, again: bool) -> None:
        """Read segments that are new, and forget those that are gone."""
        if again:
            self._segments.clear()
            self._ids.clear()
        there = set(self._top.glob("*/*/*.jsonl.gz"))
        for path in sorted(there - self._segments.keys()):
            with gzip.open(path) as lines:
                ids = [str(json.loads(line)["id"]) for line in lines]
            self._segments[path] = ids
            self._ids.update(ids)
            self._fresh += [(record_id, path.name) for record_id in ids]
        for path in sorted(self._segments.keys() - there):
            self._ids.subtract(self._segments.pop(path))

    def fresh(self) -> list[tuple[str, str]]:
        """Id and segment of lines not told of yet."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def doubled(self) -> list[tuple[str, int]]:
        """Ids on more than one line."""
        return [(record_id, count) for record_id, count in self._ids.items() if count > 1]
