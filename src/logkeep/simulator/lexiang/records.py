"""Which records exist, in which order: 16 bytes a record, so a million of them cost little.

A record is a number, counted from 0 in order of appearance. What is not drawn from the number (a second, a place in
the order) is held in arrays; what only a few records have, in dictionaries.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from random import Random

from logkeep.simulator.lexiang.traits import Habits


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that appeared together, from the number ``first`` on, drawn alike."""

    first: int
    habits: Habits
    since: datetime
    since_request: int


class Records:
    """The records of one account. ``created_s`` is Unix time by number, ``order`` holds numbers, oldest first."""

    def __init__(self, rng: Random) -> None:
        self.created_s = array("q")
        self.order = array("q")
        self.gone: dict[int, tuple[datetime, int]] = {}
        self._batches: list[Batch] = []
        self._rng = rng

    def __len__(self) -> int:
        return len(self.order)

    def batch(self, number: int) -> Batch:
        """The batch that a record appeared with."""
        if self._batches[-1].first <= number:
            return self._batches[-1]
        return self._batches[bisect_right(self._batches, number, key=lambda batch: batch.first) - 1]

    def begin(self, habits: Habits, since: datetime, since_request: int) -> int:
        """The number of the next record, which appears now and is drawn so."""
        first = len(self.created_s)
        batch = Batch(first, habits, since, since_request)
        last = self._batches[-1] if self._batches else None
        if last is None or (last.habits, last.since, last.since_request) != (habits, since, since_request):
            self._batches.append(batch)
        return first

    def extend(self, seconds: Iterable[int]) -> None:
        """Add records of any seconds; among records of one second, later ones are newer."""
        first = len(self.created_s)
        self.created_s.extend(seconds)
        self.order.extend(range(first, len(self.created_s)))
        keys = self.created_s
        if any(keys[self.order[place]] > keys[self.order[place + 1]] for place in range(len(self.order) - 1)):
            self.order = array("q", sorted(self.order, key=keys.__getitem__))

    def insert(self, second: int) -> None:
        """Add one record where its second belongs; its place among records of that second is drawn."""
        low, high = self._tie(second)
        self.created_s.append(second)
        self.order.insert(self._rng.randint(low, high), len(self.created_s) - 1)

    def remove(self, number: int, at: datetime, request: int) -> None:
        """Delete a record that is there."""
        del self.order[self.place(number)]
        self.gone[number] = (at, request)

    def place(self, number: int) -> int:
        """Where in ``order`` a record is that is there."""
        low, high = self._tie(self.created_s[number])
        for place in range(low, high):
            if self.order[place] == number:
                return place
        return self.order.index(number)

    def newest(self, newest: int | None) -> int:
        """How many places there are to look at from the newest on, where ``newest`` bounds them."""
        return len(self) if newest is None else min(newest, len(self))

    def draw(self, newest: int | None) -> int:
        """One of the ``newest`` records (None: of all)."""
        return self.order[len(self) - 1 - self._rng.randrange(self.newest(newest))]

    def shuffle_ties(self, newest: int | None) -> None:
        """Put records of one second, among the ``newest``, into another order."""
        start = len(self) - self.newest(newest)
        for tie in list(_ties(self.order[start:], self.created_s)):
            self.order[start : start + len(tie)] = array("q", self._rng.sample(tie, len(tie)))
            start += len(tie)

    def swap(self, one: int, other: int) -> None:
        """Let two records that are there change places, whatever their seconds."""
        here, there = self.place(one), self.place(other)
        self.order[here], self.order[there] = other, one

    def swap_neighbours(self, newest: int | None) -> bool:
        """Swap two neighbours of different seconds among the ``newest``; False where there are none."""
        start = len(self) - self.newest(newest)
        places = range(start, len(self) - 1)
        tried = self._rng.sample(places, min(len(places), 64))
        for place in tried:
            older, newer = self.order[place], self.order[place + 1]
            if self.created_s[older] != self.created_s[newer]:
                self.order[place], self.order[place + 1] = newer, older
                return True
        return False

    def _tie(self, second: int) -> tuple[int, int]:
        key = self.created_s.__getitem__
        return bisect_left(self.order, second, key=key), bisect_right(self.order, second, key=key)


def _ties(order: Iterable[int], created_s: "array[int]") -> Iterator[list[int]]:
    for _, tie in groupby(order, key=created_s.__getitem__):
        yield list(tie)
