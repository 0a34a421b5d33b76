"""Every crash point of a run, and what a loss of power may leave after each of its effects: ``make crash``.

    python crash_points_long.py [--only kill|power] [--every N] [--sync-every N] [--workers N] [--seed N]

Prints how much was looked at and every violation; exit status 1 where there is any. Takes some minutes.
"""

import argparse
import asyncio
import pickle
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import crash_points_ptrace as ptrace
from crash_points_effects import Effect
from crash_points_kill import Killer, Points
from crash_points_old import age
from crash_points_oracle import CATALOG, Ledger, ledger
from crash_points_trace import Tracer, tracer
from crash_points_world import RECORDS, SMALL, Size, World, world
from logkeep.observe.logging import configure
from powerloss_check import Checker, Tally
from powerloss_model import Disk
from powerloss_states import states

SHOWN_AT_MOST = 30
RENAMES_OF_A_MIGRATION = 3
"""The proof at the start, the copy that is made before, the copy that is kept afterwards."""


class Start(Enum):
    """What a run finds.

    Nothing; a storage that holds something; that as the version before left it; and that after a start which was killed
    in the middle of bringing it up to date.
    """

    EMPTY = auto()
    PREPARED = auto()
    OLD = auto()
    INTERRUPTED = auto()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run under test.

    One crash point in ``kill_every`` is passed and one state in ``lose_every`` looked at, none where it is 0.
    """

    name: str
    size: Size
    start: Start
    kill_every: int
    lose_every: int


SCENARIOS = (
    Scenario("a run that brings files and records, and compacts", Size(large_bytes=0), Start.PREPARED, 0, 1),
    Scenario("the same with a download that can be resumed", Size(), Start.PREPARED, 2, 12),
    Scenario("a first start, with nothing on the disk", RECORDS, Start.EMPTY, 2, 2),
    Scenario("a start that brings an older catalog up to date", SMALL, Start.OLD, 4, 3),
    Scenario("a start after one that was killed in the middle of that", SMALL, Start.INTERRUPTED, 4, 3),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole run of a scenario, and the disk it began with."""

    disk: Disk
    effects: list[Effect]
    before: Ledger | None


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the work on one scenario, for a process of its own."""

    scenario: Scenario
    begun: datetime
    folder: Path
    number: int
    of: int
    seed: int
    sync_every: int

    def wants(self, effects: int, number: int) -> bool:
        """Whether a state is this part's: whole effects are, so that states that are alike meet."""
        return effects // 8 % self.of == self.number and number % self.scenario.lose_every == 0

    @property
    def stored(self) -> Path | None:
        """The storage that a run begins with a copy of."""
        return None if self.scenario.start is Start.EMPTY else self.folder / "base"

    @property
    def own(self) -> Path:
        place = self.folder / str(self.number)
        place.mkdir(exist_ok=True)
        return place


async def record(part: Part) -> tuple[Recording, dict[str, int]]:
    """Make the storage that the scenario begins with, and record a run that starts from a copy of it."""
    storage, base = part.folder / "recorded", part.stored
    async with world(part.own / "settings", part.begun, part.scenario.size, base) as made, tracer() as traced:
        if base is not None:
            await _grow_old(part, made, traced, base)
        if base is None:
            storage.mkdir()
        else:
            shutil.copytree(base, storage)
        recording = Disk(storage), ledger(storage / CATALOG)
        config = str(made.config(storage))
        run, effects = await traced.recorded("--config", config, "sync", root=storage, folder=part.own / "printed")
        assert run.code == 0, (part.own / "printed" / "err").read_text()
    return Recording(recording[0], effects, recording[1]), dict(run.counts)


async def _grow_old(part: Part, made: World, traced: Tracer, base: Path) -> None:
    """Where the scenario wants it: the catalog of an older version, and a start that was killed before it had ended."""
    if part.scenario.start in {Start.OLD, Start.INTERRUPTED}:
        await age(base / CATALOG)
    if part.scenario.start is Start.INTERRUPTED:
        args = ("--config", str(made.config(base)), "sync")
        await traced.run(*args, root=base, folder=part.own / "printed", kill=("rename", RENAMES_OF_A_MIGRATION))
        assert (base / f"{CATALOG}.migrating").exists()


