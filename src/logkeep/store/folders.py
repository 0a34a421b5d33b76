"""Opening, making and syncing folders below the storage root without ever leaving it.

Every step goes through the descriptor of the folder before it and follows no symlink, so a name cannot lead outside
even while somebody else changes the tree. A folder's own entry is durable only once its parent folder is synced.
Everything here blocks and raises ``OSError`` as the system does; callers run it in a thread and tell the error.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from logkeep.errors import StorageError
from logkeep.store.blocking import shown

FOLDER_MODE = 0o750
FILE_MODE = 0o640
OWN_FOLDER = ".logkeep"

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def checked_parts(path: str) -> tuple[str, ...]:
    """Split an archive path.

    Raises:
        StorageError: it is absolute, empty, climbs, or enters logkeep's own folder.
    """
    parts = tuple(path.split("/"))
    if any(part in {"", ".", ".."} or "\0" in part for part in parts) or parts[0] == OWN_FOLDER:
        raise StorageError(f"refusing the path {shown(path)}: it does not stay inside the archive")
    return parts


def checked_name(name: str) -> str:
    """A name inside one of logkeep's own folders.

    Raises:
        StorageError: it is more than one plain name.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise StorageError(f"refusing the name {shown(name)}: it does not stay inside its folder")
    return name


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder that is ours to trust, such as the root; symlinks on the way to it are followed."""
    fd = os.open(folder, _OPEN_FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_below(top_fd: int, parts: Iterable[str], step: Callable[[int, str], int]) -> Iterator[int]:
    """A descriptor of the folder that ``parts`` lead to; ``step`` (``enter``, ``make``) opens one name in a folder."""
    held = os.dup(top_fd)
    try:
        for part in parts:
            deeper = step(held, part)
            os.close(held)
            held = deeper
        yield held
    finally:
        os.close(held)


def enter(parent_fd: int, name: str) -> int:
    """Open a folder by name; a symlink counts as no folder (``NotADirectoryError``)."""
    return os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=parent_fd)


def make(parent_fd: int, name: str) -> int:
    """Open a folder by name; where it is missing, it is made first, durably and with our mode whatever the umask."""
    try:
        os.mkdir(name, FOLDER_MODE, dir_fd=parent_fd)
    except FileExistsError:
        return enter(parent_fd, name)
    fd = enter(parent_fd, name)
    try:
        os.fchmod(fd, FOLDER_MODE)
        os.fsync(parent_fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_regular(parent_fd: int, name: str) -> int:
    """Open a plain file for reading.

    Raises:
        StorageError: it is something else: a folder, a pipe. (A symlink is the system's ``ELOOP``.)
    """
    # not blocking: opening a pipe for reading would otherwise wait for its writer
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent_fd)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise StorageError(f"refusing {shown(name)}: it is not a plain file")


def holds(parent_fd: int, name: str) -> bool:
    """Whether the folder has an entry of that name, of whatever kind."""
    try:
        os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    with opened(folder) as fd:
        os.fsync(fd)


def move(source: Path, source_name: str, target: Path, target_name: str) -> bool:
    """Rename durably from one of our own folders into another, over what lay there; False when nothing lay at source.

    A missing folder is an error, not "nothing": its disk may be gone.
    """
    with opened(source) as source_fd, opened(target) as target_fd:
        if not holds(source_fd, source_name):
            return False
        os.rename(source_name, target_name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        os.fsync(target_fd)
        os.fsync(source_fd)
    return True


def remove(folder: Path, name: str) -> None:
    """Remove a file; no error when it is gone already. Not synced: one that a power cut brings back harms nobody."""
    with opened(folder) as fd, suppress(FileNotFoundError):
        os.unlink(name, dir_fd=fd)


def sizes(folder: Path) -> dict[str, int]:
    """The plain files in a folder, and their bytes."""
    found: dict[str, int] = {}
    with opened(folder) as fd, os.scandir(fd) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # removed since it was listed
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):
                    found[entry.name] = facts.st_size
    return found
