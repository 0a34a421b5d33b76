"""The program's entry: global options, and the one place where errors become a line and an exit code."""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from logkeep import __version__
from logkeep.cli import check, demo, explain, gaps, plan, rebuild, run, status, sync, verify
from logkeep.cli.invocation import Invocation
from logkeep.errors import ConfigError, LogkeepError
from logkeep.observe.logging import redactor

app = typer.Typer(
    name="logkeep",
    pretty_exceptions_show_locals=False,
    add_completion=False,
    rich_markup_mode=None,
)
for command in (run, sync, status, gaps, plan, explain, check, verify, rebuild, demo):
    app.command(name=command.NAME)(command.command)


_DEFECT = 70
"""EX_SOFTWARE of sysexits.h: none of the contract's codes tells of a defect."""


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"logkeep {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file. [default: $LOGKEEP_CONFIG, or /etc/logkeep/config.toml]", metavar="FILE"),
    ] = None,
    version: Annotated[  # noqa: ARG001 - answered by its callback
        bool, typer.Option("--version", help="Print the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps the logs that vendors throw away, and proves that none is missing.

    Exit codes: 0 well, 1 gaps or damage, 2 bad usage or configuration, 3 credentials refused, 4 storage, catalog or
    lock, 5 vendor unreachable.
    """
    context.obj = Invocation(config)


def main() -> None:
    """Run a command; every failure we know is told in one line each on standard error, without a traceback."""
    try:
        app()
    except LogkeepError as error:
        lines = [str(problem) for problem in error.problems] if isinstance(error, ConfigError) else [str(error)]
        for line in lines:
            print(f"logkeep: {line}", file=sys.stderr)  # noqa: T201 - the last word goes to a person
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; say nothing more
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a defect; even its traceback must not show a secret
        told = redactor().text("".join(traceback.format_exception(error)))
        print(f"{told}logkeep: this is a defect in logkeep; please report the lines above", file=sys.stderr)  # noqa: T201
        sys.exit(_DEFECT)
