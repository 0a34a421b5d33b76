"""How a mistake in the settings is put into words: one printable line, whatever was written there."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

KeyPath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_LONGEST_SHOWN = 60
_WIDEST_NUMBER_BITS = 128
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def show(value: object) -> str:
    """A value for a message: short and on one line. Only for keys that are no secret; containers stay closed."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value[:_LONGEST_SHOWN]) + ("…" if len(value) > _LONGEST_SHOWN else "")
        case int() if value.bit_length() > _WIDEST_NUMBER_BITS:
            return "a huge number"
        case int() | float():
            return repr(value)
        case timedelta():
            return duration_text(value)
        case None:
            return "nothing"
        case Mapping():
            return "a table"
        case Sequence():
            return "a list"
        case _:
            return "a date or time"


def duration_text(value: timedelta) -> str:
    """A duration as it is written in the settings, in the largest unit that divides it."""
    seconds = int(value.total_seconds())
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds and seconds % size == 0), f"{seconds}s")


def one_line(text: str) -> str:
    """The text with everything unprintable escaped: line breaks, controls, lone surrogates."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def key_text(path: KeyPath) -> str:
    """A key's path as a person writes it: ``pan123[0].client_secret``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word: the nearest known one, else all of them."""
    names = list(known)
    close = nearest(word, names)
    return f"did you mean {close}?" if close else f"known here: {', '.join(names)}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that an unknown one was probably meant to be."""
    return next(iter(difflib.get_close_matches(word[:_LONGEST_SHOWN], list(known), n=1)), None)


def _key(part: str) -> str:
    return part if _BARE_KEY.fullmatch(part) else show(part)
