"""The archive's tree of immutable files, on a local disk: publishing into it, reading from it, and removing.

Publishing an object is: make its folders, look whether something lies there already, rename, sync the folder. The
rename is atomic, so a reader sees all of an object or nothing; the sync makes it survive a power cut. ``rename`` would
replace what lies there: it is safe because publications of one process run one after another, and the storage lock
keeps other writers away.

Everything here blocks and is meant to run in a thread. Errors leave as ``StorageError`` and ``StorageFull``.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from logkeep.errors import StorageError
from logkeep.store import folders
from logkeep.store.blocking import shown, told_as_storage_error
from logkeep.store.port import Entry, Publication

BLOCK_BYTES = 1 << 20
# a year of hourly folders; forgetting them costs a few more syncs and nothing else
_REMEMBERED_FOLDERS = 10_000


class Archive:
    """The tree below ``root``, fed from the staged objects in ``staging``."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._durable: set[tuple[str, ...]] = set()

    def publish(self, batch: Sequence[Publication]) -> None:
        """Move each object to its path, then sync every folder touched: durable when this returns.

        Must not run twice at the same time. A folder found in place is synced as well, until this process has done so
        once: whoever made it may have been killed before it could.
        """
        touched: set[tuple[str, ...]] = set()
        for publication in batch:
            parts = folders.checked_parts(publication.path)
            with told_as_storage_error("publish", self._root / publication.path):
                self._publish_one(publication, parts)
            touched.add(parts[:-1])
        for parts in touched:
            with told_as_storage_error("sync the folder", self._root.joinpath(*parts)):
                self._sync(parts)

    def size(self, path: str) -> int | None:
        """Bytes of the file at ``path``; None when there is none."""
        with self._opened(path, "look at") as fd:
            return None if fd is None else os.fstat(fd).st_size

    def digest(self, path: str, stop: threading.Event) -> str | None:
        """SHA-256 (hex) of the file at ``path``; None when there is none. Setting ``stop`` makes it end soon."""
        with self._opened(path, "read") as fd:
            return None if fd is None else _sha256(fd, stop)

    def block(self, path: str, offset_bytes: int) -> bytes:
        """At most ``BLOCK_BYTES`` from ``offset_bytes``; fewer only at the end of the file."""
        with self._opened(path, "read") as fd:
            if fd is None:
                raise StorageError(f"cannot read {shown(self._root / path)}: there is no such file")
            return read_block(fd, offset_bytes)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove the files at these paths, then sync every folder they were in: durable when this returns.

        The folder of a file that is gone already is synced as well: whoever removed it may have been killed before.
        """
        split = [folders.checked_parts(path) for path in paths]
        for path, parts in zip(paths, split, strict=True):
            with (
                told_as_storage_error("remove", self._root / path),
                folders.opened(self._staging),  # missing on an unmounted disk, where nothing is gone
                folders.opened(self._root) as root_fd,
            ):
                self._remove_one(root_fd, parts)
        for parts in {parts[:-1] for parts in split}:
            with (
                told_as_storage_error("sync the folder", self._root.joinpath(*parts)),
                suppress(FileNotFoundError),
            ):
                folders.sync(self._root.joinpath(*parts))

    @staticmethod
    def _remove_one(root_fd: int, parts: tuple[str, ...]) -> None:
        with suppress(FileNotFoundError), folders.opened_below(root_fd, parts[:-1], folders.enter) as parent_fd:
            os.close(folders.open_regular(parent_fd, parts[-1]))
            os.unlink(parts[-1], dir_fd=parent_fd)

    def set_aside(self, path: str, quarantine: Path, name: str) -> str | None:
        """Move the file at ``path`` to ``quarantine``, under ``name`` or one made of it; durable when this returns."""
        parts, free = folders.checked_parts(path), folders.checked_name(name)
        with (
            told_as_storage_error("set aside", self._root / path),
            folders.opened(quarantine) as quarantine_fd,
            folders.opened(self._root) as root_fd,
        ):
            try:
                with folders.opened_below(root_fd, parts[:-1], folders.enter) as parent_fd:
                    if not folders.holds(parent_fd, parts[-1]):
                        return None
                    number = 1
                    while folders.holds(quarantine_fd, free):
                        number += 1
                        free = f"{name}.{number}"
                    os.rename(parts[-1], free, src_dir_fd=parent_fd, dst_dir_fd=quarantine_fd)
                    os.fsync(quarantine_fd)
                    os.fsync(parent_fd)
            except FileNotFoundError:
                return None
        return free

    def listing(self, parts: tuple[str, ...]) -> tuple[list[str], list[Entry]]:
        """The folders and the plain files in one folder of the archive, by name; logkeep's own are left out."""
        found: list[str] = []
        entries: list[Entry] = []
        with (
            told_as_storage_error("list", self._root.joinpath(*parts)),
            folders.opened(self._root) as root_fd,
            folders.opened_below(root_fd, parts, folders.enter) as folder_fd,
            os.scandir(folder_fd) as scanned,
        ):
            for entry in scanned:
                with suppress(FileNotFoundError):  # removed since it was listed
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode) and (parts or entry.name != folders.OWN_FOLDER):
                        found.append(entry.name)
                    elif stat.S_ISREG(facts.st_mode):
                        written_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                        entries.append(Entry("/".join((*parts, entry.name)), facts.st_size, written_at))
        return sorted(found), sorted(entries, key=lambda entry: entry.path)

    @contextmanager
    def _opened(self, path: str, operation: str) -> Iterator[int | None]:
        parts = folders.checked_parts(path)
        with told_as_storage_error(operation, self._root / path), folders.opened(self._root) as root_fd:
            try:
                with folders.opened_below(root_fd, parts[:-1], folders.enter) as parent_fd:
                    fd = folders.open_regular(parent_fd, parts[-1])
            except FileNotFoundError:
                yield None
                return
            try:
                yield fd
            finally:
                os.close(fd)

    def _publish_one(self, publication: Publication, parts: tuple[str, ...]) -> None:
        temp_name, name = folders.checked_name(publication.temp_name), parts[-1]
        with (
            folders.opened(
                self._staging
            ) as staging_fd,  # before any folder is made: it is missing on an unmounted disk
            folders.opened(self._root) as root_fd,
            folders.opened_below(root_fd, parts[:-1], folders.make) as parent_fd,
        ):
            if folders.holds(parent_fd, name):
                self._require_same(publication, parent_fd, name)
                if folders.holds(staging_fd, temp_name):
                    os.unlink(temp_name, dir_fd=staging_fd)
                return
            if not folders.holds(staging_fd, temp_name):
                where = shown(self._root / publication.path)
                raise StorageError(f"cannot publish {where}: nothing is staged as {shown(temp_name)}")
            os.close(folders.open_regular(staging_fd, temp_name))
            os.rename(temp_name, name, src_dir_fd=staging_fd, dst_dir_fd=parent_fd)

    def _require_same(self, publication: Publication, parent_fd: int, name: str) -> None:
        fd = folders.open_regular(parent_fd, name)
        try:
            same = _sha256(fd) == publication.sha256
        finally:
            os.close(fd)
        if not same:
            raise StorageError(f"other bytes lie at {shown(self._root / publication.path)}; they were left alone")

    def _sync(self, parts: tuple[str, ...]) -> None:
        """Sync the folder, and each folder above it whose entry this process has not yet made durable."""
        folders.sync(self._root.joinpath(*parts))
        if len(self._durable) > _REMEMBERED_FOLDERS:
            self._durable.clear()
        for depth in range(len(parts), 0, -1):
            if parts[:depth] in self._durable:
                break
            folders.sync(self._root.joinpath(*parts[: depth - 1]))
        self._durable.update(parts[:depth] for depth in range(1, len(parts) + 1))


def read_block(fd: int, offset_bytes: int) -> bytes:
    """``BLOCK_BYTES`` from ``offset_bytes``, or all there is; a network file system may answer in pieces."""
    pieces: list[bytes] = []
    wanted = BLOCK_BYTES
    while wanted and (piece := os.pread(fd, wanted, offset_bytes)):
        pieces.append(piece)
        offset_bytes += len(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def _sha256(fd: int, stop: threading.Event | None = None) -> str | None:
    digest, offset_bytes = hashlib.sha256(), 0
    while block := read_block(fd, offset_bytes):
        if stop is not None and stop.is_set():
            return None
        digest.update(block)
        offset_bytes += len(block)
    return digest.hexdigest()
