"""``logkeep status``: how every account stands, with a map of the last thirty days."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from logkeep.catalog.care import Care
from logkeep.cli.invocation import Beside, Invocation, with_catalog
from logkeep.cli.output import STATE_STYLES, china, console, duration, left, print_json, size
from logkeep.files.ledger import expires_at
from logkeep.files.plan import DANGER
from logkeep.files.report import Standing, standing_json
from logkeep.model import CHINA, Hour, HourState, rfc3339
from logkeep.records.report import StreamStanding, stream_standing_json
from logkeep.store.lock import StorageLock

NAME = "status"

_MARKS = {
    HourState.OPEN: "o",
    HourState.PENDING: "?",
    HourState.FAILED: "!",
    HourState.COMPLETE: "#",
    HourState.EMPTY: ".",
    HourState.LOST: "X",
    HourState.ACKNOWLEDGED: "x",
}
_DAYS = 31
_BARS = ".▁▂▃▄▅▆▇█"


def command(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Show hours by state, files, what expires next, and a map of 30 days by 24 hours."""
    invocation: Invocation = context.obj

    async def look(opened: Beside) -> tuple[list[Standing], list[StreamStanding], dict[str, Any]]:
        stands = [await opened.standing(known) for known in opened.accounts]
        streams = [await opened.stream_standing(known) for known in opened.streams]
        lock = StorageLock(opened.settings.storage.path / ".logkeep" / "lock")
        whole = {
            "now": rfc3339(opened.now),
            "keeper": lock.holder() if lock_exists(opened) else None,
            "accounts": [standing_json(stand) for stand in stands],
            "streams": [stream_standing_json(stream) for stream in streams],
            "orphans": [f"{orphan.vendor}/{orphan.name}" for orphan in opened.orphans],
        }
        return stands, streams, whole

    stands, streams, whole = with_catalog(invocation, look)
    if json:
        print_json(whole)
        return
    out = console()
    keeper = whole["keeper"]
    out.print("kept by " + keeper if keeper else "no daemon is running", style=None if keeper else "yellow")
    for stand in stands:
        _show(out, stand, invocation)
    for stream in streams:
        _show_stream(out, stream, invocation)
    for orphan in whole["orphans"]:
        out.print(f"{orphan}: in the catalog, not in the configuration", style="yellow")


def lock_exists(opened: Beside) -> bool:
    """Whether anybody ever kept this storage."""
    return (opened.settings.storage.path / ".logkeep" / "lock").exists()


def _show(out: Console, stand: Standing, invocation: Invocation) -> None:
    now, account = invocation.clock.now(), stand.books.account
    out.print()
    out.print(Text(str(stand.key), style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    counts = Text("  ").join(
        Text(f"{count} {state.value}", style=STATE_STYLES[state.value] if count else "dim")
        for state, count in stand.counts.items()
    )
    table.add_row("hours", counts)
    table.add_row("archived", f"{stand.files} files, {size(stand.bytes)}")
    newest = stand.newest
    table.add_row("newest hour kept", "-" if newest is None else china(newest.hour.start))
    endangered = stand.endangered
    if endangered is not None:
        until = expires_at(endangered.hour)
        table.add_row("expires next", f"{endangered.hour} in {left(until, now)}: {endangered.reason}")
    token = stand.token.expires_at if stand.token is not None else None
    table.add_row("token expires", china(token))
    if account.lateness_s is not None:
        table.add_row("latest file seen", f"{duration(timedelta(seconds=account.lateness_s))} after its hour ended")
    if account.trouble is not None:
        table.add_row("trouble", Text(f"{account.trouble.reason} (since {china(account.trouble.since)})", style="red"))
    _add_care(table, stand.care, now)
    table.add_row("gaps", Text(str(len(stand.gaps)), style="red") if stand.gaps else "none")
    out.print(table)
    out.print(heat_map(stand, Hour.of(now)))


def _show_stream(out: Console, stand: StreamStanding, invocation: Invocation) -> None:
    stream, account, now = stand.stream, stand.account, invocation.clock.now()
    out.print()
    out.print(Text(f"{stand.key}  {stand.name}", style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    state = Text(stand.state.value, style=STATE_STYLES[stand.state.value])
    table.add_row("state", state.append(f": {stand.reason}" if stand.reason else ""))
    table.add_row("archived", f"{stand.records} records in {stand.segments} segments, {size(stand.bytes)}")
    if stream is not None:
        table.add_row("read up to", china(stream.mark))
        for part in stream.covered:
            since = "the oldest record" if part.start is None else china(part.start)
            table.add_row("covered", f"{since} .. {china(part.end)}")
        confirmed = "not yet" if stream.confirmed_at is None else china(stream.confirmed_at)
        table.add_row("whole history confirmed", confirmed)
    if stand.oddities:
        table.add_row("oddities", ", ".join(f"{count} {kind}" for kind, count in sorted(stand.oddities.items())))
    table.add_row("token expires", china(stand.token.expires_at if stand.token is not None else None))
    if account.trouble is not None:
        table.add_row("trouble", Text(f"{account.trouble.reason} (since {china(account.trouble.since)})", style="red"))
    _add_care(table, stand.care, now)
    table.add_row("gaps", Text(str(len(stand.gaps)), style="red") if stand.gaps else "none")
    out.print(table)
    out.print(day_bars(stand, now))


def _add_care(table: Table, care: Care, now: datetime) -> None:
    if care.checked_at is not None:
        age = duration(max(now - care.checked_at, timedelta()))
        table.add_row("verified", f"every object within the last {age}")
    if care.damaged:
        table.add_row("damaged", Text(str(care.damaged), style="red"))


def day_bars(stand: StreamStanding, now: datetime) -> Text:
    """A mark for each of the last thirty days, the taller the more records it has."""
    today = now.astimezone(CHINA).date()
    days = [today - timedelta(days=ago) for ago in range(_DAYS - 1, -1, -1)]
    counts = [stand.days.get(day.isoformat(), 0) for day in days]
    most = max(*counts, 1)
    bars = "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)
    picture = Text("    records a day  ", style="dim")
    picture.append(bars, style="green")
    return picture.append(f"  {days[0]:%m-%d} .. {days[-1]:%m-%d}, at most {max(counts)}", style="dim")


def heat_map(stand: Standing, current: Hour) -> Text:
    """One line a day, one mark an hour (+08:00), newest day last; hours near their deletion are underlined."""
    states = {judged.hour: judged.state for judged in stand.ledger}
    lacking = (HourState.PENDING, HourState.FAILED)
    picture = Text("    hour        0     6     12    18\n", style="dim")
    first_of_today = current + -current.start.hour
    for days_ago in range(_DAYS - 1, -1, -1):
        first = first_of_today + -24 * days_ago
        picture.append(f"    {first.start:%Y-%m-%d}  ", style="dim")
        for hour in (first + i for i in range(24)):
            state = states.get(hour)
            if state is None:
                picture.append(" ")
                continue
            danger = state in lacking and expires_at(hour) - current.start <= DANGER
            picture.append(_MARKS[state], style=STATE_STYLES[state.value] + (" underline" if danger else ""))
        picture.append("\n")
    picture.append("    ")
    for state, mark in _MARKS.items():
        picture.append(mark, style=STATE_STYLES[state.value])
        picture.append(f" {state.value}  ", style="dim")
    return picture
