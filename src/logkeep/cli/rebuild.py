"""``logkeep rebuild``: make the catalog again from the archive alone."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from logkeep.cli.invocation import Invocation, run_async
from logkeep.cli.output import console, print_json, size
from logkeep.cli.reading import reading
from logkeep.daemon.rebuild import Rebuilt, Work, rebuild

NAME = "rebuild"


def command(
    context: typer.Context,
    replace: Annotated[
        bool, typer.Option("--replace", help="Keep a catalog that has content under another name, and make a new one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs; see docs/json.md.")] = False,
) -> None:
    """Make the catalog again by reading the whole archive; the next sync downloads nothing that lies in it."""
    invocation: Invocation = context.obj
    settings = invocation.settings(log_level="warning")
    with ExitStack() as stack:

        def begin(work: Work) -> Callable[[int], None]:
            return stack.enter_context(reading("reading", work.bytes, invocation.clock)).add

        result = run_async(rebuild(settings, invocation.clock, replace=replace, begin=begin))
    if json:
        print_json(_json(result))
    else:
        _show(result)
    if result.damaged:
        raise typer.Exit(1)


def _json(result: Rebuilt) -> dict[str, Any]:
    return {
        "ok": not result.damaged,
        "files": result.files,
        "segments": result.segments,
        "records": result.records,
        "bytes": result.bytes,
        "former_catalog": None if result.former is None else str(result.former),
        "damaged": [{"path": path, "damage": why} for path, why in result.damaged],
        "doubtful": [{"path": path, "doubt": why} for path, why in result.doubtful],
        "strangers": [{"path": path, "reason": why} for path, why in result.strangers],
    }


def _show(result: Rebuilt) -> None:
    out = console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("what", "path", "why"):
        table.add_column(title, overflow="fold")
    for what, found in (("damaged", result.damaged), ("doubtful", result.doubtful), ("left alone", result.strangers)):
        for path, why in found:
            table.add_row(what, Text(path), Text(why, style="red" if what == "damaged" else ""))
    if table.row_count:
        out.print(table)
    held = f"{result.files} files and {result.records} records in {result.segments} segments, {size(result.bytes)}"
    out.print(f"the catalog knows {held}")
    if result.former is not None:
        out.print(f"the former one is {result.former}")
    out.print("hours and streams are unproven until the next `logkeep sync` has listed them")
