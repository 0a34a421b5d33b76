"""The API server: tokens, listings, and the two lesser endpoints."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from aiohttp import web

from logkeep.simulator.exchange import Answer, Exchange
from logkeep.simulator.faults import Faults
from logkeep.simulator.pace import Pace
from logkeep.simulator.pan123 import envelope as words
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.api_faults import API_FAULTS
from logkeep.simulator.pan123.envelope import OK_MESSAGE, Envelope, Refused, bad_parameter
from logkeep.simulator.pan123.listing import page_of, read_query, rows_listed
from logkeep.simulator.pan123.offered import CHINA, OfferedFile
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.related import traffic_page, user_info
from logkeep.simulator.wire import Wire, sent_status
from logkeep.simulator.witness import KEPT_HEADERS, Request, Witness

TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 - a path
LOGS_PATH = "/api/v1/direct-link/offline/logs"
TRAFFIC_PATH = "/api/v1/direct-link/log"
USER_PATH = "/api/v1/user/info"
PLATFORM = "open_platform"
_PACE_SLACK = 0.1
_REAL_STATUSES = (401, 403, 429)
_UNTRACED_SHARE = 0.3


class Api:
    """The handlers; ``address`` makes a download URL for a file."""

    def __init__(
        self,
        quirks: Quirks,
        accounts: Mapping[str, Account],
        *,
        address: Callable[[OfferedFile], str],
        faults: Faults,
        witness: Witness,
        wire: Wire,
    ) -> None:
        self._quirks = quirks
        self._accounts = accounts
        self._address = address
        self._faults = faults
        self._witness = witness
        self._wire = wire
        self._rng = Random(f"{quirks.seed}|api")
        self._recent = Pace()
        self._listings = 0

    def app(self) -> web.Application:
        """An application with every endpoint; unknown paths get an error envelope."""
        app = web.Application()
        app.router.add_post(TOKEN_PATH, self._handler("token", self._token))
        app.router.add_get(LOGS_PATH, self._handler("list", self._list), allow_head=False)
        app.router.add_get(TRAFFIC_PATH, self._handler("traffic", self._traffic_log), allow_head=False)
        app.router.add_get(USER_PATH, self._handler("user", self._user), allow_head=False)
        app.router.add_route("*", "/{tail:.*}", self._handler("other", self._unknown))
        return app

    def _handler(self, kind: str, answer: Callable[[Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            with self._witness.watch(await self._read(kind, request)) as seen:
                exchange = Exchange(request, seen, lambda: self._honest(seen, answer), self._wire)
                struck = self._faults.take(seen)
                failing = None if struck is None else API_FAULTS[struck.fault.kind](exchange, struck.fault)
                response = exchange.reply() if failing is None else await failing
                seen.status = sent_status(response)
                return response

        return handle

    async def _read(self, kind: str, request: web.Request) -> Request:
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        seen = Request(kind, request.method, self._quirks.now(), headers)
        seen.params = self._params(kind, dict(request.query), await request.read())
        given = seen.params.get("clientID") if kind == "token" else self._holder(headers.get("Authorization", ""))
        seen.client_id = given if isinstance(given, str) else None
        return seen

    def _params(self, kind: str, query: dict[str, Any], raw_body: bytes) -> dict[str, Any]:
        if kind != "token" and (self._quirks.carrier == "query" or (self._quirks.carrier == "any" and query)):
            return query
        try:
            body = json.loads(raw_body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def _holder(self, authorization: str) -> str | None:
        text = authorization.removeprefix("Bearer ")
        return next((name for name, account in self._accounts.items() if account.tokens.knows(text)), None)

    def _honest(self, seen: Request, answer: Callable[[Request], Any]) -> Answer:
        try:
            _require_platform(seen)
            made = Envelope(0, OK_MESSAGE, answer(seen))
        except Refused as refused:
            made = refused.envelope
        seen.code = made.code
        trace_id = "" if self._rng.random() < _UNTRACED_SHARE else f"{self._rng.getrandbits(128):032x}"
        real = self._quirks.real_http_status and made.code in _REAL_STATUSES
        return Answer(made.body(trace_id), made.code if real else 200)

    def _token(self, seen: Request) -> dict[str, Any]:
        account = self._accounts.get(seen.client_id or "")
        secret = seen.params.pop("clientSecret", None)
        self._pace(seen)
        if account is None or secret != account.client_secret:
            raise Refused(1, words.WRONG_SECRET)
        now = self._quirks.now()
        expires = (now + self._quirks.token_lifetime).astimezone(CHINA).replace(microsecond=0)
        token = account.tokens.issue(now=now, expires=expires, limit=self._quirks.token_limit)
        return {"accessToken": token.text, "expiredAt": expires.isoformat(timespec="seconds")}

    def _admit(self, seen: Request) -> Account:
        """Let a holder of a live token pass, at its pace."""
        scheme, _, text = seen.headers.get("Authorization", "").partition(" ")
        account = self._accounts.get(seen.client_id or "")
        if account is None or scheme != "Bearer":
            raise Refused(401, words.TOKEN_INVALID)
        fate = account.tokens.fate(text, self._quirks.now())
        if fate != "live":
            raise Refused(401, words.FATES[fate])
        self._pace(seen)
        return account

    def _list(self, seen: Request) -> dict[str, Any]:
        account = self._admit(seen)
        if not account.developer_rights:
            raise Refused(1, words.NO_RIGHTS)
        query = read_query(seen.params)
        files = page_of(rows_listed(account, query, self._quirks), query, self._quirks)
        ids_as = self._ids_as()
        rows = [file.row(self._address(file), ids_as=ids_as) for file in files]
        return {"list": rows or (None if self._quirks.null_list_at_end else []), "total": 0}

    def _ids_as(self) -> Any:
        self._listings += 1
        return ("number", "text")[self._listings % 2] if self._quirks.ids_as == "mixed" else self._quirks.ids_as

    def _user(self, seen: Request) -> dict[str, Any]:
        return user_info(self._admit(seen))

    def _traffic_log(self, seen: Request) -> dict[str, Any]:
        return traffic_page(self._admit(seen), seen.params, self._quirks.now())

    def _unknown(self, _seen: Request) -> None:
        raise bad_parameter("path")

    def _pace(self, seen: Request) -> None:
        """Refuse what comes faster than ``qps``; a tenth of slack forgives a network's jitter, not a faster pace."""
        if self._quirks.qps is None:
            return
        limit = max(1, int(self._quirks.qps))
        window = timedelta(seconds=limit / self._quirks.qps * (1 - _PACE_SLACK))
        caller = (seen.kind, seen.client_id)
        if self._recent.wait(caller, self._quirks.now(), limit=limit, window=window) is not None:
            raise Refused(429, words.TOO_FREQUENT)


def _require_platform(seen: Request) -> None:
    if seen.headers.get("Platform") != PLATFORM:
        raise Refused(1, "请求头Platform错误")
