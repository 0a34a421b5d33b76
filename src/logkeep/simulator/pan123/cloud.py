"""The simulated cloud of 123pan: accounts, two servers, and the record of what happened."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from logkeep.simulator.faults import Faults
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.api import Api
from logkeep.simulator.pan123.api_faults import API_KINDS
from logkeep.simulator.pan123.download_faults import DOWNLOAD_KINDS
from logkeep.simulator.pan123.downloads import Downloads
from logkeep.simulator.pan123.offered import HOUR, OfferedFile, hour_start
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.signing import Signer
from logkeep.simulator.wire import Wire
from logkeep.simulator.witness import Request, Witness

_GRACE_S = 1.0
_LATE_HOURS = 24


@dataclass(kw_only=True, eq=False)
class Pan123Cloud(Quirks):
    """The vendor on loopback: every keyword of ``Quirks``, changeable while it runs.

    Use it as an async context manager, or ``start`` and ``stop`` it. The world outlives a stop, and a restart comes
    back on the same ports: an outage is a stop and a start.
    """

    def __post_init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.faults = Faults(
            {**dict.fromkeys(("token", "list", "user", "traffic"), API_KINDS), "download": DOWNLOAD_KINDS}
        )
        self.witness = Witness()
        self.base_url = ""
        self.download_base = ""
        self._objects: dict[str, OfferedFile] = {}
        self._signer = Signer(Random(f"{self.seed}|signer").randbytes(32))
        self._runners: list[web.AppRunner] = []
        self._wire = Wire(self._server_time)
        self._ports = (0, 0)

    def add_account(
        self,
        client_id: str = "simulated-client",
        client_secret: str = "simulated-secret",  # noqa: S107 - opens nothing but a simulator
        *,
        developer_rights: bool = True,
    ) -> Account:
        """A customer with no files yet.

        Raises:
            ValueError: the client_id is taken.
        """
        if client_id in self.accounts:
            raise ValueError(f"there is an account {client_id!r} already")
        account = Account(
            client_id, client_secret, developer_rights=developer_rights, quirks=self, register=self._register
        )
        self.accounts[client_id] = account
        return account

    def _register(self, _account: Account, file: OfferedFile) -> None:
        self._objects[file.path] = file

    async def start(
        self,
        host: str = "127.0.0.1",
        api_port: int = 0,
        *,
        download_port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Open both servers; port 0 takes the port of the last start, or any free one."""
        self._wire = Wire(self._server_time)
        downloads = Downloads(
            self, self._objects, signer=self._signer, faults=self.faults, witness=self.witness, wire=self._wire
        )
        api = Api(
            self,
            self.accounts,
            address=downloads.address,
            faults=self.faults,
            witness=self.witness,
            wire=self._wire,
        )
        ports = (api_port or self._ports[0], download_port or self._ports[1])
        try:
            self.download_base = downloads.origin = await self._serve(downloads.app(), host, ports[1], tls)
            self.base_url = await self._serve(api.app(), host, ports[0], tls)
        except BaseException:
            await self.stop()
            raise
        self._ports = (_port(self.base_url), _port(self.download_base))

    async def _serve(self, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> str:
        app.on_response_prepare.append(self._wire.stamp)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        return f"{'http' if tls is None else 'https'}://{host}:{runner.addresses[0][1]}"

    def _server_time(self) -> datetime:
        return self.now() + self.date_offset

    async def stop(self) -> None:
        """Close both servers; silent answers end at once, others within a second."""
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
        """What a client did that none may do, such as credentials sent to the download host."""
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

    async def keep_publishing(
        self,
        account: Account,
        *,
        files_per_hour: int = 3,
        late_every: timedelta | None = None,
        check_every: timedelta = timedelta(milliseconds=200),
    ) -> None:
        """Until cancelled: publish each hour as it closes and, every ``late_every``, a late file for a recent hour.

        Both follow the cloud's clock; ``check_every`` is real time.
        """
        rng = Random(f"{self.seed}|late")
        next_hour = hour_start(self.now())
        late_at = None if late_every is None else self.now() + late_every
        while True:
            while next_hour + HOUR <= self.now():
                account.publish(next_hour, count=files_per_hour)
                next_hour += HOUR
            while late_every is not None and late_at is not None and late_at <= self.now():
                account.publish(next_hour - HOUR * rng.randint(1, _LATE_HOURS))
                late_at += late_every
            await asyncio.sleep(check_every.total_seconds())


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
