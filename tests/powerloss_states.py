"""The states that a loss of power may leave after each of a run's effects: which of them are looked at."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from crash_points_effects import Effect
from powerloss_model import Choice, Disk, Fate, Move, Node, Tree

RANDOM_SUBSETS = 4
"""Random choices of everything at once, after each effect."""


Wanted = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class State:
    """What is left; ``number`` effects had happened, ``kind`` and ``told`` say what was lost."""

    number: int
    kind: str
    told: str
    tree: Tree
    last: bool = False


def every_one(_effects: int, _number: int) -> bool:
    """All of them."""
    return True


def states(disk: Disk, effects: Iterable[Effect], seed: int, wanted: Wanted = every_one) -> Iterator[State]:
    """After each effect, everything kept, and each way of losing something; the same for the same seed.

    ``wanted`` picks: it is told how many effects had happened, and the state's own number.
    """
    done, count = list(effects), itertools.count()
    for number in range(len(done) + 1):
        if number:
            disk.apply(done[number - 1])
        last = number == len(done)
        if number and not last and done[number - 1].kind in {"send", "mode"}:
            continue
        for kind, told, choice in _choices(disk, random.Random(f"{seed}|{number}")):
            if wanted(number, next(count)):
                yield State(number, kind, told, disk.tree(choice), last)


def _choices(disk: Disk, rng: random.Random) -> Iterator[tuple[str, str, Choice]]:
    moves, files = frozenset(disk.moves), list(disk.files())
    yield "everything kept", "", Choice(moves)
    if not moves and not files:
        return
    yield "everything lost", "", Choice(frozenset(), others=Fate.LOST)
    if files:
        yield "all bytes lost", "", Choice(moves, others=Fate.LOST)
        yield "all bytes zeros", "", Choice(moves, others=Fate.ZEROS)
    if moves:
        yield "all entries lost", "", Choice(frozenset())
    for node in files:
        yield from _of_file(node, moves, rng)
    for move in moves:
        yield "one entry lost", move.told, Choice(moves - {move})
        yield "one entry kept", move.told, Choice(_with_needs(move), others=Fate.LOST)
        yield "one entry kept, and all bytes", move.told, Choice(_with_needs(move))
    for _ in range(RANDOM_SUBSETS):
        some = frozenset(move for move in disk.moves if rng.random() < 0.5)
        yield "random subset", "", Choice(some, {node.number: _some(node, rng) for node in files})


def _of_file(node: Node, moves: frozenset[Move], rng: random.Random) -> Iterator[tuple[str, str, Choice]]:
    pieces, told = len(node.changes), str(node.number)
    yield "one file's bytes lost", told, Choice(moves, {node.number: Fate.LOST})
    yield "one file's bytes kept", told, Choice(moves, {node.number: Fate.KEPT}, Fate.LOST)
    if pieces > 1:
        first, last = frozenset(range(pieces // 2)), frozenset((pieces - 1,))
        yield "torn: the first half of the blocks", told, Choice(moves, {node.number: first})
        yield "torn: the last block only", told, Choice(moves, {node.number: last})
        yield "torn: all but the first block", told, Choice(moves, {node.number: frozenset(range(1, pieces))})
        yield "torn: random blocks", told, Choice(moves, {node.number: _some(node, rng)})


def _with_needs(move: Move) -> frozenset[Move]:
    return frozenset((move,) if move.needs is None else (move, move.needs))


def _some(node: Node, rng: random.Random) -> frozenset[int]:
    return frozenset(number for number in range(len(node.changes)) if rng.random() < 0.5)
