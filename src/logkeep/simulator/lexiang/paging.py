"""Which records a page has: how the server reads ``page`` and ``per_page``, honestly or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logkeep.simulator.lexiang.quirks import LexiangQuirks
from logkeep.simulator.lexiang.records import Records
from logkeep.simulator.lexiang.refusals import Refused, invalid


@dataclass(frozen=True, slots=True)
class Page:
    """A page chosen.

    Attributes:
        numbers: its records, as the server pages over them.
        page: the page's true number.
        size: the page size served.
        stated_page: the number that ``meta`` tells.
        stated_size: the size that ``meta`` and the links tell.
        size_asked: whether ``per_page`` was asked at all.
        total: how many records there are.
        include: what is to be included.
    """

    numbers: list[int]
    page: int
    size: int
    stated_page: int
    stated_size: int
    size_asked: bool
    total: int
    include: frozenset[str]

    @property
    def last_page(self) -> int:
        """The number of the last page that has rows, at least 1."""
        return max(1, -(-self.total // self.size))


def choose_page(records: Records, params: Mapping[str, Any], quirks: LexiangQuirks) -> Page:
    """The page that a request gets.

    Raises:
        Refused: the page size or the page is refused.
    """
    asked_size, size = _size(params, quirks)
    asked = _page(params, quirks)
    total = len(records)
    page = _reachable(asked, max(1, -(-total // size)), quirks)
    too_deep = quirks.deepest_page is not None and page > quirks.deepest_page
    return Page(
        numbers=[] if too_deep else rows_of(records, (page - 1) * size, size, quirks),
        page=page,
        size=size,
        stated_page=asked if quirks.meta_page == "asked" else page,
        stated_size=asked_size if quirks.meta_per_page == "asked" else size,
        size_asked="per_page" in params,
        total=total,
        include=frozenset(str(params.get("include", "")).split(",")),
    )


def _size(params: Mapping[str, Any], quirks: LexiangQuirks) -> tuple[int, int]:
    """The page size asked and the one served."""
    asked = _natural(params.get("per_page")) or quirks.per_page_default
    if quirks.per_page_max is not None and asked > quirks.per_page_max:
        raise Refused(invalid(422, per_page=f"per_page 不能大于 {quirks.per_page_max}。"))
    if quirks.per_page_fixed is not None:
        return asked, quirks.per_page_fixed
    return asked, asked if quirks.per_page_cap is None else min(asked, quirks.per_page_cap)


def _page(params: Mapping[str, Any], quirks: LexiangQuirks) -> int:
    page = _natural(params["page"]) if "page" in params else 1
    if page is None and quirks.garbage_page == "refuse":
        raise Refused(invalid(422, page="page 必须是整数。"))
    return page or 1


def _natural(text: object) -> int | None:
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()):
        return None
    return int(text[:18]) or None


def _reachable(asked: int, last: int, quirks: LexiangQuirks) -> int:
    if quirks.ignore_page:
        return 1
    deepest = last if quirks.deepest_page is None else min(last, quirks.deepest_page)
    if asked <= deepest or quirks.past_end == "empty":
        return asked
    return 1 if quirks.past_end == "first" else deepest


def rows_of(records: Records, start: int, size: int, quirks: LexiangQuirks) -> list[int]:
    """The records at the places ``start`` to ``start + size`` of the server's order."""
    count, order = len(records), records.order
    stop = min(start + size, count)
    if start >= stop:
        return []
    if quirks.order == "newest":
        numbers = order[count - stop : count - start].tolist()[::-1]
    elif quirks.order == "oldest":
        numbers = order[start:stop].tolist()
    else:
        numbers = [order[count - 1 - _block_place(place, count, quirks.block)] for place in range(start, stop)]
    doubled = [number for number in numbers[: quirks.duplicate_rows] for _ in range(2)]
    return doubled + numbers[quirks.duplicate_rows :]


def _block_place(place: int, count: int, block: int) -> int:
    """Where the row of a place stands, newest first, when each two whole blocks have changed places."""
    if place >= count // (2 * block) * (2 * block):
        return place
    return (place // block ^ 1) * block + place % block
