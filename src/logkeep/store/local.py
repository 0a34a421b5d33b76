"""The archive on a local disk: ``<root>/…`` for readers, ``<root>/.logkeep/`` for logkeep's own.

    .logkeep/tmp/          staged objects, on the same device as the archive so that publishing is a rename
    .logkeep/quarantine/   what a person should look at
    .logkeep/reserve       room to give up when the disk is full

Nothing is held open between calls, so the disk can be unmounted; ``check`` then notices. Staging never makes its own
folder outside ``open``: with the disk gone, every write fails instead of filling the disk below the mount point.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from logkeep.errors import StorageError
from logkeep.store import folders
from logkeep.store.archive import BLOCK_BYTES, Archive, read_block
from logkeep.store.blocking import in_thread, told_as_storage_error
from logkeep.store.home import Home
from logkeep.store.port import Publication
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
        own = root / folders.OWN_FOLDER
        self._staging = own / "tmp"
        self._quarantine = own / "quarantine"
        self._reserve = Reserve(own / "reserve", reserve_bytes)
        self._home = Home(root, own_folders=(own, self._staging, self._quarantine), create=create)
        self._archive = Archive(root, self._staging)
        self._publishing = asyncio.Lock()

    async def open(self) -> None:
        """Check, and with ``create`` make, what the other calls need; safe beside a running daemon.

        Raises:
            StorageError: the root cannot be used; what, where and what to do, on one line.
            StorageFull: not even giving up the reserve made room for one small file.
        """
        await in_thread(self._open)
        log.debug("store_opened", path=str(self._root), network=self._home.network)
