"""Thread pools that a test can count and hold back."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class CountingExecutor(ThreadPoolExecutor):
    """Counts the hops made through it."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.hops = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.hops += 1
        return super().submit(fn, *args, **kwargs)


class GatedExecutor(ThreadPoolExecutor):
    """Once ``gate`` is cleared, calls wait in their thread for it to be set; ``ended`` counts those that are over.

    ``asked`` is set when the first call is handed over.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.gate = threading.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.submitted = 0
        self.ended = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.submitted += 1
        self.asked.set()
        return super().submit(self._gated, fn, *args, **kwargs)

    def _gated(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> object:
        self.gate.wait()
        try:
            return fn(*args, **kwargs)
        finally:
            self.ended += 1
