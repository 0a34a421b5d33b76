"""One served page, and what can be read off it alone. Pure."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from logkeep.catalog.records import Suspect
from logkeep.model import rfc3339
from logkeep.records.windows import Window


@dataclass(frozen=True, slots=True)
class Sight:
    """One page as it was served: ``ids`` and ``times`` row by row, ``known`` those ids that are archived already.

    ``page``, ``per_page`` and ``total`` are the vendor's words, None where it says nothing.
    """

    ids: Sequence[str]
    times: Sequence[datetime | None]
    known: AbstractSet[str] = frozenset()
    page: int | None = None
    per_page: int | None = None
    total: int | None = None
    has_next: bool = False

    @property
    def first(self) -> datetime | None:
        """The time of the first row that has one."""
        return next((moment for moment in self.times if moment is not None), None)

    @property
    def last(self) -> datetime | None:
        """The time of the last row that has one: where the listing goes on, if it is in order."""
        return next((moment for moment in reversed(self.times) if moment is not None), None)

    @property
    def reached(self) -> datetime | None:
        """The time of the last row but one: nothing newer is missing, even if the last row stands too high."""
        last_two = [moment for moment in reversed(self.times) if moment is not None][:2]
        return max(last_two, default=None)

    @property
    def tied(self) -> int:
        """How many rows at the end are of the last row's second, or of no time."""
        last = self.last
        return next((n for n, moment in enumerate(reversed(self.times)) if moment not in (None, last)), len(self.ids))

    @property
    def middle(self) -> datetime | None:
        """The time halfway down the page, which one row out of place does not change."""
        dated = [moment for moment in self.times if moment is not None]
        return dated[len(dated) // 2] if dated else None

    def begins_above(self, moment: datetime) -> bool:
        """Whether it begins with newer rows: two, if it has two, since one may stand too low."""
        first_two = [other for other in self.times if other is not None][:2]
        return bool(first_two) and min(first_two) > moment

    def ends(self, window: Window) -> bool:
        """Whether the listing seems to end on this page: rows are lacking, and no page is said to follow."""
        return len(self.ids) < window.size and not self.has_next

    def older_than(self, floor: datetime, by: timedelta = timedelta()) -> bool:
        """Whether every row that has a time is older, by more than ``by``; a page without any time is not."""
        return self.first is not None and all(moment is None or floor - moment > by for moment in self.times)

    def disorder(self) -> tuple[timedelta, list[Suspect]]:
        """How far the worst row stands below an older one, and the stretches of time that this makes doubtful."""
        worst, doubtful, oldest = timedelta(), list[Suspect](), None
        for moment in self.times:
            if moment is None:
                continue
            if oldest is not None and moment > oldest:
                worst = max(worst, moment - oldest)
                reason = f"disorder: a record of {rfc3339(moment)} stands below one of {rfc3339(oldest)}"
                doubtful = [Suspect(oldest, max([moment, *(s.end for s in doubtful if s.end)]), reason)]
            oldest = moment if oldest is None else min(oldest, moment)
        return worst, doubtful
