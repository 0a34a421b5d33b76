"""The inspector against Python's own gzip, under every way of cutting and damaging the bytes."""

import gzip
import hashlib
import itertools
import random
import struct
import tracemalloc
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.files.inspect import Inspection, Inspector, Verdict, body_kind

LOG = b"".join(b'%d - "GET /f/%d HTTP/1.1" 200 %d\n' % (n, n * 7919 % 1000, n) for n in range(60))


def inspect(data: bytes, cuts: Sequence[int] = ()) -> Inspection:
    inspector = Inspector()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(data)]):
        inspector.feed(data[start:end])
    return inspector.finish()


def member(
    content: bytes, *, optional: dict[str, bytes] | None = None, header_crc: bool = False, level: int = 6
) -> bytes:
    """One member, with any of the optional header fields that gzip.compress never writes."""
    fields = optional or {}
    bits = {"extra": 4, "name": 8, "comment": 16}
    header = b"\x1f\x8b\x08" + bytes([sum(bits[name] for name in fields) + 2 * header_crc]) + b"\0\0\0\0\0\xff"
    if "extra" in fields:
        header += struct.pack("<H", len(fields["extra"])) + fields["extra"]
    header += b"".join(fields[name] + b"\0" for name in ("name", "comment") if name in fields)
    if header_crc:
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (
        header + deflater.compress(content) + deflater.flush() + struct.pack("<II", zlib.crc32(content), len(content))
    )


texts = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b"."))
members = st.builds(
    member,
    st.one_of(st.binary(max_size=300), st.sampled_from([b"", LOG, bytes(70_000)])),
    optional=st.fixed_dictionaries({}, optional={"extra": st.binary(max_size=40), "name": texts, "comment": texts}),
    header_crc=st.booleans(),
    level=st.sampled_from([0, 1, 6, 9]),
)
paddings = st.integers(0, 3).map(bytes)
files = st.lists(st.tuples(members, paddings), min_size=1, max_size=4)


