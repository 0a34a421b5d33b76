"""JSON from strangers: read completely and unambiguously, or not at all. Pure.

Refused beside what is no JSON: bytes that are no UTF-8, keys that stand twice in one object (which one counts?), NaN
and numbers beyond a double, lone surrogates (no file and no database takes them), and nesting that could exhaust the
stack of whoever writes the value again. Integers are exact at any usual length. A byte order mark is tolerated.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32


class JsonRefused(Exception):
    """The body cannot be used. ``meant`` tells broken JSON from something that never was JSON, such as a web page."""

    def __init__(self, reason: str, *, meant: bool) -> None:
        self.meant = meant
        super().__init__(reason)


class _Ambiguous(ValueError):
    """Found while parsing; its text is ours, unlike that of the parser's own errors."""


def load(body: bytes) -> Any:
    """Read one JSON value.

    Raises:
        JsonRefused: with a reason that quotes nothing of the body.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"), parse_constant=_constant, parse_float=_float, object_pairs_hook=_object
        )
        _check(value)
    except UnicodeError:
        raise JsonRefused("text that is no UTF-8", meant=_looks_meant(body)) from None
    except RecursionError:
        raise JsonRefused("JSON nested too deeply", meant=True) from None
    except _Ambiguous as exc:
        raise JsonRefused(str(exc), meant=True) from None
    except ValueError:
        raise JsonRefused("no well-formed JSON", meant=_looks_meant(body)) from None
    return value


def _looks_meant(body: bytes) -> bool:
    return body.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1] in (b"{", b"[")


def _constant(_name: str) -> NoReturn:
    raise _Ambiguous("JSON with a number that is none")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Ambiguous("JSON with a number beyond all bounds")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Ambiguous("JSON with a key that stands twice")
    return members


def _check(value: Any) -> None:
    """Walk the value without recursion: depth and surrogates."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise RecursionError
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                _check_texts(item)
                inside.extend(item.values())
            elif isinstance(item, list):
                inside.extend(item)
            elif isinstance(item, str):
                _check_texts((item,))
        level, depth = inside, depth + 1


def _check_texts(texts: Any) -> None:
    for text in texts:
        if not text.isascii():
            text.encode()
