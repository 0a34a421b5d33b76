"""The plainest client of the simulated Lexiang: one method a request, nothing retried, nothing hidden."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp

from logkeep.simulator import LexiangAccount, LexiangCloud
from pan123_asker import Answer

NOON = datetime(2025, 6, 21, 4, tzinfo=UTC)
"""2025-06-21 12:00 in China."""


class Asker:
    """Asks one cloud as one account."""

    def __init__(self, cloud: LexiangCloud, account: LexiangAccount, session: aiohttp.ClientSession) -> None:
        self.cloud = cloud
        self.account = account
        self.session = session

    async def send(self, method: str, path: str, **how: Any) -> Answer:
        """One request, redirects not followed."""
        async with self.session.request(method, self.cloud.base_url + path, allow_redirects=False, **how) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def token(self, *, changed: dict[str, Any] | None = None, **how: Any) -> Answer:
        """A token call; ``changed`` replaces fields of its body, None removes one."""
        body = {
            "grant_type": "client_credentials",
            "app_key": self.account.app_key,
            "app_secret": self.account.app_secret,
        } | (changed or {})
        how.setdefault("json", {key: value for key, value in body.items() if value is not None})
        return await self.send("POST", "/cgi-bin/token", **how)

    async def headers(self) -> dict[str, str]:
        """Headers with a live token; asks for one only where the account has none."""
        live = self.account.tokens.live(self.cloud.now())
        text = live[-1].text if live else (await self.token()).json["access_token"]
        return {"Authorization": f"Bearer {text}"}

    async def logs(
        self, page: object = 1, per_page: object = 100, include: str | None = "target,owner", **how: Any
    ) -> Answer:
        params = {"per_page": per_page, "page": page, "include": include}
        how.setdefault("params", {key: str(value) for key, value in params.items() if value is not None})
        if "headers" not in how:
            how["headers"] = await self.headers()
        return await self.send("GET", "/cgi-bin/v1/download-logs", **how)

    async def document(self, page: object = 1, per_page: object = 100, include: str | None = "target,owner") -> Any:
        answer = await self.logs(page, per_page, include)
        assert answer.status == 200, answer.body
        return answer.json

    async def ids(self, page: object = 1, per_page: object = 100) -> list[Any]:
        return [row["id"] for row in (await self.document(page, per_page))["data"]]

    async def walk(self, per_page: int) -> list[Any]:
        """Every id of every page, up to the first empty one."""
        found: list[Any] = []
        page = 1
        while ids := await self.ids(page, per_page):
            found += ids
            page += 1
        return found


@asynccontextmanager
async def asking(cloud: LexiangCloud, *, timeout_s: float = 30.0, **account: Any) -> AsyncIterator[Asker]:
    """A started cloud with one account, and someone to ask it."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with cloud, aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        session._retry_connection = False  # aiohttp repeats a GET by itself once when the connection breaks
        yield Asker(cloud, cloud.add_account(**account), session)


def frozen_cloud(**quirks: Any) -> LexiangCloud:
    """A cloud whose clock stands at ``NOON`` unless told otherwise."""
    quirks.setdefault("now", lambda: NOON)
    return LexiangCloud(**quirks)
