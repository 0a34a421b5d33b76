"""``logkeep plan``: what a poll would ask now, and why."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from logkeep.catalog.records import StreamRecord
from logkeep.cli.invocation import Beside, Invocation, Known, KnownStream, with_catalog
from logkeep.cli.output import china, console, left, print_json
from logkeep.daemon.alarm import last_came
from logkeep.daemon.archiver import policy_of
from logkeep.files.books import read_books
from logkeep.files.plan import Ask, Moment, expected_calls, plan
from logkeep.model import rfc3339
from logkeep.records.plan import Moment as StreamMoment
from logkeep.records.plan import Policy as StreamPolicy
from logkeep.records.plan import plan as plan_stream
from logkeep.records.stretch import Stretch
from logkeep.vendors.lexiang.settings import STREAM

NAME = "plan"

Planned = tuple[Known, list[tuple[Ask, int]]]
PlannedStream = tuple[KnownStream, tuple[Stretch, ...]]


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Show the spans that a poll would list now, why, and the API calls they take."""
    invocation: Invocation = context.obj
    planned, streams = with_catalog(invocation, _plan_all)
    if json:
        accounts = [_account_json(known, asks) for known, asks in planned]
        print_json({"accounts": accounts, "streams": [_stream_json(stream, reads) for stream, reads in streams]})
        return
    out, now = console(), invocation.clock.now()
    for stream, reads in streams:
        _show_stream(out, stream, reads)
    for known, asks in planned:
        calls = sum(count for _, count in asks)
        out.print(f"{known.settings.key}: {len(asks)} listings, about {calls} API calls", style="bold")
        table = Table(box=None, padding=(0, 2, 0, 2))
        for title in ("span", "hours", "calls", "expires in", "why"):
            table.add_column(title)
        for ask, count in asks:
            table.add_row(str(ask.span), str(len(ask.span)), str(count), left(ask.expires_at, now), ask.why)
        out.print(table)


async def _plan_all(opened: Beside) -> tuple[list[Planned], list[PlannedStream]]:
    files = [(known, await _plan(opened, known)) for known in opened.accounts]
    return files, [(known, await _plan_stream(opened, known)) for known in opened.streams]


async def _plan_stream(opened: Beside, known: KnownStream) -> tuple[Stretch, ...]:
    account, zone, now = known.settings, opened.settings.schedule.zone, opened.now
    stream = await known.stream() or StreamRecord(0, known.record.account_id, STREAM)
    moment = StreamMoment(now, last_came(account.sweep, zone, now), last_came(account.deep_sweep, zone, now))
    return plan_stream(stream, StreamPolicy(account.interval, account.lookback), moment).stretches


def _show_stream(out: Console, known: KnownStream, stretches: tuple[Stretch, ...]) -> None:
    out.print(f"{known.settings.key}: pages of {known.settings.per_page}, newest first", style="bold")
    for stretch in stretches:
        top = "now" if stretch.top is None else china(stretch.top)
        bottom = "the oldest record" if stretch.bottom is None else china(stretch.bottom)
        out.print(f"  from {top} back to {bottom}: {stretch.why}")


def _stream_json(known: KnownStream, stretches: tuple[Stretch, ...]) -> dict[str, Any]:
    return {
        "vendor": known.settings.key.vendor,
        "account": known.settings.key.name,
        "stretches": [
            {"from": rfc3339(stretch.bottom), "to": rfc3339(stretch.top), "why": stretch.why} for stretch in stretches
        ],
    }


async def _plan(opened: Beside, known: Known) -> list[tuple[Ask, int]]:
    books = await read_books(known.catalog, known.record.account_id, opened.now)
    sweep_since = last_came(known.settings.sweep, opened.settings.schedule.zone, opened.now)
    moment = Moment(opened.now, poll_since=opened.now, sweep_since=sweep_since, host_now=opened.now)
    wanting = books.wanting(moment)
    asks = plan(books.account, books.hours, books.facts, wanting, policy_of(known.settings), moment)
    return [(ask, expected_calls(ask.span, books.hours, known.settings.page_size)) for ask in asks]


def _account_json(known: Known, asks: list[tuple[Ask, int]]) -> dict[str, Any]:
    return {
        "vendor": known.settings.key.vendor,
        "account": known.settings.key.name,
        "calls": sum(count for _, count in asks),
        "listings": [
            {
                "from": str(ask.span.first),
                "to": str(ask.span.last),
                "hours": len(ask.span),
                "calls": count,
                "why": ask.why,
                "expires_at": rfc3339(ask.expires_at),
            }
            for ask, count in asks
        ],
    }
