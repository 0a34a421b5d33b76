"""kill -9 before an effect of the real program: each file operation, SQLite's included, and each request.

A few of the crash points of ``make crash``, which passes them all.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import crash_points_ptrace as ptrace
from crash_points_kill import Killer
from crash_points_trace import tracer
from crash_points_world import SMALL, world

pytestmark = pytest.mark.skipif(bool(ptrace.why_not()), reason=ptrace.why_not() or "it can be traced here")

POINTS = {"renameat": 5, "fdatasync": 14, "unlinkat": 4, "pwrite64": 100}
"""Somewhere in the middle of what a run does of each."""


@asynccontextmanager
async def killing(folder: Path) -> AsyncIterator[Killer]:
    base = folder / "base"
    async with world(folder / "settings", datetime.now(UTC), SMALL, base) as made, tracer() as traced:
        yield Killer(made, traced, base, folder)


async def test_killed_before_a_rename_a_sync_a_removal_or_a_write_the_next_sync_completes_the_archive_exactly_once(
    tmp_path: Path,
) -> None:
    async with killing(tmp_path) as killer:
        for call, number in POINTS.items():
            await killer.kill(call, number)
        assert killer.points.violations == []
        assert killer.points.over == 0
        assert killer.points.calls == dict.fromkeys(POINTS, 1)


async def test_the_program_is_stopped_before_the_effect_and_not_after_it(tmp_path: Path) -> None:
    """Killed before its first rename into the archive it has made nothing visible, and after it one object."""
    async with world(tmp_path / "settings", datetime.now(UTC), SMALL) as made, tracer() as traced:
        visible = []
        for number in (2, 3):  # the first is the proof at the start that a rename works
            storage = tmp_path / str(number)
            args = ("--config", str(made.config(storage)), "sync", "lexiang")
            run = await traced.run(*args, root=storage, folder=tmp_path / "printed", kill=("renameat", number - 1))
            assert run.code == -9
            assert run.before is not None
            assert run.before["call"] == "renameat"
            visible.append(len(list(storage.glob("lexiang/**/*.gz"))))
        assert visible == [0, 1]
