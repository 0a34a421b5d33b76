"""``python -m logkeep.simulator``: a vendor's cloud on loopback until SIGTERM or SIGINT.

The first line on standard output is one JSON object: of 123pan ``base_url``, ``download_base``, ``client_id``,
``client_secret``, ``files``; of Lexiang ``base_url``, ``app_key``, ``app_secret``, ``records``.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from logkeep.simulator.lapse import TimeLapse, utc_now
from logkeep.simulator.lexiang.churn import Churn
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.pan123.cloud import Pan123Cloud


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m logkeep.simulator", description="A vendor's cloud on loopback.")
    parser.add_argument("--vendor", choices=("pan123", "lexiang"), default="pan123", help="which (default: pan123)")
    parser.add_argument("--port", type=int, default=0, help="port of the API (default: any free one)")
    parser.add_argument("--seed", type=int, default=1, help="everything random derives from it (default: 1)")
    parser.add_argument("--live", action="store_true", help="publish as time goes")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast the cloud's clock runs (default: 1)")
    parser.add_argument("--chaos", type=float, default=0.0, help="share of requests that fail (default: 0)")
    _pan123_arguments(parser.add_argument_group("123pan"))
    _lexiang_arguments(parser.add_argument_group("Lexiang"))
    return parser


def _pan123_arguments(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--hours", type=int, default=720, help="closed hours that have files (default: 720)")
    group.add_argument("--files-per-hour", type=int, default=3, help="files of each hour (default: 3)")
    group.add_argument("--download-port", type=int, default=0, help="port of the downloads (default: any free one)")
    group.add_argument("--late-every", type=float, default=600.0, help="seconds between late files (default: 600)")


def _lexiang_arguments(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--records", type=int, default=50_000, help="records at the start (default: 50000)")
    group.add_argument("--days", type=float, default=365.0, help="days that they are spread over (default: 365)")
    group.add_argument("--record-every", type=float, default=10.0, help="seconds between new records (default: 10)")
    group.add_argument("--per-page-cap", type=int, default=None, help="larger pages are clamped (default: none are)")
    group.add_argument("--churn", type=int, default=0, help="change the world before every n-th request (0: never)")


async def serve(given: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    now = utc_now if given.speed == 1.0 else TimeLapse(given.speed)
    await (_serve_pan123 if given.vendor == "pan123" else _serve_lexiang)(given, now, stop)


async def _serve_pan123(given: argparse.Namespace, now: Callable[[], datetime], stop: asyncio.Event) -> None:
    cloud = Pan123Cloud(now=now, seed=given.seed)
    account = cloud.add_account()
    account.populate(given.hours, given.files_per_hour)
    cloud.faults.chaos(given.seed, given.chaos)
    await cloud.start(api_port=given.port, download_port=given.download_port)
    try:
        facts = {
            "base_url": cloud.base_url,
            "download_base": cloud.download_base,
            "client_id": account.client_id,
            "client_secret": account.client_secret,
            "files": len(account.files()),
        }
        late_every = timedelta(seconds=given.late_every)
        publishing = partial(cloud.keep_publishing, account, files_per_hour=given.files_per_hour, late_every=late_every)
        await _run(facts, publishing if given.live else None, stop)
    finally:
        await cloud.stop()


async def _serve_lexiang(given: argparse.Namespace, now: Callable[[], datetime], stop: asyncio.Event) -> None:
    cloud = LexiangCloud(now=now, seed=given.seed, per_page_cap=given.per_page_cap)
    account = cloud.add_account()
    account.populate(given.records, days=given.days)
    if given.churn:
        cloud.before_request = Churn(account=account, seed=given.seed, every=given.churn)
    cloud.faults.chaos(given.seed, given.chaos)
    await cloud.start(port=given.port)
    try:
        facts = {
            "base_url": cloud.base_url,
            "app_key": account.app_key,
            "app_secret": account.app_secret,
            "records": len(account),
        }
        recording = partial(cloud.keep_recording, account, every=timedelta(seconds=given.record_every))
        await _run(facts, recording if given.live else None, stop)
    finally:
        await cloud.stop()


async def _run(
    facts: Mapping[str, Any], publish: Callable[[], Coroutine[Any, Any, None]] | None, stop: asyncio.Event
) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        publisher = None if publish is None else tasks.create_task(publish())
        await stop.wait()
        if publisher is not None:
            publisher.cancel()


def main(argv: Sequence[str] | None = None) -> None:
    """Run until stopped; exit status 0."""
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments().parse_args(argv)))


if __name__ == "__main__":
    main()
