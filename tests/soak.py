"""Simulated time by the year: ``make soak``, or ``python tests/soak.py --seeds 20 --days 60 --first 1 --workers 2``.

Each seed is a history of its own; the same seed gives the same one, to the last byte of its log. A violation is printed
with the seed and the end of the log that led to it; ``--seeds 1 --first SEED`` plays it again.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from simulated_months import Outcome, Simulation

_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one: nothing is kept
_TAIL = 40


def live(task: tuple[int, int]) -> tuple[Outcome, float]:
    """One history, and the seconds of CPU that it took."""
    seed, days = task
    begun_s = time.process_time()
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        outcome = Simulation(seed, Path(folder) / "storage", days).run()
    return outcome, time.process_time() - begun_s


def main() -> int:
    """Run them, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__)
    for name, default in (("seeds", 20), ("days", 60), ("first", 1), ("workers", os.cpu_count() or 1)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    tasks = [(seed, given.days) for seed in range(given.first, given.first + given.seeds)]
    totals: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(given.workers, maxtasksperchild=1) as pool:
        for outcome, cpu_s in pool.imap_unordered(live, tasks):
            totals.update({"histories": 1, "days": int(outcome.days), "violations": len(outcome.violations)})
            totals.update({name: count for name, count in outcome.totals.items() if not name.endswith("_mib")})
            _show(outcome, cpu_s)
    years = totals["days"] / 365.25
    sys.stdout.write(f"{years:.2f} simulated years: {dict(totals)}\n")
    return 1 if totals["violations"] else 0


def _show(outcome: Outcome, cpu_s: float) -> None:
    lines = [f"seed {outcome.seed}: {outcome.days} days, {cpu_s:.0f} s, {outcome.digest[:16]}, {outcome.totals}"]
    if outcome.violations:
        lines += [f"  ! {text}" for text in outcome.violations[:20]]
        lines += [f"    {line[:300]}" for line in outcome.tail[-_TAIL:]]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
