"""``logkeep demo``: the whole thing on this machine alone, against simulated vendors."""

import asyncio
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logkeep.cli.invocation import Invocation, run_async
from logkeep.cli.sync import run_sync
from logkeep.clock import SystemClock

if TYPE_CHECKING:  # the simulator is loaded for this command only
    from logkeep.simulator.pan123.account import Account
    from logkeep.simulator.pan123.cloud import Pan123Cloud

NAME = "demo"

_HOURS = 720
_FILES_PER_HOUR = 3
_RETENTION = timedelta(days=30, hours=1)
_LATE_EVERY = timedelta(seconds=20)
_CONFIG = """\
# Written by `logkeep demo`; the secret opens nothing but the simulator.
[storage]
path = {path}
min_free = "64MiB"

[[pan123]]
name = "demo"
client_id = "{client_id}"
client_secret = "{client_secret}"
base_url = "{base_url}"
requests_per_second = 20.0
poll = "* * * * *"

[download]
allow_http = true
allow_private_addresses = true

[web]
listen = "127.0.0.1:0"
"""


def command(
    once: Annotated[
        bool, typer.Option("--once", help="End when everything is archived (always so without a terminal).")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to archive. [default: a new one in ./demo-archive]")
    ] = None,
) -> None:
    """Archive thirty days of simulated logs into a folder, then keep going."""
    target = (folder or Path("demo-archive") / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}").resolve()
    keep_going = sys.stdout.isatty() and not once
    code = run_async(_demo(target, keep_going=keep_going))
    if code:
        raise typer.Exit(code)


async def _demo(target: Path, *, keep_going: bool) -> int:
    from logkeep.simulator.pan123.cloud import Pan123Cloud

    cloud = Pan123Cloud(seed=random.SystemRandom().randrange(2**32), retention=_RETENTION)
    account = cloud.add_account()
    account.populate(_HOURS, _FILES_PER_HOUR)
    async with cloud:
        config = _write_config(target, cloud, account)
        typer.echo(f"simulated 123pan at {cloud.base_url}: {_HOURS} hours with {_FILES_PER_HOUR} files each")
        invocation = Invocation(config)
        code = await run_sync(invocation, invocation.settings(log_level="warning"), None)
        _tell(target, config, cloud)
        if keep_going and code == 0:
            await _keep_going(invocation, cloud, account)
        return code


def _write_config(target: Path, cloud: "Pan123Cloud", account: "Account") -> Path:
    target.mkdir(parents=True, exist_ok=True)
    config = target.with_name(f"{target.name}.toml")
    config.write_text(
        _CONFIG.format(
            path=_toml_text(str(target)),
            client_id=account.client_id,
            client_secret=account.client_secret,
            base_url=cloud.base_url,
        ),
        encoding="utf-8",
    )
    config.chmod(0o600)
    return config


def _toml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tell(target: Path, config: Path, cloud: "Pan123Cloud") -> None:
    archived = [path for path in target.glob("pan123/*/date=*/hour=*/*") if path.is_file()]
    days = Counter(path.parent.parent.name for path in archived)
    calls = cloud.count("token") + cloud.count("list")
    typer.echo(f"archived {len(archived)} files of {len(days)} days with {calls} API calls into {target}")
    typer.echo("look at it:")
    typer.echo(f"  ls {target}/pan123/demo")
    for command_line in ("status", "gaps", "plan"):
        typer.echo(f"  {sys.argv[0]} --config {config} {command_line}")
    if archived:
        newest = max(archived)
        typer.echo(f"  zcat {newest}")
        typer.echo(f"  {sys.argv[0]} --config {config} explain {newest.name.split('-')[0]}")


async def _keep_going(invocation: Invocation, cloud: "Pan123Cloud", account: "Account") -> None:
    from logkeep.daemon.lifecycle import run_daemon

    typer.echo("keeping on: a late file appears every 20 s, a poll comes every minute; stop with Ctrl-C")
    settings = invocation.settings()
    publishing = cloud.keep_publishing(account, files_per_hour=_FILES_PER_HOUR, late_every=_LATE_EVERY)
    async with asyncio.TaskGroup() as tasks:
        publisher = tasks.create_task(publishing)
        await run_daemon(settings, SystemClock(), random.SystemRandom())
        publisher.cancel()
