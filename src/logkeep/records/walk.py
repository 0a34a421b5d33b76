"""The walk over a listing that is served newest first, page by page, while rows come and go. Pure.

What can go wrong, and what is done about it:

*A row is inserted above* between two requests: everything moves down, the next page repeats some rows. Harmless,
because ids are unique.

*A row is deleted above*: everything moves up, and a row slips over the edge between two pages unseen. So pages are
asked in overlapping windows (``windows``), and a step from one to the next counts as **proven** only where the next
begins with a row strictly newer than the last row of the one before. All rows of that last second, which have no order
among themselves, then lie in one answer or below it. Where the proof fails the walk steps back, further each time;
where that does not help it tries pages of one size, and at last goes on and calls the stretch *suspect*, to be read
again.

*The vendor serves pages of one size only*, or a whole page of one second: no proof can be had. Steps go edge to edge,
back where ``total`` fell, and the walk is ``unproven``: a look at the whole history then needs a second one.

*Newest first is not promised.* A row newer than one above it makes its stretch suspect, and lowers the floor by as much
as it was out of place, 48 hours at most. The walk ends at the end of the listing, or after a whole page that is older
than the floor and known, and a guard page after it that is so too; never at the first known id, never on rows that this
walk brought.

*Pages lie*: another page's number in the answer, the same rows again, an empty page before ``total`` rows. They are
asked again, stepped back from, and in the end are a failure with its reason. ``total`` alone concludes nothing.

A walk goes through stretches, the newest first: from the top of the listing to a floor, then through each hole that an
interruption left. A hole is found by its time: ``above`` tells about how many rows lie above it, and the walk closes in
from there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from logkeep.catalog.records import Suspect
from logkeep.model import rfc3339
from logkeep.records.closing import Closing
from logkeep.records.landing import Footing, Landing
from logkeep.records.patience import BACK_AT_MOST, EMPTY_AT_MOST, MISPLACED_AT_MOST, Patience
from logkeep.records.serving import Serving
from logkeep.records.sight import Sight
from logkeep.records.stretch import Step, Stretch
from logkeep.records.windows import Window, aligned

GUARD_PAGES = 1
"""Pages past the floor that must be old and known as well before the walk ends."""
_DISORDER_AT_MOST = timedelta(hours=48)
"""A single row with a date far off must not make every pass read for years; the weekly look finds what this misses."""
_SECOND = timedelta(seconds=1)


class Walk:
    """Told each page as it was served, it says what to ask next and why, or that it is over.

    ``first`` is the first window to ask; ``tell`` or ``refused`` follows each answer until a step asks for nothing.
    """

    def __init__(self, stretches: Sequence[Stretch], page_size: int, *, guard_pages: int = GUARD_PAGES) -> None:
        self._stretches = list(stretches)
        self._serving = Serving(page_size)
        self._guard_pages = guard_pages
        self._landing: Landing | None = None
        self._offset = 0
        self._closing: Closing | None = None
        self._disorder = timedelta()
        self._quiet = 0
        self._confirming = False
        self._mistrusting = False
        self._patience = Patience()
        self._brought: set[str] = set()
        self._suspects: list[Suspect] = []
        self._unproven = False
        self.first = self._begin()
        self._asked = self.first

    @property
    def page_size(self) -> int:
        """The most rows that the vendor was seen to serve."""
        return self._serving.size

    def refused(self) -> Step:
        """The vendor would not serve a page of this size: ask for half of it."""
        self._patience.refused += 1
        if self._serving.size == 1 or self._patience.exhausted:
            return self._fail(self._patience.exhausted or "not even a page of one record is served")
        self._serving.size //= 2
        self._suspects, self._unproven = [], False
        window = self._next() if self._closing is None else self._serving.window(self._asked.start)
        return self._ask(window, "larger pages are refused")

    def tell(self, sight: Sight) -> Step:
        """Take in the answer to the window that was asked last."""
        self._suspects, self._unproven = [], False
        self._brought |= set(sight.ids) - sight.known
        if sight.page not in (None, self._asked.page):
            return self._misplaced(sight)
        if not sight.ids:
            return self._empty(sight)
        window = self._serving.served(self._asked, sight)
        if self._patience.repeats(sight, window):
            return self._fail(f"paging is not honoured: {window} shows the rows of another page")
        worst, self._suspects = sight.disorder()
        self._disorder = max(self._disorder, min(worst, _DISORDER_AT_MOST))
        if self._closing is not None and not self._closing.lands(sight, window):
            return self._close_in(self._closing, window)
        self._closing = None
        return self._follow(sight, window)

    # Pages that are none.

    def _misplaced(self, sight: Sight) -> Step:
        self._patience.misplaced += 1
        if self._patience.misplaced > MISPLACED_AT_MOST:
            return self._fail(f"paging is not honoured: page {self._asked.page} was asked, page {sight.page} answered")
        again = self._patience.misplaced == 1
        if self._closing is not None and not again and not self._closing.exhausted:
            self._patience.misplaced = 0
            self._closing.too_deep(self._asked)
            return self._close_in(self._closing, self._asked)
        landing = self._landing
        if again or landing is None:
            return self._ask(self._asked, f"asked again: page {sight.page} answered")
        if self._asked.start >= self._offset and landing.was_last(sight, self._asked):
            return self._end()
        return self._back("another page answered")

    def _empty(self, sight: Sight) -> Step:
        self._patience.empty += 1
        start = self._asked.start
        counted = sight.total is not None and sight.total > min(start, start if self._landing is None else self._offset)
        if counted and self._patience.empty <= EMPTY_AT_MOST:
            return self._ask(self._asked, "asked again: an empty page although the vendor counts more")
        if start == 0:
            return self._fail(f"an empty first page, although {sight.total} are counted") if counted else self._end()
        if self._closing is not None:
            self._closing.too_deep(self._asked)
            return self._close_in(self._closing, self._asked)
        return self._nothing(sight, counted=counted)

    def _nothing(self, sight: Sight, *, counted: bool) -> Step:
        """An empty page below the landing is the end, unless the vendor or the rows seen before speak against it."""
        landing = self._landing
        assert landing is not None, "closing in ends with a landing"
        edge = self._asked.start >= self._offset and not landing.fell(sight)
        denied = counted or (self._mistrusting and landing.window.start > 0)
        if (landing.short or edge) and not (landing.has_next and denied):
            self._unproven = counted or landing.has_next
            return self._end()
        gave_up = self._patience.still > EMPTY_AT_MOST and sight.total is not None and not landing.fell(sight)
        if edge or gave_up or self._patience.back >= BACK_AT_MOST:
            if not self._serving.one_size:
                return self._mistrust_windows(landing)
            return self._fail(f"{self._asked} is empty, although more rows were seen or are counted")
        return self._back("an empty page where known rows should be")

    # Finding the top of a hole.

    def _begin(self) -> Window:
        """Start on the stretch at hand, going on from where the walk is, if it has come that far already."""
        self._quiet, self._patience = 0, Patience()
        top, last = self._stretches[0].top, self._landing.last if self._landing is not None else None
        if top is None or (last is not None and last <= top):
            return self._next()
        self._landing = None
        self._closing = Closing(top, self._stretches[0].above)
        return self._serving.window(self._closing.begin(self._serving.size))

    def _close_in(self, closing: Closing, window: Window) -> Step:
        start = closing.next(window, self._serving.size)
        return self._ask(self._serving.window(start), f"looking for {rfc3339(closing.top)}")

    # Going down.

    def _follow(self, sight: Sight, window: Window) -> Step:
        """Land on the page if it follows on the last landing, or if all ways to one that does are exhausted."""
        landing = self._landing
        if landing is None:
            return self._land(sight, window)
        footing = landing.footing(sight, window, start=self._asked.start, offset=self._offset)
        if footing is Footing.ABOVE:
            return self._stand_above(window)
        if footing is Footing.LOST:
            if self._patience.back < BACK_AT_MOST:
                return self._back("the page does not follow on the one before it")
            if not self._serving.one_size:
                return self._mistrust_windows(landing)
            assert landing.last is not None, "nothing is lost where no time is known"
            reason = f"drift: what follows on {rfc3339(landing.last)} could not be told"
            self._suspects.append(Suspect((sight.first or landing.last) - _SECOND, landing.last, reason))
        self._unproven = footing is not Footing.PROVEN
        return self._land(sight, window)

    def _stand_above(self, window: Window) -> Step:
        """All rows are newer than where the walk is: rows came in above, or it stepped back further than needed."""
        self._patience.above += 1
        if self._patience.exhausted:
            return self._fail(self._patience.exhausted)
        self._offset = window.end if self._patience.back else max(self._offset, window.end)
        return self._ask(self._next(), "rows came in above")

    def _back(self, why: str) -> Step:
        """Ask again further up, twice as far each time."""
        landing, self._patience.back = self._landing, self._patience.back + 1
        assert landing is not None, "there is no way back before a landing"
        window = self._serving.above(landing, self._offset, self._patience.back)
        return self._ask(window, f"stepped back: {why}")

    def _mistrust_windows(self, landing: Landing) -> Step:
        """Other sizes than one lead nowhere; perhaps they do not mean the rows that they should."""
        self._serving.one_size = self._mistrusting = True
        self._patience.renew()
        return self._ask(aligned(landing.window.start, self._serving.size), "other page sizes led nowhere")

    def _land(self, sight: Sight, window: Window) -> Step:
        before = self._landing
        further = before is None or before.further(sight)
        self._landing = landing = self._stand_on(sight, window)
        if self._patience.exhausted:
            return self._fail(self._patience.exhausted)
        self._confirming &= all(record_id in sight.known for record_id in sight.ids)
        counted = sight.total is not None and sight.total > window.start + len(sight.ids)
        if landing.ends and (not counted or (before is not None and before.ends)):
            self._unproven |= counted
            return self._end()
        floor = self._stretches[0].bottom
        quiet = not landing.fresh and floor is not None and sight.older_than(floor, by=self._disorder)
        self._quiet = (self._quiet + 1 if further else max(self._quiet, 1)) if quiet else 0
        if self._quiet > self._guard_pages:
            return self._finish()
        return self._ask(self._next(), "guard page" if quiet else "next page", reached=landing.reached)

    def _stand_on(self, sight: Sight, window: Window) -> Landing:
        before, fresh = self._landing, self._brought
        self._patience.landed(sight, brought=bool(fresh))
        self._offset, self._brought = window.end, set()
        return Landing(
            window,
            tuple(sight.ids),
            fresh=frozenset(sight.ids) & (fresh if before is None else fresh | before.fresh),
            last=sight.last if sight.last is not None or before is None else before.last,
            reached=sight.reached,
            tied=sight.tied,
            total=sight.total,
            ends=sight.ends(window),
            has_next=sight.has_next,
        )

    def _next(self) -> Window:
        """The window that follows on the last landing."""
        return self._serving.after(self._landing, self._offset)

    # Ending.

    def _finish(self) -> Step:
        """The stretch is read to its bottom; go on with the next."""
        assert self._landing is not None, "a stretch ends on a page"
        stretch, last = self._stretches[0], self._landing.reached
        if len(self._stretches) == 1:
            return self._ask(None, "old and known", reached=last, finished=(stretch,))
        del self._stretches[0]
        window = self._begin()
        return self._ask(window, self._stretches[0].why, stretch=stretch, reached=last, finished=(stretch,))

    def _end(self) -> Step:
        """The listing ends here, and with it every stretch; an end that closes a hole is looked at twice."""
        first = self._stretches[0]
        hole = len(self._stretches) > 1 or first.top is not None or first.bottom is None
        if hole and not self._confirming:
            self._confirming, self._patience = True, Patience()
            landing = self._landing
            window, last = (self._asked, None) if landing is None else (landing.window, landing.reached)
            return self._ask(window, "the end, looked at again", reached=last)
        return self._ask(None, "the end of the listing", finished=tuple(self._stretches), at_end=True)

    def _fail(self, error: str) -> Step:
        return Step(None, error, self._stretches[0], error=error)

    def _ask(
        self,
        window: Window | None,
        why: str,
        *,
        stretch: Stretch | None = None,
        reached: datetime | None = None,
        finished: tuple[Stretch, ...] = (),
        at_end: bool = False,
    ) -> Step:
        """The step to this window; to None, when the walk is over."""
        self._asked = window or self._asked
        return Step(
            window,
            why,
            stretch or self._stretches[0],
            reached=reached,
            finished=finished,
            at_end=at_end,
            depth=self._offset,
            unproven=self._unproven,
            suspects=tuple(self._suspects),
        )
