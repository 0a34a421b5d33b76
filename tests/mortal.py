"""A process that can die, or fail, before each step that changes its disk."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from logkeep.errors import StorageError
from logkeep.store.local import LocalStore
from logkeep.store.port import Publication

Result = TypeVar("Result")


class Killed(BaseException):
    """The process is dead; it does nothing more."""


class Fuse:
    """Counts the steps of a process and ends it before one of them, or lets that one step fail."""

    def __init__(self, at: int | None = None, *, fails: bool = False) -> None:
        self._left = at
        self._fails = fails
        self.blown = False

    def step(self) -> None:
        if self.blown:
            raise Killed
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self.blown = not self._fails
                raise StorageError("input/output error") if self._fails else Killed


class MortalStore(LocalStore):
    """A process can die before each change, and between the renames of a batch."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(root, create=True, reserve_bytes=4096)
        self.fuse = fuse

    async def flush(self, temp_names: Sequence[str]) -> None:
        self.fuse.step()
        await super().flush(temp_names)

    async def publish(self, batch: Sequence[Publication]) -> None:
        for publication in batch:
            self.fuse.step()
            await super().publish([publication])
        self.fuse.step()

    async def discard(self, temp_name: str) -> None:
        self.fuse.step()
        await super().discard(temp_name)

    async def remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.fuse.step()
            await super().remove([path])
        self.fuse.step()


async def survived(work: Coroutine[Any, Any, Result]) -> Result | None:
    """What comes of it, None when the process died over it."""
    result = None
    try:
        result = await work
    except* Killed:
        pass
    return result
