"""Windows: which rows of a listing a page number and a page size stand for. Pure.

A listing is only served as page N of size P. Pages of one size meet edge to edge, and when a row above is deleted
between two requests, one row slips across the edge unseen. Windows of *different* sizes can be made to overlap:
page 2 of size 98 begins two rows before page 1 of size 100 ends. It takes some 15 requests in a hundred more, with
100 rows to a page; 4 with 1,000.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Page number ``page`` (from 1) of ``size`` rows each."""

    page: int
    size: int

    @property
    def start(self) -> int:
        """How many rows come before it."""
        return (self.page - 1) * self.size

    @property
    def end(self) -> int:
        """How many rows come before the one after it."""
        return self.page * self.size

    def __str__(self) -> str:
        return f"page {self.page} of {self.size}"


def aligned(offset: int, size: int) -> Window:
    """The window of this size that holds the row at ``offset``."""
    return Window(offset // size + 1, size)


def overlapping(start_at_most: int, most: int) -> Window:
    """The window of at most ``most`` rows that holds the row at ``start_at_most`` and reaches furthest beyond it."""
    sizes = range(most, most // 2, -1)
    return max((aligned(max(start_at_most, 0), size) for size in sizes), key=lambda window: window.end)
