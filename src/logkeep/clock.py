"""The only door to the time of day and to waiting, so that a test can own both.

Deciders never call a clock: they take ``now`` as an argument.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time and waiting.

    ``now`` is aware and in UTC. ``sleep`` returns no earlier than ``seconds`` later by this clock; cancelling it
    leaves nothing behind. ``monotonic_s`` never goes back and is comparable only with itself.
    """

    def now(self) -> datetime: ...

    def monotonic_s(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The host's idea of the time; it may be wrong, which is why vendors' ``Date`` headers are compared with it."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of real time."""
        await asyncio.sleep(seconds)
