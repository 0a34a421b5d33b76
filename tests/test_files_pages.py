"""The walk over pages: when it ends it has seen everything, and it always ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.files.pages import MAX_PAGES, MAX_STALE, Broken, Ended, PageRequest, Step, Walk
from logkeep.model import ListedFile, SignedUrl


def row(file_id: str, name: str = "") -> ListedFile:
    return ListedFile(file_id, name, None, None, SignedUrl(""))


def feed(walk: Walk, *pages: str) -> Step:
    """Feed pages, each written as the ids on it; returns the last step."""
    step: Step = walk.start()
    for page in pages:
        assert isinstance(step, PageRequest), f"it ended before page {page!r}"
        step = walk.feed([row(file_id) for file_id in page])
    return step


@pytest.mark.parametrize(
    ("pages", "outcome"),
    [
        ([""], Ended("an empty page")),
        (["abc", "d", ""], Ended("an empty page")),
        (["abc", "def", "g", "g"], Ended("the page before, repeated")),
        (["abc", "def", "def"], Ended("the page before, repeated")),
        (["abc", "def", "fed"], Ended("the page before, repeated")),
        (["a", "a"], Ended("a single row, repeated")),
        (["ab", "ab", "b"], Ended("the last page, repeated")),
        (["ab", "ab", ""], Ended("the last page, repeated")),
        (["abc", "abc"], Broken("paging not honoured: page 2 repeats a full page 1")),
        (["ab", "ab", "a"], Broken("paging not honoured: page 2 repeats a capped page 1")),
        (["ab", "ab", "ab"], Broken("paging not honoured: page 2 repeats a capped page 1")),
        (["abc", "abd", "abc", "abd", "abc"], Broken("paging not honoured: 3 pages in a row brought nothing new")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_walk_of_three_to_a_page_ends_as_the_rules_say(pages: list[str], outcome: Step) -> None:
    assert feed(Walk(3), *pages) == outcome


def test_a_short_page_ends_nothing() -> None:
    assert feed(Walk(100), "ab", "c") == PageRequest(3, 100)


def test_the_probe_asks_for_the_second_half_of_a_short_page_that_came_twice() -> None:
    assert feed(Walk(100), "abcde", "abcde") == PageRequest(2, 2)


def test_a_short_page_that_came_twice_is_all_there_is_where_the_vendor_puts_more_rows_on_a_page() -> None:
    assert feed(Walk(100, fullest=3), "ab", "ab") == Ended("a page that could have held more, repeated")
    assert feed(Walk(100, fullest=2), "ab", "ab") == PageRequest(2, 1)


def test_new_means_new_in_this_walk_and_a_row_shown_twice_counts_once_the_later_one() -> None:
    walk = Walk(2)
    walk.feed([row("a", "before"), row("b")])
    walk.feed([row("a", "after"), row("c")])
    assert list(walk.rows) == ["a", "b", "c"]
    assert walk.rows["a"].name == "after"


def test_rows_without_an_id_count_as_rows() -> None:
    walk = Walk(2)
    assert walk.feed([], ['{"x":1}']) == PageRequest(2, 2)
    assert walk.feed([row("a")], ['{"x":2}']) == PageRequest(3, 2)
    assert walk.feed([], []) == Ended("an empty page")
    assert list(walk.unreadable) == ['{"x":1}', '{"x":2}']


def test_a_server_that_always_has_another_page_is_given_up() -> None:
    walk, page = Walk(1), 0
    step: Step = walk.start()
    while isinstance(step, PageRequest):
        page += 1
        step = walk.feed([row(str(page))])
    assert step == Broken(f"paging not honoured: no end after {MAX_PAGES} pages")


@dataclass(frozen=True)
class Server:
    """Pages through ``rows`` in whatever way; ``cap`` bounds every page."""

    rows: int
    cap: int | None
    ignores_page_num: bool
    repeats_last: bool

    def page(self, asked: PageRequest) -> Sequence[ListedFile]:
        size = asked.page_size if self.cap is None else min(asked.page_size, self.cap)
        number = 1 if self.ignores_page_num else asked.page_num
        if self.repeats_last:
            number = min(number, max(1, -(-self.rows // size)))
        return [row(str(i)) for i in range((number - 1) * size, min(number * size, self.rows))]

    def largest_page(self, page_size: int) -> int:
        return page_size if self.cap is None else min(page_size, self.cap)


servers = st.builds(
    Server,
    rows=st.integers(0, 40),
    cap=st.none() | st.integers(1, 12),
    ignores_page_num=st.booleans(),
    repeats_last=st.booleans(),
)


@settings(deadline=None)
@given(servers, st.integers(1, 15), st.data())
def test_whatever_a_server_does_to_pages_a_walk_that_ends_has_seen_every_row(
    server: Server, page_size: int, data: st.DataObject
) -> None:
    """And it takes at most one page more than there are, or a repeated one and a probe.

    One row for ever cannot be told from a server that shows one row whatever it is asked: that is the one exception.
    """
    largest = server.largest_page(page_size)
    walk = Walk(page_size, fullest=data.draw(st.integers(0, largest), label="fullest"))
    step: Step = walk.start()
    while isinstance(step, PageRequest):
        step = walk.feed(server.page(step))
    pages = -(-server.rows // largest)
    assert walk.pages <= max(pages, 1) + 2
    one_row_for_ever = server.ignores_page_num and largest == 1
    if isinstance(step, Ended) and not one_row_for_ever:
        assert set(walk.rows) == {str(i) for i in range(server.rows)}
    if not server.ignores_page_num and (server.rows > largest or not server.repeats_last):
        assert isinstance(step, Ended), "a server that turns pages is never refused"


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True), max_size=60), st.integers(1, 4))
def test_whatever_pages_come_the_walk_ends_after_few_that_bring_nothing_new(
    pages: list[list[str]], page_size: int
) -> None:
    """Eight ids can be new eight times; between two of them at most two pages pass, and three after the last."""
    walk = Walk(page_size)
    step: Step = walk.start()
    for page in pages:
        if not isinstance(step, PageRequest):
            break
        step = walk.feed([row(file_id) for file_id in page])
    assert walk.pages <= 8 * MAX_STALE + MAX_STALE
