"""What the bytes of a download prove by themselves: their digest, and whether they are whole gzip.

A gzip file is one or more members, each a header, deflate data and a trailer with the CRC and the length of what it
inflates to; zeros may pad the space after a member. An inflater says nothing when the bytes end too early, when there
are none, or when something else follows, so this module keeps the books itself: *whole* means that at least one member
was read to the end of its trailer, CRC and length agreed for each, and nothing but padding or members came after.

The headers are read here, and isal inflates and checks what follows them. Two things were found out about isal 1.9:

- Its own reader of gzip headers miscounts when a header with a name, a comment or extra fields arrives in pieces: valid
  files then look corrupt, and damaged ones whole. Raw deflate with a verified trailer has no such fault, in any pieces.
- It accepts some code tables that zlib calls incomplete. The CRC holds for what it inflates, so the contents are proven
  even then.

Inflating is only a check; its output is dropped piece by piece. Deflate cannot grow data more than 1032-fold, so the
work is bounded by the size of the input, and the memory by one piece.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from isal import igzip_lib

HEAD_BYTES = 512
GZIP_MAGIC = b"\x1f\x8b"

BodyKind = Literal["gzip", "html", "xml", "json", "other"]

_SLICE_BYTES = 64 * 1024  # bounds what isal copies when a file holds thousands of tiny members
_PIECE_BYTES = 256 * 1024
_HEADER_MAX_BYTES = 128 * 1024  # extra fields end at 64 KiB; names and comments have no bound of their own
_FIXED_HEADER_BYTES = 10
_DEFLATE = 8
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0

_MARKS = re.compile(rb"^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*")
_HTML = re.compile(rb"<(!doctype|html|head|body|title|meta|script|center|div|h1|p)\b|<!--", re.IGNORECASE)
_XML = re.compile(rb"<[?!a-z_]", re.IGNORECASE)
_JSON = re.compile(rb"\{|\[\s*([\[{\"\]]|(-?\d+(\.\d+)?|true|false|null)\s*[,\]])")


class Verdict(StrEnum):
    """What the bytes are, once all have passed."""

    WHOLE = "whole"
    EMPTY_BODY = "empty_body"
    NOT_GZIP = "not_gzip"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TRAILING_JUNK = "trailing_junk"


@dataclass(frozen=True, slots=True)
class Inspection:
    """The findings. What was inflated is told only of members that proved whole; the head is the first one's."""

    size_bytes: int
    sha256: str
    verdict: Verdict
    members: int
    inflated_bytes: int
    head: bytes
    inflated_head: bytes


class Inspector:
    """Takes a file's bytes in order, in pieces of any size; how they are cut changes no finding.

    Holds less than 1 MiB whatever passes. ``feed`` computes and never waits; for pieces of more than 64 KiB give it a
    thread (it lets go of the interpreter's lock), one call at a time.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0
        self._head = b""
        self._fault: Verdict | None = None
        self._next_part = self._between_members
        self._header = b""
        self._inflater: igzip_lib.IgzipDecompressor | None = None
        self._member_bytes = 0
        self._members = 0
        self._inflated_bytes = 0
        self._inflated_head = b""

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._size_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes; never raises for what they are."""
        self._sha256.update(data)
        self._size_bytes += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        for start in range(0, len(data), _SLICE_BYTES):
            rest = data[start : start + _SLICE_BYTES]
            while rest and self._fault is None:
                rest = self._next_part(rest)

    def finish(self) -> Inspection:
        """The findings about everything fed so far; more may be fed afterwards."""
        return Inspection(
            size_bytes=self._size_bytes,
            sha256=self._sha256.hexdigest(),
            verdict=self._verdict(),
            members=self._members,
            inflated_bytes=self._inflated_bytes,
            head=self._head,
            inflated_head=self._inflated_head if self._members else b"",
        )

    def _verdict(self) -> Verdict:
        if self._fault is not None:
            return self._fault
        if not self._size_bytes:
            return Verdict.EMPTY_BODY
        inside = self._header or self._inflater is not None
        return Verdict.TRUNCATED if inside else Verdict.WHOLE

    def _between_members(self, data: bytes) -> bytes:
        rest = data.lstrip(b"\0") if self._members else data
        if rest:
            self._next_part = self._in_header
        return rest

    def _in_header(self, data: bytes) -> bytes:
        held = self._header + data
        start = held[: len(GZIP_MAGIC)]
        if not GZIP_MAGIC.startswith(start):
            return self._stop(Verdict.TRAILING_JUNK if self._members else Verdict.NOT_GZIP)
        try:
            length = _header_length(held)
        except ValueError:
            return self._stop(Verdict.CORRUPT)
        if (len(held) if length is None else length) > _HEADER_MAX_BYTES:
            return self._stop(Verdict.CORRUPT)
        if length is None:
            self._header = held
            return b""
        self._header = b""
        self._inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP_NO_HDR_VER)
        self._next_part = self._in_member
        return held[length:]

    def _in_member(self, data: bytes) -> bytes:
        inflater = self._inflater
        assert inflater is not None
        try:
            self._count(inflater.decompress(data, _PIECE_BYTES))
            while not (inflater.eof or inflater.needs_input):
                self._count(inflater.decompress(b"", _PIECE_BYTES))
        except igzip_lib.IsalError:  # type: ignore[misc] # its stub gives a class as a value
            return self._stop(Verdict.CORRUPT)
        if not inflater.eof:
            return b""
        self._members += 1
        self._inflated_bytes += self._member_bytes
        self._member_bytes = 0
        self._inflater = None
        self._next_part = self._between_members
        return inflater.unused_data

    def _count(self, piece: bytes) -> None:
        self._member_bytes += len(piece)
        if not self._members and len(self._inflated_head) < HEAD_BYTES:
            self._inflated_head += piece[: HEAD_BYTES - len(self._inflated_head)]

    def _stop(self, fault: Verdict) -> bytes:
        self._fault = fault
        self._inflater = None
        return b""


def body_kind(head: bytes) -> BodyKind:
    """What a body is by its first bytes: a gateway's page in a success's place shows here."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    text = head.replace(b"\0", b"")  # UTF-16 as well
    text = text[_MARKS.match(text).end() :]  # type: ignore[union-attr] # it matches the empty text
    if _HTML.match(text):
        return "html"
    if _XML.match(text):
        return "xml"
    return "json" if _JSON.match(text) else "other"


def _header_length(held: bytes) -> int | None:
    """Length of the member header that ``held`` starts with, None when it goes on.

    Raises:
        ValueError: it is no header that RFC 1952 allows.
    """
    if len(held) > len(GZIP_MAGIC) and held[2] != _DEFLATE:
        raise ValueError("unknown compression method")
    if len(held) < _FIXED_HEADER_BYTES:
        return None
    flags = held[3]
    if flags & _RESERVED:
        raise ValueError("reserved flags")
    end = _FIXED_HEADER_BYTES
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(held[end : end + 2], "little")
    for _ in range(bool(flags & _FNAME) + bool(flags & _FCOMMENT)):
        end = held.find(b"\0", end) + 1 or len(held) + 1
    if flags & _FHCRC:
        end += 2
    if end > len(held):
        return None
    if flags & _FHCRC and zlib.crc32(held[: end - 2]) & 0xFFFF != int.from_bytes(held[end - 2 : end], "little"):
        raise ValueError("header CRC")
    return end
