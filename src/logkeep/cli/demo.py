"""``logkeep demo``: the whole thing on this machine alone, against simulated vendors."""

import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logkeep.cli.invocation import Invocation, run_async
from logkeep.cli.sync import run_sync
from logkeep.clock import SystemClock

if TYPE_CHECKING:  # the simulator is loaded for this command only
    from logkeep.simulator.lexiang.account import LexiangAccount
    from logkeep.simulator.lexiang.cloud import LexiangCloud
    from logkeep.simulator.pan123.account import Account
    from logkeep.simulator.pan123.cloud import Pan123Cloud

NAME = "demo"

_HOURS = 720
_FILES_PER_HOUR = 3
_RETENTION = timedelta(days=30, hours=1)
_LATE_EVERY = timedelta(seconds=20)
_RECORDS = 5000
_RECORD_EVERY = timedelta(seconds=10)
_CONFIG = """\
# Written by `logkeep demo`; the secrets open nothing but the simulators.
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

[[lexiang]]
name = "demo"
app_key = "{app_key}"
app_secret = "{app_secret}"
base_url = "{lexiang_url}"
requests_per_second = 50.0
interval = "1m"

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


@dataclass(frozen=True, slots=True)
class _World:
    """The simulated vendors, each with one account."""

    cloud: "Pan123Cloud"
    files: "Account"
    base: "LexiangCloud"
    records: "LexiangAccount"


async def _demo(target: Path, *, keep_going: bool) -> int:
    from logkeep.simulator.lexiang.cloud import LexiangCloud
    from logkeep.simulator.pan123.cloud import Pan123Cloud

    seed = random.SystemRandom().randrange(2**32)
    cloud, base = Pan123Cloud(seed=seed, retention=_RETENTION), LexiangCloud(seed=seed)
    world = _World(cloud, cloud.add_account(), base, base.add_account())
    world.files.populate(_HOURS, _FILES_PER_HOUR)
    world.records.populate(_RECORDS, days=30)
    async with cloud, base:
        config = _write_config(target, world)
        typer.echo(f"simulated 123pan at {cloud.base_url}: {_HOURS} hours with {_FILES_PER_HOUR} files each")
        typer.echo(f"simulated Lexiang at {base.base_url}: {_RECORDS} download records of 30 days")
        invocation = Invocation(config)
        code = await run_sync(invocation, invocation.settings(log_level="warning"), None)
        _tell(target, config, world)
        if keep_going and code == 0:
            await _keep_going(invocation, world)
        return code


def _write_config(target: Path, world: _World) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    config = target.with_name(f"{target.name}.toml")
    config.write_text(
        _CONFIG.format(
            path=_toml_text(str(target)),
            client_id=world.files.client_id,
            client_secret=world.files.client_secret,
            base_url=world.cloud.base_url,
            app_key=world.records.app_key,
            app_secret=world.records.app_secret,
            lexiang_url=world.base.base_url,
        ),
        encoding="utf-8",
    )
    config.chmod(0o600)
    return config


def _toml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tell(target: Path, config: Path, world: _World) -> None:
    archived = [path for path in target.glob("pan123/*/date=*/hour=*/*") if path.is_file()]
    days = Counter(path.parent.parent.name for path in archived)
    calls = world.cloud.count("token") + world.cloud.count("list")
    typer.echo(f"archived {len(archived)} files of {len(days)} days with {calls} API calls into {target}")
    segments = sorted(target.glob("lexiang/*/*/date=*/*.jsonl.gz"))
    calls = world.base.count("token") + world.base.count("logs")
    typer.echo(f"archived the records of {len(segments)} segments with {calls} API calls")
    typer.echo("look at it:")
    for folder in ("pan123/demo", "lexiang/demo/download-logs"):
        typer.echo(f"  ls {target / folder}")
    for command_line in ("status", "gaps", "plan", "verify"):
        typer.echo(f"  {sys.argv[0]} --config {config} {command_line}")
    if archived:
        newest = max(archived)
        typer.echo(f"  zcat {newest}")
        typer.echo(f"  {sys.argv[0]} --config {config} explain {newest.name.split('-')[0]}")
    if segments:
        typer.echo(f"  zcat {segments[-1]} | head -n 1")


async def _keep_going(invocation: Invocation, world: _World) -> None:
    from logkeep.daemon.lifecycle import run_daemon

    typer.echo("keeping on: a late file every 20 s, a record every 10 s, a poll each minute; stop with Ctrl-C")
    settings = invocation.settings()
    publishing = world.cloud.keep_publishing(world.files, files_per_hour=_FILES_PER_HOUR, late_every=_LATE_EVERY)
    recording = world.base.keep_recording(world.records, every=_RECORD_EVERY)
    async with asyncio.TaskGroup() as tasks:
        vendors = [tasks.create_task(publishing), tasks.create_task(recording)]
        await run_daemon(settings, SystemClock(), random.SystemRandom())
        for vendor in vendors:
            vendor.cancel()
