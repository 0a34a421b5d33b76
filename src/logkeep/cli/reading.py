"""Progress of reading the archive: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from logkeep.cli.output import duration, size
from logkeep.clock import Clock

_PLAIN_EVERY_S = 5.0


class Bar(Protocol):
    """What is told of progress."""

    def add(self, read_bytes: int) -> None:
        """So much more is read."""
        ...


@contextmanager
def reading(what: str, total_bytes: int, clock: Clock) -> Iterator[Bar]:
    """Show on standard error how far ``what`` has come."""
    if not sys.stderr.isatty():
        yield _Lines(what, total_bytes, clock)
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Shown(progress, total_bytes)


class _Shown:
    def __init__(self, progress: Progress, total_bytes: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total_bytes)

    def add(self, read_bytes: int) -> None:
        self._progress.advance(self._task, read_bytes)


class _Lines:
    def __init__(self, what: str, total_bytes: int, clock: Clock) -> None:
        self._what = what
        self._total_bytes = total_bytes
        self._clock = clock
        self._begun_s = self._told_s = clock.monotonic_s()
        self._bytes = 0

    def add(self, read_bytes: int) -> None:
        self._bytes += read_bytes
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s < _PLAIN_EVERY_S:
            return
        self._told_s = now_s
        rate = max(self._bytes / (now_s - self._begun_s), 1.0)
        left = timedelta(seconds=max(self._total_bytes - self._bytes, 0) / rate)
        read = f"{size(self._bytes)} of {size(self._total_bytes)}"
        print(f"{self._what}: {read}, {size(rate)}/s, {duration(left)} left", file=sys.stderr, flush=True)  # noqa: T201
