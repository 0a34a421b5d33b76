"""The simulated Lexiang, served as quickly as Python can: a script that runs in a process of its own.

    python bench/vendor.py --records N [--days D]

The records, their pages and the token are the simulator's (`logkeep.simulator.lexiang`), drawn once before the first
request; a request then only joins bytes. It knows no faults and no limits. The first line on standard output is JSON:
`base_url`, `app_key`, `app_secret`, `records`. On SIGTERM it ends. A GET of `/requests` says how many pages were asked.
"""

import argparse
import asyncio
import json
import signal
import sys
from datetime import datetime
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.lexiang.document import LOGS_PATH
from logkeep.simulator.lexiang.quirks import OFFICIAL_HOST

TOKEN = "bench-token-0123456789"
TOKEN_PATH = "/cgi-bin/token"
EVERYTHING = frozenset({"target", "owner"})


class Offered:
    """All rows as bytes, newest first, and what each links to."""

    def __init__(self, count: int, days: float, end: datetime | None = None) -> None:
        account = LexiangCloud().add_account()
        account.populate(count, days=days, end=end)
        self.rows: list[bytes] = []
        self._links: list[tuple[int, ...]] = []
        self._resources: list[bytes] = []
        places: dict[tuple[str, str, str], int] = {}
        for number in reversed(account.records.order):
            drawn = account.rows.draw(number)
            links = []
            for key, resource in drawn.linked(EVERYTHING):
                told = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
                place = places.setdefault((*key, told), len(self._resources))
                if place == len(self._resources):
                    self._resources.append(told.encode())
                links.append(place)
            self.rows.append(json.dumps(drawn.row(number_ids=True), ensure_ascii=False, separators=(",", ":")).encode())
            self._links.append(tuple(links))

    def page(self, page: int, size: int) -> bytes:
        """One page in the vendor's shape."""
        first, total = (page - 1) * size, len(self.rows)
        rows = self.rows[first : first + size]
        places = dict.fromkeys(place for links in self._links[first : first + size] for place in links)
        last = max(1, -(-total // size))
        frame = {
            "links": {
                "first": _link(1, size),
                "last": _link(last, size),
                "prev": _link(page - 1, size) if page > 1 else None,
                "next": _link(page + 1, size) if page < last else None,
            },
            "meta": {
                "current_page": page,
                "from": first + 1 if rows else None,
                "last_page": last,
                "path": OFFICIAL_HOST + LOGS_PATH,
                "per_page": str(size),
                "to": first + len(rows) if rows else None,
                "total": total,
            },
        }
        included = b",".join([self._resources[place] for place in places])
        rest = json.dumps(frame, separators=(",", ":")).encode()[1:]
        return b'{"data":[' + b",".join(rows) + b'],"included":[' + included + b"]," + rest


def _link(page: int, size: int) -> str:
    return f"{OFFICIAL_HOST}{LOGS_PATH}?per_page={size}&page={page}"


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as the benchmark's clients need it."""

    asked = 0

    def __init__(self, offered: Offered) -> None:
        self._offered = offered
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end]
            body_bytes = _content_length(head)
            if len(self._held) < end + 4 + body_bytes:
                return
            self._held = self._held[end + 4 + body_bytes :]
            self._reply(head)

    def _reply(self, head: bytes) -> None:
        target = urlsplit(head.split(b" ", 2)[1].decode())
        status = "200 OK"
        if target.path == LOGS_PATH:
            Connection.asked += 1
            asked = parse_qs(target.query)
            body = self._offered.page(int(asked["page"][0]), int(asked["per_page"][0]))
            if f"Bearer {TOKEN}".encode() not in head:
                status, body = "401 Unauthorized", b'{"errors":{"detail":"token"}}'
        elif target.path == TOKEN_PATH:
            issued = {"token_type": "Bearer", "expires_in": 7200, "access_token": TOKEN}
            body = json.dumps(issued).encode()
        else:
            body = json.dumps({"asked": Connection.asked}).encode()
        lines = (
            f"HTTP/1.1 {status}",
            f"Date: {formatdate(usegmt=True)}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        assert self._transport is not None, "made before data comes"
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def _content_length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


async def serve(count: int, days: float) -> None:
    """Serve until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    offered = Offered(count, days)
    server = await loop.create_server(lambda: Connection(offered), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    facts = {"base_url": f"http://127.0.0.1:{port}", "app_key": "simulated-key", "app_secret": "simulated-secret"}
    sys.stdout.write(json.dumps(facts | {"records": count}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--days", type=float, default=365.0)
    given = parser.parse_args()
    asyncio.run(serve(given.records, given.days))


if __name__ == "__main__":
    main()
