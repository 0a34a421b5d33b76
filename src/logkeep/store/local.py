"""The archive on a local disk: ``<root>/…`` for readers, ``<root>/.logkeep/`` for logkeep's own.

    .logkeep/tmp/          staged objects, on the same device as the archive so that publishing is a rename
    .logkeep/quarantine/   what a person should look at
    .logkeep/reserve       room to give up when the disk is full

Nothing is held open between calls, so the disk can be unmounted; ``check`` then notices. Only ``open`` makes these
folders: with the disk gone, every write fails instead of filling the disk below the mount point.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from logkeep.errors import StorageError, StorageFull
from logkeep.store import folders
from logkeep.store.archive import BLOCK_BYTES, Archive, read_block
from logkeep.store.blocking import Result, in_thread, shown, told_as_storage_error
from logkeep.store.folders import checked_name
from logkeep.store.home import Home
from logkeep.store.port import Entry, Publication
from logkeep.store.reserve import Reserve, free_bytes
from logkeep.store.sink import LocalSink

RESERVE_BYTES = 32 * 1024 * 1024

log = structlog.stdlib.get_logger("logkeep.store")


class LocalStore:
    """``store.port.Store`` on a folder of this machine.

    With ``create`` false, ``open`` refuses a root that holds no ``.logkeep/``: its disk is probably not mounted.
    """

    def __init__(self, root: Path, *, create: bool, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._root = root
        self._create = create
        own = root / folders.OWN_FOLDER
        self._staging = own / "tmp"
        self._quarantine = own / "quarantine"
        self._home = Home(root, own, self._staging, self._quarantine)
        self._reserve = Reserve(own / "reserve", reserve_bytes)
        self._archive = Archive(root, self._staging)
        self._publishing = asyncio.Lock()

    async def open(self) -> None:
        """Check, and make where allowed, what the other calls need; harmless beside a running daemon.

        Raises:
            StorageError: the root cannot be used: what, where and what to do, on one line.
            StorageFull: not even giving up the reserve made room for one small file.
        """
        await in_thread(self._open)
        log.debug("store_opened", path=shown(self._root), network_file_system=self._home.network)
        await self.restore_reserve()

    def network_file_system(self) -> str | None:
        """The kind of network file system that ``open`` found the root on, such as ``nfs4``; None when it is local."""
        return self._home.network

    async def check(self) -> None:
        """Prove that the root is the same folder on the same device, and takes a new file; see the port."""
        await in_thread(self._home.check)

    async def present(self) -> None:
        """Prove without writing, or being opened, that a storage is there; see the port."""
        await in_thread(self._home.present)

    async def free_bytes(self) -> int:
        """Room left for a user without privileges."""
        with told_as_storage_error("ask for the free room of", self._root):
            return await in_thread(partial(free_bytes, self._root))

    async def release_reserve(self) -> bool:
        """Give up the reserve; False when it was gone already."""
        released = await in_thread(self._reserve.release)
        if released:
            log.warning("reserve_released", path=shown(self._root))
        return released

    async def restore_reserve(self) -> None:
        """Take the reserve back, if more than its own size stays free after that."""
        if await in_thread(self._reserve.restore):
            log.info("reserve_taken", path=shown(self._root))

    def stage(self, temp_name: str, *, keep_bytes: int = 0) -> LocalSink:
        """Open a staged object for appending after its first ``keep_bytes``, which must be there.

        Anew (0), what an earlier attempt left goes when the first block is written, or at the exit.
        """
        return LocalSink(self._staging / checked_name(temp_name), keep_bytes=keep_bytes)

    def staged(self, temp_name: str) -> AsyncIterator[bytes]:
        """Read a staged object; nothing is held open between two blocks."""
        return _blocks(partial(self._block_in, self._staging, checked_name(temp_name)))

    async def staged_sizes(self) -> dict[str, int]:
        """Every staged object and its bytes."""
        return await self._in_folder("list", self._staging, partial(folders.sizes, self._staging))

    async def discard(self, temp_name: str) -> None:
        """Remove a staged object; no error when it is gone."""
        remove = partial(folders.remove, self._staging, checked_name(temp_name))
        await self._in_folder("discard", self._staging / temp_name, remove)

    async def flush(self, temp_names: Sequence[str]) -> None:
        """Make staged bytes, and their names, survive a power cut: one hop for all.

        When it fails, the bytes of the batch cannot be trusted any more, even if a second flush succeeds: the system
        forgets what it could not write. Stage them anew.
        """
        if temp_names:
            await in_thread(partial(self._flush, tuple(map(checked_name, temp_names))))

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Make a batch visible, atomically one by one and durably together: one hop for all; see the port."""
        if batch:
            async with self._publishing:
                await in_thread(partial(self._archive.publish, tuple(batch)))

    async def quarantine(self, temp_name: str, name: str) -> str:
        """Set a staged object aside; returns its path relative to the root."""
        target = self._quarantine / checked_name(name)
        move = partial(folders.move, self._staging, checked_name(temp_name), self._quarantine, name)
        if not await self._in_folder("quarantine", target, move):
            raise StorageError(f"cannot quarantine {shown(target)}: nothing is staged as {shown(temp_name)}")
        return str(target.relative_to(self._root))

    async def quarantined(self) -> dict[str, int]:
        """Names and bytes of what is set aside."""
        return await self._in_folder("list", self._quarantine, partial(folders.sizes, self._quarantine))

    async def adopt_quarantined(self, name: str, temp_name: str) -> bool:
        """Bring a quarantined object back, over what is staged by that name; False when it is not there."""
        move = partial(folders.move, self._quarantine, checked_name(name), self._staging, checked_name(temp_name))
        return await self._in_folder("adopt", self._quarantine / name, move)

    async def drop_quarantined(self, name: str) -> None:
        """Remove a quarantined object; no error when it is gone."""
        remove = partial(folders.remove, self._quarantine, checked_name(name))
        await self._in_folder("drop", self._quarantine / name, remove)

    async def set_aside(self, path: str, name: str) -> str | None:
        """Move an archived object into quarantine; returns its path relative to the root, None when there is none."""
        moved = await in_thread(partial(self._archive.set_aside, path, self._quarantine, name))
        return None if moved is None else str((self._quarantine / moved).relative_to(self._root))

    def quarantined_blocks(self, name: str) -> AsyncIterator[bytes]:
        """A quarantined object in blocks; nothing is held open between two of them."""
        return _blocks(partial(self._block_in, self._quarantine, checked_name(name)))

    async def walk(self) -> AsyncIterator[Sequence[Entry]]:
        """Every archived object, folder by folder; no more is held than the names of one path's folders."""
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            parts = waiting.pop()
            deeper, entries = await in_thread(partial(self._archive.listing, parts))
            waiting.extend((*parts, name) for name in reversed(deeper))
            if entries:
                yield entries

    async def size(self, path: str) -> int | None:
        """Bytes of an archived object, None when there is none."""
        return await in_thread(partial(self._archive.size, path))

    def read(self, path: str) -> AsyncIterator[bytes]:
        """An archived object in blocks; nothing is held open between two of them."""
        return _blocks(partial(self._archive.block, path))

    async def digest(self, path: str) -> str | None:
        """SHA-256 (hex) of an archived object, None when there is none. Cancelled, its thread ends a block later."""
        stop = threading.Event()
        hashing = partial(self._archive.digest, path, stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(None, hashing)
        finally:
            stop.set()

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove archived objects, durably together: one hop for all; see the port."""
        if paths:
            await in_thread(partial(self._archive.remove, tuple(paths)))

    async def close(self) -> None:
        """Nothing is held open; the store can be opened again."""

    def _open(self) -> None:
        self._home.enter(create=self._create)
        try:
            self._home.prove()
        except StorageFull:
            if not self._reserve.release():
                raise
            self._home.prove()

    def _flush(self, temp_names: tuple[str, ...]) -> None:
        with told_as_storage_error("flush", self._staging), folders.opened(self._staging) as staging_fd:
            for temp_name in temp_names:
                with told_as_storage_error("flush", self._staging / temp_name):
                    fd = folders.open_regular(staging_fd, temp_name)
                    try:
                        os.fsync(fd)
                    finally:
                        os.close(fd)
            os.fsync(staging_fd)

    @staticmethod
    def _block_in(folder: Path, name: str, offset_bytes: int) -> bytes:
        with told_as_storage_error("read", folder / name), folders.opened(folder) as folder_fd:
            fd = folders.open_regular(folder_fd, name)
            try:
                return read_block(fd, offset_bytes)
            finally:
                os.close(fd)

    @staticmethod
    async def _in_folder(operation: str, where: Path, call: Callable[[], Result]) -> Result:
        with told_as_storage_error(operation, where):
            return await in_thread(call)


async def _blocks(block_at: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    """Ask for block after block until a short one; a hop for each, so a small object costs one."""
    offset_bytes = 0
    while block := await in_thread(partial(block_at, offset_bytes)):
        yield block
        offset_bytes += len(block)
        if len(block) < BLOCK_BYTES:
            return
