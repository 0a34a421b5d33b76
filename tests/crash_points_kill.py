"""One crash point: the program is killed before one of its effects, starts again, and is judged by what it kept."""

import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crash_points_oracle import CATALOG, Oracle, ledger, on_disk
from crash_points_trace import Run, Tracer
from crash_points_world import World


@dataclass
class Points:
    """How many were passed, by system call and by what it does; ``over`` runs ended before their point came."""

    calls: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    over: int = 0
    violations: list[str] = field(default_factory=list)


class Killer:
    """Kills runs that begin with ``base``, a storage or None for none. All happens below ``folder``."""

    def __init__(self, world: World, tracer: Tracer, base: Path | None, folder: Path) -> None:
        self.points = Points()
        self._world = world
        self._tracer = tracer
        self._base = base
        self._folder = folder
        self._storage = folder / "killed"
        self._oracle = Oracle(world.truth)

    async def count(self) -> dict[str, int]:
        """How many effects a run has that nobody kills: by system call, and in all under ""."""
        self._begin()
        run = await self._run("sync")
        assert run.code == 0, self._said()
        return dict(run.counts)

    async def kill(self, call: str, number: int) -> None:
        """Kill before the effect of that number among those of a call; "" for those of all calls."""
        self._begin()
        run = await self._run("sync", kill=(call, number))
        if run.before is None:
            self.points.over += 1
            where = f"never, {call or 'effect'} {number} did not come"
        else:
            self.points.calls[run.before["call"]] += 1
            self.points.kinds[run.before["kind"]] += 1
            where = f"before {call or 'effect'} {number}, {run.before['call']} {run.before['path']}"
        found = self._seen() + await self._recovered()
        self.points.violations += [f"killed {where}: {violation}" for violation in found]

    def _seen(self) -> list[str]:
        """What a reader sees right after the kill."""
        tree = on_disk(self._storage) if self._storage.exists() else {}
        found = self._oracle.partial(tree)
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self._storage.glob(f"{CATALOG}*"):
            shutil.copy2(file, copy)
        try:
            recovered = ledger(copy / Path(CATALOG).name)
        except sqlite3.Error as error:
            return [*found, f"the catalog is damaged: {error}"]
        return found if recovered is None else found + self._oracle.broken_word(tree, recovered)

    async def _recovered(self) -> list[str]:
        """The start after the kill, another one, and what the program itself says of the archive."""
        found = await self._expect("sync")
        recorded = ledger(self._storage / CATALOG)
        if recorded is None:
            return [*found, "no catalog after a sync"]
        after = on_disk(self._storage)
        found += self._oracle.incomplete(after, recorded)
        self._world.reset()
        found += await self._expect("sync")
        if self._world.downloads:
            found.append(f"a second sync downloads {self._world.downloads} files")
        found += await self._expect("gaps")
        found += await self._expect("verify")
        return found if on_disk(self._storage) == after else [*found, "a second sync changes the archive"]

    async def _expect(self, command: str) -> list[str]:
        run = await self._run(command)
        return [] if run.code == 0 else [f"{command} ends with {run.code}: {self._said()}"]

    async def _run(self, command: str, kill: tuple[str, int] | None = None) -> Run:
        config = str(self._world.config(self._storage))
        for name in ("out", "err"):
            (self._folder / "printed" / name).unlink(missing_ok=True)
        return await self._tracer.run(
            "--config", config, command, root=self._storage, folder=self._folder / "printed", kill=kill
        )

    def _said(self) -> str:
        return (self._folder / "printed" / "err").read_text(encoding="utf-8")[-500:]

    def _begin(self) -> None:
        shutil.rmtree(self._storage, ignore_errors=True)
        if self._base is not None:
            shutil.copytree(self._base, self._storage)
