"""The walk over the pages of one span. Pure: it is told each page and says what to ask next, or how it ended.

Rules (vendors/pan123: ``total`` is 0 beside five rows in the official sample, so the walk never looks at it):

- The walk ends at an empty page, or at a page identical to the one before it. A short page ends nothing: the server
  may cap pages below what was asked.
- "New" means new in this walk, never new to the catalog.
- Page 2 identical to a *full* page 1 means that ``pageNum`` is ignored: the walk is broken, and its caller asks a
  shorter span. Where page 1 was short, the server may either repeat its last page for ever or ignore ``pageNum``
  below a cap of its own; one more request, for the second half of page 1, tells which. Where the vendor was seen to
  put more rows on one page, no cap held this one back, and it was all there is.
- Pages that differ but bring nothing new, three in a row, and a walk that does not end are broken too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from logkeep.model import ListedFile

MAX_PAGES = 1000
MAX_STALE = 3

PAGING_NOT_HONOURED = "paging not honoured"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Ask this page next; ``page_num`` counts from 1."""

    page_num: int
    page_size: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The walk saw everything; ``reason`` says by what it knew."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The walk cannot see everything; ``reason`` says why."""

    reason: str


Step = PageRequest | Ended | Broken
Key = tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """One walk. ``rows`` and ``unreadable`` grow as pages are fed; a row shown twice counts once, the later one.

    ``fullest`` is the most rows that this vendor was ever seen to put on one page, this walk's pages included.
    """

    page_size: int
    fullest: int = 0
    rows: dict[str, ListedFile] = field(default_factory=dict)
    unreadable: dict[str, None] = field(default_factory=dict)
    pages: int = 0
    _previous: Key | None = None
    _first: tuple[str, ...] = ()
    _stale: int = 0
    _probing: bool = False

    def start(self) -> PageRequest:
        """The first page."""
        return PageRequest(1, self.page_size)

    def feed(self, rows: Sequence[ListedFile], unreadable: Sequence[str] = ()) -> Step:
        """Take in the page that was asked for and say what comes next."""
        self.pages += 1
        before = len(self.rows) + len(self.unreadable)
        self.rows.update((row.file_id, row) for row in rows)
        self.unreadable.update(dict.fromkeys(unreadable))
        self.fullest = max(self.fullest, len(rows) + len(unreadable))
        ids = tuple(row.file_id for row in rows)
        if self._probing:
            return self._judge_probe(ids)
        if not rows and not unreadable:
            return Ended("an empty page")
        key = tuple(sorted((*ids, *unreadable)))
        if key == self._previous:
            return self._repeated(len(key))
        if self.pages == 1:
            self._first = ids
        self._previous = key
        self._stale = 0 if len(self.rows) + len(self.unreadable) > before else self._stale + 1
        if self._stale >= MAX_STALE:
            return Broken(f"{PAGING_NOT_HONOURED}: {MAX_STALE} pages in a row brought nothing new")
        if self.pages >= MAX_PAGES:
            return Broken(f"{PAGING_NOT_HONOURED}: no end after {MAX_PAGES} pages")
        return PageRequest(self.pages + 1, self.page_size)

    def _repeated(self, length: int) -> Step:
        if self.pages != 2:  # noqa: PLR2004 - only page 2 can repeat page 1
            return Ended("the page before, repeated")
        if length >= self.page_size:
            return Broken(f"{PAGING_NOT_HONOURED}: page 2 repeats a full page 1")
        if length < self.fullest:
            return Ended("a page that could have held more, repeated")
        if len(self._first) <= 1:
            return Ended("a single row, repeated")
        self._probing = True
        return PageRequest(2, len(self._first) // 2)

    def _judge_probe(self, ids: tuple[str, ...]) -> Step:
        half = len(self._first) // 2
        if ids and set(ids) in (set(self._first), set(self._first[:half])):
            return Broken(f"{PAGING_NOT_HONOURED}: page 2 repeats a capped page 1")
        return Ended("the last page, repeated")
