"""Room on the disk: free space, less everything promised to downloads under way, stays above ``min_free``.

A download is admitted with its full size before its first byte is written. When there is no room, downloads end with
``StorageFull`` and are planned again; listing and the ledger go on, on the reserve if need be. It is said once when
room runs out, and once when there is room again.
"""

from dataclasses import dataclass

import structlog

from logkeep.clock import Clock
from logkeep.errors import StorageFull
from logkeep.store.port import Store

log = structlog.stdlib.get_logger("logkeep.files")

_STALE_AFTER_S = 1.0
_SLACK_BYTES = 64 * 2**20
"""Free space, above ``min_free``, at which a disk that was full counts as having room again: twice the reserve."""


class Room:
    """The free space of one store, shared by all downloads."""

    def __init__(self, store: Store, min_free_bytes: int, clock: Clock) -> None:
        self._store = store
        self._min_free_bytes = min_free_bytes
        self._clock = clock
        self._left: dict[str, int] = {}
        self._written_bytes = 0
        self._free: tuple[float, int, int | None] | None = None
        self._needed_bytes = 0

    @property
    def low(self) -> bool:
        """Whether a download was last turned away."""
        return self._needed_bytes > 0

    async def admit(self, key: str, total_bytes: int, got_bytes: int = 0) -> None:
        """Promise room for the rest of one download; asking again replaces its earlier promise.

        Raises:
            StorageFull: granting it would leave less than ``min_free``.
        """
        free = await self._free_bytes()
        others = sum(left for other, left in self._left.items() if other != key)
        left = max(total_bytes - got_bytes, 0)
        if free is not None and free - others - left < self._min_free_bytes:
            self._turn_away(self._min_free_bytes + left, free)
            raise StorageFull(
                f"no room for {left} bytes: {free} are free, {others} of them promised, {self._min_free_bytes} kept "
                "free; make room, or lower storage.min_free"
            )
        self._left[key] = left

    def written(self, key: str, left_bytes: int) -> None:
        """What is left to write of a download; the rest of its promise is on the disk now."""
        if key in self._left:
            before, self._left[key] = self._left[key], max(left_bytes, 0)
            self._written_bytes += max(before - left_bytes, 0)

    def release(self, key: str) -> None:
        """The download ended."""
        self._left.pop(key, None)

    def full(self) -> None:
        """The file system itself said that it is full."""
        self._free = None
        self._turn_away(self._min_free_bytes + _SLACK_BYTES, 0)

    async def give_up_reserve(self) -> bool:
        """The catalog found no room: free the reserve for it; False when that was gone already."""
        self.full()
        return await self._store.release_reserve()

    async def look_again(self) -> bool:
        """Whether all that was turned away would fit now; says so once, and takes the reserve back."""
        if not self.low:
            return False
        self._free = None
        free = await self._free_bytes()
        if free is not None and free < self._needed_bytes:
            return False
        self._needed_bytes = 0
        log.info("disk_has_room_again", free_bytes=free)
        await self._store.restore_reserve()
        return True

    def _turn_away(self, needed_bytes: int, free_bytes: int) -> None:
        if not self.low:
            log.error(
                "disk_low",
                free_bytes=free_bytes,
                needed_bytes=needed_bytes,
                hint="downloads wait until there is room; listing goes on",
            )
        self._needed_bytes = max(needed_bytes, self._needed_bytes)

    async def _free_bytes(self) -> int | None:
        """Free space, looked up at most once a second; what was written since then is taken off."""
        now_s = self._clock.monotonic_s()
        looked = self._free
        if looked is None or now_s - looked[0] > _STALE_AFTER_S:
            looked = (now_s, self._written_bytes, await self._store.free_bytes())
            self._free = looked
        _, written_then, free = looked
        return None if free is None else free - (self._written_bytes - written_then)


@dataclass(slots=True)
class Claim:
    """One download's part of the room, told about it as it goes: how large it is in all, how much of it is staged."""

    room: Room
    key: str
    got_bytes: int = 0
    total_bytes: int = 0

    async def total(self, total_bytes: int) -> None:
        """The download takes so many bytes in all.

        Raises:
            StorageFull: there is no room for the rest of it.
        """
        self.total_bytes = total_bytes
        await self.room.admit(self.key, total_bytes, self.got_bytes)

    def got(self, got_bytes: int) -> None:
        """So many of them are staged; fewer than before where it began anew."""
        self.got_bytes = got_bytes
        self.room.written(self.key, self.total_bytes - got_bytes)
