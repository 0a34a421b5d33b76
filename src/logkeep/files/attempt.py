"""One attempt at one file: from the host's answers to verified bytes in the staging area.

An attempt may take several answers. When a connection breaks after it was worth something, the next answer goes on
by Range where the last one ended, and a partial from an earlier attempt is hashed again and continued likewise. Bytes
joined from several answers that turn out not to be whole gzip are dropped, and the file is asked for once more in one
piece, because the joint may be what is wrong. An answer is judged before it replaces anything: a gateway's page in
reply to a Range costs nothing of what is staged.

In flight are at most one block being hashed and written, one being gathered, and what aiohttp holds back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from logkeep.errors import FetchFailed, NextStep, StorageError
from logkeep.files import http_answer
from logkeep.files.download_http import Body, DownloadHttp, FetchLimits
from logkeep.files.http_answer import Offer, Partial
from logkeep.files.inspect import Inspection, Inspector, Verdict
from logkeep.model import ListedFile, StagedFile
from logkeep.store.port import Sink, Store

RESUME_MIN_BYTES = 8 * 1024 * 1024

_BLOCK_BYTES = 256 * 1024  # a hop to a thread costs about as much as hashing this
_INLINE_BYTES = 64 * 1024
_WORTH_BYTES = 256 * 1024
_CONTINUATIONS = 5
_ADMIT_AHEAD_BYTES = 8 * 1024 * 1024
_BREAKS = frozenset({"truncated", "stalled"})
_WORDS = {
    Verdict.EMPTY_BODY: "not_gzip",
    Verdict.NOT_GZIP: "not_gzip",
    Verdict.TRUNCATED: "truncated_gzip",
    Verdict.CORRUPT: "corrupt_gzip",
    Verdict.TRAILING_JUNK: "trailing_junk",
}

log = structlog.stdlib.get_logger("logkeep.files")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file whose bytes came complete.

    ``disagreement`` is None when everything agrees; else one of ``not_gzip``, ``truncated_gzip``, ``corrupt_gzip``,
    ``trailing_junk``, ``size_differs``: the host sent all that its Content-Length promised, and yet the listed size or
    gzip disagree. ``staged.flags`` then holds ``size_differs``, ``not_gzip`` (for every gzip word), or both.
    """

    staged: StagedFile
    promised_bytes: int | None
    disagreement: str | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller wants to hear; see ``Downloader.fetch``."""

    progress: Callable[[int], None] | None = None
    on_partial: Callable[[Partial], Awaitable[None]] | None = None
    admit: Callable[[int], Awaitable[None]] | None = None


class Attempt:
    """Used once: ``admit_listed``, then ``run``; when that raises, ``partial`` tells what is worth keeping."""

    def __init__(
        self, http: DownloadHttp, store: Store, limits: FetchLimits, file: ListedFile, temp_name: str, hooks: Hooks
    ) -> None:
        self._http = http
        self._store = store
        self._limits = limits
        self._file = file
        self._temp_name = temp_name
        self._hooks = hooks
        self._inspector = Inspector()
        self._offer: Offer | None = None
        self._where = file.url.redacted
        self._staged_bytes = 0
        self._answer_bytes = 0
        self._admitted_bytes = 0
        self._continuations_left = _CONTINUATIONS
        self._joined = False
        self._announced = False
        self._spoilt = False

    def partial(self) -> Partial | None:
        """What a later attempt can go on from; None when what is staged is too little, or known to be no good."""
        kept = self._rest()
        return None if self._spoilt or kept is None or kept.size_bytes < RESUME_MIN_BYTES else kept

    async def admit_listed(self) -> None:
        """Ask for the room that the listing says the file takes; nothing staged is touched yet."""
        if self._file.size_bytes is not None and self._file.size_bytes <= self._limits.max_file_size_bytes:
            await self._admit(self._file.size_bytes)

    async def run(self, partial: Partial | None) -> Fetched:
        """Fetch and verify.

        Raises:
            FetchFailed: it did not arrive, or cannot be what was promised.
            StorageError: it could not be kept.
        """
        self._check_size(self._file.size_bytes)
        if partial is not None:
            await self._restore(partial)
        await self._download()
        found = self._inspector.finish()
        if self._joined and found.verdict is not Verdict.WHOLE:
            log.info("download_restarted", file_id=self._file.file_id, reason=found.verdict.value)
            self._forget()
            self._continuations_left = 0
            await self._download()
            found = self._inspector.finish()
        return self._conclude(found)

    async def _restore(self, partial: Partial) -> None:
        """Hash staged bytes of an earlier attempt again, at most as many as it vouches for."""
        lacking = partial.size_bytes
        try:
            async for block in self._store.staged(self._temp_name):
                kept = block[:lacking]
                lacking -= len(kept)
                await asyncio.to_thread(self._inspector.feed, kept)
        except StorageError as exc:
            log.info("download_restarted", file_id=self._file.file_id, reason="partial_unreadable", error=str(exc))
            self._forget()
            return
        self._staged_bytes = self._inspector.size_bytes
        self._offer = Offer(start=0, total_bytes=partial.total_bytes, validator=partial.validator, ranges=True)
        self._joined = self._announced = True
        if partial.total_bytes is not None and self._staged_bytes > partial.total_bytes:
            self._forget()
            return
        log.info("download_resumed", file_id=self._file.file_id, kept_bytes=self._staged_bytes)

    async def _download(self) -> None:
        """Take answers until the bytes are complete; what is complete already takes none."""
        complete = self._offer is not None and self._staged_bytes == self._offer.total_bytes
        while not complete:
            self._answer_bytes = 0
            try:
                await self._take_answer()
                complete = True
            except FetchFailed as broken:
                worth = self._answer_bytes >= _WORTH_BYTES and self._rest() is not None
                if broken.reason not in _BREAKS or not worth or not self._continuations_left:
                    raise
                self._continuations_left -= 1
                log.debug(
                    "download_continued",
                    file_id=self._file.file_id,
                    kept_bytes=self._staged_bytes,
                    reason=broken.reason,
                )

    async def _take_answer(self) -> None:
        async with self._http.get(self._file.url, resume=self._rest()) as body:
            self._where = body.where
            block = await body.read(_BLOCK_BYTES)
            offer = self._accept(body, block)
            await self._admit(offer.total_bytes or 0)
            async with self._store.stage(self._temp_name, keep_bytes=offer.start) as sink:
                try:
                    while block:
                        await self._take(sink, block)
                        block = await body.read(_BLOCK_BYTES)
                finally:
                    self._staged_bytes = sink.size_bytes
        if offer.total_bytes is not None and self._staged_bytes != offer.total_bytes:
            facts = f"{self._staged_bytes} of {offer.total_bytes} bytes from {self._where}"
            raise FetchFailed("truncated", facts, step=NextStep.RETRY)

    def _accept(self, body: Body, block: bytes) -> Offer:
        """Judge an answer by its headers and first bytes; only then does it replace or continue what is staged."""
        offer = body.offer
        self._check_size(offer.total_bytes)
        if offer.start:
            self._joined = True
            earlier = self._offer.validator if self._offer else ""
            self._offer = replace(offer, validator=earlier or offer.validator)
            return self._offer
        page = http_answer.page_in_place_of_file(block, body.where)
        if page is not None:
            raise page
        if not block and offer.total_bytes != 0:
            raise FetchFailed("empty_body", f"a success without a body from {body.where}", step=NextStep.RETRY)
        self._forget()
        self._offer = offer
        return offer

    async def _take(self, sink: Sink, block: bytes) -> None:
        """Hash, inflate and write one block; large ones in a thread, while the write goes on in another."""
        size_bytes = sink.size_bytes + len(block)
        self._check_size(size_bytes)
        if size_bytes > self._admitted_bytes:
            await self._admit(size_bytes + _ADMIT_AHEAD_BYTES)
        if len(block) <= _INLINE_BYTES:
            self._inspector.feed(block)
            await sink.write(block)
        else:
            hashing = asyncio.get_running_loop().run_in_executor(None, self._inspector.feed, block)
            try:
                await sink.write(block)
            finally:
                await hashing
        self._staged_bytes = sink.size_bytes
        self._answer_bytes += len(block)
        if self._hooks.progress is not None:
            self._hooks.progress(self._staged_bytes)
        await self._announce()

    async def _announce(self) -> None:
        kept = None if self._announced or self._hooks.on_partial is None else self.partial()
        if kept is not None and self._hooks.on_partial is not None:
            self._announced = True
            await self._hooks.on_partial(kept)

    async def _admit(self, size_bytes: int) -> None:
        if size_bytes > self._admitted_bytes:
            self._admitted_bytes = size_bytes
            if self._hooks.admit is not None:
                await self._hooks.admit(size_bytes)

    def _check_size(self, size_bytes: int | None) -> None:
        limit = self._limits.max_file_size_bytes
        if size_bytes is not None and size_bytes > limit:
            self._spoilt = True
            raise FetchFailed("too_large", f"{size_bytes} bytes, the limit is {limit}", step=NextStep.GIVE_UP)

    def _rest(self) -> Partial | None:
        """What the next answer could go on from, however little it is."""
        offer = self._offer
        if offer is None or not offer.ranges or not self._staged_bytes:
            return None
        return Partial(self._temp_name, self._staged_bytes, offer.validator, offer.total_bytes)

    def _forget(self) -> None:
        """Begin at byte 0 again; the next answer's first block overwrites what is staged."""
        self._inspector = Inspector()
        self._offer = None
        self._staged_bytes = 0
        self._joined = self._announced = False

    def _conclude(self, found: Inspection) -> Fetched:
        assert self._offer is not None
        page = http_answer.compressed_page(self._offer, found, self._where)
        word = disagreement(found, self._file.size_bytes)
        promised = self._offer.total_bytes
        if page is not None or (word is not None and promised is None):
            self._spoilt = True
            facts = f"{found.size_bytes} bytes without a Content-Length, gzip {found.verdict.value}, from {self._where}"
            raise page or FetchFailed(word or "", facts, step=NextStep.RETRY)
        flags = [
            *(["size_differs"] if self._file.size_bytes not in (None, found.size_bytes) else []),
            *(["not_gzip"] if found.verdict is not Verdict.WHOLE else []),
        ]
        staged = StagedFile(self._file.file_id, self._temp_name, found.size_bytes, found.sha256, tuple(flags))
        return Fetched(staged, promised, word)


def disagreement(found: Inspection, listed_bytes: int | None) -> str | None:
    """In what complete bytes disagree with gzip, or else with the listed size; None when they do not."""
    if found.verdict is not Verdict.WHOLE:
        return _WORDS[found.verdict]
    return None if listed_bytes in (None, found.size_bytes) else "size_differs"
