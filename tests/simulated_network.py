"""Connections in memory: what one side writes, the other gets a little later, in order, or never.

Each port has its weather: ``fair``; ``silent`` (nothing passes, in either direction, and no connection comes about);
``broken`` (every connection is reset as soon as something passes). A port that nobody serves refuses.
"""

import asyncio
import errno
import os
import random
import socket
from collections.abc import Callable
from typing import Any, Protocol

Factory = Callable[[], asyncio.Protocol]

_LATENCY_S = (0.002, 0.06)
_FIRST_PORT = 20_000
_STEP_S = 1e-6


class Timed(Protocol):
    """What the network needs of the loop it runs on."""

    def time(self) -> float: ...

    def effect(self) -> None: ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> object: ...

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object: ...


class Plug:
    """What is asked of a socket beneath a transport."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self, port: int) -> None:
        self._port = port
        self.resets = False

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", self._port)

    def setsockopt(self, _level: int, option: int, _value: object) -> None:
        self.resets = self.resets or option == socket.SO_LINGER


class End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, network: "Network", port: int, protocol: asyncio.Protocol, name: tuple[str, int]) -> None:
        self._plug = Plug(port)
        super().__init__({"socket": self._plug, "peername": name, "sockname": ("127.0.0.1", port)})
        self.port = port
        self.protocol: asyncio.BaseProtocol = protocol
        self.peer: End | None = None
        self._network = network
        self._arrives_s = 0.0
        self._closing = self._lost = self._paused = False
        self._waiting: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._closing and data:
            self._later(self._give, bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._later(self._hang_up, None)
            self._network.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if self._plug.resets:
            self._reset()
        else:
            self.close()

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._paused

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        while self._waiting and not self._paused and not self._lost:
            self._receive(self._waiting.pop(0))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no limit."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def _later(self, callback: Callable[..., None], *args: Any) -> None:
        """To the peer, after what was sent before."""
        loop = self._network.loop
        self._arrives_s = max(self._arrives_s + _STEP_S, loop.time() + self._network.latency_s())
        loop.call_at(self._arrives_s, callback, *args)

    def _give(self, data: bytes) -> None:
        weather = self._network.weather.get(self.port)
        if weather == "silent" or self.peer is None or self.peer._lost:
            return
        if weather == "broken":
            self._reset()
            return
        self._network.loop.effect()
        self.peer._receive(data)

    def _hang_up(self, error: Exception | None) -> None:
        peer = self.peer
        if peer is None or self._network.weather.get(self.port) == "silent":
            return
        if error is None and not peer._lost and isinstance(peer.protocol, asyncio.Protocol):
            peer.protocol.eof_received()
        peer._closing = True
        peer._lose(error)

    def _reset(self) -> None:
        self._closing = True
        error = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._later(self._hang_up, error)
        self._network.loop.call_soon(self._lose, error)

    def _receive(self, data: bytes) -> None:
        if self._lost or self._closing:
            return
        if self._paused:
            self._waiting.append(data)
        elif isinstance(self.protocol, asyncio.Protocol):
            self.protocol.data_received(data)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self.protocol.connection_lost(error)


class Server(asyncio.AbstractServer):
    """A listener; closing it stops new connections only."""

    def __init__(self, network: "Network", port: int) -> None:
        self._network = network
        self._port = port
        self.sockets = (Plug(port),)

    def close(self) -> None:
        self._network.served.pop(self._port, None)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    async def start_serving(self) -> None:
        """It does from the first."""

    async def serve_forever(self) -> None:
        await asyncio.get_running_loop().create_future()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def is_serving(self) -> bool:
        return self._port in self._network.served


class Network:
    """All servers and their weather; outlives the loops that run on it, its connections do not."""

    def __init__(self, rng: random.Random) -> None:
        self.weather: dict[int, str] = {}
        self.served: dict[int, Factory] = {}
        self.connections = 0
        self._rng = rng
        self._next_port = _FIRST_PORT

    def begin(self, loop: Timed) -> None:
        """From now on everything happens on this loop; nobody serves yet."""
        self.loop = loop
        self.served.clear()

    def latency_s(self) -> float:
        return self._rng.uniform(*_LATENCY_S)

    def listen(self, _host: str, port: int | None, factory: Factory) -> Server:
        if not port:
            port = self._next_port
            self._next_port += 1
        self.served[port] = factory
        return Server(self, port)

    async def reach(self, port: int) -> None:
        """Wait as long as a handshake takes; for ever where all is silent."""
        await asyncio.sleep(self.latency_s())
        if self.weather.get(port) == "silent":
            await asyncio.get_running_loop().create_future()
        if port not in self.served:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def connect(self, port: int, protocol: asyncio.Protocol) -> End:
        """A connection to whoever serves the port."""
        if port not in self.served:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        self.connections += 1
        serving = self.served[port]()
        near, far = End(self, port, protocol, ("127.0.0.1", port)), End(self, port, serving, ("127.0.0.1", 1))
        near.peer, far.peer = far, near
        protocol.connection_made(near)
        serving.connection_made(far)
        return near
