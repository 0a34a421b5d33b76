"""``logkeep sync``: catch up once, with progress, then exit."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from logkeep.cli.gaps import all_gaps
from logkeep.cli.invocation import Invocation, beside, run_async
from logkeep.cli.output import size
from logkeep.daemon.archiver import Kept, open_archiver
from logkeep.daemon.sync import begin_passes, sync_once
from logkeep.errors import LogkeepError
from logkeep.files.run import Pass
from logkeep.vendors.settings import Settings

NAME = "sync"

_ORDER = (2, 4, 3, 5, 1)
"""Where several exit codes apply, the first of these wins."""
_REFRESH_S = 0.1
_PLAIN_EVERY_S = 5.0


class Vendor(StrEnum):
    """What can be synced alone."""

    PAN123 = "pan123"


def command(
    context: typer.Context, vendor: Annotated[Vendor | None, typer.Argument(help="Only this vendor's accounts.")] = None
) -> None:
    """Catch up once: list what is due, fetch what is missing, then exit; 0 when nothing is missing."""
    invocation: Invocation = context.obj
    watched = sys.stderr.isatty()
    settings = invocation.settings(log_level="warning" if watched else None)
    code = run_async(run_sync(invocation, settings, None if vendor is None else vendor.value))
    if code:
        raise typer.Exit(code)


async def run_sync(invocation: Invocation, settings: Settings, vendor: str | None) -> int:
    """Catch up once; the exit code."""
    _stop_on_sigterm()
    async with open_archiver(settings, invocation.clock, invocation.rng) as archiver:
        passes = begin_passes(archiver, vendor)
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(_show_progress(passes))
            await sync_once(archiver, passes)
            showing.cancel()
    async with beside(settings, invocation.clock) as opened:
        gaps = await all_gaps(opened)
    _summarise(passes, len(gaps))
    codes = {passing.error.exit_code for _, passing in passes if passing.error is not None}
    return next((code for code in _ORDER if code in codes or (code == 1 and gaps)), 0)


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _show_progress(passes: Sequence[tuple[Kept, Pass]]) -> None:
    """Bars on a terminal, a line now and then elsewhere; runs until cancelled."""
    if not sys.stderr.isatty():
        while True:
            await asyncio.sleep(_PLAIN_EVERY_S)
            for kept, passing in passes:
                print(f"{kept.run.account.key}: {_told(passing)}", file=sys.stderr, flush=True)  # noqa: T201
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = [
            (passing, progress.add_task(str(kept.run.account.key), total=None, facts="")) for kept, passing in passes
        ]
        while True:
            for passing, bar in bars:
                done, known = _files(passing)
                progress.update(bar, completed=done, total=known or None, facts=_told(passing))
            await asyncio.sleep(_REFRESH_S)


def _files(passing: Pass) -> tuple[int, int]:
    done = passing.batch.files + passing.batch.failed
    return done, done + len(passing.batch.under_way)


def _told(passing: Pass) -> str:
    listed = f"{passing.listings}/{max(passing.asks_planned, passing.listings)} listings"
    done, known = _files(passing)
    return f"{listed}, {done}/{known} files, {size(passing.batch.bytes)}"


def _summarise(passes: Sequence[tuple[Kept, Pass]], gaps: int) -> None:
    for kept, passing in passes:
        batch = passing.batch
        told = f"{batch.files} files archived ({size(batch.bytes)}), {batch.failed} failed, {passing.listings} listings"
        typer.echo(f"{kept.run.account.key}: {told}")
        if isinstance(passing.error, LogkeepError):
            typer.echo(f"{kept.run.account.key}: {passing.error}", err=True)
    typer.echo(f"{gaps} gap(s); `logkeep gaps` names them" if gaps else "no gaps")
