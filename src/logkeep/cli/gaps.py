"""``logkeep gaps``: what is missing, why, and how long is left; and acknowledging what cannot be had any more."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from logkeep.catalog.records import AccountRecord
from logkeep.cli.invocation import Beside, Invocation, with_catalog
from logkeep.cli.output import STATE_STYLES, china, console, left, print_json
from logkeep.errors import UsageError
from logkeep.files.books import read_books
from logkeep.files.report import gap_json, orphan_gap
from logkeep.model import Gap, Hour, Span, runs
from logkeep.vendors.lexiang.settings import VENDOR as RECORD_VENDOR

NAME = "gaps"

_UNKNOWN = "unknown"


def command(
    context: typer.Context,
    hours: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOUR[..HOUR]]",
            help="With --ack: the lost hours, YYYYMMDDHH (+08:00); 'unknown' for lost files without an hour.",
        ),
    ] = None,
    ack: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Acknowledge lost hours of this account.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="With --ack: why the loss is accepted.")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="With --ack: who accepts it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """List everything that is missing; exit 1 when there is anything."""
    invocation: Invocation = context.obj
    if ack is not None:
        account = ack
        why, who = _required("--reason", reason), _required("--by", by)
        typer.echo(with_catalog(invocation, lambda opened: _acknowledge(opened, account, hours, why, who)))
        return
    if hours is not None or reason is not None or by is not None:
        raise UsageError("HOUR, --reason and --by go with --ack ACCOUNT")
    gaps = with_catalog(invocation, all_gaps)
    if json:
        print_json({"ok": not gaps, "gaps": [gap_json(gap) for gap in gaps]})
    else:
        _show(gaps, invocation)
    if gaps:
        raise typer.Exit(1)


async def all_gaps(opened: Beside) -> list[Gap]:
    """The gaps of every configured account, and a line for each account that left the configuration."""
    gaps = [gap for known in opened.accounts for gap in (await opened.standing(known)).gaps]
    gaps += [gap for known in opened.streams for gap in (await opened.stream_standing(known)).gaps]
    return [*gaps, *(orphan_gap(orphan) for orphan in opened.orphans)]


def _show(gaps: list[Gap], invocation: Invocation) -> None:
    out, now = console(), invocation.clock.now()
    if not gaps:
        out.print("no gaps", style="green")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("account", "from", "to", "state", "file", "left", "reason"):
        table.add_column(title, overflow="fold")
    for gap in gaps:
        table.add_row(
            str(gap.account),
            china(gap.start),
            china(gap.end),
            Text(gap.state, style=STATE_STYLES[gap.state]),
            gap.file_id or "-",
            left(gap.expires_at, now),
            Text(gap.reason),
        )
    out.print(table)


def _required(option: str, value: str | None) -> str:
    if value is None or not value.strip():
        raise UsageError(f"{option}: say it; an acknowledgement is kept with its reason and name")
    return value.strip()


async def _acknowledge(opened: Beside, account: str, hours: str | None, reason: str, by: str) -> str:
    record = _find(await opened.catalog.accounts.all(), account)
    name = f"{record.vendor}/{record.name}"
    if record.vendor == RECORD_VENDOR and hours not in (None, _UNKNOWN):
        days = sorted({f"{hour.start:%Y-%m-%d}" for hour in _span(hours or "")})
        damages = opened.catalog.damages
        count = await damages.acknowledge_records(record.account_id, days, by=by, reason=reason, now=opened.now)
        if count:
            return f"{name}: the lacking records of {count} damaged segment(s) acknowledged"
    if record.vendor == RECORD_VENDOR and (hours is not None or record not in opened.orphans):
        raise UsageError(f"--ack {account}: a record stream has no lost hours; what is lacking is read again by itself")
    if hours is None:
        if record not in opened.orphans:
            raise UsageError(f"--ack {account}: name the lost hours, YYYYMMDDHH or YYYYMMDDHH..YYYYMMDDHH")
        await opened.catalog.accounts.acknowledge_orphan(record.account_id, by=by, reason=reason, now=opened.now)
        return f"{name}: its absence from the configuration is acknowledged"
    if hours == _UNKNOWN:
        count = await opened.catalog.files.acknowledge_lost(record.account_id, by=by, reason=reason, now=opened.now)
        count += await opened.catalog.damages.acknowledge(record.account_id, None, by=by, reason=reason, now=opened.now)
        return f"{name}: {count} lost or damaged file(s) acknowledged"
    return f"{name}: {await _acknowledge_hours(opened, record, _span(hours), reason, by)} acknowledged"


def _find(records: list[AccountRecord], account: str) -> AccountRecord:
    found = [record for record in records if account in (record.name, f"{record.vendor}/{record.name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"--ack {account}: several vendors have it; write VENDOR/{account}")
    raise UsageError(f"--ack {account}: the catalog knows no such account")


def _span(text: str) -> Span:
    first, _, last = text.partition("..")
    try:
        return Span(Hour.parse(first), Hour.parse(last or first))
    except ValueError as error:
        raise UsageError(f"HOUR: {error}") from None


async def _acknowledge_hours(opened: Beside, record: AccountRecord, span: Span, reason: str, by: str) -> str:
    books = await read_books(opened.catalog, record.account_id, opened.now)
    damages = await opened.catalog.damages.of_account(record.account_id)
    damaged = {damage.hour for damage in damages if damage.file_id is not None and not damage.fetching}
    others = set(span) - {hour for hour, known in books.hours.items() if known.lost_at is not None} - damaged
    if others:
        listed = ", ".join(str(run) for run in runs(others)[:5])
        raise UsageError(f"HOUR: only lost hours can be acknowledged; not lost: {listed}")
    done = await opened.catalog.hours.acknowledge(record.account_id, span, by=by, reason=reason, now=opened.now)
    files = await opened.catalog.damages.acknowledge(record.account_id, span, by=by, reason=reason, now=opened.now)
    return f"{done} lost hour(s)" + (f" and {files} damaged file(s)" if files else "")
