"""How fast one credential may be used: one call in flight, spaced out, with pauses.

asyncio-throttle spaces the calls: ``Throttler(rate_limit=1, period=1/rps)``, because other rate limits are rounded up
to whole calls a period. It knows no pause and no order among waiters, so this port adds both.

A caller holds a slot only while its call is in flight. Whoever waits, for its turn, for the spacing or for the end of
a pause, holds none; so what it knew before it waited may have changed, and a token is looked at again inside the slot.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncio_throttle.throttler import Throttler

from logkeep.clock import Clock

_SHORTEST_SLEEP_S = 0.001
"""Less may be nothing to a clock of microseconds, and a loop that waits for it would spin."""


class Pace:
    """Lets callers through in the order they came. ``per_second`` may be a fraction.

    Spacing is kept in real time, pauses by ``clock``.
    """

    def __init__(self, *, per_second: float, clock: Clock) -> None:
        period_s = 1 / per_second
        self._throttler = Throttler(rate_limit=1, period=period_s, retry_interval=min(0.01, period_s))
        self._clock = clock
        self._turn = asyncio.Lock()
        self._paused_until_s = float("-inf")

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """One call. Entering waits; a cancelled waiter leaves its place in the queue and costs nobody anything."""
        async with self._turn:
            await self._ready()
            yield

    def pause_for(self, seconds: float) -> None:
        """Let nobody through for so long; a longer pause that is running already stands."""
        self.pause_until(self._clock.monotonic_s() + seconds)

    def pause_until(self, deadline_s: float) -> None:
        """Let nobody through before the clock's ``monotonic_s`` reads so much; never shortens a pause."""
        self._paused_until_s = max(self._paused_until_s, deadline_s)

    async def _ready(self) -> None:
        """A pause first, then the spacing, so that the first calls after a pause are spaced as well."""
        while True:
            while (left_s := self._paused_until_s - self._clock.monotonic_s()) > 0:
                await self._clock.sleep(max(left_s, _SHORTEST_SLEEP_S))
            await self._throttler.acquire()  # type: ignore[no-untyped-call]
            if self._paused_until_s <= self._clock.monotonic_s():
                return
