"""How long a walk puts up with pages that do not lead on, so that it ends whatever it is shown. Pure.

New records and older pages are worth any number of requests; what they justify starts a new count. Records that come in
above are worth only so many, new or not: who reads no faster than they come never gets down.
"""

from dataclasses import dataclass
from datetime import datetime

from logkeep.records.sight import Sight
from logkeep.records.windows import Window

STILL_AT_MOST = 256
"""Pages that neither bring anything new nor lead further down in time."""
ABOVE_AT_MOST = 64
"""Pages that are newer as a whole than where the walk is, while none leads further down in time."""
REFUSED_AT_MOST = 16
"""Sizes that are refused, each half the one before, while larger pages come in between."""
MISPLACED_AT_MOST = 4
SAME_AT_MOST = 5
EMPTY_AT_MOST = 2
BACK_AT_MOST = 7


@dataclass(slots=True)
class Patience:
    """Counts since the walk last got on.

    ``still`` pages led nowhere, ``above`` were newer than where the walk is, ``misplaced`` had another number,
    ``empty`` had no row, ``same`` in a row began like the page above; ``back``: how often the walk stepped back;
    ``refused``: how often a size was refused.
    """

    still: int = 0
    above: int = 0
    misplaced: int = 0
    empty: int = 0
    same: int = 0
    back: int = 0
    refused: int = 0
    _lowest: datetime | None = None
    _before: tuple[Window, str] | None = None

    @property
    def exhausted(self) -> str:
        """What went on for too long, "" while nothing did."""
        if self.still > STILL_AT_MOST:
            return f"paging is not honoured: {STILL_AT_MOST} pages in a row led nowhere"
        if self.above > ABOVE_AT_MOST:
            return "paging is not honoured: page after page shows newer rows than the ones before"
        if self.refused > REFUSED_AT_MOST:
            return "page sizes are refused that were served before"
        return ""

    def renew(self) -> None:
        """What there is to be patient with is another thing now."""
        self.still = self.misplaced = self.empty = self.same = self.back = self.refused = 0

    def landed(self, sight: Sight, *, brought: bool) -> None:
        """The walk stands on this page; ``brought``: it, or pages that led here, had records that were not known."""
        middle = sight.middle
        lower = middle is not None and (self._lowest is None or middle < self._lowest)
        if lower:
            self._lowest, self.above = middle, 0
        if lower or brought:
            self.renew()
        else:
            self.still += 1

    def repeats(self, sight: Sight, window: Window) -> bool:
        """Whether pages that should begin further and further down keep beginning with the same row."""
        before, self._before = self._before, (window, sight.ids[0])
        if before is None or before[0].start >= window.start:
            return False
        self.same = self.same + 1 if before[1] == sight.ids[0] else 0
        return self.same >= SAME_AT_MOST
