"""Catch up once, then end."""

import asyncio
from collections.abc import Sequence

import structlog

from logkeep.daemon.archiver import Archiver, Kept
from logkeep.files.run import Pass

log = structlog.stdlib.get_logger("logkeep.daemon")


async def sync_once(archiver: Archiver, passes: Sequence[tuple[Kept, Pass]]) -> None:
    """One pass over every account, side by side; how each went stands in its ``Pass``.

    Raises:
        HomeError: the storage or the catalog failed beneath it.
    """
    async with archiver.working(archiver.settings.daemon.drain), asyncio.TaskGroup() as tasks:
        for kept, passing in passes:
            tasks.create_task(kept.run.run(passing), name=str(kept.run.account.key))


def begin_passes(archiver: Archiver, vendor: str | None) -> list[tuple[Kept, Pass]]:
    """A pass for every account, or for those of one vendor; each lists the newest hours whatever was listed when."""
    now = archiver.clock.now()
    return [
        (kept, kept.begin_pass("sync", now, always_poll=True))
        for kept in archiver.accounts
        if vendor in (None, kept.run.account.key.vendor)
    ]
