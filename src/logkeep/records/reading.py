"""Reading a segment back as a stream, and finding out whether it is what the catalog says.

Memory is flat: a block of the file and a piece of its text, however long the segment. What is wrong is not raised but
told when the reading is over, like everything that is found in an archived object.
"""

import hashlib
from collections.abc import AsyncIterator
from functools import partial

from isal import igzip_lib

from logkeep.catalog.records import SegmentIntent, SegmentRecord
from logkeep.store.blocking import in_thread
from logkeep.store.port import Readable

PIECE_BYTES = 256 * 1024
_SLICE_BYTES = 128 * 1024


class SegmentReader:
    """One reading of one segment; use each once.

    ``damage`` is empty, or says in a few words what is wrong; it is known when ``pieces`` or ``lines`` has ended.
    """

    def __init__(self, store: Readable, expected: SegmentRecord | SegmentIntent) -> None:
        self.damage = ""
        self.records = 0
        self._store = store
        self._expected = expected
        self._sha256 = hashlib.sha256()
        self._inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        self._last = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The segment's text in pieces of at most 256 KiB, up to where it is unreadable.

        Raises:
            StorageError: the file cannot be read, or there is none.
        """
        async for block in self._store.read(self._expected.path):
            self._sha256.update(block)
            for start in range(0, len(block), _SLICE_BYTES):
                data = block[start : start + _SLICE_BYTES]
                while piece := await self._inflated(data):
                    data = b""  # the inflater has taken it and gives the rest of its text
                    self.records += piece.count(b"\n")
                    self._last = piece[-1:]
                    yield piece
        self.damage = self._damage()

    async def lines(self) -> AsyncIterator[bytes]:
        """The segment's lines, each with its line feed; a last one without is left out.

        Raises:
            StorageError: the file cannot be read, or there is none.
        """
        rest = b""
        async for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            for text in whole:
                yield text + b"\n"

    async def _inflated(self, data: bytes) -> bytes:
        if self.damage or self._inflater.eof or (not data and self._inflater.needs_input):
            return b""
        try:
            return await in_thread(partial(self._inflater.decompress, data, PIECE_BYTES))
        except igzip_lib.IsalError as error:  # type: ignore[misc] # its stub gives a class as a value
            self.damage = f"not readable as gzip: {error}"
            return b""

    def _damage(self) -> str:
        expected = self._expected
        if self._sha256.hexdigest() != expected.sha256:
            return "its digest is not the recorded one"
        if self.damage:
            return self.damage
        if not self._inflater.eof or self._inflater.unused_data:
            return "it is not one whole gzip member"
        if self._last != b"\n":
            return "its last line does not end"
        if self.records != expected.records:
            return f"it has {self.records} lines where {expected.records} are recorded"
        return ""
