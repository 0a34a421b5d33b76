"""Runs the program under the kernel's tracing, again and again: a script for ``crash_points_trace.py``.

    python crash_points_tracer.py

It loads the program once. For each line of JSON on standard input it forks a child that becomes ``python -m logkeep``
as ``program_warm.become`` says; one line of JSON answers when it has ended. ``root`` is the folder to look at. ``kill``
is null, or ``[name, number]``: SIGKILL before the effect of that number (from 1) among those of one system call, or of
all of them where the name is "". ``record`` is null, or the file that takes the list of effects, pickled.

Effects happen one at a time: while one is under way, the other threads wait before theirs. So their order is the order
in which they happened, and a kill falls between two of them.
"""

import gc
import json
import os
import pickle
import signal
import sys
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import crash_points_ptrace as ptrace
import program_warm
from crash_points_effects import Effect, Onlooker


class Traced:
    """One run of the program."""

    def __init__(self, pid: int, root: Path, kill: "tuple[str, int] | None") -> None:
        self._pid = pid
        self._kill = kill
        self._look = Onlooker(pid, root)
        self._busy: tuple[int, Effect] | None = None
        self._waiting: deque[ptrace.Stop] = deque()
        self.counts: Counter[str] = Counter()
        self.effects: list[Effect] = []
        self.killed_before: Effect | None = None

    def run(self) -> int:
        """To its end; its exit status."""
        ptrace.attach(self._pid)
        code = 0
        for happened in _happenings():
            if isinstance(happened, ptrace.End):
                code = happened.code if happened.thread == self._pid else code
            elif happened.call:
                self._waiting.append(happened)
                self._next()
            elif happened.result is not None:
                self._ended(happened.result)
                ptrace.go_on(happened.thread)
                self._next()
            else:
                ptrace.go_on(happened.thread, happened.deliver)
        self._look.close()
        return code

    def _next(self) -> None:
        while self._busy is None and self._waiting and self.killed_before is None:
            stop = self._waiting.popleft()
            effect = self._look.effect(stop)
            if effect is None:
                ptrace.go_on(stop.thread)
                continue
            self.counts.update((effect.call, ""))
            if self._kill is not None and self.counts[self._kill[0]] == self._kill[1]:
                self.killed_before = effect
                os.kill(self._pid, signal.SIGKILL)
                return
            self._busy = stop.thread, effect
            ptrace.go_on(stop.thread, to_the_end_of_the_call=True)

    def _ended(self, result: int) -> None:
        if self._busy is None:
            return
        _, effect = self._busy
        self._busy = None
        if result < 0:
            return
        if effect.kind in {"create", "mkdir"}:
            effect = replace(effect, node=self._look.created(effect, result))
        elif effect.kind == "write":
            effect = replace(effect, data=effect.data[:result])
        self.effects.append(effect)


def _happenings() -> Iterator[ptrace.Stop | ptrace.End]:
    while True:
        try:
            yield ptrace.wait()
        except ChildProcessError:
            return


def traced(request: dict[str, Any]) -> dict[str, Any]:
    """One run as the request says."""
    child = os.fork()
    if child == 0:
        ptrace.be_traced()
        program_warm.become(request)
    run = Traced(child, Path(request["root"]), tuple(request["kill"]) if request["kill"] else None)
    code = run.run()
    if request["record"]:
        Path(request["record"]).write_bytes(pickle.dumps(run.effects))
    before = run.killed_before
    told = None if before is None else {"call": before.call, "kind": before.kind, "path": before.path}
    return {"code": code, "counts": run.counts, "before": told}


def main() -> None:
    """Until standard input ends."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := sys.stdin.readline():
        sys.stdout.write(json.dumps(traced(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
    gc.collect()
    gc.freeze()
    main()
