"""Asks ``crash_points_tracer.py`` for runs of the program that are recorded, or killed before one of their effects."""

import asyncio
import json
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash_points_effects import Effect

SCRIPT = Path(__file__).with_name("crash_points_tracer.py")
_LINE_BYTES = 2**20
_INHERITED = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class Run:
    """How a traced run ended. ``counts``: its effects by system call, "" for all; ``before``: where it was killed."""

    code: int
    counts: Mapping[str, int]
    before: Mapping[str, str] | None


class Tracer:
    """The script, running."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(self, *args: str, root: Path, folder: Path, kill: tuple[str, int] | None = None) -> Run:
        """The program with these arguments; what it prints lies in ``folder``."""
        return Run(**await self._ask(args, root, folder, kill=kill))

    async def recorded(self, *args: str, root: Path, folder: Path) -> tuple[Run, list[Effect]]:
        """The program with these arguments, and every effect of it."""
        place = folder / "effects"
        answer = await self._ask(args, root, folder, record=str(place))
        effects: list[Effect] = pickle.loads(place.read_bytes())  # noqa: S301 - written by our own script
        return Run(**answer), effects

    async def _ask(self, args: tuple[str, ...], root: Path, folder: Path, **more: Any) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        places = {"cwd": str(folder), "out": str(folder / "out"), "err": str(folder / "err"), "root": str(root)}
        request = {"args": args, "env": env, "kill": None, "record": None, **places, **more}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "the tracer broke down; what it printed says why"
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def tracer() -> AsyncIterator[Tracer]:
    """The script that has loaded the program; ends with this context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield Tracer(process)
    finally:
        process.stdin.close()
        await process.wait()
