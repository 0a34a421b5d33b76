"""What each page adds to what is known of a stream. Pure.

``Progress`` holds the stream's state while a pass goes on. After every page it is what may be recorded together with
that page's records, and never claims more than was read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from logkeep.catalog.records import Covered, StreamRecord, Suspect
from logkeep.model import ListedRecord
from logkeep.records.coverage import concerns, covering, whole, within
from logkeep.records.plan import Plan
from logkeep.records.stretch import Step, Stretch

_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Progress:
    """One pass over a stream.

    Attributes:
        stream: What is known by now.
        top: The vendor's own time when the pass began; it can vouch for nothing later.
        begun_at: The same moment by this host's clock.
        reach: How far below what is known records may still turn up without anything being wrong.
    """

    stream: StreamRecord
    plan: Plan
    top: datetime
    begun_at: datetime
    reach: timedelta
    _hit: set[Suspect] = field(default_factory=set)
    _spoiled: bool = False
    _looked_to: datetime | None = None

    def __post_init__(self) -> None:
        ends = [interval.end for interval in self.stream.second] or [self.stream.mark or self.top]
        self._looked_to = ends[0]

    def take(self, step: Step, new: Iterable[ListedRecord]) -> None:
        """Add one page: what the walk says of it, and those of its records that were not known."""
        times = [record.created_at for record in new if record.created_at is not None]
        self._note(step, times)
        count = len(times)
        if step.reached is not None:
            top = self._top(step.stretch)
            self._cover(self._so_far(step.reached, top), top, count, step.depth)
            count = 0
        for stretch in step.finished:
            bottom = None if step.at_end else stretch.bottom
            self._cover(bottom, self._top(stretch), count, step.depth)
            self._clear(bottom, stretch.top)
            if stretch.top is None:
                self._passed(whole_history=bottom is None)
        if step.finished and step.ask is None:
            self._looked()

    def _note(self, step: Step, times: Sequence[datetime]) -> None:
        """What the page's new records say of earlier readings."""
        self._hit |= {suspect for suspect in self.stream.suspects for moment in times if concerns(suspect, moment)}
        lacking = [suspect for suspect in step.suspects if suspect.reason.startswith(("drift", "unreadable"))]
        self._hit |= {
            old for old in self.stream.suspects for new in lacking if old.end and within(new, old.start, old.end)
        }
        self._suspect(step.suspects if times else lacking)
        oldest = min((*times, *filter(None, (self.stream.oldest,))), default=None)
        self.stream = replace(self.stream, oldest=oldest)
        if step.unproven and self.stream.looks == 0:
            self.stream = replace(self.stream, unproven=True)
        looked_to = self._looked_to
        if self.plan.second and looked_to is not None and any(moment <= looked_to - self.reach for moment in times):
            self._spoiled = True  # a second look that finds what the first one missed proves nothing; it begins anew
            self.stream = replace(self.stream, second=())

    def _top(self, stretch: Stretch) -> datetime:
        return self.top if stretch.top is None else min(stretch.top, self.top)

    def _so_far(self, reached: datetime, top: datetime) -> datetime:
        """Where the part of a stretch that is read begins: never in the look-back of an older interval.

        Records that turned up late may lie there. Until all of it is read, a second stays uncovered above the older
        interval, so that an interruption does not end the matter.
        """
        ends = (interval.end for interval in self.stream.covered if interval.end < top)
        half_read = [end + _SECOND for end in ends if end - self.reach < reached <= end]
        return max(half_read, default=reached)

    def _cover(self, start: datetime | None, end: datetime, records: int, depth: int) -> None:
        covered = covering(self.stream.covered, start, end, records)
        self.stream = replace(self.stream, covered=_counted(covered, start, depth))
        if self.plan.second and not self._spoiled:
            second = covering(self.stream.second, start, end, 0)
            if second and second[0].start == start:
                second = (replace(second[0], records=depth), *second[1:])
            self.stream = replace(self.stream, second=second)

    def _passed(self, *, whole_history: bool) -> None:
        """The stretch from the top is read: what happened up to the pass's begin is known."""
        mark = self.top if self.stream.mark is None else max(self.stream.mark, self.top)
        stream = replace(self.stream, mark=mark, passed_at=self.begun_at)
        if self.plan.sweep or whole_history:
            stream = replace(stream, swept_at=self.begun_at)
        if self.plan.deep or whole_history:
            stream = replace(stream, deep_swept_at=self.begun_at)
        self.stream = stream

    def _looked(self) -> None:
        """Every stretch is read: perhaps the whole history is, for the first or the second time."""
        stream = self.stream
        if whole(stream.covered) and stream.looks == 0:
            confirmed_at = None if stream.unproven else self.begun_at
            self.stream = replace(stream, looks=1, confirmed_at=confirmed_at, second=())
        elif self.plan.second and whole(stream.second):
            self.stream = replace(stream, looks=stream.looks + 1, confirmed_at=self.begun_at, second=())

    def _suspect(self, found: Sequence[Suspect]) -> None:
        known = self.stream.suspects
        fresh = [
            suspect
            for suspect in found
            if suspect.end is not None
            and (suspect.start is None or suspect.start < suspect.end)
            and not any(within(suspect, old.start, old.end) for old in known if old.end is not None)
        ]
        self._hit.update(fresh)  # each is read again, in a later pass, before it is believed
        self.stream = replace(self.stream, suspects=(*known, *fresh))

    def _clear(self, start: datetime | None, end: datetime | None) -> None:
        """What was suspect before this pass and has been read again without finding anything is so no more.

        ``end`` None is the top of the listing, where records dated ahead of the vendor's clock are read as well.
        """
        kept = tuple(s for s in self.stream.suspects if s in self._hit or not within(s, start, end))
        self.stream = replace(self.stream, suspects=kept)


def _counted(covered: tuple[Covered, ...], start: datetime | None, depth: int) -> tuple[Covered, ...]:
    """The interval that begins where the walk stands holds what lies above, less what is in the newer ones.

    Counting new records alone would forget those that were archived before a crash and then found to be known.
    """
    newer = 0
    for place in range(len(covered) - 1, -1, -1):
        if start is not None and covered[place].start == start:
            counted = replace(covered[place], records=max(depth - newer, 0))
            return (*covered[:place], counted, *covered[place + 1 :])
        newer += covered[place].records
    return covered
