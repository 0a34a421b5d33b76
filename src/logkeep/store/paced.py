"""Reading archived objects no faster than so many bytes a second."""

from collections.abc import AsyncIterator

from logkeep.clock import Clock
from logkeep.store.port import Readable

_SHORTEST_S = 0.05


class Paced:
    """``Readable`` at a rate; time that nothing was read in is not made up for. Without a rate, as fast as it goes."""

    def __init__(self, store: Readable, clock: Clock, rate_bytes_per_s: float | None) -> None:
        self._store = store
        self._clock = clock
        self._rate = rate_bytes_per_s
        self._free_at_s = clock.monotonic_s()

    async def size(self, path: str) -> int | None:
        """Size of an archived object, None when there is none."""
        return await self._store.size(path)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """An archived object in blocks; waits after each as long as it takes at the rate."""
        async for block in self._store.read(path):
            yield block
            if self._rate is not None:
                await self._wait(len(block) / self._rate)

    async def _wait(self, seconds: float) -> None:
        self._free_at_s = max(self._free_at_s, self._clock.monotonic_s()) + seconds
        ahead_s = self._free_at_s - self._clock.monotonic_s()
        if ahead_s >= _SHORTEST_S:
            await self._clock.sleep(ahead_s)
