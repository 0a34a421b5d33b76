"""JSON from strangers: read completely and unambiguously, or not at all. Pure.

Refused beside what is no JSON: bytes that are no UTF-8, keys that stand twice in one object (which one counts?), NaN
and numbers beyond a double, lone surrogates (no file and no database takes them), and nesting that could exhaust the
stack of whoever writes the value again. Integers are exact at any usual length. A byte order mark is tolerated.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

MAX_DEPTH = 32

_KEY_END = b'":'
_HIDING = (b'\\"', rb"\u00")
_TOO_FAR_IN = b"\n" + b" " * (MAX_DEPTH + 1)
_ALL_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_ENDLESS = b"0" * 300
_NO_UTF8 = "text that is no UTF-8"
_TOO_DEEP = "JSON nested too deeply"
_TOO_LARGE = "JSON with a number beyond all bounds"


class JsonRefused(Exception):
    """The body cannot be used. ``meant`` tells broken JSON from something that never was JSON, such as a web page."""

    def __init__(self, reason: str, *, meant: bool) -> None:
        self.meant = meant
        super().__init__(reason)


class Flaw:
    """Stands in a parsed value where something stood that no one can use; ``reason`` quotes nothing of it."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def load(body: bytes) -> Any:
    """Read one JSON value.

    Raises:
        JsonRefused: with a reason that quotes nothing of the body.
    """
    value = parse(body)
    reason = flaw(value)
    if reason is not None:
        raise JsonRefused(reason, meant=reason != _NO_UTF8 or _looks_meant(body))
    return value


def read_plain(body: bytes) -> Any:
    """Read JSON in which nothing is unusable, far quicker than ``load``; None where only that can tell.

    A parser in C is not told of keys that stand twice, but they are missing when it writes the value again. The keys
    are counted by what ends them, which may stand nowhere else: a body with escaped quotes or ASCII is not for here,
    nor is one with 300 digits in a row.
    """
    if any(escape in body for escape in _HIDING) or _ENDLESS in body.translate(_ALL_ZEROS):
        return None
    try:
        value = msgspec.json.decode(body)
        keys = msgspec.json.encode(value).count(_KEY_END)
        spread = msgspec.json.format(body, indent=1)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    return None if spread.count(_KEY_END) != keys or _TOO_FAR_IN in spread else value


def parse(body: bytes) -> Any:
    """Read one JSON value in which parts may be unusable: what is kept of it has to pass ``flaw``.

    Raises:
        JsonRefused: it is no JSON at all, no UTF-8, or nested beyond what the parser takes.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig"), parse_constant=_constant, parse_float=_float, object_pairs_hook=_object
        )
    except UnicodeError:
        raise JsonRefused(_NO_UTF8, meant=_looks_meant(body)) from None
    except RecursionError:
        raise JsonRefused(_TOO_DEEP, meant=True) from None
    except ValueError:
        raise JsonRefused("no well-formed JSON", meant=_looks_meant(body)) from None


def flaw(value: Any, *, integer_bits: int | None = None) -> str | None:
    """Why a parsed value cannot be used, None if it can. Walks without recursion: depth, surrogates, what was found.

    Integers of more than ``integer_bits`` are no use either, where that is given.
    """
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if not _are_texts(item):
                    return _NO_UTF8
                inside.extend(item.values())
            elif isinstance(item, list):
                inside.extend(item)
            elif not (isinstance(item, str) and item.isascii()):
                reason = _leaf_flaw(item, integer_bits)
                if reason is not None:
                    return reason
        level, depth = inside, depth + 1
    return None


def _leaf_flaw(item: Any, integer_bits: int | None) -> str | None:
    if isinstance(item, str):
        return None if _are_texts((item,)) else _NO_UTF8
    if isinstance(item, Flaw):
        return item.reason
    too_large = integer_bits is not None and isinstance(item, int) and item.bit_length() > integer_bits
    return _TOO_LARGE if too_large else None


def _looks_meant(body: bytes) -> bool:
    return body.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1] in (b"{", b"[")


def _constant(_name: str) -> Flaw:
    return Flaw("JSON with a number that is none")


def _float(digits: str) -> float | Flaw:
    number = float(digits)
    return number if math.isfinite(number) else Flaw(_TOO_LARGE)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Flaw:
    members = dict(pairs)
    return members if len(members) == len(pairs) else Flaw("JSON with a key that stands twice")


def _are_texts(texts: Iterable[str]) -> bool:
    """Whether no lone surrogate is among them."""
    try:
        for text in texts:
            if not text.isascii():
                text.encode()
    except UnicodeEncodeError:
        return False
    return True
