"""What the tests of the vendor client share: a store of tokens in memory, and a small API server on a real socket."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from logkeep.model import TokenRecord
from logkeep.vendors.http import HttpLimits
from logkeep.vendors.lexiang.client import LexiangClient
from logkeep.vendors.pan123.client import Pan123Client
from logkeep.vendors.token import TokenStore

from manual_clock import ManualClock

NOW = datetime(2025, 6, 21, 1, 5, tzinfo=UTC)
SECRET = "f3c9-sEcReT-0123456789abcdef"
CLIENT_ID = "client-1f2e3d4c5b"
FAST = 20_000.0


class MemoryTokens:
    """The store's contract without a database. ``history`` names each change in order."""

    def __init__(self) -> None:
        self.records: dict[str, TokenRecord] = {}
        self.history: list[str] = []

    @property
    def only(self) -> TokenRecord:
        (record,) = self.records.values()
        return record

    async def load(self, credential: str) -> TokenRecord | None:
        return self.records.get(credential)

    async def claim_attempt(self, credential: str, *, now: datetime, seen: datetime | None) -> bool:
        record = self.records.get(credential, TokenRecord())
        if record.last_attempt_at != seen:
            return False
        self.records[credential] = replace(record, last_attempt_at=now)
        self.history.append("claim")
        return True

    async def save(self, credential: str, token: str, *, expires_at: datetime, issued_at: datetime) -> None:
        self.records[credential] = replace(
            self.records[credential],
            access_token=token,
            expires_at=expires_at,
            issued_at=issued_at,
            paused_until=None,
            pause_reason="",
        )
        self.history.append("save")

    async def refuse(
        self,
        credential: str,
        *,
        token: str | None,
        now: datetime,  # noqa: ARG002 - the contract's
        paused_until: datetime | None,
        reason: str,
        refusals: int,
    ) -> None:
        record = self.records.get(credential, TokenRecord())
        if token is not None and record.access_token != token:
            return
        kept = record.access_token if token is None else None
        self.records[credential] = replace(
            record, access_token=kept, paused_until=paused_until, pause_reason=reason, refusals=refusals
        )
        self.history.append("refuse")


Answer = Callable[[web.Request], Any]


@dataclass
class Desk:
    """An API server that counts, remembers what it was sent, and answers as the test says.

    ``listing`` and ``issuing`` are asked first; what they return is sent, None means the honest answer.
    """

    base_url: str = ""
    tokens_issued: int = 0
    listings: int = 0
    live: list[str] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str], dict[str, str], str]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    life: timedelta = timedelta(days=30)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    listing: Answer = lambda _request: None
    issuing: Answer = lambda _request: None

    async def token(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        self.tokens_issued += 1
        if (answer := self.issuing(request)) is not None:
            return await _made(answer)
        self.live = [*self.live, f"tok.{self.tokens_issued}.abcdefghijklmnop"][-3:]
        expires = (self.clock.now() + self.life).isoformat(timespec="seconds")
        return envelope(data={"accessToken": self.live[-1], "expiredAt": expires})

    async def list(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        self.listings += 1
        if (answer := self.listing(request)) is not None:
            return await _made(answer)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.live:
            return envelope(401, "tokens number has exceeded the limit")
        return envelope(data={"list": self.rows, "total": 0})

    async def _note(self, request: web.Request) -> None:
        self.seen.append((request.path, dict(request.query), dict(request.headers), await request.text()))


async def _made(answer: Any) -> web.StreamResponse:
    made: web.StreamResponse = await answer if hasattr(answer, "__await__") else answer
    return made


def envelope(code: int = 0, message: str = "ok", data: Any = None, **response: Any) -> web.Response:
    body = {"code": code, "message": message, "data": data, "x-traceID": "trace-7"}
    return web.json_response(body, **response)


@asynccontextmanager
async def desk(*, tls: ssl.SSLContext | None = None, **settings: Any) -> AsyncIterator[Desk]:
    made = Desk(**settings)
    routes = [
        web.post("/api/v1/access_token", made.token),
        web.get("/api/v1/direct-link/offline/logs", made.list),
    ]
    async with _served(routes, tls) as made.base_url:
        yield made


@asynccontextmanager
async def _served(routes: list[web.RouteDef], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server with these routes; gives its base URL."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def client(base_url: str, clock: ManualClock, store: TokenStore | None = None, **settings: Any) -> Pan123Client:
    access = {"account_name": "main", "client_id": CLIENT_ID, "client_secret": SecretStr(SECRET)}
    return Pan123Client(**(_common(base_url, clock, store) | access | settings))


def _common(base_url: str, clock: ManualClock, store: TokenStore | None) -> dict[str, Any]:
    return {
        "base_url": base_url,
        "token_store": store or MemoryTokens(),
        "clock": clock,
        "rng": Random(1),
        "requests_per_second": FAST,
        "allow_http": True,
        "allow_private_addresses": True,
        "limits": HttpLimits(connect_s=2, read_s=2, total_s=5),
    }


@dataclass
class LexiangDesk:
    """The same for Lexiang. ``asked_at`` is when each token call came in, by the desk's clock."""

    base_url: str = ""
    listings: int = 0
    live: set[str] = field(default_factory=set)
    asked_at: list[datetime] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str], dict[str, str], str]] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=lambda: {"data": [], "links": {"next": None}, "meta": {}})
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    listing: Answer = lambda _request: None
    issuing: Answer = lambda _request: None

    @property
    def tokens_asked(self) -> int:
        return len(self.asked_at)

    async def token(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        self.asked_at.append(self.clock.now())
        if (answer := self.issuing(request)) is not None:
            return await _made(answer)
        token = f"lx-tok.{self.tokens_asked}.abcdefghijklmnop"
        self.live.add(token)
        return web.json_response({"token_type": "Bearer", "expires_in": 7200, "access_token": token})

    async def logs(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        self.listings += 1
        if (answer := self.listing(request)) is not None:
            return await _made(answer)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.live:
            return web.json_response({"errors": {"detail": "Unauthenticated."}}, status=401)
        return web.json_response(self.document)

    async def _note(self, request: web.Request) -> None:
        self.seen.append((request.path_qs, dict(request.query), dict(request.headers), await request.text()))


@asynccontextmanager
async def lexiang_desk(**settings: Any) -> AsyncIterator[LexiangDesk]:
    made = LexiangDesk(**settings)
    routes = [
        web.post("/cgi-bin/token", made.token),
        web.get("/cgi-bin/v1/download-logs", made.logs),
    ]
    async with _served(routes) as made.base_url:
        yield made


def lexiang_client(
    base_url: str, clock: ManualClock, store: TokenStore | None = None, **settings: Any
) -> LexiangClient:
    access = {"account_name": "hq", "app_key": CLIENT_ID, "app_secret": SecretStr(SECRET)}
    return LexiangClient(**(_common(base_url, clock, store) | access | settings))
