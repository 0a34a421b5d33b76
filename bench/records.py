"""Records a second, CPU and memory of `logkeep sync lexiang`, beside others that do the same job.

    python -m bench.records [--records N] [--runs N] [--per-page N ...] [--days D] [--only NAME ...]
    python -m bench.records --memory [--sizes N ...]

Every contender is a process (or two) that a user would start, from nothing, in a folder of its own, against the same
simulated vendor on loopback (`bench/vendor.py`, in a process of its own). Rounds are interleaved, so that what else the
machine does hits all of them alike; figures are medians, ratios are of medians from one run. Every contender must have
written every record, or the run ends. `--memory` compares growing histories and asks the catalog about the largest.
Results are printed and, as JSON, left in bench/results/.
"""

import argparse
import gzip
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.peers.contenders import Contender, Task, contenders, logkeep, write_config

HERE = Path(__file__).parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Figures:
    """One run: wall and CPU seconds, peak resident MiB (summed over its processes), requests for pages."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    requests: int


@contextmanager
def vendor(records: int, days: float) -> Iterator[dict[str, Any]]:
    """The simulated vendor: what it says of itself."""
    command = [sys.executable, str(HERE / "vendor.py"), "--records", str(records), "--days", str(days)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def asked(base_url: str) -> int:
    """How many pages were asked for so far."""
    with urllib.request.urlopen(f"{base_url}/requests") as reply:  # noqa: S310 - loopback
        return int(json.load(reply)["asked"])


def measure(contender: Contender, task: Task, records: int) -> Figures:
    """One run from nothing; what was written is counted."""
    before = asked(task.base_url)
    contender.prepare(task)
    began = perf_counter()
    usage = run_pipe(contender.commands(task), task.folder)
    wall_s = perf_counter() - began
    ids = written_ids(task.folder, contender.pattern)
    if not records == len(ids) == len(set(ids)):
        raise SystemExit(f"{contender.name}: {len(ids)} lines, {len(set(ids))} ids of {records}; it means nothing")
    return Figures(wall_s, *usage, requests=asked(task.base_url) - before)


def run_pipe(commands: Sequence[Sequence[str]], folder: Path) -> tuple[float, float]:
    """Run the commands, each one's output into the next; CPU seconds and peak MiB of all of them."""
    environment = os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false", "SINGER_SDK_TELEMETRY": "false"}
    with (folder / "errors.txt").open("ab") as errors, (folder / "output.txt").open("ab") as output:
        children: list[subprocess.Popen[bytes]] = []
        for place, command in enumerate(commands):
            last = place == len(commands) - 1
            source = children[-1].stdout if children else subprocess.DEVNULL
            children.append(
                subprocess.Popen(
                    command,
                    stdin=source,
                    stdout=output if last else subprocess.PIPE,
                    stderr=errors,
                    cwd=folder,
                    env=environment,
                )
            )
            if children[:-1] and children[-2].stdout is not None:
                children[-2].stdout.close()
        cpu_s = peak_kib = 0.0
        for child, command in zip(children, commands, strict=True):
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            cpu_s += used.ru_utime + used.ru_stime
            peak_kib += used.ru_maxrss
            if child.returncode:
                told = (folder / "errors.txt").read_text(errors="replace")[-2000:]
                raise SystemExit(f"{command[0]} ended with {child.returncode}:\n{told}")
    return cpu_s, peak_kib / 1024


def written_ids(folder: Path, pattern: str) -> list[str]:
    """The id of every line written."""
    found: list[str] = []
    for path in folder.glob(pattern):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            found += [json.loads(line)["id"] for line in lines]
    return found


