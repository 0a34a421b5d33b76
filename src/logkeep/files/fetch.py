"""Streams one listed file to the staging area and proves it whole; the caller decides when to try again.

One call is one attempt. What stays behind when it ends is definite: after success the staged file; after a failure
that a later attempt can continue (``FetchInterrupted``, or a cancellation once ``on_partial`` was called) the staged
part; otherwise nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp.abc import AbstractResolver

from logkeep.errors import FetchFailed, NextStep, StorageError
from logkeep.files.attempt import RESUME_MIN_BYTES, Attempt, Fetched, Hooks
from logkeep.files.download_http import DownloadHttp, FetchLimits
from logkeep.files.http_answer import Partial
from logkeep.model import ListedFile
from logkeep.store.port import Store

__all__ = ["RESUME_MIN_BYTES", "Downloader", "FetchInterrupted", "FetchLimits", "Fetched", "Partial"]

log = structlog.stdlib.get_logger("logkeep.files")


class FetchInterrupted(FetchFailed):
    """A failure that left ``partial`` staged: the next attempt at the same object continues from there."""

    def __init__(self, failure: FetchFailed, partial: Partial) -> None:
        self.partial = partial
        super().__init__(
            failure.reason,
            str(failure).removeprefix(f"{failure.reason}: "),
            step=failure.step,
            code=failure.code,
            retry_after_s=failure.retry_after_s,
        )


class Downloader:
    """Fetches files concurrently over one connection pool; safe to call from many tasks of one loop.

    Behind ``proxy`` the proxy resolves names, so only literal addresses are checked then. ``resolver`` looks names up
    in the system's place; what it finds is judged all the same.
    """

    def __init__(
        self,
        store: Store,
        limits: FetchLimits,
        *,
        proxy: str = "",
        user_agent: str = "logkeep",
        concurrency: int = 16,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._http = DownloadHttp(
            limits, proxy=proxy, user_agent=user_agent, concurrency=concurrency, resolver=resolver
        )

    async def open(self) -> None:
        """Make the connection pool."""
        await self._http.open()

    async def close(self) -> None:
        """Close the connection pool; running fetches fail."""
        await self._http.close()

    async def fetch(
        self,
        file: ListedFile,
        temp_name: str,
        *,
        partial: Partial | None = None,
        progress: Callable[[int], None] | None = None,
        on_partial: Callable[[Partial], Awaitable[None]] | None = None,
        admit: Callable[[int], Awaitable[None]] | None = None,
    ) -> Fetched:
        """Try once to bring ``file`` into the staging area under ``temp_name``.

        Args:
            file: what to fetch, with an address that is still fresh.
            temp_name: where it is staged; whatever lies there is replaced, unless ``partial`` continues it.
            partial: what an earlier attempt left staged. After a restart its ``size_bytes`` is the size found on disk.
            progress: told how many bytes are staged; falls back when the file begins anew.
            on_partial: called once the stream passes 8 MiB, to be recorded: from then on a restart can resume.
            admit: told how many bytes the file takes in all, before they are written, and again should it be more.

        Raises:
            FetchFailed: with the reason and the next step; ``FetchInterrupted`` when a part stays staged.
            StorageFull: no room, or ``admit`` said so. Only an ``admit`` before the first request leaves a partial be.
            StorageError: the store failed.
        """
        attempt = Attempt(self._http, self._store, self._limits, file, temp_name, Hooks(progress, on_partial, admit))
        await attempt.admit_listed()
        try:
            return await self._in_time(attempt, partial)
        except FetchFailed as exc:
            kept = await self._settle(attempt, temp_name)
            if kept is None:
                raise
            failure = FetchInterrupted(exc, kept)
        except StorageError:
            await self._discard(temp_name)
            raise
        except BaseException:
            await self._settle(attempt, temp_name)
            raise
        raise failure

    async def _in_time(self, attempt: Attempt, partial: Partial | None) -> Fetched:
        limit_s = self._limits.total_timeout.total_seconds()
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                return await attempt.run(partial)
        except TimeoutError:
            if not deadline.expired():
                raise
        raise FetchFailed("too_slow", f"not complete within {limit_s:g} s", step=NextStep.RETRY)

    async def _settle(self, attempt: Attempt, temp_name: str) -> Partial | None:
        kept = attempt.partial()
        if kept is None:
            await self._discard(temp_name)
        return kept

    async def _discard(self, temp_name: str) -> None:
        """Clean up although cancelled; the failure that led here matters more than one in here."""
        try:
            await asyncio.shield(self._store.discard(temp_name))
        except StorageError as exc:
            log.warning("staged_discard_failed", temp_name=temp_name, error=str(exc))
