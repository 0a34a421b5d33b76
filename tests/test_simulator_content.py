"""Simulated contents: deterministic, exactly as large as asked for, and the same however they are read."""

import gzip
import hashlib
import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.simulator.content import (
    MEMBER_BYTES,
    PIECE_BYTES,
    Content,
    Cut,
    Flipped,
    Held,
    Joined,
    Stamped,
    as_content,
    exact_gzip,
    sized_content,
)

STAMPED = Stamped(3 * MEMBER_BYTES + 77, "seed")
STAMPED_BYTES = b"".join(STAMPED.pieces())
LARGE = 8 * MEMBER_BYTES + 12_345


def whole(content: Content) -> bytes:
    return b"".join(content.pieces())


@given(size=st.integers(23, 300_000), seed=st.integers())
def test_a_gzip_file_can_have_any_exact_size(size: int, seed: int) -> None:
    made = exact_gzip(size, Random(seed))
    assert len(made) == size
    inflater = zlib.decompressobj(wbits=31)
    inflater.decompress(made)
    assert inflater.eof
    assert inflater.unused_data == b""


@pytest.mark.parametrize("size", [-1, 0, 20, 22])
def test_no_gzip_file_is_smaller_than_its_frame(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        sized_content(size, "seed")


@given(data=st.data())
def test_any_window_of_a_generated_content_is_the_same_as_of_the_whole(data: st.DataObject) -> None:
    edges = [edge + offset for edge in range(0, STAMPED.size, MEMBER_BYTES) for offset in (-1, 0, 1, 9, 10, 11)]
    place = st.one_of(st.sampled_from(edges), st.integers(-5, STAMPED.size + 5))
    start, stop = data.draw(place), data.draw(place)
    assert STAMPED.read(start, stop) == STAMPED_BYTES[max(start, 0) : max(stop, 0)]


def test_a_large_content_is_valid_gzip_whose_members_all_differ_and_whose_digest_is_the_truth() -> None:
    content = sized_content(LARGE, "seed")
    assert isinstance(content, Stamped)
    data = whole(content)
    assert len(data) == content.size == LARGE
    assert hashlib.sha256(data).hexdigest() == content.sha256() == sized_content(LARGE, "seed").sha256()
    members = [data[start : start + MEMBER_BYTES] for start in range(0, LARGE - 2 * MEMBER_BYTES, MEMBER_BYTES)]
    assert len(set(members)) == len(members) == 7
    assert len(gzip.decompress(data)) > 8 * MEMBER_BYTES - 2_000
    assert sized_content(LARGE, "other").etag != content.etag


def test_a_gibibyte_costs_little_memory_to_make_and_to_read() -> None:
    tracemalloc.start()
    try:
        content = sized_content(1 << 30, "seed")
        assert len(content.read((1 << 30) - 100, 1 << 30)) == 100
        assert sum(map(len, content.pieces(0, 32 * MEMBER_BYTES))) == 32 * MEMBER_BYTES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content.size == 1 << 30
    assert content.etag
    assert peak < 16 * MEMBER_BYTES


@given(parts=st.lists(st.binary(max_size=20), max_size=5), start=st.integers(-5, 120), stop=st.integers(-5, 120))
def test_joined_contents_read_like_one(parts: list[bytes], start: int, stop: int) -> None:
    joined, truth = Joined(*map(Held, parts)), b"".join(parts)
    assert joined.size == len(truth)
    assert joined.read(start, stop) == truth[max(start, 0) : max(stop, 0)]


@given(
    data=st.binary(min_size=1, max_size=50), at=st.integers(0, 60), start=st.integers(0, 60), stop=st.integers(0, 60)
)
def test_one_bit_differs_and_only_at_its_place(data: bytes, at: int, start: int, stop: int) -> None:
    expected = bytearray(data)
    if at < len(data):
        expected[at] ^= 1
    flipped = Flipped(Held(data), at)
    assert flipped.size == len(data)
    assert flipped.read(start, stop) == bytes(expected[start:stop])


@given(data=st.binary(max_size=50), size=st.integers(-5, 60))
def test_a_cut_content_is_the_beginning_of_it(data: bytes, size: int) -> None:
    cut = Cut(Held(data), size)
    assert whole(cut) == data[: max(size, 0)]
    assert cut.size == len(whole(cut))


def test_different_bytes_have_different_identities() -> None:
    held = Held(b"0123456789")
    spoilt = [held, Held(b"012345678"), Cut(held, 9), Flipped(held, 3), Flipped(held, 4), Joined(held, held)]
    assert len({content.etag for content in spoilt}) == len(spoilt)
    assert Held(b"x").etag == as_content(b"x").etag
    assert as_content(held) is held


def test_pieces_are_small() -> None:
    content = sized_content(LARGE, "seed")
    assert {len(piece) for piece in content.pieces(0, 4 * PIECE_BYTES)} == {PIECE_BYTES}
    assert [len(piece) for piece in content.pieces(10, 35, at_most=10)] == [10, 10, 5]
