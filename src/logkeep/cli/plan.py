"""``logkeep plan``: what a poll would ask now, and why."""

from typing import Annotated, Any

import typer
from rich.table import Table

from logkeep.cli.invocation import Beside, Invocation, Known, with_catalog
from logkeep.cli.output import console, left, print_json
from logkeep.daemon.alarm import last_came
from logkeep.daemon.archiver import policy_of
from logkeep.files.books import read_books
from logkeep.files.plan import Ask, Moment, expected_calls, plan
from logkeep.model import rfc3339

NAME = "plan"

Planned = tuple[Known, list[tuple[Ask, int]]]


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Show the spans that a poll would list now, why, and the API calls they take."""
    invocation: Invocation = context.obj
    planned = with_catalog(invocation, _plan_all)
    if json:
        print_json({"accounts": [_account_json(known, asks) for known, asks in planned]})
        return
    out, now = console(), invocation.clock.now()
    for known, asks in planned:
        calls = sum(count for _, count in asks)
        out.print(f"{known.settings.key}: {len(asks)} listings, about {calls} API calls", style="bold")
        table = Table(box=None, padding=(0, 2, 0, 2))
        for title in ("span", "hours", "calls", "expires in", "why"):
            table.add_column(title)
        for ask, count in asks:
            table.add_row(str(ask.span), str(len(ask.span)), str(count), left(ask.expires_at, now), ask.why)
        out.print(table)


async def _plan_all(opened: Beside) -> list[Planned]:
    return [(known, await _plan(opened, known)) for known in opened.accounts]


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
