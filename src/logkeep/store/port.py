"""What logkeep asks of the place where the archive lies.

A store has a *staging area* that no reader looks into and an *archive* of immutable objects. Bytes reach the archive
only by ``publish``: all of an object, or nothing of it. Names are relative, ``/``-separated and already safe
(``files.naming``); an adapter still refuses one that would leave its root. Adapters raise ``StorageError`` and
``StorageFull`` only; their drivers' exceptions stop here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Sink(Protocol):
    """An open staged object. Leaving its context closes it; the object stays staged, whole or partial."""

    @property
    def size_bytes(self) -> int:
        """Bytes accepted so far, those kept from an earlier attempt included."""
        ...

    async def write(self, data: bytes) -> None:
        """Append. May hold back up to one block; the context's exit writes the rest out.

        A cancelled write has ended in its thread before the cancellation goes on.

        Raises:
            StorageFull: no room.
            StorageError: any other I/O error.
        """
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An archived object as the store lists it; ``written_at`` is when its bytes were last written, aware."""

    path: str
    size_bytes: int
    written_at: datetime


class Readable(Protocol):
    """What gives archived objects back; a store, or one that is read at a pace."""

    async def size(self, path: str) -> int | None:
        """Size of an archived object, None when there is none."""
        ...

    def read(self, path: str) -> AsyncIterator[bytes]:
        """An archived object in blocks of at most 1 MiB."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """Move one staged object to its place in the archive."""

    temp_name: str
    path: str
    sha256: str


class Store(Protocol):
    """See the module's text. Construction does no I/O; ``open`` comes first and raises ``StorageError``."""

    async def open(self) -> None:
        """Check that everything later calls rely on holds: reachable, writable, staging on the same device."""
        ...

    async def check(self) -> None:
        """Cheap proof that this is still the store that ``open`` saw (same device, still writable).

        Raises:
            StorageError: it is not, with what changed.
        """
        ...

    async def present(self) -> None:
        """Cheap proof that what is missing is missing from the storage, and not the storage itself.

        Raises:
            StorageError: the store is not there, with what changed.
        """
        ...

    async def free_bytes(self) -> int | None:
        """Room left for this user, or None where the notion does not exist."""
        ...

    async def release_reserve(self) -> bool:
        """Give up the reserve so that the ledger can go on; False when it was gone already."""
        ...

    async def restore_reserve(self) -> None:
        """Take the reserve back when there is room; no error when there is not."""
        ...

    def stage(self, temp_name: str, *, keep_bytes: int = 0) -> AbstractAsyncContextManager[Sink]:
        """Open a staged object for appending after its first ``keep_bytes`` (0: start it anew)."""
        ...

    def staged(self, temp_name: str) -> AsyncIterator[bytes]:
        """Read a staged object back in blocks of at most 1 MiB."""
        ...

    async def staged_sizes(self) -> dict[str, int]:
        """Every staged object and its size in bytes."""
        ...

    async def discard(self, temp_name: str) -> None:
        """Remove a staged object; no error when it is gone."""
        ...

    async def flush(self, temp_names: Sequence[str]) -> None:
        """Make staged bytes survive a power cut."""
        ...

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Make each object visible under its final path, atomically one by one, and durable when this returns.

        Idempotent: an object already at its path with the same digest counts as published and its staged twin goes.
        The staged bytes must have been flushed.

        Raises:
            StorageError: other bytes lie at a path (they are left alone), or I/O failed; earlier ones of the batch
                may then be published, and calling again with the same batch is safe.
        """
        ...

    async def quarantine(self, temp_name: str, name: str) -> str:
        """Set a staged object aside for a person to look at; returns where. An older one of that name is replaced."""
        ...

    async def quarantined(self) -> dict[str, int]:
        """Names and sizes of what is set aside."""
        ...

    async def adopt_quarantined(self, name: str, temp_name: str) -> bool:
        """Bring a quarantined object back into staging; False when it is not there."""
        ...

    async def drop_quarantined(self, name: str) -> None:
        """Remove a quarantined object; no error when it is gone."""
        ...

    async def set_aside(self, path: str, name: str) -> str | None:
        """Move an archived object into quarantine, durably; returns where, None when there is none.

        Never over another one of that name: then a number is added to it.
        """
        ...

    def quarantined_blocks(self, name: str) -> AsyncIterator[bytes]:
        """A quarantined object in blocks of at most 1 MiB."""
        ...

    def walk(self) -> AsyncIterator[Sequence[Entry]]:
        """Every archived object, folder by folder in the order of their names; what is no plain file is left out."""
        ...

    async def size(self, path: str) -> int | None:
        """Size of an archived object, None when there is none."""
        ...

    def read(self, path: str) -> AsyncIterator[bytes]:
        """An archived object in blocks of at most 1 MiB."""
        ...

    async def digest(self, path: str) -> str | None:
        """SHA-256 (hex) of an archived object, None when there is none."""
        ...

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove archived objects, durably; no error when they are gone. Only for what lies in others, compacted.

        Raises:
            StorageError: one could not be removed, earlier ones may be gone, and calling again is safe; or a path
                leaves the archive, and nothing was removed.
        """
        ...

    async def close(self) -> None:
        """Release what ``open`` took."""
        ...
