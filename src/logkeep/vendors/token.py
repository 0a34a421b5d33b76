"""One access token a credential, shared by every process and machine that uses the same store.

The vendor keeps few tokens alive at once (123pan: three per client_id) and evicts the oldest when one more is issued.
A client that answers every 401 with a new login revokes its own siblings' tokens, they revoke its, for ever. So:

- The stored token is the one to use. A refusal counts only against the token that was shown: when the store holds
  another by then, somebody has renewed it already and that one is used.
- One task of a process renews at a time, and every attempt is recorded in the store before it is sent, if nobody else
  recorded one meanwhile. At most one new token a minute follows, whatever crashes how often.
- A rate limit of the token endpoint makes that minute longer in this process, up to ``cool_down_most``.
- A token is renewed a day before it expires, and meanwhile it goes on being used when its renewal fails.
- Fresh tokens that are refused are counted in the store, across new tokens. The third in a row, or one refusal of the
  credentials themselves, pauses the account: one attempt in half an hour from then on, again recorded before it is
  sent. A token ends the count by being accepted after it has outlived its freshness, so that a war of evictions, in
  which every token works for a moment, is noticed as well.

``token_rules`` decides and is pure; ``TokenKeeper`` is the I/O around it. It asks for tokens through a callable that
knows nothing of the keeper, so a refresh cannot start another one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from logkeep.clock import Clock
from logkeep.errors import AccountPaused, FatalVendorError, RateLimited, TokenRefused, VendorError
from logkeep.model import AccountKey, TokenRecord, rfc3339
from logkeep.vendors.token_rules import Decision, Paused, TokenPolicy, Use, Wait, alive_at, cool_down, decide, in_alarm
from logkeep.vendors.wire import IssuedToken

log = structlog.stdlib.get_logger("logkeep.vendors")

_LOOK_HOLDS_S = 0.5
"""So long a token that was good is used without another look at the store; many calls a second would look as often."""
_LOOK_AGAIN_S = 2.0
"""While waiting for the minute to pass: the attempt may be another process's, whose token comes any moment."""


class TokenStore(Protocol):
    """Where the tokens of credentials are kept; each method is atomic and durable when it returns."""

    async def load(self, credential: str) -> TokenRecord | None:
        """What is known, None when nothing ever was."""
        ...

    async def claim_attempt(self, credential: str, *, now: datetime, seen: datetime | None) -> bool:
        """Record an attempt at ``now`` if ``last_attempt_at`` is still ``seen``; False: somebody else did, look again.

        Makes the record where there is none. Leaves everything else as it is.
        """
        ...

    async def save(self, credential: str, token: str, *, expires_at: datetime, issued_at: datetime) -> None:
        """Keep a new token and end a pause. ``refusals`` stays: it counts across tokens."""
        ...

    async def refuse(
        self,
        credential: str,
        *,
        token: str | None,
        now: datetime,
        paused_until: datetime | None,
        reason: str,
        refusals: int,
    ) -> None:
        """Set ``refusals``, ``paused_until`` and ``pause_reason``, and forget ``token``.

        With a token: only if it is still the stored one, otherwise nothing changes at all. With None: in any case, and
        the stored token stays; ``refusals`` 0 without a pause means that all is well again.
        """
        ...


