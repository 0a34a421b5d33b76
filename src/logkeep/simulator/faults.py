"""Faults on demand: armed one by one, or drawn from a seed.

A fault is a plain value that says where it strikes, what happens, and how often. What a kind does on the wire is told
by the tables of the servers (``exchange`` for all, ``lexiang.api_faults``, and of ``pan123``: ``api_faults``,
``download_faults``, ``delivery_faults``); a kind that no table knows is refused when it is armed, so a test cannot pass
because its fault never existed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from logkeep.simulator.witness import Request

TARGETS = ("self", "loop", "http", "private", "host", "relative", "file")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        where: ``token``, ``list``, ``download``, ``user`` or ``traffic``; at Lexiang ``token`` or ``logs``.
        kind: what happens; the names of the servers' tables.
        times: how many matching requests it strikes; None means all of them.
        after: how many matching requests pass unharmed first.
        match: any further condition on the request.
        file_id: strike only this file's downloads.
        page: strike only this page of a listing.
        client_id: strike only this account (at Lexiang its app_key).
        status: HTTP status, where the kind leaves a choice.
        code: envelope code, where the kind leaves a choice.
        message: envelope message, where the kind leaves a choice.
        retry_after: value of a ``Retry-After`` header; None sends none.
        headers: further headers of the answer, where the kind makes one of its own.
        at: byte offset at which it happens, or bytes to add; None takes the middle, or the kind's own default.
        hops: redirects before the content is served.
        to: where a redirect leads: ``self``, ``loop``, ``http``, ``private``, ``host``, ``relative`` or ``file``.
        location: a redirect's literal target; wins over ``to``.
        pause: between two pieces of a trickling answer; real time.
        patch: for kind ``patch``: takes the honest envelope, returns what is sent as JSON instead.
    """

    where: str
    kind: str
    times: int | None = 1
    after: int = 0
    match: Callable[[Request], bool] | None = None
    file_id: int | str | None = None
    page: int | None = None
    client_id: str | None = None
    status: int | None = None
    code: int | None = None
    message: str | None = None
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    at: int | None = None
    hops: int = 1
    to: str = "self"
    location: str | None = None
    pause: timedelta = timedelta(milliseconds=5)
    patch: Callable[[dict[str, Any]], Any] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "patch") != (self.patch is not None):
            raise ValueError("kind 'patch' and a patch go together")
        if self.to not in TARGETS:
            raise ValueError(f"a redirect cannot lead to {self.to!r}; choose from {', '.join(TARGETS)}")

    def concerns(self, request: Request) -> bool:
        """Whether the request is of the sort this fault strikes."""
        return (
            self.where == request.kind
            and (self.file_id is None or str(self.file_id) == str(request.file_id))
            and (self.page is None or self.page == request.page)
            and (self.client_id is None or self.client_id == request.client_id)
            and (self.match is None or self.match(request))
        )


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes now, for the ``nth`` time (from 1)."""

    fault: Fault
    nth: int


@dataclass(frozen=True, slots=True)
class FaultKinds:
    """What a server can do wrong at one place; ``passing`` kinds are those that a retry soon survives."""

    known: Collection[str]
    passing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chaos:
    """Faults by chance. At most ``streak`` in a row hit the same question, so a patient client gets through."""

    seed: int
    rate: float
    kinds: Mapping[str, tuple[str, ...]]
    streak: int = 2


class Faults:
    """The armed faults of one cloud. The first armed one that concerns a request and is due strikes it."""

    def __init__(self, kinds: Mapping[str, FaultKinds]) -> None:
        self.kinds = kinds
        self.struck: Counter[tuple[str, str]] = Counter()
        self._armed: list[Fault] = []
        self._seen: list[int] = []
        self._chaos: Chaos | None = None
        self._asked: Counter[str] = Counter()
        self._streaks: Counter[str] = Counter()

    def add(self, *faults: Fault) -> None:
        """Arm faults, in order.

        Raises:
            ValueError: the place or the kind does not exist.
        """
        for fault in faults:
            self._check(fault.where, fault.kind)
            self._armed.append(fault)
            self._seen.append(0)

    def chaos(
        self, seed: int, rate: float, *, kinds: Mapping[str, tuple[str, ...]] | None = None, streak: int = 2
    ) -> None:
        """Let each request fail with probability ``rate``; 0 ends it.

        What strikes depends on the seed, the question and how often it was asked, not on the order in which concurrent
        requests arrive. ``kinds`` names the kinds for each place; by default those that a retry soon survives.

        Raises:
            ValueError: a place or a kind does not exist.
        """
        chosen = {where: known.passing for where, known in self.kinds.items()} if kinds is None else dict(kinds)
        for where, names in chosen.items():
            for name in names:
                self._check(where, name)
        self._chaos = Chaos(seed, rate, chosen, streak)

    def clear(self) -> None:
        """Disarm everything, chaos included."""
        self._armed.clear()
        self._seen.clear()
        self._chaos = None

    @property
    def pending(self) -> list[Fault]:
        """Armed faults that have not struck as often as they are meant to."""
        return [
            fault
            for fault, seen in zip(self._armed, self._seen, strict=True)
            if fault.times is not None and seen < fault.after + fault.times
        ]

    def take(self, request: Request) -> Struck | None:
        """The fault that strikes this request, if any; counts as one strike."""
        struck = self._take_armed(request) or self._draw(request)
        if struck is not None:
            request.fault = struck.fault.kind
            self.struck[request.kind, struck.fault.kind] += 1
        return struck

    def _take_armed(self, request: Request) -> Struck | None:
        for number, fault in enumerate(self._armed):
            if not fault.concerns(request):
                continue
            seen = self._seen[number]
            if fault.times is not None and seen >= fault.after + fault.times:
                continue
            self._seen[number] += 1
            if seen >= fault.after:
                return Struck(fault, seen - fault.after + 1)
        return None

    def _draw(self, request: Request) -> Struck | None:
        if self._chaos is None or not (names := self._chaos.kinds.get(request.kind, ())):
            return None
        question = f"{request.kind}|{request.client_id}|{request.file_id}|{sorted(request.params.items())}"
        self._asked[question] += 1
        rng = Random(f"{self._chaos.seed}|{question}|{self._asked[question]}")
        if rng.random() >= self._chaos.rate or self._streaks[question] >= self._chaos.streak:
            self._streaks[question] = 0
            return None
        self._streaks[question] += 1
        return Struck(Fault(request.kind, rng.choice(names)), self._streaks[question])

    def _check(self, where: str, kind: str) -> None:
        if where not in self.kinds:
            raise ValueError(f"no such place: {where!r}; choose from {', '.join(sorted(self.kinds))}")
        if kind not in self.kinds[where].known:
            raise ValueError(f"{where} knows no {kind!r}; choose from {', '.join(sorted(self.kinds[where].known))}")
