"""Time that runs faster than the host's."""

from datetime import UTC, datetime
from time import monotonic


class TimeLapse:
    """A ``now`` that starts at ``start`` (default: the host's time) and runs ``speed`` times as fast as the host's."""

    def __init__(self, speed: float, start: datetime | None = None) -> None:
        self.speed = speed
        self._start = start or datetime.now(UTC)
        self._began_s = monotonic()

    def __call__(self) -> datetime:
        """Now, in UTC."""
        passed = (monotonic() - self._began_s) * self.speed
        return datetime.fromtimestamp(self._start.timestamp() + passed, UTC)
