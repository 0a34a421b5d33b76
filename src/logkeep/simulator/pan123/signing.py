"""Presigned addresses as an S3-style store makes them, checked byte for byte.

The signature covers the raw path and the raw query exactly as they were handed out. Paths and queries are full of
escapes that URL libraries like to rewrite (``%2F`` and ``%2f``, ``%7E``, ``+``, ``%20``), so a client that normalises
an address, even into an equivalent one, is refused as the real store would refuse it.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_SIGNATURE = "&X-Amz-Signature="


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a good address says. ``hop`` is a redirect's state, such as ``302-2``: two more redirects to come."""

    path: str
    expires: datetime
    nonce: str
    hop: str | None


class BadSignature(Exception):
    """The address is not, byte for byte, one that was handed out."""


class Signer:
    """Makes and checks addresses with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._made = 0

    def sign(self, path: str, expires: datetime, *, hop: str | None = None) -> str:
        """A request target (raw path and raw query), never the same twice."""
        self._made += 1
        query = (
            "response-content-disposition=attachment%3B+filename%3d%22log%20file%7E.gz%22"
            "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential=SIM%2F{expires:%Y%m%d}%2fcn%2Fs3%2Faws4_request"
            f"&X-Amz-SignedHeaders=host&Expires={expires.timestamp():.3f}&Nonce=n%7E{self._made}"
        )
        target = f"{path}?{query}" if hop is None else f"{path}?{query}&Hop={hop}"
        return f"{target}{_SIGNATURE}{self._signature(target)}"

    def check(self, target: str) -> Ticket:
        """Read a request target as it came over the wire; whether it has expired is the caller's question.

        Raises:
            BadSignature: anything differs from what was signed.
        """
        signed, separator, signature = target.rpartition(_SIGNATURE)
        if not separator or not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise BadSignature(target.partition("?")[0])
        path, _, query = signed.partition("?")
        facts = dict(pair.split("=", 1) for pair in query.split("&"))
        expires = datetime.fromtimestamp(float(facts["Expires"]), UTC)
        return Ticket(path, expires, facts["Nonce"], facts.get("Hop"))

    def _signature(self, signed: str) -> str:
        digest = hmac.new(self._secret, signed.encode(), hashlib.sha256).digest()
        return quote(base64.b64encode(digest).decode(), safe="")
