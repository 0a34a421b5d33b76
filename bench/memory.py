"""Peak memory and time of `logkeep sync` as a whole process, against the simulated vendor on loopback.

    python bench/memory.py [--runs N]

Workloads: 2,000 small files (0.2-4 KB), and one file of 1 GiB. The program runs as a user runs it; the kernel accounts
for it (`wait4`), so the simulator's own memory and CPU time are not in the figures. Results are printed and, as JSON,
left in bench/results/.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from logkeep.simulator.pan123.cloud import Pan123Cloud

HOURS_BACK = timedelta(hours=5)
GIB = 2**30
RESULTS = Path(__file__).parent / "results"
CONFIG = """
[storage]
path = "{path}"
min_free = 0
[[pan123]]
name = "bench"
client_id = "{client_id}"
client_secret = "{client_secret}"
base_url = "{base_url}"
requests_per_second = 100.0
[download]
allow_http = true
allow_private_addresses = true
[log]
level = "error"
"""


@dataclass(frozen=True)
class Figures:
    """One run: wall and CPU seconds, peak resident MiB, files and bytes archived."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    files: int
    bytes: int


async def measure(workload: str) -> Figures:
    """One sync from nothing, in a folder of its own."""
    cloud = Pan123Cloud()
    account = cloud.add_account()
    if workload == "small":
        offered = account.populate(667, 3)[:]
    else:
        account.populate(700, 0)
        offered = [account.publish(cloud.now().replace(minute=0, second=0, microsecond=0) - HOURS_BACK, size=GIB)]
    with tempfile.TemporaryDirectory(prefix="logkeep-bench-") as folder:
        async with cloud:
            values = {
                "client_id": account.client_id,
                "client_secret": account.client_secret,
                "base_url": cloud.base_url,
            }
            config = write_config(Path(folder), values)
            figures = await asyncio.to_thread(run_program, config)
        sizes = archived_sizes(Path(folder))
    if len(sizes) != len(offered):
        raise SystemExit(f"{workload}: {len(sizes)} of {len(offered)} files archived; the figures mean nothing")
    return Figures(*figures, files=len(sizes), bytes=sum(sizes))


def write_config(folder: Path, values: dict[str, str]) -> Path:
    """Settings for a storage in the folder."""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(path=folder / "storage", **values))
    config.chmod(0o600)
    return config


def archived_sizes(folder: Path) -> list[int]:
    """The size of every object in the archive."""
    return [path.stat().st_size for path in folder.glob("storage/pan123/*/*/*/*") if path.is_file()]


def run_program(config: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak resident MiB of one sync."""
    began = perf_counter()
    devnull = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "logkeep", "--config", str(config), "sync"],
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_DUP2, devnull, 1)],
    )
    _, status, usage = os.wait4(pid, 0)
    os.close(devnull)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"sync ended with {os.waitstatus_to_exitcode(status)}")
    return perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    report = {"python": platform.python_version(), "cores": os.cpu_count(), "runs": runs, "workloads": {}}
    print(f"{'workload':10} {'files':>6} {'MiB':>8} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9}   medians of {runs}")
    for workload in ("small", "large"):
        measured = [asyncio.run(measure(workload)) for _ in range(runs)]
        middle = {
            name: statistics.median(getattr(f, name) for f in measured) for name in ("wall_s", "cpu_s", "peak_mib")
        }
        first = measured[0]
        print(
            f"{workload:10} {first.files:6} {first.bytes / 2**20:8.1f} {middle['wall_s']:8.2f} {middle['cpu_s']:8.2f} "
            f"{middle['peak_mib']:9.1f}"
        )
        report["workloads"][workload] = [asdict(figures) for figures in measured]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
