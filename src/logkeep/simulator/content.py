"""What a simulated file consists of: bytes that may be held, generated on the fly, or spoilt, always read in windows.

A gigabyte is never in memory: ``pieces`` reads at most ``PIECE_BYTES`` at a time. Every content is deterministic, so a
digest taken before a download is the truth about it.
"""

import gzip
import hashlib
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from random import Random

PIECE_BYTES = 256 * 1024
MEMBER_BYTES = 1024 * 1024
SMALLEST_EXACT_BYTES = 23
_LARGE_BYTES = 8 * MEMBER_BYTES
_BLOCK_BYTES = 65_535
_HEADER_BYTES = 10
_EMPTY_SHARE = 0.05
_MULTI_MEMBER_SHARE = 0.15
_FOREIGN_SHARE = 0.1


class Content(ABC):
    """An immutable run of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def identity(self) -> str:
        """Cheap text that differs whenever the bytes do; never needs a pass over a large content."""

    @abstractmethod
    def _window(self, start: int, stop: int) -> bytes: ...

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of ``[start, stop)``, cut to what exists; meant for windows of ``PIECE_BYTES``."""
        start, stop = max(start, 0), min(stop, self.size)
        return self._window(start, stop) if start < stop else b""

    def pieces(self, start: int = 0, stop: int | None = None, *, at_most: int = PIECE_BYTES) -> Iterator[bytes]:
        """The bytes of ``[start, stop)`` in order, in windows of ``at_most`` bytes."""
        end = self.size if stop is None else min(stop, self.size)
        for offset in range(start, end, at_most):
            yield self.read(offset, min(offset + at_most, end))

    @cached_property
    def etag(self) -> str:
        """A strong validator, with its quotes."""
        return f'"{hashlib.sha256(self.identity().encode()).hexdigest()[:32]}"'

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def sha256(self) -> str:
        """Hexadecimal digest, computed once by streaming: seconds of CPU time for a gigabyte."""
        return self._digest


class Held(Content):
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.data = data

    def identity(self) -> str:
        """The digest."""
        return self.sha256()

    def _window(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]


