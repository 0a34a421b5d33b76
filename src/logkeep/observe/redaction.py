r"""Keeping secrets out of everything that is written.

Two nets, one behind the other, over every text:

*Shapes.* What looks like a credential is masked whether or not anyone announced it: URL queries and user names,
``access_token=…`` and its kin in JSON, ``repr`` and query form, ``Bearer …``, JSON Web Tokens. A shape may cover too
much (a bare value runs to the next blank) and must never cover too little.

*Exact secrets.* What ``hide`` was told is looked for as it is and as it reads after undoing percent-encoding and
backslash escapes, up to three layers deep. A plain occurrence is cut out; where an encoded one is found, or where the
mask itself would complete a secret, the whole text is withheld. So a text that ``Redactor.text`` returns holds no
hidden secret, without exception.

Cost is linear in the text and bounded: only the first 32 KiB of a value are looked at and 8 KiB are kept. No expression
here can start again inside what a failed attempt has already read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from itertools import islice
from typing import Any
from urllib.parse import unquote

MASK = "[redacted]"
SHORTEST_SECRET_CHARS = 6
"""Shorter values would blot out ordinary words; they are left to the shapes."""
KEPT_CHARS = 8192
_READ_CHARS = 4 * KEPT_CHARS
_SLACK_CHARS = 128  # room for "[cut from …]" and for one mask longer than what it covers
_ENCODED_CHARS = 12  # at most this many written for one character of a secret
_WITHHELD = "***"  # shorter than any secret, so it cannot hold one

_NAMES = (
    r"(?:access|refresh|auth|session|security)[_-]?token|(?:client|app|api|shared)[_-]?secret|secret[_-]?(?:access[_-]?)?key"
    r"|(?:auth|api)[_-]?key|authorization|passw(?:or)?d|x-amz-(?:signature|credential)|signature|(?:set-)?cookie"
)
_SECRET_FIELD = re.compile(rf"(?:{_NAMES}|token|secret)\Z", re.IGNORECASE)
_QUERY = r"""(?:[^\s"'<>]|'(?=[\w&=%.~+-]))*"""
_URL = re.compile(rf"""(:(?:\\*/){{2}})([^\s"'<>?]*)(\?{_QUERY})?""")
_USER = re.compile(r"\A[^/\\]*@")
_BARE_QUERY = re.compile(rf"\?(?=[\w.~%+-]{{1,64}}=){_QUERY}")
_ENCODED_URL = re.compile(r"""(https?%(?:25)*3A)[^\s"'<>]*""", re.IGNORECASE)
_ASSIGNED = r"(?:[:=]|%(?:25)*3[AD])"
_NAMED = re.compile(
    rf"""(?:{_NAMES})(?:\\*["']\s*(?:,|{_ASSIGNED})|\s*{_ASSIGNED})\s*(?:[bru]?(?P<quote>\\*["']))?""", re.IGNORECASE
)
_BARE_VALUE = re.compile(
    r"""(?:(?:bearer|basic|digest|token)\s+)*(?:[^\s&"'<>]|(?<=[(\[{])(?:"[^"]*"?|'[^']*'?))*""", re.IGNORECASE
)
_ANY_QUOTE = re.compile(r"""(?<!\\)\\*["']""")
_BEARER = re.compile(r"""\b((?:bearer\s+)+)[^\s"'<>,;]+""", re.IGNORECASE)
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(rf"\\(?:u({_HEX}{{4}})|U(00(?:0{_HEX}|10){_HEX}{{4}})|x({_HEX}{{2}})|(.))", re.DOTALL)
_SHORT_ESCAPES = dict(zip("ntrbfva0", "\n\t\r\b\f\v\a\0", strict=True))


def _mask_url(found: re.Match[str]) -> str:
    """Keep scheme, host and path; mask the user and the query."""
    return found[1] + _USER.sub(f"{MASK}@", found[2]) + (f"?{MASK}" if found[3] else "")


def _value_end(text: str, named: re.Match[str]) -> int:
    """Where the value of a named secret ends: at its own closing quote, or at the first blank or ``&``.

    A quote preceded by more backslashes than the opening one belongs to the value.
    """
    quote = named["quote"]
    if quote is None:
        bare = _BARE_VALUE.match(text, named.end())
        return bare.end() if bare else named.end()
    for found in _ANY_QUOTE.finditer(text, named.end()):
        if found[0][-1] == quote[-1] and len(found[0]) <= len(quote):
            return found.start()
    return len(text)


def _mask_named(text: str) -> str:
    parts: list[str] = []
    at = 0
    while named := _NAMED.search(text, at):
        parts += text[at : named.end()], MASK
        at = _value_end(text, named)
    return "".join((*parts, text[at:]))


def _mask_shapes(text: str) -> str:
    text = _URL.sub(_mask_url, text)
    text = _BARE_QUERY.sub(f"?{MASK}", text)
    text = _ENCODED_URL.sub(rf"\g<1>{MASK}", text)
    text = _mask_named(text)
    text = _BEARER.sub(rf"\g<1>{MASK}", text)
    return _JSON_WEB_TOKEN.sub(MASK, text)


def _unescaped(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    return chr(int(digits, 16)) if digits else _SHORT_ESCAPES.get(found[4], found[4])


def _unescape(text: str) -> str:
    """Undo one layer of JSON's or Python's backslashes, and join the surrogate pairs of JSON."""
    plain = _ESCAPE.sub(_unescaped, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and as a reader sees it who undoes its encodings; all of them ``_loose``."""
    yield _loose(text)
    for _ in range(3):
        if "%" not in text and "\\" not in text:
            return
        text = unquote(text)
        yield _loose(text)
        text = _unescape(text)
        yield _loose(text)


def _loose(text: str) -> str:
    """The text without what encoders disagree on: ``+`` for a blank, and how many backslashes."""
    return text.replace("+", " ").replace("\\", "")


class Redactor:
    """Takes secrets out of texts and of the facts of events; as a structlog processor, out of a whole event.

    One instance serves a process. Threads may use it at once.
    """

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._loose_secrets: tuple[str, ...] = ()

    def hide(self, secret: str) -> None:
        """Never show this value again; nothing happens when it has fewer than 6 characters or is known already."""
        if len(secret) < SHORTEST_SECRET_CHARS or secret in self._secrets:
            return
        as_bytes = secret.encode("utf-8", "surrogatepass").decode("latin-1")  # how repr(bytes) spells it
        self._secrets = tuple(sorted({*self._secrets, secret, as_bytes}, key=lambda known: (-len(known), known)))
        loose = {_loose(known) for known in self._secrets}
        self._loose_secrets = tuple(known for known in loose if len(known) >= SHORTEST_SECRET_CHARS)

    def text(self, text: str) -> str:
        """The text without secrets, at most 8 KiB of it. Idempotent."""
        kept = self._clean(text[:_READ_CHARS])
        if len(text) > _READ_CHARS:  # a secret may have been halved there
            kept = kept[: max(0, len(kept) - _ENCODED_CHARS * max(map(len, self._secrets), default=0))]
        elif len(kept) <= KEPT_CHARS:
            return kept
        return self._clean(f"[cut from {len(text)} characters] {kept[: KEPT_CHARS - _SLACK_CHARS]}")

    def exact(self, text: str) -> str:
        """The whole text without hidden secrets, its shapes left alone: the last look at a finished line."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _WITHHELD if any(secret in text for secret in self._secrets) else text

    def value(self, value: object) -> Any:
        """A fact of an event as plain JSON values without secrets; never raises, however odd the object."""
        return _Walk(self.text).value(value)

    def __call__(self, _logger: object, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """As a structlog processor: the event without secrets."""
        return _Walk(self.text).mapping(event, 0)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _mask_shapes(text)
        if not self._shows(text):
            return text
        return _WITHHELD if self._shows(MASK) else MASK

    def _shows(self, text: str) -> bool:
        if any(secret in text for secret in self._secrets):
            return True
        loose = self._loose_secrets
        return bool(loose) and any(secret in reading for reading in _readings(text) for secret in loose)


class _Walk:
    """One pass over the facts of one event, bounded in depth, width and number, so that cycles end too."""

    DEEPEST = 16
    WIDEST = 200
    MOST = 5000

    def __init__(self, text: Callable[[str], str]) -> None:
        self._text = text
        self._seen = 0

    def value(self, value: object, depth: int = 0) -> Any:
        self._seen += 1
        try:
            return self._plain(value, depth)
        except Exception as error:  # noqa: BLE001 - a broken __repr__ or mapping must not cost the event
            return f"[unreadable {type(value).__name__}: {type(error).__name__}]"

    def mapping(self, facts: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        plain = {}
        for key, value in islice(facts.items(), self.WIDEST):
            name = self._text(key if isinstance(key, str) else _written(key))
            plain[name] = self._member(name, value, depth + 1)
        return plain | self._rest(len(facts))

    def _plain(self, value: object, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float):
            return self._number(value)
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._text(_written(value))
        if depth >= self.DEEPEST or self._seen >= self.MOST:
            return "[left out]"
        return self.mapping(value, depth) if isinstance(value, Mapping) else self._members(value, depth)

    def _number(self, value: float) -> Any:
        """Numbers stay numbers unless JSON has no such number or it is a secret."""
        if isinstance(value, int) and value.bit_length() > 64:  # noqa: PLR2004 - readers of JSON stop there
            return f"[integer of {value.bit_length()} bits]"
        digits = repr(value + 0)
        clean = self._text(digits)
        return value + 0 if clean == digits and digits.strip("-") not in ("inf", "nan") else clean

    def _members(self, values: "list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]", depth: int) -> list[Any]:
        if isinstance(values, tuple) and len(values) == 2 and isinstance(values[0], str | bytes):  # noqa: PLR2004 - a pair
            name = self._text(_written(values[0]))
            return [name, self._member(name, values[1], depth + 1)]
        plain = [self.value(value, depth + 1) for value in islice(values, self.WIDEST)]
        return plain + [f"[{count} more]" for count in self._rest(len(values)).values()]

    def _member(self, name: str, value: object, depth: int) -> Any:
        """A named value: masked when its name says secret, unless it is a count, a flag or nothing."""
        if _SECRET_FIELD.search(name.strip("'\"")) and not isinstance(value, int | float | None):
            return self._text(MASK)
        return self.value(value, depth)

    def _rest(self, size: int) -> dict[str, int]:
        return {"[more]": size - self.WIDEST} if size > self.WIDEST else {}


def _written(value: object) -> str:
    """An object in words: ISO 8601 for dates, type and message for exceptions, ``str`` for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return repr(bytes(value[:_READ_CHARS]))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value)