class TokenKeeper:
    """Hands out the one token of a credential. Many tasks may use one keeper, many processes one store.

    ``issue`` asks the vendor for a token and does nothing else; it runs inside ``slot``, the credential's pace.
    ``hide`` is told every token before it is used, so that logs never show it.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        credential: str,
        store: TokenStore,
        clock: Clock,
        issue: Callable[[], Awaitable[IssuedToken]],
        slot: Callable[[], AbstractAsyncContextManager[None]],
        policy: TokenPolicy | None = None,
        hide: Callable[[str], None] | None = None,
    ) -> None:
        self._credential = credential
        self._store = store
        self._clock = clock
        self._issue = issue
        self._slot = slot
        self._policy = policy or TokenPolicy()
        self._hide = hide or (lambda _token: None)
        self._renewing = asyncio.Lock()
        self._refused: str | None = None
        self._settled: str | None = None
        self._seen: tuple[float, TokenRecord | None] | None = None
        self._limited = 0
        self._cooling = timedelta()
        self._log = log.bind(vendor=account.vendor, account=account.name)

    async def token(self) -> str:
        """A token to use now; may wait for the minute between two attempts, and holds no slot while it waits.

        Raises:
            AccountPaused: an earlier refusal still holds; nothing was sent.
            CredentialsRefused, NotEntitled: the vendor refused the credentials; the pause has begun.
            RetriableVendorError, UnreadableReply: no token could be had this time.
        """
        told = False
        async with self._renewing:
            while True:
                record = await self._look(lambda seen: isinstance(self._decide(seen), Use))
                step = self._decide(record)
                if isinstance(step, Paused):
                    raise AccountPaused(f"paused until {rfc3339(step.until)}: {step.reason}")
                if isinstance(step, Wait):
                    if not told:
                        self._log.info("token_wait", seconds=round(step.seconds, 1), reason=step.reason)
                    told = True
                    await self._clock.sleep(min(step.seconds, _LOOK_AGAIN_S))
                    continue
                token = step.token if isinstance(step, Use) else await self._renew(record or TokenRecord())
                if token is not None:
                    self._hide(token)
                    return token

    async def usable(self, token: str) -> bool:
        """Whether a token that was handed out before a wait is still the one to use."""

        def current(record: TokenRecord | None) -> bool:
            stored = record is not None and record.access_token == token and alive_at(record, self._clock.now())
            return stored and token != self._refused

        return current(await self._look(current))

    async def _look(self, suffices: Callable[[TokenRecord | None], bool]) -> TokenRecord | None:
        """What the store holds; what it held a moment ago, where that ``suffices``."""
        now_s = self._clock.monotonic_s()
        if self._seen is not None and 0 <= now_s - self._seen[0] < _LOOK_HOLDS_S and suffices(self._seen[1]):
            return self._seen[1]
        record = await self._store.load(self._credential)
        self._seen = (now_s, record)
        return record

    async def refused(self, token: str, error: TokenRefused) -> None:
        """Note that a business endpoint refused a token; nothing is counted when it is no longer the stored one."""
        self._refused, self._settled, self._seen = token, None, None
        record = await self._store.load(self._credential)
        if record is None or record.access_token != token:
            return
        now = self._clock.now()
        fresh = record.issued_at is not None and now - record.issued_at < self._policy.fresh
        refusals = record.refusals + fresh
        paused_until, reason = record.paused_until, record.pause_reason
        if fresh and refusals >= self._policy.refusals_to_pause:
            paused_until = now + self._policy.pause
            reason = f"{refusals} new tokens in a row were refused, the last with {error}"
        await self._record(token, paused_until, reason, refusals)
        self._log.warning("token_refused", evicted=error.evicted, refusals=refusals, reason=str(error))
        if paused_until is not None and not in_alarm(record, self._policy):
            self._log.error("credentials_refused", reason=reason, paused_until=rfc3339(paused_until))

    async def accepted(self, token: str) -> None:
        """Note that a business endpoint accepted a token, which ends an alarm once the token is no longer fresh."""
        if token == self._settled:
            return
        record = await self._store.load(self._credential)
        if record is None or record.access_token != token:
            return
        if record.refusals == 0:
            self._settled = token
            return
        if record.issued_at is not None and self._clock.now() - record.issued_at < self._policy.fresh:
            return
        await self._record(None, record.paused_until, record.pause_reason, 0)
        if in_alarm(record, self._policy) and record.paused_until is None:
            self._log.info("credentials_accepted")

    def _decide(self, record: TokenRecord | None) -> Decision:
        now = self._clock.now()
        return decide(record, now=now, refused_token=self._refused, policy=self._policy, cooling=self._cooling)

    async def _renew(self, record: TokenRecord) -> str | None:
        """Ask for a token, unless somebody else did since ``record`` was read: None then."""
        self._seen = None
        async with self._slot():
            now = self._clock.now()
            if not await self._store.claim_attempt(self._credential, now=now, seen=record.last_attempt_at):
                return None
            try:
                issued = await self._issue()
            except VendorError as error:
                self._cool(error)
                if isinstance(error, FatalVendorError):
                    await self._pause(record, error)
                return self._old_token(record, error)
            self._cool(None)
            await self._keep(issued, record)
        return issued.access_token

    def _cool(self, error: VendorError | None) -> None:
        """Leave the vendor in peace for longer after each rate limit in a row; any other answer ends that."""
        if not isinstance(error, RateLimited):
            self._limited, self._cooling = 0, timedelta()
            return
        self._limited += 1
        self._cooling = cool_down(self._limited, error.retry_after_s, self._policy)

    async def _keep(self, issued: IssuedToken, record: TokenRecord) -> None:
        self._hide(issued.access_token)
        now = self._clock.now()
        expires_at = issued.expires_at
        if expires_at is None or expires_at <= now:
            expires_at = now + self._policy.assumed_life
            self._log.warning("token_expiry_unusable", stated=rfc3339(issued.expires_at), assumed=rfc3339(expires_at))
        self._refused = None
        await _to_the_end(self._store.save(self._credential, issued.access_token, expires_at=expires_at, issued_at=now))
        self._seen = None
        self._log.info("token_issued", expires_at=rfc3339(expires_at))
        if record.paused_until is not None and record.refusals < self._policy.refusals_to_pause:
            self._log.info("credentials_accepted")

    async def _pause(self, record: TokenRecord, error: FatalVendorError) -> None:
        until = self._clock.now() + self._policy.pause
        await self._record(None, until, str(error), record.refusals)
        if not in_alarm(record, self._policy):
            self._log.error("credentials_refused", reason=str(error), paused_until=rfc3339(until))

    def _old_token(self, record: TokenRecord, error: VendorError) -> str:
        """The old token while it lives; the error otherwise."""
        if record.access_token in (None, self._refused) or not alive_at(record, self._clock.now()):
            raise error
        assert record.access_token is not None, "excluded above"
        self._log.warning("token_renewal_failed", reason=str(error), expires_at=rfc3339(record.expires_at))
        return record.access_token

    async def _record(self, token: str | None, paused_until: datetime | None, reason: str, refusals: int) -> None:
        await _to_the_end(
            self._store.refuse(
                self._credential,
                token=token,
                now=self._clock.now(),
                paused_until=paused_until,
                reason=reason,
                refusals=refusals,
            )
        )


async def _to_the_end(recording: Coroutine[Any, Any, None]) -> None:
    """Record an outcome although cancelled; the cancellation goes on once it is recorded."""
    task = asyncio.ensure_future(recording)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()
        raise