class Stamped(Content):
    """A huge valid gzip file: members of exactly 1 MiB, then one that fills up to ``size`` exactly.

    Members share their payload, but each carries its number in the header's time stamp, which no checksum covers: so
    making them costs nothing, and a download that drops, repeats or swaps members has another digest.
    """

    def __init__(self, size: int, seed: str) -> None:
        if size < MEMBER_BYTES + SMALLEST_EXACT_BYTES:
            raise ValueError(f"a stamped content has more than one member; {size} bytes are too few")
        super().__init__(size)
        self._seed = seed
        self._tail_start = (size // MEMBER_BYTES - 1) * MEMBER_BYTES
        self._body = exact_gzip(MEMBER_BYTES, Random(f"{seed}|body"))[_HEADER_BYTES:]
        self._tail = exact_gzip(size - self._tail_start, Random(f"{seed}|tail"))

    def identity(self) -> str:
        """Seed and size tell all."""
        return f"stamped|{self._seed}|{self.size}"

    def _window(self, start: int, stop: int) -> bytes:
        taken: list[bytes] = []
        while start < min(stop, self._tail_start):
            number, offset = divmod(start, MEMBER_BYTES)
            end = min(stop - number * MEMBER_BYTES, MEMBER_BYTES)
            taken.append(_header(number + 1)[offset:end])
            taken.append(self._body[max(offset - _HEADER_BYTES, 0) : max(end - _HEADER_BYTES, 0)])
            start = number * MEMBER_BYTES + end
        if start < stop:
            taken.append(self._tail[start - self._tail_start : stop - self._tail_start])
        return b"".join(taken)


class Joined(Content):
    """Contents one after the other."""

    def __init__(self, *parts: Content) -> None:
        super().__init__(sum(part.size for part in parts))
        self.parts = parts

    def identity(self) -> str:
        """All parts'."""
        return "joined|" + "|".join(part.identity() for part in self.parts)

    def _window(self, start: int, stop: int) -> bytes:
        taken: list[bytes] = []
        for part in self.parts:
            taken.append(part.read(start, stop))
            start, stop = start - part.size, stop - part.size
        return b"".join(taken)


class Flipped(Content):
    """The same bytes but for the lowest bit of the one at ``at``."""

    def __init__(self, inner: Content, at: int) -> None:
        super().__init__(inner.size)
        self.inner = inner
        self.at = at

    def identity(self) -> str:
        """The inner one's and the place."""
        return f"flipped|{self.at}|{self.inner.identity()}"

    def _window(self, start: int, stop: int) -> bytes:
        data = self.inner.read(start, stop)
        if not start <= self.at < stop:
            return data
        spoilt = bytearray(data)
        spoilt[self.at - start] ^= 1
        return bytes(spoilt)


class Cut(Content):
    """The first ``size`` bytes of another content."""

    def __init__(self, inner: Content, size: int) -> None:
        super().__init__(max(0, min(size, inner.size)))
        self.inner = inner

    def identity(self) -> str:
        """The inner one's and the size."""
        return f"cut|{self.size}|{self.inner.identity()}"

    def _window(self, start: int, stop: int) -> bytes:
        return self.inner.read(start, stop)


def as_content(content: bytes | Content) -> Content:
    """Bytes become held content; content stays itself."""
    return Held(content) if isinstance(content, bytes) else content


def sized_content(size: int, seed: str) -> Content:
    """Valid gzip of exactly ``size`` bytes; from 8 MiB on it is generated while it is read.

    Raises:
        ValueError: no such gzip file exists here below 23 bytes.
    """
    return Stamped(size, seed) if size >= _LARGE_BYTES else Held(exact_gzip(size, Random(seed)))


def exact_gzip(size: int, rng: Random) -> bytes:
    """One gzip member of exactly ``size`` bytes: stored blocks of random payload.

    Raises:
        ValueError: fewer than 23 bytes.
    """
    if size < SMALLEST_EXACT_BYTES:
        raise ValueError(f"no gzip member of {size} bytes with a stored block; the smallest has {SMALLEST_EXACT_BYTES}")
    blocks = -(-(size - 18) // (_BLOCK_BYTES + 5))
    payload = rng.randbytes(size - 18 - 5 * blocks)
    out = [_header(0)]
    for number in range(blocks):
        block = payload[number * _BLOCK_BYTES : (number + 1) * _BLOCK_BYTES]
        out.append(struct.pack("<BHH", number == blocks - 1, len(block), len(block) ^ 0xFFFF) + block)
    out.append(struct.pack("<II", zlib.crc32(payload), len(payload) & 0xFFFFFFFF))
    return b"".join(out)


def _header(stamp: int) -> bytes:
    return struct.pack("<4sIBB", b"\x1f\x8b\x08\x00", stamp, 0, 255)


def log_gzip(rng: Random, size_range: tuple[int, int]) -> bytes:
    """A small gzip file as the vendor may write it: one member, several, or one with no content at all.

    ``size_range`` bounds the uncompressed bytes. The lines' format is invented (the vendor's is not public) and not
    always UTF-8.
    """
    draw = rng.random()
    if draw < _EMPTY_SHARE:
        return gzip.compress(b"", mtime=0)
    text = _lines(rng, rng.randint(*size_range))
    if draw < _EMPTY_SHARE + _MULTI_MEMBER_SHARE:
        cut = rng.randint(0, len(text))
        return gzip.compress(text[:cut], mtime=0) + gzip.compress(text[cut:], mtime=0)
    return gzip.compress(text, mtime=0)


def _lines(rng: Random, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        encoding = "gbk" if rng.random() < _FOREIGN_SHARE else "utf-8"
        line = (
            f"{rng.randrange(1 << 32):08x} 198.51.100.{rng.randrange(256)} GET /直链/{rng.randrange(10_000)}.zip "
            f"{rng.choice((200, 206, 304, 403))} {rng.randrange(1 << 24)}\n"
        )
        out += line.encode(encoding)
    return bytes(out[:size])