def ceiling(base_url: str, records: int, per_page: int) -> float:
    """Records a second of bare requests one after another, nothing read: what the simulated vendor can give."""
    host = base_url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/cgi-bin/token", b"{}")
    token = json.load(connection.getresponse())["access_token"]
    pages, began = max(records // per_page, 1), perf_counter()
    for page in range(1, pages + 1):
        target = f"/cgi-bin/v1/download-logs?per_page={per_page}&page={page}&include=target,owner"
        connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
        connection.getresponse().read()
    return pages * per_page / (perf_counter() - began)


def compete(given: argparse.Namespace) -> dict[str, Any]:
    """All contenders, page size by page size, round by round."""
    running = list(contenders(given.only))
    report: dict[str, Any] = {"records": given.records, "days": given.days, "runs": given.runs, "per_page": {}}
    with vendor(given.records, given.days) as facts:
        for per_page in given.per_page:
            most = ceiling(facts["base_url"], given.records, per_page)
            measured = compete_at(running, facts, given, per_page)
            show(measured, given.records, per_page, most)
            report["per_page"][per_page] = {
                "ceiling": most,
                "runs": {name: [asdict(run) for run in runs] for name, runs in measured.items()},
            }
    return report


def compete_at(
    running: Sequence[Contender], facts: dict[str, Any], given: argparse.Namespace, per_page: int
) -> dict[str, list[Figures]]:
    """The rounds at one page size."""
    measured: dict[str, list[Figures]] = {contender.name: [] for contender in running}
    for _ in range(given.runs):
        for contender in running:
            with tempfile.TemporaryDirectory(prefix="logkeep-bench-", dir=given.folder) as folder:
                task = Task(facts["base_url"], facts["app_key"], facts["app_secret"], Path(folder), per_page)
                measured[contender.name].append(measure(contender, task, given.records))
    return measured


def show(measured: dict[str, list[Figures]], records: int, per_page: int, most: float) -> None:
    """Medians, the spread of the wall time, and ratios to logkeep."""
    print(f"\n{records} records, pages of {per_page}; bare requests alone: {most:,.0f} records/s")
    print(
        f"{'':12} {'records/s':>10} {'spread':>7} {'CPU s/100k':>11} {'peak MiB':>9} {'requests':>9} {'logkeep is':>11}"
    )
    medians = {name: statistics.median(run.wall_s for run in runs) for name, runs in measured.items()}
    for name, runs in measured.items():
        walls = [run.wall_s for run in runs]
        cpu_s = statistics.median(run.cpu_s for run in runs) / records * 100_000
        peak = statistics.median(run.peak_mib for run in runs)
        ratio = medians[name] / medians["logkeep"] if "logkeep" in medians else float("nan")
        spread = (max(walls) - min(walls)) / medians[name]
        print(
            f"{name:12} {records / medians[name]:10,.0f} {spread:7.0%} {cpu_s:11.2f} {peak:9.1f} "
            f"{statistics.median(run.requests for run in runs):9,.0f} {ratio:10.2f}x"
        )


def remember(given: argparse.Namespace) -> dict[str, Any]:
    """Memory of one sync over growing histories; catalog size and questions to it."""
    report: dict[str, Any] = {"days": given.days, "sizes": {}}
    heads = f"{'peak MiB':>9} {'wall s':>8} {'catalog MiB':>12} {'bytes/record':>13} {'status s':>9} {'gaps s':>7}"
    print(f"{'records':>10} {heads}")
    for records in given.sizes:
        with (
            vendor(records, given.days) as facts,
            tempfile.TemporaryDirectory(prefix="logkeep-bench-", dir=given.folder) as folder,
        ):
            per_page = given.per_page[0]
            task = Task(facts["base_url"], facts["app_key"], facts["app_secret"], Path(folder), per_page)
            figures = measure(logkeep(), task, records)
            catalog = sum(path.stat().st_size for path in Path(folder).glob("storage/.logkeep/catalog.sqlite3*"))
            config = write_config(task)
            took = {name: seconds([sys.executable, "-m", "logkeep", "--config", str(config), name]) for name in ASKED}
        report["sizes"][records] = asdict(figures) | {"catalog_bytes": catalog, "took_s": took}
        print(
            f"{records:10,} {figures.peak_mib:9.1f} {figures.wall_s:8.1f} {catalog / 2**20:12.1f} "
            f"{catalog / records:13.1f} {took['status']:9.2f} {took['gaps']:7.2f}"
        )
    return report


ASKED = ("status", "gaps")


def seconds(command: Sequence[str]) -> float:
    """How long a command takes as a whole, its interpreter's start included; it must answer in JSON."""
    began = perf_counter()
    answer = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=False).stdout
    took_s = perf_counter() - began
    json.loads(answer)
    return took_s


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--days", type=float, default=30.0, help="over which the records are spread (default: 30)")
    parser.add_argument("--per-page", type=int, nargs="+", default=[100])
    parser.add_argument("--only", nargs="+", default=[], help="contenders to run (default: all)")
    parser.add_argument("--folder", type=Path, default=None, help="where to write (default: the system's for such)")
    parser.add_argument("--memory", action="store_true", help="compare growing histories instead of contenders")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    report = remember(given) if given.memory else compete(given)
    report |= {"python": platform.python_version(), "cores": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    name = "records-memory" if given.memory else "records"
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
