"""A download host on a real socket, with every fault a CDN has, and a bench that downloads from it."""

import asyncio
import gzip
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractResolver

from logkeep.errors import FetchFailed
from logkeep.files.fetch import Downloader, FetchLimits
from logkeep.model import ListedFile, SignedUrl
from logkeep.store.local import LocalStore

SIGNATURE = "sig=s3cr3t%2Fs1gn4tur3"
TEMP = "12.part"
MIB = 1024 * 1024

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@cache
def log_file(size_bytes: int = 2000, seed: int = 1) -> bytes:
    """A gzip file of roughly so many bytes."""
    return gzip.compress(random.Random(seed).randbytes(size_bytes), 1, mtime=0)


def reply(body: bytes | str = b"", status: int = 200, **headers: str) -> Answer:
    """The same reply to every request; header names are written with underscores."""
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=data, status=status, headers=named)

    return answer


@dataclass
class Shelf:
    """Serves one object, with ranges as RFC 9110 says unless told otherwise.

    ``stops`` holds, per answer, after how many bytes of its body the connection breaks; ``stall`` lets it fall silent
    there instead.
    """

    content: bytes
    etag: str = '"v1"'
    modified: str = ""
    ranges: bool = True
    accept_ranges: str = ""
    honour_if_range: bool = True
    chunked: bool = False
    content_range: str = ""
    stops: list[int] = field(default_factory=list)
    stall: bool = False
    served_bytes: int = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        offered = {"ETag": self.etag, "Last-Modified": self.modified, "Accept-Ranges": self.accept_ranges}
        headers = {name: value for name, value in offered.items() if value}
        start = self._start(request)
        if start is not None and start >= len(self.content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.content)}"})
        if start is not None:
            total = len(self.content)
            headers["Content-Range"] = self.content_range or f"bytes {start}-{total - 1}/{total}"
        response = web.StreamResponse(status=200 if start is None else 206, headers=headers)
        body = self.content[start or 0 :]
        if self.chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        stop = self.stops.pop(0) if self.stops else len(body)
        for position in range(0, stop, 64 * 1024):
            piece = body[position : min(position + 64 * 1024, stop)]
            await response.write(piece)
            self.served_bytes += len(piece)
        if stop < len(body):
            if self.stall:
                await asyncio.Event().wait()
            assert request.transport is not None
            request.transport.close()
        return response

    def _start(self, request: web.BaseRequest) -> int | None:
        asked = request.headers.get("Range")
        if asked is None or not self.ranges:
            return None
        condition = request.headers.get("If-Range")
        if condition is not None and self.honour_if_range and condition not in (self.etag, self.modified):
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))


@dataclass
class Host:
    """``answers`` by path; ``asked`` keeps each request's target exactly as it came, ``headers`` its headers."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.headers.append(dict(request.headers))
        target = request.raw_path.split("?")[0]
        return await self.answers.get(target, self.answers.get("*", reply(status=404)))(request)

    def ranges(self) -> list[str]:
        return [headers.get("Range", "") for headers in self.headers]


@asynccontextmanager
async def serving() -> AsyncIterator[Host]:
    host = Host()
    runner = web.ServerRunner(web.Server(host.answer, handler_cancellation=True), shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield host
    finally:
        await runner.cleanup()


def limits(**changes: Any) -> FetchLimits:
    defaults: dict[str, Any] = {
        "max_file_size_bytes": 1 << 30,
        "idle_timeout": timedelta(seconds=20),
        "total_timeout": timedelta(seconds=60),
        "allow_http": True,
        "allow_private_addresses": True,
    }
    return FetchLimits(**{**defaults, **changes})


@dataclass
class Bench:
    """A host, a store and a downloader, all real."""

    host: Host
    store: LocalStore
    downloader: Downloader

    def file(self, answer: Answer | str = "/f.gz", *, size: int | None = None) -> ListedFile:
        """A row whose address leads to ``answer``, or to a path the host knows, or anywhere."""
        path = answer if isinstance(answer, str) else "/f.gz"
        if not isinstance(answer, str):
            self.host.answers[path] = answer
        url = f"{self.host.url}{path}" if path.startswith("/") else path
        return ListedFile("12", "202506201516.gz", size, None, SignedUrl(url if "?" in url else f"{url}?{SIGNATURE}"))

    async def failure(self, file: ListedFile, **hooks: Any) -> FetchFailed:
        """How fetching fails; whatever the failure prints must not hold the signature."""
        try:
            fetched = await self.downloader.fetch(file, TEMP, **hooks)
        except FetchFailed as exc:
            printed = "".join(traceback.format_exception(exc)) + repr(exc) + repr(vars(exc))
            assert "s3cr3t" not in printed
            return exc
        raise AssertionError(f"it was fetched: {fetched}")

    async def staged(self) -> bytes | None:
        """What lies in the staging area; None when nothing does."""
        if TEMP not in await self.store.staged_sizes():
            return None
        return b"".join([block async for block in self.store.staged(TEMP)])


@asynccontextmanager
async def bench(
    root: Path,
    *,
    proxy: str = "",
    resolver: AbstractResolver | None = None,
    store: type[LocalStore] = LocalStore,
    **bounds: Any,
) -> AsyncIterator[Bench]:
    kept = store(root, create=True, reserve_bytes=0)
    await kept.open()
    downloader = Downloader(kept, limits(**bounds), proxy=proxy, resolver=resolver)
    await downloader.open()
    try:
        async with serving() as host:
            try:
                yield Bench(host, kept, downloader)
            finally:
                await downloader.close()
    finally:
        await kept.close()
