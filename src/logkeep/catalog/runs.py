"""Runs: every pass over an account, with what it cost and how it ended."""

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database
from logkeep.catalog.records import RunRecord
from logkeep.catalog.tables import runs


class Runs:
    """The runs of one catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, account_id: int, cause: str, *, now: datetime) -> int:
        """A pass begins; one without an end was cut off."""

        async def work(connection: AsyncConnection) -> int:
            values = {"account_id": account_id, "cause": cause, "started_at": now}
            return int((await connection.execute(insert(runs).values(values).returning(runs.c.run_id))).scalar_one())

        return await self._database.write(work)

    async def end(self, run: RunRecord) -> None:
        """The pass ended."""
        names = ("finished_at", "listings", "calls", "files", "bytes", "records", "outcome")
        values = {name: getattr(run, name) for name in names}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(update(runs).where(runs.c.run_id == run.run_id).values(**values))

        await self._database.write(work)

    async def latest(self, account_id: int, *, limit: int = 10) -> list[RunRecord]:
        """The latest passes, newest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(runs).where(runs.c.account_id == account_id).order_by(runs.c.run_id.desc()).limit(limit)
            )
            return [RunRecord(**row) for row in rows.mappings()]
