"""What the vendor makes of a page size. Pure.

It may clamp the size, serve pages of another size whatever is asked, state what it served, misstate it, or be silent.
"""

from dataclasses import dataclass

from logkeep.records.landing import Landing
from logkeep.records.sight import Sight
from logkeep.records.windows import Window, aligned, overlapping


@dataclass(slots=True)
class Serving:
    """``size`` is the most rows to a page that were seen to be served; ``one_size``: no other size can be relied on."""

    size: int
    one_size: bool = False

    def served(self, asked: Window, sight: Sight) -> Window:
        """The window that was really served."""
        rows, size = len(sight.ids), asked.size
        if sight.per_page is not None and _believed(sight.per_page, asked, sight):
            size = sight.per_page
        if rows > size or (asked.page == 1 and 0 < rows < size and sight.has_next):
            size = rows
        if size > asked.size or (size < asked.size < self.size):
            self.one_size = True
        if size > asked.size or (size < asked.size == self.size):
            self.size = size
        return Window(asked.page, size)

    def window(self, start_at_most: int) -> Window:
        """A window that holds this row, the first of it if none is like that."""
        if self.one_size:
            return aligned(max(start_at_most, 0), self.size)
        return overlapping(start_at_most, self.size)

    def after(self, landing: Landing | None, offset: int) -> Window:
        """The window that goes on at ``offset``, from above the rows of the landing's last second if one does."""
        if landing is not None and not self.one_size:
            for overlap in (landing.tied + 1, 1):
                window = overlapping(offset - overlap, self.size)
                if window.end > offset:
                    return window
        return aligned(offset, self.size)

    def above(self, landing: Landing, offset: int, times: int) -> Window:
        """The window to step back to from ``offset``, twice as far each of the ``times``."""
        if self.one_size:
            return aligned(max(landing.window.start - times * self.size, 0), self.size)
        further = max(self.size // 2, 1) << (times - 1)
        return overlapping(offset - landing.tied - 1 - further, self.size)


def _believed(stated: int, asked: Window, sight: Sight) -> bool:
    """Whether the stated size may be the served one; one that is larger than the asked one must look it."""
    if stated <= asked.size:
        return stated >= 1
    return len(sight.ids) == stated or not sight.has_next
