"""Ids of records: made from a record's number, and read back without a table."""

from random import Random
from typing import Literal

IdKind = Literal["uuid1", "uuid4", "number"]

_MASK = (1 << 64) - 1
_NODES = 1 << 48
_FACTOR = 0x5DEECE66D
_UNDONE = pow(_FACTOR, -1, _NODES)
_GREGORIAN = 0x01B21DD213814000
"""Steps of 100 ns from 1582-10-15, where UUID time begins, to 1970."""
_FIRST_NUMBER = 10_000_000


def scatter(salt: int, number: int) -> int:
    """64 bits that look random and depend on both: what a record is like is drawn from them."""
    bits = (salt + number * 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


class Identities:
    """The ids of one account; no two of its records share one.

    A record's number hides in the node of its UUID, by a reversible multiplication.
    """

    def __init__(self, rng: Random) -> None:
        self._salt = rng.getrandbits(63)
        self._offset = rng.getrandbits(48)

    def make(self, number: int, kind: IdKind, created_s: int) -> str:
        """The id of a record; a UUIDv1's embedded time is ``created_s`` (Unix time) and a fraction of that second."""
        if kind == "number":
            return str(_FIRST_NUMBER + number)
        node = (number * _FACTOR + self._offset) % _NODES
        bits = scatter(self._salt, number)
        if kind == "uuid4":
            return f"{bits >> 16:012x}4{bits & 0xFFF:03x}{0x8000 | (bits >> 12) & 0x3FFF:04x}{node:012x}"
        return uuid1(created_s * 10_000_000 + bits % 10_000_000, (bits >> 32) & 0x3FFF, node)

    def number(self, record_id: str) -> int | None:
        """The number that an id of any kind may have been made from."""
        if len(record_id) != len("f59de3063c9311e8b64995597300a871"):
            return int(record_id) - _FIRST_NUMBER if record_id.isascii() and record_id.isdigit() else None
        try:
            return (int(record_id[-12:], 16) - self._offset) * _UNDONE % _NODES
        except ValueError:
            return None


def uuid1(ticks: int, sequence: int, node: int) -> str:
    """A dashless UUIDv1 of a Unix time in steps of 100 ns."""
    stamp = ticks + _GREGORIAN
    return (
        f"{stamp & 0xFFFFFFFF:08x}{(stamp >> 32) & 0xFFFF:04x}{0x1000 | (stamp >> 48):04x}"
        f"{0x8000 | sequence:04x}{node:012x}"
    )
