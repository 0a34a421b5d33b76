"""The time that a cloud goes by: the host's, or one that runs faster."""

from datetime import UTC, datetime
from time import monotonic


def utc_now() -> datetime:
    """The host's time."""
    return datetime.now(UTC)


class TimeLapse:
    """A ``now`` that starts at ``start`` (default: the host's time) and runs ``speed`` times as fast as the host's."""

    def __init__(self, speed: float, start: datetime | None = None) -> None:
        self.speed = speed
        self._start = start or utc_now()
        self._began_s = monotonic()

    def __call__(self) -> datetime:
        """Now, in UTC."""
        passed = (monotonic() - self._began_s) * self.speed
        return datetime.fromtimestamp(self._start.timestamp() + passed, UTC)
