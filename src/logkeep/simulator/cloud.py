"""What every simulated cloud has: servers that come back on their ports, a clock of its own, faults, a witness."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from aiohttp import web

from logkeep.simulator.faults import FaultKinds, Faults
from logkeep.simulator.wire import Wire
from logkeep.simulator.witness import Request, Witness

_GRACE_S = 1.0


class SimulatedCloud(ABC):
    """Use it as an async context manager, or ``start`` and ``stop`` it.

    The world outlives a stop, and a restart comes back on the same ports: an outage is a stop and a start.
    """

    now: Callable[[], datetime]
    date_offset: timedelta

    def _prepare(self, kinds: Mapping[str, FaultKinds]) -> None:
        """Set up what does not depend on the vendor; ``kinds`` says what can go wrong where."""
        self.faults = Faults(kinds)
        self.witness = Witness()
        self._runners: list[web.AppRunner] = []
        self._wire = Wire(self._server_time)

    @abstractmethod
    async def start(self) -> None:
        """Open every server."""

    def _fresh_wire(self) -> Wire:
        """Connections of a new start; those of the last one stay stopped."""
        self._wire = Wire(self._server_time)
        return self._wire

    async def _serve(self, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> str:
        """Open a server and say its origin."""
        app.on_response_prepare.append(self._wire.stamp)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        return f"{'http' if tls is None else 'https'}://{host}:{runner.addresses[0][1]}"

    def _server_time(self) -> datetime:
        return self.now() + self.date_offset

    async def stop(self) -> None:
        """Close every server; silent answers end at once, others within a second."""
        self._wire.stopping.set()
        while self._runners:
            await self._runners.pop().cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def requests(self) -> list[Request]:
        """Every request seen, oldest first."""
        return self.witness.requests()

    @property
    def violations(self) -> list[str]:
        """What a client did that none may do, such as credentials sent where they do not belong."""
        return self.witness.violations

    def count(self, kind: str | None = None) -> int:
        """How many requests of a kind came since the start or the last ``reset``."""
        return self.witness.count(kind)

    async def until(self, kind: str, count: int) -> None:
        """Wait until so many requests of a kind have come since the start or the last ``reset``."""
        await self.witness.until(kind, count)

    def peak(self, kind: str) -> int:
        """The most requests of a kind that were in flight together."""
        return self.witness.peak(kind)

    def reset(self) -> None:
        """Forget the requests seen; the world stays."""
        self.witness.reset()


def port_of(origin: str) -> int:
    """The port of a server's origin; 0 where it has none yet."""
    return int(origin.rpartition(":")[2] or 0)
