"""The access tokens of one credential, and what became of each."""

import base64
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Literal


@dataclass(slots=True, eq=False)
class Token:
    """An access token and its fate."""

    text: str
    expires: datetime
    evicted: bool = False

    def live(self, now: datetime) -> bool:
        """Whether it still opens the business endpoints."""
        return not self.evicted and now < self.expires


class TokenDesk:
    """Issues and checks tokens. Everything ever issued is kept, for tests that look for leaks."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._tokens: dict[str, Token] = {}

    def issue(self, *, now: datetime, expires: datetime, limit: int | None) -> Token:
        """A new token; evicts the oldest live ones beyond ``limit`` (None: they all live side by side)."""
        secret = base64.urlsafe_b64encode(self._rng.randbytes(36)).decode()
        token = Token(f"eyJhbGciOiJIUzI1NiJ9.{secret}", expires)
        self._tokens[token.text] = token
        for old in [] if limit is None else self.live(now)[:-limit]:
            old.evicted = True
        return token

    def live(self, now: datetime) -> list[Token]:
        """The live tokens, oldest first."""
        return [token for token in self._tokens.values() if token.live(now)]

    def issued(self) -> list[str]:
        """The text of every token ever issued, oldest first."""
        return list(self._tokens)

    def knows(self, text: str) -> bool:
        """Whether this desk issued it, live or not."""
        return text in self._tokens

    def fate(self, text: str, now: datetime) -> Literal["live", "unknown", "evicted", "expired"]:
        """What became of a token."""
        token = self._tokens.get(text)
        if token is None:
            return "unknown"
        if token.evicted:
            return "evicted"
        return "live" if token.live(now) else "expired"

    def evict_all(self) -> None:
        """Evict every live token, as a busy fleet elsewhere would."""
        for token in self._tokens.values():
            token.evicted = True
