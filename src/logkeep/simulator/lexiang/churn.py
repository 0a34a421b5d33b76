"""A world that changes between two requests: for ``LexiangCloud.before_request``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Literal, get_args

from logkeep.simulator.lexiang.account import LexiangAccount

Move = Literal["insert", "backdate", "delete", "pair", "ties", "swap"]
MOVES: tuple[Move, ...] = get_args(Move)


@dataclass(slots=True, kw_only=True)
class Churn:
    """Makes one drawn move before every ``every``-th request for logs: ``cloud.before_request = Churn(account=…)``.

    Attributes:
        account: whose records change.
        seed: what is drawn.
        every: 1 moves before each request, 2 before each second one.
        moves: drawn from evenly; a name that stands there twice comes twice as often. ``insert``: a record of now;
            ``backdate``: one of up to ``back`` ago; ``delete``; ``pair``: a delete and an insert, which cancel in
            ``total``; ``ties``: records of one second in another order; ``swap``: neighbours of different seconds.
        newest: deletes, ties and swaps strike only among so many newest records; None: anywhere.
        back: how far back ``backdate`` reaches.
        limit: ends after so many moves; None: never.
        done: the moves made, with the number of the request that they came before.
    """

    account: LexiangAccount
    seed: int = 1
    every: int = 1
    moves: Sequence[Move] = MOVES
    newest: int | None = None
    back: timedelta = timedelta(hours=1)
    limit: int | None = None
    done: list[tuple[int, Move]] = field(default_factory=list)
    _rng: Random = field(init=False)

    def __post_init__(self) -> None:
        if unknown := set(self.moves) - set(MOVES):
            raise ValueError(f"no such moves: {', '.join(sorted(unknown))}; choose from {', '.join(MOVES)}")
        self._rng = Random(f"{self.seed}|churn")

    def __call__(self, number: int) -> None:
        """Move before request ``number``, if it is the turn of one."""
        if number % self.every or (self.limit is not None and len(self.done) >= self.limit):
            return
        move = self._rng.choice(self.moves)
        self._make(move)
        self.done.append((number, move))

    def _make(self, move: Move) -> None:
        if move in {"delete", "pair"}:
            self.account.delete_random(newest=self.newest)
        if move in {"insert", "pair"}:
            self.account.add_record()
        if move == "backdate":
            self.account.add_record(back=self.back * self._rng.random())
        if move in {"ties", "swap"}:
            self.account.reorder(newest=self.newest, swaps=int(move == "swap"))
