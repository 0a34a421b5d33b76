"""The simulated cloud of 123pan: accounts, two servers, and the record of what happened."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from logkeep.simulator.cloud import SimulatedCloud, port_of
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.api import Api
from logkeep.simulator.pan123.api_faults import API_KINDS
from logkeep.simulator.pan123.download_faults import DOWNLOAD_KINDS
from logkeep.simulator.pan123.downloads import Downloads
from logkeep.simulator.pan123.offered import HOUR, OfferedFile, hour_start
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.signing import Signer

_LATE_HOURS = 24


@dataclass(kw_only=True, eq=False)
class Pan123Cloud(Quirks, SimulatedCloud):
    """The vendor on loopback: every keyword of ``Quirks``, changeable while it runs."""

    def __post_init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._prepare({**dict.fromkeys(("token", "list", "user", "traffic"), API_KINDS), "download": DOWNLOAD_KINDS})
        self.base_url = ""
        self.download_base = ""
        self._objects: dict[str, OfferedFile] = {}
        self._signer = Signer(Random(f"{self.seed}|signer").randbytes(32))

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
        wire = self._fresh_wire()
        downloads = Downloads(
            self, self._objects, signer=self._signer, faults=self.faults, witness=self.witness, wire=wire
        )
        api = Api(
            self,
            self.accounts,
            address=downloads.address,
            faults=self.faults,
            witness=self.witness,
            wire=wire,
        )
        ports = (api_port or port_of(self.base_url), download_port or port_of(self.download_base))
        try:
            self.download_base = downloads.origin = await self._serve(downloads.app(), host, ports[1], tls)
            self.base_url = await self._serve(api.app(), host, ports[0], tls)
        except BaseException:
            await self.stop()
            raise

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
