"""Catch up once, then end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from logkeep.daemon.archiver import Archiver, Kept, KeptStream
from logkeep.files.run import Pass
from logkeep.records.account import Pass as RecordPass

log = structlog.stdlib.get_logger("logkeep.daemon")


@dataclass(frozen=True, slots=True)
class Passes:
    """What one catching up does."""

    files: Sequence[tuple[Kept, Pass]]
    records: Sequence[tuple[KeptStream, RecordPass]]


READINGS_AT_MOST = 4
"""Passes over one record stream while what is suspect, or not beyond doubt, calls for another."""


async def sync_once(archiver: Archiver, passes: Passes) -> None:
    """One pass over every account, side by side; how each went stands in its pass.

    Raises:
        HomeError: the storage or the catalog failed beneath it.
    """
    async with archiver.working(archiver.settings.daemon.drain), asyncio.TaskGroup() as tasks:
        for kept, passing in passes.files:
            tasks.create_task(kept.run.run(passing), name=str(kept.run.account.key))
        for stream, reading in passes.records:
            tasks.create_task(_read(stream, reading), name=str(stream.run.account.key))


async def _read(kept: KeptStream, passing: RecordPass) -> None:
    """Passes over one stream until nothing is left to read again."""
    for _ in range(READINGS_AT_MOST):
        passing.again = False
        await kept.run.run(passing)
        if passing.error is not None or not passing.again:
            break


def begin_passes(archiver: Archiver, vendor: str | None) -> Passes:
    """A pass for every account, or for those of one vendor; each reads the newest whatever was read when."""
    now = archiver.clock.now()
    files = [
        (kept, kept.begin_pass("sync", now, always_poll=True))
        for kept in archiver.accounts
        if vendor in (None, kept.run.account.key.vendor)
    ]
    records = [
        (kept, kept.begin_pass("sync", now))
        for kept in archiver.streams
        if vendor in (None, kept.run.account.key.vendor)
    ]
    return Passes(files, records)
