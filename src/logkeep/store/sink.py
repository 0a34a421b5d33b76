"""Writing one staged object to disk, in blocks large enough that the hop to a thread does not count."""

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiofiles
import structlog

from logkeep.errors import StorageError
from logkeep.store.blocking import in_thread, settled, shown, told_as_storage_error
from logkeep.store.folders import FILE_MODE

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO

# a hop costs about 0.13 ms: at 256 KiB that is 0.5 s a GiB
BLOCK_BYTES = 256 * 1024

log = structlog.stdlib.get_logger("logkeep.store")


class LocalSink:
    """An append-only file; what lies on disk is at any moment a beginning of the bytes accepted.

    Up to one block is held back. An object that fits into one block costs a single hop, at the exit. Leaving the
    context because of an error or a cancellation still writes out what was accepted, so that it can be resumed. After
    a failed write nothing more is written.
    """

    def __init__(self, path: Path, *, keep_bytes: int) -> None:
        self._path = path
        self._keep_bytes = keep_bytes
        self._size_bytes = keep_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._file: AsyncFileIO | None = None
        self._usable = False

    @property
    def size_bytes(self) -> int:
        """Bytes accepted, those kept from an earlier attempt included."""
        return self._size_bytes

    async def write(self, data: bytes) -> None:
        """Append; see the port."""
        if not self._usable:
            raise StorageError(f"cannot write {shown(self._path)}: it is closed, or an earlier write failed")
        self._held.append(data)
        self._held_bytes += len(data)
        self._size_bytes += len(data)
        if self._held_bytes > BLOCK_BYTES:
            await settled(self._append(self._taken()))

    async def __aenter__(self) -> Self:
        try:
            if self._keep_bytes:
                await settled(self._reopen())
        except BaseException:
            await settled(self._close())
            raise
        self._usable = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._finish()
        except StorageError as failure:
            if error is None:
                raise
            # the error that ends the context is the one to be told; this one costs a part of the download
            log.warning("staged_tail_lost", temp_name=self._path.name, error=str(failure))
        finally:
            self._usable = False

    async def _reopen(self) -> None:
        self._file = await self._opened()

    async def _finish(self) -> None:
        if self._file is None and self._usable and not self._keep_bytes:
            await in_thread(self._write_whole)
            return
        await settled(self._append_and_close())

    async def _append_and_close(self) -> None:
        try:
            if self._usable and self._held:
                await self._append(self._taken())
        finally:
            await self._close()

    async def _append(self, block: bytes) -> None:
        try:
            if self._file is None:
                self._file = await self._opened()
            rest = memoryview(block)
            with told_as_storage_error("write", self._path):
                while rest:
                    rest = rest[await self._file.write(rest) :]
        except BaseException:
            self._usable = False
            raise

    async def _opened(self) -> "AsyncFileIO":
        with told_as_storage_error("stage", self._path):
            if self._keep_bytes:
                return await aiofiles.open(self._path, "r+b", buffering=0, opener=self._reopened)
            return await aiofiles.open(self._path, "wb", buffering=0, opener=created)

    async def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with told_as_storage_error("close", self._path):
                await file.close()

    def _taken(self) -> bytes:
        block = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return block

    def _write_whole(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with (
            told_as_storage_error("write", self._path),
            os.fdopen(created(str(self._path), flags), "wb", buffering=0) as file,
        ):
            rest = memoryview(self._taken())
            while rest:
                rest = rest[file.write(rest) :]

    def _reopened(self, path: str, flags: int) -> int:
        """Open a staged object and cut it to the bytes to keep; the position is their end."""
        fd = os.open(path, flags | os.O_NOFOLLOW)
        try:
            self._cut(fd)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _cut(self, fd: int) -> None:
        found_bytes, keep_bytes = os.fstat(fd).st_size, self._keep_bytes
        if found_bytes < keep_bytes:
            raise StorageError(
                f"cannot resume {shown(self._path)}: {keep_bytes} bytes should be staged, {found_bytes} are"
            )
        os.ftruncate(fd, keep_bytes)
        os.lseek(fd, keep_bytes, os.SEEK_SET)


def created(path: str, flags: int) -> int:
    """An opener for ``open``: the mode is ours whatever the umask says, and a symlink is never followed."""
    fd = os.open(path, flags | os.O_NOFOLLOW, FILE_MODE)
    try:
        os.fchmod(fd, FILE_MODE)
    except BaseException:
        os.close(fd)
        raise
    return fd
