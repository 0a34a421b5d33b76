"""``logkeep run``: the daemon."""

import typer

from logkeep.cli.invocation import Invocation, run_async

NAME = "run"


def command(context: typer.Context) -> None:
    """Keep archiving until SIGTERM or SIGINT."""
    from logkeep.daemon.lifecycle import run_daemon

    invocation: Invocation = context.obj
    settings = invocation.settings()
    run_async(run_daemon(settings, invocation.clock, invocation.rng))
