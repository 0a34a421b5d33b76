"""The API server: one JSON document, or one refusal, for every request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from logkeep.simulator.exchange import Answer, Exchange, Failing
from logkeep.simulator.faults import Fault, Faults
from logkeep.simulator.lexiang import refusals
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.api_faults import LOGS_FAULTS, TOKEN_FAULTS, WRONG_PAGES
from logkeep.simulator.lexiang.document import LOGS_PATH, write_document
from logkeep.simulator.lexiang.paging import Page, choose_page
from logkeep.simulator.lexiang.quirks import LexiangQuirks
from logkeep.simulator.lexiang.refusals import Refused
from logkeep.simulator.pace import Pace
from logkeep.simulator.wire import Wire, sent_status
from logkeep.simulator.witness import KEPT_HEADERS, Request, Witness

TOKEN_PATH = "/cgi-bin/token"  # noqa: S105 - a path
_MINUTE = timedelta(minutes=1)
_SECRETS = ("app_secret", "access_token", "token")

Honest = Callable[[Request, Fault | None], Answer]


class Turn:
    """Which request for logs it is: ``asked`` counts those that came."""

    def __init__(self) -> None:
        self.asked = 0


class Api:
    """The handlers. ``turn`` and ``pace`` outlive a restart of the server."""

    def __init__(
        self,
        quirks: LexiangQuirks,
        accounts: Mapping[str, LexiangAccount],
        *,
        turn: Turn,
        pace: Pace,
        faults: Faults,
        witness: Witness,
        wire: Wire,
    ) -> None:
        self._quirks = quirks
        self._accounts = accounts
        self._turn = turn
        self._pace = pace
        self._faults = faults
        self._witness = witness
        self._wire = wire

    def app(self) -> web.Application:
        """An application with every endpoint; unknown paths get 404."""
        app = web.Application()
        app.router.add_post(TOKEN_PATH, self._handler("token", self._token, TOKEN_FAULTS))
        app.router.add_get(LOGS_PATH, self._handler("logs", self._logs, LOGS_FAULTS), allow_head=False)
        app.router.add_route("*", "/{tail:.*}", self._handler("other", _unknown, {}))
        return app

    def _handler(self, kind: str, answer: Honest, faults: Mapping[str, Failing]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            with self._witness.watch(await self._read(kind, request)) as seen:
                if kind == "logs":
                    self._take_turn()
                struck = self._faults.take(seen)
                fault = None if struck is None else struck.fault
                exchange = Exchange(request, seen, lambda: _honest(seen, answer, fault), self._wire)
                response = exchange.reply() if fault is None else await faults[fault.kind](exchange, fault)
                seen.status = sent_status(response)
                return response

        return handle

    def _take_turn(self) -> None:
        if self._quirks.before_request is not None:
            self._quirks.before_request(self._turn.asked + 1)
        self._turn.asked += 1

    async def _read(self, kind: str, request: web.Request) -> Request:
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        seen = Request(kind, request.method, self._quirks.now(), headers, dict(request.query))
        for name in _SECRETS:
            if name in seen.params:
                self._witness.violation(f"{name} sent in the query of {request.path}")
        if kind == "token":
            seen.params = _body(await request.read())
            given = seen.params.get("app_key")
        else:
            given = self._holder(headers.get("Authorization", ""))
        seen.client_id = given if isinstance(given, str) else None
        return seen

    def _holder(self, authorization: str) -> str | None:
        text = authorization.removeprefix("Bearer ")
        return next((name for name, account in self._accounts.items() if account.tokens.knows(text)), None)

    def _token(self, seen: Request, _fault: Fault | None) -> Answer:
        secret = seen.params.pop("app_secret", None)
        self._limit(seen, self._quirks.token_calls, self._quirks.token_window)
        for name, value in (("app_key", seen.client_id), ("app_secret", secret)):
            if not isinstance(value, str) or not value:
                raise Refused(refusals.invalid(400, **{name: f"{name} 不能为空。"}))
        if seen.params.get("grant_type") != "client_credentials":
            raise Refused(refusals.invalid(400, grant_type="grant_type 不正确。"))
        account = self._accounts.get(seen.client_id or "")
        if account is None or secret != account.app_secret:
            raise Refused(refusals.detail(401, refusals.WRONG_SECRET))
        now, lifetime = self._quirks.now(), self._quirks.token_lifetime
        token = account.tokens.issue(now=now, expires=now + lifetime, limit=self._quirks.token_limit)
        claimed = int(lifetime.total_seconds()) if self._quirks.expires_in is None else self._quirks.expires_in
        return Answer({"token_type": "Bearer", "expires_in": claimed, "access_token": token.text})

    def _logs(self, seen: Request, fault: Fault | None) -> Answer:
        account = self._admit(seen)
        page = choose_page(account.records, seen.params, self._quirks)
        if fault is not None and fault.kind in WRONG_PAGES:
            page = self._another(account, seen, page, fault)
        document = write_document(account, page, self._quirks, self._turn.asked)
        return Answer(document, content_type=self._quirks.content_type)

    def _another(self, account: LexiangAccount, seen: Request, asked: Page, fault: Fault) -> Page:
        params = seen.params | {"page": str(fault.at or 1)}
        page = choose_page(account.records, params, self._quirks)
        return page if fault.kind == "wrong_page" else replace(page, stated_page=asked.stated_page)

    def _admit(self, seen: Request) -> LexiangAccount:
        """Let a holder of a live token pass, at its pace."""
        scheme, _, text = seen.headers.get("Authorization", "").partition(" ")
        account = self._accounts.get(seen.client_id or "")
        if account is None or scheme != "Bearer" or account.tokens.fate(text, self._quirks.now()) != "live":
            raise Refused(refusals.unauthorized(self._quirks.refusal))
        self._limit(seen, self._quirks.calls_per_minute, _MINUTE)
        if not account.permitted:
            raise Refused(refusals.needs_upgrade())
        return account

    def _limit(self, seen: Request, limit: int | None, window: timedelta) -> None:
        if limit is None:
            return
        wait = self._pace.wait((seen.kind, seen.client_id), self._quirks.now(), limit=limit, window=window)
        if wait is not None:
            raise Refused(refusals.too_many(limit, wait, headers=self._quirks.rate_headers))


def _honest(seen: Request, answer: Honest, fault: Fault | None) -> Answer:
    try:
        return answer(seen, fault)
    except Refused as refused:
        return refused.answer


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _unknown(_seen: Request, _fault: Fault | None) -> Answer:
    return refusals.detail(404, "Not Found")
