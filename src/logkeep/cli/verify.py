"""``logkeep verify``: read everything that is archived again, and compare it with what was recorded."""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from logkeep.cli.invocation import Beside, Invocation, with_catalog
from logkeep.cli.output import console, print_json, size
from logkeep.cli.reading import reading
from logkeep.clock import Clock
from logkeep.config.values import parse_size
from logkeep.daemon.archiver import account_named
from logkeep.daemon.scrub import Scrub
from logkeep.errors import UsageError
from logkeep.model import AccountKey, Checked
from logkeep.store.local import LocalStore

NAME = "verify"


@dataclass(slots=True)
class Verdict:
    """What was read, and what of it is damaged. ``unrecorded`` is why the catalog does not know of it, if so."""

    objects: int = 0
    records: int = 0
    bytes: int = 0
    damaged: list[Checked] = field(default_factory=list)
    acknowledged: int = 0
    unrecorded: str = ""

    def add(self, checked: Checked) -> None:
        """One object more."""
        self.objects += 1
        self.records += checked.records
        self.bytes += checked.size_bytes
        if checked.damage and checked.acknowledged:
            self.acknowledged += 1
        elif checked.damage:
            self.damaged.append(checked)


def command(
    context: typer.Context,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="At most so much a second, such as 20MiB. [default: no limit]")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="A", help="Only this account; NAME or VENDOR/NAME.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Read the whole archive again, the least recently verified first; exit 1 when anything is damaged or missing."""
    invocation: Invocation = context.obj
    rate_bytes_per_s = None if rate is None else _rate(rate)
    verdict = with_catalog(invocation, partial(_verify, invocation.clock, rate_bytes_per_s, account))
    if json:
        print_json(_verdict_json(verdict))
    else:
        _show(verdict)
    if verdict.damaged:
        raise typer.Exit(1)


def _rate(text: str) -> int:
    try:
        rate_bytes_per_s = parse_size(text.removesuffix("/s"))
    except ValueError as error:
        raise UsageError(f"--rate: {error}") from None
    if rate_bytes_per_s < 1:
        raise UsageError(f"--rate: write more than nothing, not {text}")
    return rate_bytes_per_s


async def _verify(clock: Clock, rate_bytes_per_s: int | None, account: str | None, opened: Beside) -> Verdict:
    store, verdict = LocalStore(opened.settings.storage.path, create=False), Verdict()
    keys = await _accounts(opened, account)
    _, total_bytes = await opened.catalog.checks.totals(account_ids=list(keys))
    with reading("verifying", total_bytes, clock) as bar:

        def tell(checked: Checked) -> None:
            verdict.add(checked)
            bar.add(checked.size_bytes)

        scrub = Scrub(opened.catalog, store, clock, tell, list(keys), rate_bytes_per_s)
        await scrub.everything(opened.now)
    verdict.unrecorded = scrub.unrecorded
    for number, key in keys.items():
        await _add_lacking(opened, number, key, verdict)
    verdict.damaged.sort(key=lambda checked: (str(checked.account), checked.path))
    return verdict


async def _accounts(opened: Beside, name: str | None) -> dict[int, AccountKey]:
    """Every account ever configured, or the one that is named."""
    known = {known.account_id: AccountKey(known.vendor, known.name) for known in await opened.catalog.accounts.all()}
    if name is None:
        return known
    key = account_named(opened.settings, name)
    if key is None:
        opened.chosen(name)  # says what is wrong with it
    return {number: found for number, found in known.items() if found == key}


async def _add_lacking(opened: Beside, account_id: int, key: AccountKey, verdict: Verdict) -> None:
    """Records that went with a damaged segment: there is no object to be read for them any more."""
    for damage in await opened.catalog.damages.of_account(account_id):
        if damage.lacking:
            what = f"{damage.what}; {damage.lacking} of its {damage.records} records are lacking"
            if damage.acked_at is None:
                verdict.damaged.append(Checked(key, damage.path, damage.size_bytes, damage=what))
            else:
                verdict.acknowledged += 1


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": not verdict.damaged,
        "objects": verdict.objects,
        "records": verdict.records,
        "bytes": verdict.bytes,
        "acknowledged": verdict.acknowledged,
        "recorded": not verdict.unrecorded,
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
    if verdict.acknowledged:
        out.print(f"{verdict.acknowledged} more damaged, which is acknowledged")
    if verdict.unrecorded:
        out.print(f"not written down: {verdict.unrecorded}", style="yellow")
