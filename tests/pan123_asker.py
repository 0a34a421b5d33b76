"""The plainest client of the simulated 123pan: one method a request, nothing retried, nothing hidden."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from logkeep.simulator import Account, OfferedFile, Pan123Cloud

NOON = datetime(2025, 6, 21, 4, tzinfo=UTC)
"""2025-06-21 12:00 in China: all of 2025-06-20 is closed."""
DAY = ("2025062000", "2025062100")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed when asked for."""
        return json.loads(self.body)


class Asker:
    """Asks one cloud as one account."""

    def __init__(self, cloud: Pan123Cloud, account: Account, session: aiohttp.ClientSession) -> None:
        self.cloud = cloud
        self.account = account
        self.session = session

    async def send(self, method: str, url: str, **how: Any) -> Answer:
        """One request, its URL untouched, redirects not followed."""
        target = URL(url, encoded=True)
        async with self.session.request(method, target, allow_redirects=False, **how) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def token(self, *, secret: str | None = None, **how: Any) -> Answer:
        credentials = {"clientID": self.account.client_id, "clientSecret": secret or self.account.client_secret}
        how.setdefault("headers", {"Platform": "open_platform"})
        return await self.send("POST", f"{self.cloud.base_url}/api/v1/access_token", json=credentials, **how)

    async def headers(self) -> dict[str, str]:
        """Headers with a live token; asks for one only where the account has none."""
        live = self.account.tokens.live(self.cloud.now())
        text = live[-1].text if live else (await self.token()).json["data"]["accessToken"]
        return {"Platform": "open_platform", "Authorization": f"Bearer {text}"}

    async def listing(
        self, start: str = DAY[0], end: str = DAY[1], page: object = 1, size: object = 100, **how: Any
    ) -> Answer:
        params = {"startHour": start, "endHour": end, "pageNum": str(page), "pageSize": str(size)}
        if "headers" not in how:
            how["headers"] = await self.headers()
        how.setdefault("params", params)
        return await self.send("GET", f"{self.cloud.base_url}/api/v1/direct-link/offline/logs", **how)

    async def rows(
        self, start: str = DAY[0], end: str = DAY[1], page: object = 1, size: object = 100
    ) -> list[dict[str, Any]]:
        answer = await self.listing(start, end, page, size)
        assert answer.json["code"] == 0, answer.json
        rows: list[dict[str, Any]] = answer.json["data"]["list"]
        return rows

    async def ids(self, start: str = DAY[0], end: str = DAY[1], page: object = 1, size: object = 100) -> list[object]:
        return [row["id"] for row in await self.rows(start, end, page, size)]

    async def url(self, file: OfferedFile) -> str:
        """A fresh download address of a file."""
        hour = file.hour_name
        rows = await self.rows(hour, f"{int(hour[:8])}23" if hour[8:] != "23" else hour)
        return next(str(row["downloadURL"]) for row in rows if str(row["id"]) == str(file.file_id))

    async def download(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET", **how: Any
    ) -> Answer:
        return await self.send(method, url, headers={"Accept-Encoding": "identity", **(headers or {})}, **how)

    async def fetch(self, file: OfferedFile, headers: Mapping[str, str] | None = None) -> Answer:
        """A file by a fresh address."""
        return await self.download(await self.url(file), headers)


@asynccontextmanager
async def asking(cloud: Pan123Cloud, *, timeout_s: float = 30.0, **account: Any) -> AsyncIterator[Asker]:
    """A started cloud with one account, and someone to ask it."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with cloud, aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        session._retry_connection = False  # aiohttp repeats a GET by itself once when the connection breaks
        yield Asker(cloud, cloud.add_account(**account), session)


def frozen_cloud(**quirks: Any) -> Pan123Cloud:
    """A cloud whose clock stands at ``NOON`` unless told otherwise."""
    quirks.setdefault("now", lambda: NOON)
    return Pan123Cloud(**quirks)


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
