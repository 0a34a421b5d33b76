"""When to use a token, to ask for one, to wait, or to stop asking. Pure; ``token`` tells the whole theory."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from logkeep.model import TokenRecord

_CLOCK_DRIFT = timedelta(minutes=10)
"""A moment further ahead than a wait and this was written before the clock was set back, and binds nobody."""
_DOUBLINGS_MOST = 16
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """How a token is kept; the defaults are 123pan's."""

    between_attempts: timedelta = timedelta(minutes=1)
    cool_down_most: timedelta = timedelta(minutes=1)
    """Where the vendor limits requests for tokens, ``between_attempts`` doubles each time, up to this."""
    pause: timedelta = timedelta(minutes=30)
    renew_early: timedelta = timedelta(days=1)
    """How long before its expiry a token is renewed that lives at least twice as long."""
    renew_early_short: timedelta = timedelta(minutes=5)
    """The same for all others, but never more than half their life."""
    renew_again: timedelta = timedelta(minutes=10)
    """How soon a failed renewal is tried again while the old token still serves."""
    fresh: timedelta = timedelta(minutes=10)
    """A token refused within this time of its issue counts towards the pause."""
    refusals_to_pause: int = 3
    assumed_life: timedelta = timedelta(days=1)
    """For a token whose expiry is unreadable or over already."""


@dataclass(frozen=True, slots=True)
class Use:
    """Use this token."""

    token: str


@dataclass(frozen=True, slots=True)
class Issue:
    """Ask for a new one now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again in so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Ask nothing before ``until``."""

    until: datetime
    reason: str


Decision = Use | Issue | Wait | Paused


def decide(
    record: TokenRecord | None,
    *,
    now: datetime,
    refused_token: str | None,
    policy: TokenPolicy,
    cooling: timedelta = timedelta(),
) -> Decision:
    """What to do for a token.

    ``refused_token`` is one that this process knows to be refused, ``cooling`` how long after the last attempt it
    leaves the vendor in peace at least.
    """
    record = record or TokenRecord()
    token = record.access_token
    alive = token is not None and token != refused_token and alive_at(record, now)
    next_at = _next_attempt_at(record, now, alive=alive, policy=policy, cooling=cooling)
    if alive and token is not None and (now < _renew_at(record, policy) or now < next_at):
        return Use(token)
    if now >= next_at:
        return Issue()
    if record.paused_until is not None:
        return Paused(next_at, record.pause_reason)
    why = "the vendor limits requests for tokens" if cooling else "a new token was asked for less than a minute ago"
    return Wait((next_at - now).total_seconds(), why)


def cool_down(limited: int, wish_s: float | None, policy: TokenPolicy) -> timedelta:
    """How long to leave the vendor in peace after ``limited`` rate limits in a row; the last wished for ``wish_s``."""
    doubled = policy.between_attempts * (1 << min(limited - 1, _DOUBLINGS_MOST))
    wish = timedelta(seconds=min(wish_s or 0.0, _DAY_S))
    return min(max(doubled, wish), policy.cool_down_most)


def credential_key(vendor: str, base_url: str, client_id: str, client_secret: str) -> str:
    """The name under which a credential's token is stored; neither the id nor the secret can be told from it.

    Another secret is another credential: whoever mends one does not wait for the pause that the old one earned.
    """
    digest = hashlib.sha256(f"{client_id}\0{client_secret}".encode()).hexdigest()[:16]
    return f"{vendor}|{base_url.rstrip('/').lower()}|{digest}"


def alive_at(record: TokenRecord, now: datetime) -> bool:
    """Whether the stored token has not expired."""
    return record.expires_at is not None and now < record.expires_at


def _renew_at(record: TokenRecord, policy: TokenPolicy) -> datetime:
    assert record.expires_at is not None, "asked of live tokens only"
    life = record.expires_at - (record.issued_at or record.expires_at)
    if life >= 2 * policy.renew_early:
        return record.expires_at - policy.renew_early
    return record.expires_at - min(policy.renew_early_short, life / 2)


def _next_attempt_at(
    record: TokenRecord, now: datetime, *, alive: bool, policy: TokenPolicy, cooling: timedelta
) -> datetime:
    gap = max(policy.renew_again if alive else policy.between_attempts, cooling)
    if record.paused_until is not None:
        gap = policy.pause
    moments = [record.paused_until] if record.paused_until is not None else []
    if record.last_attempt_at is not None:
        moments.append(record.last_attempt_at + gap)
    return max((moment for moment in moments if moment - now <= gap + _CLOCK_DRIFT), default=now)


def in_alarm(record: TokenRecord, policy: TokenPolicy) -> bool:
    """Whether a refusal that somebody has to look at still stands."""
    return record.paused_until is not None or record.refusals >= policy.refusals_to_pause
