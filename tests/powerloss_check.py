"""Puts states of the disk before the program, and looks at what it makes of them."""

import hashlib
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crash_points_oracle import CATALOG, Ledger, Oracle, ledger, on_disk
from crash_points_world import World
from logkeep.clock import SystemClock
from logkeep.daemon.archiver import open_archiver
from logkeep.daemon.sync import Passes, begin_passes, sync_once
from logkeep.errors import LogkeepError
from logkeep.store.local import RESERVE_BYTES
from powerloss_model import Tree
from powerloss_states import State


@dataclass
class Tally:
    """How much was looked at.

    ``distinct`` states differ in a byte, ``recovered`` ones also in what SQLite makes of the catalog, and ``synced``
    ones were put before the program.
    """

    states: Counter[str] = field(default_factory=Counter)
    distinct: int = 0
    recovered: int = 0
    synced: int = 0
    violations: list[str] = field(default_factory=list)


class Checker:
    """Looks at states of one run. ``before`` is what the catalog vouched for when the run began.

    Of the states that differ after SQLite recovered them, one in ``sync_every`` is put before the program, and so is
    every state that the end of the run may leave.
    """

    def __init__(self, world: World, scratch: Path, before: Ledger | None, *, sync_every: int = 1) -> None:
        self.tally = Tally()
        self._world = world
        self._scratch = scratch
        self._before = before
        self._sync_every = sync_every
        self._oracle = Oracle(world.truth)
        self._digests: dict[int, tuple[bytes, bytes]] = {}
        self._seen: set[bytes] = set()
        self._synced: set[bytes] = set()

    async def check(self, state: State) -> None:
        """Look at a state, unless the very same was looked at before."""
        self.tally.states[state.kind] += 1
        if not self._new(self._seen, (self._signature(state.tree), b"last" if state.last else b"")):
            return
        self.tally.distinct += 1
        found = await self._violations(state)
        where = f"after effect {state.number}, {state.kind} {state.told}".rstrip()
        self.tally.violations += [f"{where}: {violation}" for violation in found]

    async def _violations(self, state: State) -> list[str]:
        found = self._oracle.partial(state.tree)
        try:
            recovered = self._recovered(state.tree)
        except sqlite3.Error as error:
            return [*found, f"the catalog is damaged: {error}"]
        if recovered is not None:
            found += self._oracle.broken_word(state.tree, recovered)
        found += self._forgotten(recovered)
        tree = {path: content for path, content in state.tree.items() if not path.startswith(CATALOG)}
        text = "" if recovered is None else recovered.text
        if found or not self._new(self._synced, (self._signature(tree), text.encode(), bytes(state.last))):
            return found
        self.tally.recovered += 1
        if not state.last and self.tally.recovered % self._sync_every:
            return []
        self.tally.synced += 1
        return await self._after_a_sync(state)

    def _recovered(self, tree: Tree) -> Ledger | None:
        """What SQLite makes of the catalog's files alone."""
        self._lay_out({path: content for path, content in tree.items() if path.startswith((CATALOG, ".logkeep"))})
        return ledger(self._scratch / CATALOG)

    def _forgotten(self, recovered: Ledger | None) -> list[str]:
        """What was vouched for by a program that ended well, before the run."""
        if self._before is None:
            return []
        if recovered is None:
            return ["the catalog is gone"]
        files, records = self._before.versions - recovered.versions, self._before.records - recovered.records
        return [f"{len(files)} files and {len(records)} records are forgotten"] if files or records else []

    async def _after_a_sync(self, state: State) -> list[str]:
        self._lay_out(state.tree)
        self._world.reset()
        try:
            passes = await self._sync()
        except LogkeepError as error:
            return [f"sync: {error}"]
        except BaseExceptionGroup as group:
            return [f"sync: {error}" for error in group.exceptions]
        ends = [passing.error for _, passing in passes.files] + [passing.error for _, passing in passes.records]
        found = [f"sync: {error}" for error in ends if error is not None]
        recorded = ledger(self._scratch / CATALOG)
        if recorded is None:
            return [*found, "no catalog after a sync"]
        found += self._oracle.incomplete(on_disk(self._scratch), recorded)
        records = sum(passing.records for _, passing in passes.records)
        if state.last and (self._world.downloads or records):
            found.append(f"a run that ended well was forgotten: {self._world.downloads} files, {records} records anew")
        return found

    async def _sync(self) -> Passes:
        settings = await self._world.settings(self._scratch)
        async with open_archiver(settings, SystemClock(), random.Random(1)) as archiver:
            passes = begin_passes(archiver, None)
            await sync_once(archiver, passes)
        return passes

    def _lay_out(self, tree: Tree) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        for path, content in sorted(tree.items()):
            place = self._scratch / path
            if content is None:
                place.mkdir()
            else:
                place.write_bytes(content)
                if place.name == "reserve":
                    os.truncate(place, RESERVE_BYTES)

    def _signature(self, tree: Tree) -> bytes:
        named = (path.encode() + (b"/" if content is None else self._digest(content)) for path, content in tree.items())
        return hashlib.sha256(b"\0".join(sorted(named))).digest()

    def _digest(self, content: bytes) -> bytes:
        """Of the same object once: states of one moment share what of a file is sure."""
        known = self._digests.get(id(content))
        if known is not None and known[0] is content:
            return known[1]
        digest = hashlib.sha256(content).digest()
        if len(self._digests) > 200:
            self._digests.clear()
        self._digests[id(content)] = (content, digest)
        return digest

    @staticmethod
    def _new(seen: set[bytes], parts: Iterable[bytes]) -> bool:
        key = hashlib.sha256(b"|".join(parts)).digest()
        if key in seen:
            return False
        seen.add(key)
        return True
