"""A clock that the test owns: sleeping advances it at once, so hours pass in microseconds."""

import asyncio
import math
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Time stands still until someone sleeps or ``advance`` is called."""

    def __init__(self, start: datetime) -> None:
        self._start = start.astimezone(UTC)
        self._passed = timedelta()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + self._passed

    def monotonic_s(self) -> float:
        return self._passed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        # rounded up: sleeping never ends early, and a rest below its grain would be slept for ever
        self._passed += timedelta(microseconds=math.ceil(max(seconds, 0) * 1e6))
        await asyncio.sleep(0)

    def advance(self, by: timedelta) -> None:
        self._passed += by
