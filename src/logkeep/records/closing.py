"""Finding by its time where in the listing a hole begins. Pure.

Positions move while rows come and go, and a count of what was archived only tells about where to look. So the way there
is a search: pages that are too high up, pages that are too deep, halving what lies between them.
"""

from dataclasses import dataclass
from datetime import datetime

from logkeep.records.sight import Sight
from logkeep.records.windows import Window

_TRIES_AT_MOST = 48


@dataclass(slots=True)
class Closing:
    """The search for the first row that is not newer than ``top``; about ``above`` rows are.

    Rows before ``shallow`` were seen to be newer, rows from ``deep`` on not to be. After too many tries any page above
    the hole will do; from there everything is found, if slowly.
    """

    top: datetime
    above: int
    shallow: int = 0
    deep: int | None = None
    stride: int = 0
    tries: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether it has gone on for too long."""
        return self.tries >= _TRIES_AT_MOST

    def begin(self, page_size: int) -> int:
        """The row that the first page should hold."""
        return max(self.above - max(page_size // 4, 2), 0)

    def lands(self, sight: Sight, window: Window) -> bool:
        """Whether the walk can go on from this page: it begins above the hole, and reaches it or the listing's end.

        A page that lies above the hole as a whole will do as well, where the hole begins within a page of it.
        """
        if window.start > 0 and not sight.begins_above(self.top):
            self.too_deep(window)
            return False
        last = sight.last
        if last is None or last <= self.top or sight.ends(window) or self.exhausted:
            return True
        self.shallow = max(self.shallow, window.end)
        return self.deep is not None and self.deep <= window.end + window.size

    def too_deep(self, window: Window) -> None:
        """This window begins below the hole's top, or past the end of the listing."""
        self.deep = window.start if self.deep is None else min(self.deep, window.start)

    def next(self, window: Window, page_size: int) -> int:
        """The row that the next page should hold, after one that was no landing."""
        self.tries += 1
        if self.deep is not None and self.deep <= self.shallow:  # rows moved, or one page ends where the other begins
            self.shallow = 0
            return max(self.deep - page_size, 0)
        stride, self.stride = self.stride, max(self.stride * 2, page_size)
        if self.deep is None:
            return self.shallow + stride
        if self.shallow == 0:
            return max(window.start - max(stride, page_size // 2), 0)
        if self.deep - self.shallow <= page_size:
            return max(self.shallow - 2, 0)
        return (self.shallow + self.deep) // 2
