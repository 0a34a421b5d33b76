"""What the simulated servers saw: every request, how it ended, what was wrong with it."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

KEPT_REQUESTS = 50_000
KEPT_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Content-Type",
    "Cookie",
    "Host",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Platform",
    "Range",
    "Referer",
    "User-Agent",
)


@dataclass(slots=True, eq=False)
class Request:
    """One request. ``kind`` is token, list, logs, download, user, traffic or other.

    ``status`` is the HTTP status sent, None while the answer is being made or when the connection was cut before it.
    ``code`` is the envelope's code where an honest envelope was made. ``fault`` names what was injected.
    """

    kind: str
    method: str
    at: datetime
    headers: Mapping[str, str]
    params: dict[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    file_id: int | str | None = None
    hop: str | None = None
    fault: str | None = None
    status: int | None = None
    code: int | None = None
    sent_bytes: int = 0

    @property
    def page(self) -> int | None:
        """The page asked for, where one was."""
        try:
            return int(self.params["page"] if "page" in self.params else self.params["pageNum"])
        except (KeyError, TypeError, ValueError):
            return None


class Witness:
    """The record of all requests; the newest 50,000 are kept whole, the counters count all."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque(maxlen=KEPT_REQUESTS)
        self._counts: Counter[str] = Counter()
        self._in_flight: Counter[str] = Counter()
        self._peaks: Counter[str] = Counter()
        self._arrival = asyncio.Event()
        self.violations: list[str] = []

    @contextmanager
    def watch(self, request: Request) -> Iterator[Request]:
        """Count a request and keep it in flight for as long as the context lasts."""
        self._requests.append(request)
        self._counts[request.kind] += 1
        self._arrival.set()
        self._arrival = asyncio.Event()
        self._in_flight[request.kind] += 1
        self._peaks[request.kind] = max(self._peaks[request.kind], self._in_flight[request.kind])
        try:
            yield request
        finally:
            self._in_flight[request.kind] -= 1

    def violation(self, text: str) -> None:
        """Note something that no client may ever do."""
        self.violations.append(text)

    def requests(self, kind: str | None = None) -> list[Request]:
        """The kept requests, oldest first."""
        return [request for request in self._requests if kind in (None, request.kind)]

    def count(self, kind: str | None = None) -> int:
        """How many requests of a kind came since the start or the last reset."""
        return sum(self._counts.values()) if kind is None else self._counts[kind]

    async def until(self, kind: str, count: int) -> None:
        """Wait until so many requests of a kind have come since the start or the last reset."""
        while self._counts[kind] < count:
            await self._arrival.wait()

    def peak(self, kind: str) -> int:
        """The most requests of a kind that were ever in flight together."""
        return self._peaks[kind]

    def reset(self) -> None:
        """Forget everything seen; requests in flight stay counted as such."""
        self._requests.clear()
        self._counts.clear()
        self._peaks.clear()
        self.violations.clear()
