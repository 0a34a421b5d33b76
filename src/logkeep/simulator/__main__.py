"""``python -m logkeep.simulator``: the 123pan cloud on loopback until SIGTERM or SIGINT.

The first line on standard output is one JSON object: ``base_url``, ``download_base``, ``client_id``,
``client_secret``, ``files``.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from logkeep.simulator.lapse import TimeLapse
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud
from logkeep.simulator.pan123.quirks import utc_now


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m logkeep.simulator", description="The 123pan cloud on loopback.")
    parser.add_argument("--hours", type=int, default=720, help="closed hours that have files (default: 720)")
    parser.add_argument("--files-per-hour", type=int, default=3, help="files of each hour (default: 3)")
    parser.add_argument("--port", type=int, default=0, help="port of the API (default: any free one)")
    parser.add_argument("--download-port", type=int, default=0, help="port of the downloads (default: any free one)")
    parser.add_argument("--seed", type=int, default=1, help="everything random derives from it (default: 1)")
    parser.add_argument("--live", action="store_true", help="publish new hours and late files as time goes")
    parser.add_argument("--late-every", type=float, default=600.0, help="seconds between late files (default: 600)")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast the cloud's clock runs (default: 1)")
    parser.add_argument("--chaos", type=float, default=0.0, help="share of requests that fail (default: 0)")
    return parser


async def serve(given: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cloud = Pan123Cloud(now=utc_now if given.speed == 1.0 else TimeLapse(given.speed), seed=given.seed)
    account = cloud.add_account()
    account.populate(given.hours, given.files_per_hour)
    cloud.faults.chaos(given.seed, given.chaos)
    await cloud.start(api_port=given.port, download_port=given.download_port)
    try:
        _announce(cloud, account)
        await _run(cloud, account, given, stop)
    finally:
        await cloud.stop()


def _announce(cloud: Pan123Cloud, account: Account) -> None:
    facts = {
        "base_url": cloud.base_url,
        "download_base": cloud.download_base,
        "client_id": account.client_id,
        "client_secret": account.client_secret,
        "files": len(account.files()),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def _run(cloud: Pan123Cloud, account: Account, given: argparse.Namespace, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        if given.live:
            late_every = timedelta(seconds=given.late_every)
            publishing = cloud.keep_publishing(account, files_per_hour=given.files_per_hour, late_every=late_every)
            publisher = tasks.create_task(publishing)
            await stop.wait()
            publisher.cancel()
        else:
            await stop.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run until stopped; exit status 0."""
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments().parse_args(argv)))


if __name__ == "__main__":
    main()