async def kill(part: Part, total: int) -> Points:
    """This part's share of the crash points."""
    async with world(part.own / "settings", part.begun, part.scenario.size) as made, tracer() as traced:
        killer = Killer(made, traced, part.stored, part.own)
        for point, number in enumerate(range(1, total + 1, part.scenario.kill_every)):
            if point % part.of == part.number:
                await killer.kill("", number)
    return killer.points


async def lose(part: Part) -> Tally:
    """This part's share of the states."""
    recording: Recording = pickle.loads((part.folder / "recording").read_bytes())  # noqa: S301 - written by this program
    async with world(part.own / "settings", part.begun, part.scenario.size) as made:
        checker = Checker(made, part.own / "scratch", recording.before, sync_every=part.sync_every)
        for state in states(recording.disk, recording.effects, part.seed, part.wants):
            await checker.check(state)
    return checker.tally


def _kill(part: Part, total: int) -> Points:
    configure("critical", "json", sys.stderr)
    return asyncio.run(kill(part, total))


def _lose(part: Part) -> Tally:
    configure("critical", "json", sys.stderr)
    return asyncio.run(lose(part))


def examine(scenario: Scenario, given: argparse.Namespace) -> tuple[Points, Tally]:
    """All of a scenario, in several processes."""
    with _folder() as folder, ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        first = Part(scenario, datetime.now(UTC), folder, 0, given.workers, given.seed, given.sync_every)
        recording, counts = asyncio.run(record(first))
        (folder / "recording").write_bytes(pickle.dumps(recording))
        parts = [replace(first, number=number) for number in range(given.workers)]
        kills, losses = [], []
        if scenario.kill_every and given.only in (None, "kill"):
            kills = [pool.submit(_kill, part, counts[""]) for part in parts]
        if scenario.lose_every and given.only in (None, "power"):
            losses = [pool.submit(_lose, part) for part in parts]
        return _summed(Points(), [each.result() for each in kills]), _summed(
            Tally(), [each.result() for each in losses]
        )


def _summed(total: Any, parts: list[Any]) -> Any:
    for part in parts:
        for name in total.__dataclass_fields__:
            setattr(total, name, getattr(total, name) + getattr(part, name))
    return total


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory where there is such a place: the tests wait for no disk, and the model needs none."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(prefix="logkeep-crash-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _told(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def report(name: str, points: Points, tally: Tally) -> None:
    """The numbers, and every violation."""
    _say("", name)
    if points.calls:
        _say(f"  crash points: {points.calls.total()} (and {points.over} runs that ended before theirs)")
        _say(f"    by system call: {_told(points.calls)}", f"    by effect: {_told(points.kinds)}")
    if tally.states:
        _say(f"  power-loss states: {tally.states.total()}, of them {tally.distinct} distinct")
        _say(f"    {tally.recovered} differ after recovery, {tally.synced} of these were synced")
        _say(f"    by kind: {_told(tally.states)}")
    found = [*points.violations, *tally.violations]
    _say(f"  violations: {len(found)}", *(f"    {violation}" for violation in found[:SHOWN_AT_MOST]))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crash_points_long.py")
    parser.add_argument("--only", choices=("kill", "power"))
    parser.add_argument("--scenario", type=int, help="only the n-th, from 1")
    parser.add_argument("--every", type=int, default=1, help="only each n-th crash point and state")
    parser.add_argument("--sync-every", type=int, default=4, help="put each n-th recovered state before the program")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main() -> int:
    """The exit status."""
    given = arguments().parse_args()
    if reason := ptrace.why_not():
        _say(f"skipped: {reason}")
        return 0
    configure("critical", "json", sys.stderr)
    began_s, points, tally = time.monotonic(), Points(), Tally()
    chosen = SCENARIOS if given.scenario is None else SCENARIOS[given.scenario - 1 : given.scenario]
    for scenario in chosen:
        thinned = replace(
            scenario, kill_every=scenario.kill_every * given.every, lose_every=scenario.lose_every * given.every
        )
        killed, lost = examine(thinned, given)
        report(f"{scenario.name} ({time.monotonic() - began_s:.0f} s)", killed, lost)
        points, tally = _summed(points, [killed]), _summed(tally, [lost])
    report(f"in all, after {time.monotonic() - began_s:.0f} s", points, tally)
    return 1 if points.violations or tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
