"""``logkeep verify``: read everything that is archived again, and compare it with what was recorded."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from logkeep.cli.invocation import Beside, Invocation, with_catalog
from logkeep.cli.output import console, print_json, size
from logkeep.files.verify import verify_files
from logkeep.model import AccountKey, Checked
from logkeep.records.verify import verify_segments
from logkeep.store.local import LocalStore
from logkeep.store.port import Store

NAME = "verify"


@dataclass(slots=True)
class Verdict:
    """What was read, and what of it is damaged."""

    objects: int = 0
    records: int = 0
    bytes: int = 0
    damaged: list[Checked] = field(default_factory=list)

    def add(self, checked: Checked) -> None:
        """One object more."""
        self.objects += 1
        self.records += checked.records
        self.bytes += checked.size_bytes
        if checked.damage:
            self.damaged.append(checked)


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Read the whole archive again and compare digests and counts; exit 1 when anything is damaged or missing."""
    invocation: Invocation = context.obj
    verdict = with_catalog(invocation, _verify)
    if json:
        print_json(_verdict_json(verdict))
    else:
        _show(verdict)
    if verdict.damaged:
        raise typer.Exit(1)


async def _verify(opened: Beside) -> Verdict:
    store, verdict = LocalStore(opened.settings.storage.path, create=False), Verdict()
    with Progress(
        TextColumn("verifying"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        bar = progress.add_task("", total=await _bytes(opened))
        async for checked in _everything(opened, store):
            verdict.add(checked)
            progress.advance(bar, checked.size_bytes)
    return verdict


async def _bytes(opened: Beside) -> int:
    """How much there is to read."""
    catalog, total = opened.catalog, 0
    for account in await catalog.accounts.all():
        total += (await catalog.files.totals(account.account_id))[1]
        for stream in await catalog.streams.of_account(account.account_id):
            total += (await catalog.streams.totals(stream.stream_id))[2]
    return total


async def _everything(opened: Beside, store: Store) -> AsyncIterator[Checked]:
    """The objects of every account ever configured."""
    for account in await opened.catalog.accounts.all():
        key = AccountKey(account.vendor, account.name)
        async for checked in verify_files(opened.catalog, store, key, account.account_id):
            yield checked
        for stream in await opened.catalog.streams.of_account(account.account_id):
            async for checked in verify_segments(opened.catalog, store, key, stream.stream_id):
                yield checked


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": not verdict.damaged,
        "objects": verdict.objects,
        "records": verdict.records,
        "bytes": verdict.bytes,
        "damaged": [
            {
                "vendor": checked.account.vendor,
                "account": checked.account.name,
                "path": checked.path,
                "file_id": checked.file_id,
                "damage": checked.damage,
            }
            for checked in verdict.damaged
        ],
    }


def _show(verdict: Verdict) -> None:
    out = console()
    if verdict.damaged:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("account", "path", "damage"):
            table.add_column(title, overflow="fold")
        for checked in verdict.damaged:
            table.add_row(str(checked.account), checked.path, Text(checked.damage, style="red"))
        out.print(table)
    read = f"{verdict.objects} objects, {verdict.records} records, {size(verdict.bytes)} read"
    out.print(f"{read}; {len(verdict.damaged)} damaged" if verdict.damaged else f"{read}; all as recorded")
