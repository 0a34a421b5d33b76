"""How often each caller may call."""

from collections import deque
from collections.abc import Hashable
from datetime import datetime, timedelta


class Pace:
    """Remembers when each caller was let in; who is refused is not counted."""

    def __init__(self) -> None:
        self._recent: dict[Hashable, deque[datetime]] = {}

    def wait(self, caller: Hashable, now: datetime, *, limit: int, window: timedelta) -> timedelta | None:
        """Let a caller in unless it came ``limit`` times within the window: then say how long it is refused."""
        recent = self._recent.setdefault(caller, deque())
        while recent and recent[0] <= now - window:
            recent.popleft()
        if len(recent) >= limit:
            return recent[0] + window - now
        recent.append(now)
        return None