@given(parts=files, data=st.data())
def test_legal_gzip_is_whole_however_it_is_cut(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """Any members, optional header fields, padding between and after, in any pieces: as Python's gzip reads it."""
    whole = b"".join(itertools.chain.from_iterable(parts))
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    found = inspect(whole, cuts)
    assert found.verdict is Verdict.WHOLE
    assert found.inflated_bytes == len(gzip.decompress(whole))
    assert found.members == len(parts)
    assert (found.size_bytes, found.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert found.head == whole[:512]


@given(content=st.binary(max_size=60), optional=st.fixed_dictionaries({}, optional={"name": texts, "extra": texts}))
def test_one_byte_at_a_time_changes_nothing(content: bytes, optional: dict[str, bytes]) -> None:
    whole = member(content, optional=optional, header_crc=True)
    assert inspect(whole, range(len(whole))) == inspect(whole)


@given(parts=files, data=st.data())
def test_a_truncated_file_is_whole_only_where_a_member_ends(
    parts: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    whole = b"".join(itertools.chain.from_iterable(parts))
    length = data.draw(st.integers(0, len(whole) - 1))
    position, sound = 0, set()
    for one, padding in parts:
        position += len(one)
        sound |= set(range(position, position + len(padding) + 1))
        position += len(padding)
    expected = Verdict.WHOLE if length in sound else Verdict.TRUNCATED if length else Verdict.EMPTY_BODY
    assert inspect(whole[:length]).verdict is expected


@given(parts=files, data=st.data())
def test_a_flipped_bit_is_detected_or_harmless(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """Header bytes without a checksum (time, system, name) may change unseen; the contents may not."""
    whole = b"".join(itertools.chain.from_iterable(parts))
    damaged = bytearray(whole)
    position = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged[position // 8] ^= 1 << position % 8
    found = inspect(bytes(damaged))
    if found.verdict is Verdict.WHOLE:
        assert found.inflated_bytes == len(gzip.decompress(whole))
        assert found.members == len(parts)


@pytest.mark.parametrize("offset", range(-8, 0))
@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_the_trailer_counts(offset: int, bit: int) -> None:
    damaged = bytearray(gzip.compress(LOG, mtime=0))
    damaged[offset] ^= 1 << bit
    assert inspect(bytes(damaged)).verdict is Verdict.CORRUPT


def test_damage_in_the_second_member_is_found() -> None:
    whole = bytearray(member(LOG) + member(LOG))
    whole[-5] ^= 4
    found = inspect(bytes(whole))
    assert (found.verdict, found.members, found.inflated_bytes) == (Verdict.CORRUPT, 1, len(LOG))


@given(seed=st.integers(0, 2**32), cuts=st.integers(0, 12))
def test_cuts_change_no_finding_about_damaged_bytes(seed: int, cuts: int) -> None:
    chance = random.Random(seed)
    damaged = bytearray(member(LOG) + bytes(chance.randrange(3)) + member(LOG[: chance.randrange(900)]))
    for _ in range(chance.randrange(3)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    data = bytes(damaged[: chance.randrange(len(damaged)) if chance.random() < 0.5 else None])
    assert inspect(data, [chance.randrange(len(data) + 1) for _ in range(cuts)]) == inspect(data)


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", Verdict.EMPTY_BODY),
        (b"\x1f", Verdict.TRUNCATED),
        (b"\x1f\x8b", Verdict.TRUNCATED),
        (b"\0\0", Verdict.NOT_GZIP),
        (b"\0" + member(LOG), Verdict.NOT_GZIP),
        (b"<html>", Verdict.NOT_GZIP),
        (b"\x1f\x9d\x90", Verdict.NOT_GZIP),
        (b"\x1f\x8b\x07", Verdict.CORRUPT),
        (b"\x1f\x8b\x08\x20\0\0\0\0\0\xff", Verdict.CORRUPT),
        (member(b""), Verdict.WHOLE),
        (member(LOG) + b"x", Verdict.TRAILING_JUNK),
        (member(LOG) + b"\0\0x", Verdict.TRAILING_JUNK),
        (member(LOG) + b"\0\x1f", Verdict.TRUNCATED),
        (member(LOG) + b"\x1f\x8c", Verdict.TRAILING_JUNK),
        (member(LOG) + b"\x1f\x8b\x07", Verdict.CORRUPT),
    ],
)
def test_shapes(data: bytes, verdict: Verdict) -> None:
    assert inspect(data).verdict is verdict
    assert inspect(data, range(len(data))).verdict is verdict


def test_a_wrong_header_checksum_is_corrupt() -> None:
    damaged = bytearray(member(LOG, optional={"name": b"a.log"}, header_crc=True))
    damaged[12] ^= 1
    assert inspect(bytes(damaged)).verdict is Verdict.CORRUPT


@pytest.mark.parametrize("cut", [1000, 64 * 1024, 10**6])
def test_a_name_without_end_is_corrupt_and_not_kept(cut: int) -> None:
    endless = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 400_000
    assert inspect(endless, range(0, len(endless), cut)).verdict is Verdict.CORRUPT
    assert inspect(endless + b"\0" + member(LOG)[10:]).verdict is Verdict.CORRUPT


@pytest.mark.parametrize(
    ("shape", "inflated_bytes"), [("bomb", 96 << 20), ("members", 0)], ids=["inflates a thousandfold", "empty members"]
)
def test_hostile_gzip_takes_little_memory(shape: str, inflated_bytes: int) -> None:
    data = gzip.compress(bytes(96 << 20), mtime=0) if shape == "bomb" else member(b"") * 20_000
    inspector = Inspector()
    tracemalloc.start()
    try:
        inspector.feed(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = inspector.finish()
    assert (found.verdict, found.inflated_bytes) == (Verdict.WHOLE, inflated_bytes)
    assert peak < 2 << 20


def test_the_inflated_head_is_the_first_members() -> None:
    assert inspect(member(b"<html>") + member(LOG)).inflated_head == b"<html>"
    assert inspect(member(LOG)[:-1]).inflated_head == b"", "what did not prove whole is not shown"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"<!DOCTYPE html>", "html"),
        (b"\xef\xbb\xbf \r\n<HTML><head>", "html"),
        (b"<!-- cdn --><html>", "html"),
        ("\ufeff<html>".encode("utf-16-le"), "html"),
        (b"<h1>502</h1>", "html"),
        (b'<?xml version="1.0"?><Error>', "xml"),
        (b"<Error><Code>AccessDenied</Code>", "xml"),
        (b' {"code":1010}', "json"),
        (b"{", "json"),
        (b"[]", "json"),
        (b'[{"a":1}]', "json"),
        (b"[1, 2]", "json"),
        (b"[2025-06-20 15:00:00] GET /", "other"),
        (b"2025-06-20 GET /", "other"),
        (b"<13>Jun 20 host", "other"),
        (b"", "other"),
        (b"\0\0\0", "other"),
    ],
)
def test_a_body_shows_what_it_is(head: bytes, kind: str) -> None:
    assert body_kind(head) == kind
