"""Calls that may block: run off the event loop, never left running, their errors told as ours.

A thread cannot be interrupted. So a cancelled caller waits until the call it started has ended, and only then goes on
being cancelled: whoever removes a file after that removes it for good.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import TypeVar

from logkeep.errors import StorageError, StorageFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.EACCES: "let the user that runs logkeep write there",
    errno.EPERM: "let the user that runs logkeep own it",
    errno.EROFS: "mount it for writing",
    errno.ENOENT: "is its disk mounted?",
    errno.ENOTDIR: "something on the way is not a folder",
    errno.ELOOP: "a symlink is never followed inside the archive",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "raise the quota",
    errno.EIO: "look after the disk",
    errno.ESTALE: "mount it again",
    errno.EMFILE: "raise the limit of open files",
}
_SHOWN_CHARS = 300

Result = TypeVar("Result")


async def settled(work: Awaitable[Result]) -> Result:
    """Await ``work``; when cancelled meanwhile (however often), it ends first and its outcome is dropped."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((future,))
        raise


async def in_thread(call: Callable[[], Result]) -> Result:
    """One hop to a thread of the loop's default executor, ended before a cancellation goes on."""
    return await settled(asyncio.get_running_loop().run_in_executor(None, call))


@contextmanager
def told_as_storage_error(operation: str, where: str | PurePath) -> Iterator[None]:
    """Let an ``OSError`` of the block leave as ``cannot <operation> <where>: <what the system said> (<what to do>)``.

    Raises:
        StorageFull: the system said that there is no room, or the quota is used up.
        StorageError: anything else.
    """
    try:
        yield
    except OSError as failure:
        kind = StorageFull if failure.errno in _NO_ROOM else StorageError
        said = failure.strerror or type(failure).__name__
        advice = _ADVICE.get(failure.errno or 0)
        raise kind(f"cannot {operation} {shown(where)}: {said}" + (f" ({advice})" if advice else "")) from failure


def shown(where: str | PurePath) -> str:
    """A path as one printable line, whatever characters it holds, shortened when it is absurdly long."""
    text = str(where)
    line = text if text.isprintable() else ascii(text)
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
