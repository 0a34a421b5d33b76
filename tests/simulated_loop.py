"""An event loop without waiting: when nothing is ready, it is at once as late as the next timer says.

Nothing outside takes part: no thread, no socket, no signal. What would run in a thread runs on the loop a moment later,
between two steps of the tasks; connections are pairs of transports in memory (``simulated_network``). So a history is
a function of its seed.

A crash is told to come after so many effects (calls of threads, statements, pieces on the wire). It leaves
``run_until_complete`` as ``Crash``, before the effect and without another step of anybody.
"""

import asyncio
import concurrent.futures
import gc
import logging
import math
import random
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from simulated_network import Network, Server

T = TypeVar("T")

_THREAD_S = (0.0002, 0.004)


class Crash(SystemExit):
    """The process is gone; the loop lets nothing else pass through at once."""


class Deadlock(AssertionError):
    """Nothing is ready, nothing is timed: whoever waits, waits for ever."""


class _Leap:
    """Stands where a selector stands: instead of waiting for a socket it moves the time."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is timed")
        if timeout > 0:
            self._loop.leap(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """``start_s`` is what ``time`` says at first; it counts on in microseconds, so that no float ever drifts."""

    def __init__(self, start_s: float, rng: random.Random, network: Network) -> None:
        super().__init__()
        self._micros = round(start_s * 1e6)
        self._rng = rng
        self._network = network
        self._handlers: dict[int, Callable[[], Any]] = {}
        self._dialled: dict[int, tuple[str, int]] = {}
        self._selector = _Leap(self)
        self.fuse: int | None = None
        network.begin(self)

    def time(self) -> float:
        return self._micros / 1e6

    def leap(self, seconds: float) -> None:
        """Be so much later, rounded up to a whole microsecond."""
        self._micros = max(self._micros + 1, math.ceil((self.time() + seconds) * 1e6 - 1e-3))

    def effect(self) -> None:
        """Something outside is about to change: where a crash may come."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Crash

    def inline(self, call: Callable[[], T]) -> T:
        """Call what believes to be in a thread."""
        asyncio._set_running_loop(None)
        try:
            return call()
        finally:
            asyncio._set_running_loop(self)

    def run_in_executor(  # type: ignore[override]
        self, executor: concurrent.futures.Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        del executor
        future: asyncio.Future[T] = self.create_future()
        self.call_later(self._rng.uniform(*_THREAD_S), self._run, future, func, args)
        return future

    def _run(self, future: "asyncio.Future[T]", func: Callable[..., T], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        self.effect()
        try:
            result = self.inline(lambda: func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits the future gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Reach for a server; the socket only stands for the connection until its transports are made."""
        await self._network.reach(address[1])
        self._dialled[sock.fileno()] = (address[0], address[1])

    async def create_connection(self, protocol_factory: Any, *_: Any, sock: Any = None, **__: Any) -> Any:
        port = self._dialled.pop(sock.fileno())[1]
        sock.close()
        protocol = protocol_factory()
        return self._network.connect(port, protocol), protocol

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Server:
        return self._network.listen(host, port, protocol_factory)

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        self._handlers[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        return self._handlers.pop(sig, None) is not None

    def terminate(self) -> None:
        """SIGTERM comes; before anybody listens, it ends the process at once."""
        if signal.SIGTERM not in self._handlers:
            raise Crash
        self._handlers[signal.SIGTERM]()

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def drop(loop: VirtualLoop) -> None:
    """Everybody on a loop is gone; what they still say while they go is nobody's concern."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    logging.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        while tasks:
            task = tasks.pop(0)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(BaseException):
                task.get_coro().close()
            del task
        loop._ready.clear()  # type: ignore[attr-defined]
        loop._scheduled.clear()  # type: ignore[attr-defined]
        loop.close()
        for _ in range(3):  # what a coroutine held is free only after it went
            gc.collect()
    logging.disable(logging.NOTSET)
    sys.unraisablehook = hook
