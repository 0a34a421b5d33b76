"""The lowest page that a walk stands on, and how the next page stands to it. Pure.

A page is *proven* to follow where it begins with a row strictly newer than the last row of the landing: whatever was
not read yet is on it or below it. A page that is newer as a whole lies *above* the place where to go on.
*Likely* are steps that nothing speaks against, and that cannot be proven: from edge to edge, within one second, or
where rows stand out of order at the edge. Anything else is *lost*: rows slipped by.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from logkeep.records.sight import Sight
from logkeep.records.windows import Window


class Footing(Enum):
    """Whether a page follows on the landing."""

    PROVEN = auto()
    ABOVE = auto()
    LIKELY = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Landing:
    """A page that the walk went on from. ``fresh``: those of its ids that this walk has brought.

    ``last`` is the time that the listing goes on with, ``tied`` how many rows at its end are of that second; everything
    newer than ``reached`` is read.
    """

    window: Window
    ids: tuple[str, ...]
    fresh: frozenset[str]
    last: datetime | None
    reached: datetime | None
    tied: int
    total: int | None
    ends: bool
    has_next: bool

    @property
    def short(self) -> bool:
        """Whether there were fewer rows than the page could hold."""
        return len(self.ids) < self.window.size

    def fell(self, sight: Sight) -> bool:
        """Whether fewer rows are counted now."""
        return self.total is not None and sight.total is not None and sight.total < self.total

    def above(self, sight: Sight) -> bool:
        """Whether the page ends with a newer row."""
        return self.last is not None and sight.last is not None and sight.last > self.last

    def further(self, sight: Sight) -> bool:
        """Whether the page reaches rows below this one."""
        return not self.above(sight) and sight.ids[-1] not in self.ids

    def was_last(self, sight: Sight, asked: Window) -> bool:
        """Whether no page of this number was to be expected; some vendors then show the first one."""
        return not self.has_next and not self.fell(sight) and (sight.total is None or sight.total <= asked.start)

    def footing(self, sight: Sight, window: Window, *, start: int, offset: int) -> Footing:
        """How the page stands that was asked to begin with row ``start``, when the walk had come to row ``offset``."""
        if window.start == 0 or (window == self.window and set(self.ids) == set(sight.ids)):
            return Footing.PROVEN
        if self.last is None:
            return Footing.LIKELY
        if self.above(sight) and (self._unmoved(sight, window) or (sight.ends(window) and start >= self.window.end)):
            return Footing.LIKELY
        if sight.first is not None and sight.first > self.last:
            return Footing.ABOVE if self.above(sight) else Footing.PROVEN
        aimed = start < offset - self.tied
        touches = not set(self.ids).isdisjoint(sight.ids) or (start >= offset and not self.fell(sight))
        return Footing.LIKELY if self._unmoved(sight, window) or (touches and not aimed) else Footing.LOST

    def _unmoved(self, sight: Sight, window: Window) -> bool:
        """Whether the page begins with the rows that this one ends with, or right below while the count is the same."""
        if window.start == self.window.end:
            return self.total is not None and self.total == sight.total
        tail = self.ids[window.start - self.window.start :] if window.start >= self.window.start else ()
        return bool(tail) and tail == tuple(sight.ids[: len(tail)])
