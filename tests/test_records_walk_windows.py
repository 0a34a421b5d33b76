"""Windows: the arithmetic that lets pages overlap where a vendor knows page numbers only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.records.windows import Window, aligned, overlapping

offsets = st.integers(0, 10**9)
sizes = st.integers(1, 1000)


@given(offsets, sizes)
def test_an_aligned_window_holds_the_row_and_has_the_size(offset: int, size: int) -> None:
    window = aligned(offset, size)
    assert window.start <= offset < window.end
    assert window.size == size


@given(offsets, sizes)
def test_an_overlapping_window_holds_the_row_and_is_no_larger_than_a_page(offset: int, most: int) -> None:
    window = overlapping(offset, most)
    assert window.start <= offset < window.end
    assert most // 2 < window.size <= most


@given(offsets, st.integers(1, 60))
def test_no_other_window_of_these_sizes_that_holds_the_row_reaches_further(offset: int, most: int) -> None:
    best = overlapping(offset, most)
    for size in range(most // 2 + 1, most + 1):
        assert aligned(offset, size).end <= best.end


@given(st.integers(-1000, 0), sizes)
def test_before_the_first_row_there_is_the_first_page(offset: int, most: int) -> None:
    assert overlapping(offset, most) == Window(1, most)


@given(offsets, st.integers(13, 1000))
def test_from_thirteen_rows_to_a_page_on_two_rows_of_overlap_still_lead_on(offset: int, most: int) -> None:
    """One row of the last second, and one newer one for the proof."""
    end = max(offset, most)
    window = overlapping(end - 2, most)
    assert window.start <= end - 2
    assert window.end > end


def test_with_fewer_rows_there_are_ends_that_no_window_overlaps_by_two() -> None:
    assert any(overlapping(end - 2, 12).end <= end for end in range(12, 5000))


@pytest.mark.parametrize("size", [20, 50, 100, 1000])
def test_what_overlapping_costs(size: int) -> None:
    """Deep down, a window of another size begins many rows away, so that the overlap is larger than it need be."""
    end, requests = size, 1
    while end < 100 * size:
        window = overlapping(end - 2, size)
        end, requests = window.end, requests + 1
    assert requests <= {20: 150, 50: 124, 100: 115, 1000: 104}[size]
