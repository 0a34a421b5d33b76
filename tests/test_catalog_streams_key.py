"""What stands for a record's id in the catalog."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logkeep.catalog.record_key import record_key

hex_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
near_misses = st.one_of(
    st.text(alphabet="0123456789abcdefABCDEF-é\x00\ud800", max_size=40),
    st.text(alphabet="aé", min_size=12, max_size=17),
    st.text(alphabet="ab", min_size=195, max_size=210),
    st.integers().map(str),
    st.text(),
)


@given(st.lists(st.one_of(hex_ids, near_misses), max_size=30))
@example(["a" * 14, "a" * 15, "a" * 16, "a" * 15 + "\xff"])
@example(["61" * 16, "a" * 16, "A" * 32, "a" * 32, "a" * 31, "a" * 33])
@example(["a" * 199, "a" * 200, "a" * 201, "é" * 100, "é" * 101])
def test_different_ids_have_different_keys(ids: list[str]) -> None:
    assert len({record_key(record_id) for record_id in ids}) == len(set(ids))


@given(hex_ids)
def test_a_dashless_uuid_takes_sixteen_bytes(record_id: str) -> None:
    assert len(record_key(record_id)) == 16


@pytest.mark.parametrize(
    ("record_id", "size"),
    [("", 1), ("7", 2), ("a" * 15, 17), ("F59DE3063C9311E8B64995597300A871", 33), ("a" * 201, 33), ("a" * 10**6, 33)],
)
def test_any_other_id_takes_little_more_than_itself(record_id: str, size: int) -> None:
    assert len(record_key(record_id)) == size


def test_keys_of_records_lie_in_the_order_of_their_time() -> None:
    """So that a page's records are neighbours in a table of millions, not strewn all over it."""
    ticks = (datetime(2018, 4, 10, tzinfo=UTC) - datetime(1582, 10, 15, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    made = [ticks + step * 7_777_777_777 for step in range(200)]
    ids = [UUID(fields=(t & 0xFFFFFFFF, t >> 32 & 0xFFFF, t >> 48 | 0x1000, 0x9E, 0x64, 1)).hex for t in made]
    keys = [record_key(record_id) for record_id in ids]
    assert keys == sorted(keys)
    assert ids != sorted(ids)
