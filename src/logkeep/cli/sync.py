"""``logkeep sync``: catch up once, with progress, then exit."""

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from logkeep.cli.gaps import all_gaps
from logkeep.cli.invocation import Invocation, beside, run_async
from logkeep.cli.output import china, size
from logkeep.daemon.archiver import Kept, KeptStream, open_archiver
from logkeep.daemon.sync import Passes, begin_passes, sync_once
from logkeep.errors import LogkeepError
from logkeep.files.run import Pass
from logkeep.model import AccountKey
from logkeep.records.account import Pass as RecordPass
from logkeep.vendors.settings import Settings

NAME = "sync"

_ORDER = (2, 4, 3, 5, 1)
"""Where several exit codes apply, the first of these wins."""
_REFRESH_S = 0.1
_PLAIN_EVERY_S = 5.0


class Vendor(StrEnum):
    """What can be synced alone."""

    PAN123 = "pan123"
    LEXIANG = "lexiang"


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
    errors = [passing.error for _, passing in passes.files] + [passing.error for _, passing in passes.records]
    codes = {error.exit_code for error in errors if error is not None}
    return next((code for code in _ORDER if code in codes or (code == 1 and gaps)), 0)


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _show_progress(passes: Passes) -> None:
    """Bars on a terminal, a line now and then elsewhere; runs until cancelled."""
    shown = [_files_shown(kept, passing) for kept, passing in passes.files]
    shown += [_records_shown(kept, passing) for kept, passing in passes.records]
    if not sys.stderr.isatty():
        while True:
            await asyncio.sleep(_PLAIN_EVERY_S)
            for name, look in shown:
                print(f"{name}: {look().told}", file=sys.stderr, flush=True)  # noqa: T201
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = [(look, progress.add_task(name, total=None, facts="")) for name, look in shown]
        while True:
            for look, bar in bars:
                seen = look()
                progress.update(bar, completed=seen.done, total=seen.known or None, facts=seen.told)
            await asyncio.sleep(_REFRESH_S)


@dataclass(frozen=True, slots=True)
class _Look:
    """One account's progress: how much is ``done`` of what is ``known`` so far (0: nothing yet), and words for it."""

    done: int
    known: int
    told: str


def _files_shown(kept: Kept, passing: Pass) -> tuple[str, Callable[[], _Look]]:
    def look() -> _Look:
        done = passing.batch.files + passing.batch.failed
        known = done + len(passing.batch.under_way)
        listed = f"{passing.listings}/{max(passing.asks_planned, passing.listings)} listings"
        return _Look(done, known, f"{listed}, {done}/{known} files, {size(passing.batch.bytes)}")

    return str(kept.run.account.key), look


def _records_shown(kept: KeptStream, passing: RecordPass) -> tuple[str, Callable[[], _Look]]:
    def look() -> _Look:
        told = f"{passing.pages} pages, {passing.records} records, back to {china(passing.reached)}, {passing.why}"
        return _Look(passing.records, max(passing.total or 0, passing.records) if passing.records else 0, told)

    return str(kept.run.account.key), look


def _summarise(passes: Passes, gaps: int) -> None:
    for kept, passing in passes.files:
        batch = passing.batch
        told = f"{batch.files} files archived ({size(batch.bytes)}), {batch.failed} failed, {passing.listings} listings"
        _say(kept.run.account.key, told, passing.error)
    for stream, reading in passes.records:
        _say(stream.run.account.key, f"{reading.records} records archived, {reading.pages} pages", reading.error)
    typer.echo(f"{gaps} gap(s); `logkeep gaps` names them" if gaps else "no gaps")


def _say(key: AccountKey, told: str, error: LogkeepError | None) -> None:
    typer.echo(f"{key}: {told}")
    if error is not None:
        typer.echo(f"{key}: {error}", err=True)
