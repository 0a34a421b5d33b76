"""What logkeep asks of the place where work waits.

A job is named by its ``key``. From the moment ``put`` accepts it until its handler is done for good, the key is taken:
the same job is never twice waiting or running, wherever it is put from.

Which job is next: one of the group (an account) with the fewest running jobs; among equal groups and within a group the
one with the smallest ``priority`` (what expires soonest). A group that has something running leaves one worker free for
each known group that has nothing running. So one slow account never blocks another, and with one worker the order is
that of the priorities. With no more workers than groups, no group has two.

Whatever waits here is only a reminder: what is due is known to the catalog, so a queue may forget its waiting jobs when
the process ends.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import isnan
from typing import Generic, Protocol, TypeAlias, TypeVar

PayloadT = TypeVar("PayloadT")


@dataclass(frozen=True, slots=True)
class Job(Generic[PayloadT]):
    """One piece of work. ``priority``: smaller is sooner; the POSIX time at which its object expires."""

    key: str
    group: str
    priority: float
    payload: PayloadT

    def __post_init__(self) -> None:
        if isnan(self.priority):
            raise ValueError(f"job {self.key!r} has no order: its priority is not a number")


@dataclass(frozen=True, slots=True)
class Again:
    """A handler's wish to see its job again. The key stays taken meanwhile, and no worker is held.

    ``priority`` replaces the job's where it is given.
    """

    delay_s: float
    priority: float | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs wait for a worker, wait for their time, and run."""

    waiting: int
    delayed: int
    running: int

    @property
    def total(self) -> int:
        """All jobs whose keys are taken."""
        return self.waiting + self.delayed + self.running


Handler: TypeAlias = Callable[[Job[PayloadT]], Awaitable[Again | None]]
"""Does one job and records its outcome itself. An exception that escapes is a defect and ends ``run``."""


class WorkQueue(Protocol[PayloadT]):
    """See the module's text. Construction does no I/O."""

    async def put(self, job: Job[PayloadT], *, delay_s: float = 0) -> bool:
        """Accept a job; it starts no earlier than ``delay_s`` from now.

        False, and nothing happens, when its key is waiting or running or the queue is closed. A handler that wants
        its own job again returns ``Again``; putting it would be refused.
        """
        ...

    async def run(self, handler: Handler[PayloadT], workers: int) -> None:
        """Work on jobs, at most ``workers`` at once, until the queue is closed and the last handler is done.

        Cancelling it cancels the handlers and waits for them. One ``run`` at a time.

        Raises:
            ExceptionGroup: a handler let an exception escape; the others were cancelled.
            RuntimeError: it is running already.
        """
        ...

    async def join(self) -> None:
        """Wait until no job waits, is delayed or runs. Needs a ``run`` beside it, unless the queue is closed."""
        ...

    def close(self) -> None:
        """Start no more jobs, accept none; those running go on. Waiting jobs are forgotten by this process."""
        ...

    async def drain(self, timeout_s: float) -> bool:
        """Close, give running handlers ``timeout_s``, then cancel them and wait for their end.

        True when nothing had to be cancelled.
        """
        ...

    async def depth(self, group: str | None = None) -> Depth:
        """Counts for one group, or for all."""
        ...
