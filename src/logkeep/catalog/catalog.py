"""The catalog as the rest of the program sees it: one object, opened once, with a part for each noun."""

import asyncio
from pathlib import Path
from typing import Self

from logkeep.catalog.accounts import Accounts
from logkeep.catalog.checks import Checks
from logkeep.catalog.damages import Damages
from logkeep.catalog.database import Database
from logkeep.catalog.files import Files
from logkeep.catalog.hours import Hours
from logkeep.catalog.runs import Runs
from logkeep.catalog.schema import bring_up_to_date, require_current
from logkeep.catalog.streams import Streams
from logkeep.catalog.tokens import Tokens
from logkeep.catalog.transfers import Transfers


class Catalog:
    """Everything logkeep knows. Construct cheaply, then ``open`` or ``open_beside``; ``close`` when done."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._use(Database(path))

    @classmethod
    def blank(cls) -> Self:
        """An empty catalog in memory, for accounts that no daemon has seen yet; use ``open_beside``."""
        return cls(None)

    def _use(self, database: Database) -> None:
        self.database = database
        self.accounts = Accounts(database)
        self.tokens = Tokens(database)
        self.hours = Hours(database)
        self.files = Files(database)
        self.transfers = Transfers(database)
        self.runs = Runs(database)
        self.streams = Streams(database)
        self.checks = Checks(database)
        self.damages = Damages(database)

    async def open(self) -> None:
        """Open as the one keeper of the storage: the catalog is created or migrated where needed.

        Raises:
            CatalogError: it is damaged, of a newer schema, or cannot be written.
        """
        await bring_up_to_date(self.database)

    async def open_beside(self) -> None:
        """Open beside a running daemon: nothing is created or migrated; where there is no catalog yet, an empty one.

        Raises:
            CatalogError: it is damaged or of another schema.
        """
        if self._path is not None and not await asyncio.to_thread(self._path.exists):
            self._use(Database(None))
        await require_current(self.database)

    async def close(self) -> None:
        """Release every connection."""
        await self.database.close()
