"""The simulated cloud of Tencent Lexiang: accounts, one server, and the record of what happened."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from logkeep.simulator.cloud import SimulatedCloud, port_of
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.api import Api, Turn
from logkeep.simulator.lexiang.api_faults import KINDS
from logkeep.simulator.lexiang.quirks import LexiangQuirks
from logkeep.simulator.pace import Pace

_LATE_SHARE = 0.05
_LATEST = timedelta(minutes=5)
_DELETED_SHARE = 0.02
_DELETED_AMONG = 1_000


@dataclass(kw_only=True, eq=False)
class LexiangCloud(LexiangQuirks, SimulatedCloud):
    """The vendor on loopback: every keyword of ``LexiangQuirks``, changeable while it runs."""

    def __post_init__(self) -> None:
        self.accounts: dict[str, LexiangAccount] = {}
        self._prepare(KINDS)
        self.base_url = ""
        self._turn = Turn()
        self._pace = Pace()

    def add_account(
        self,
        app_key: str = "simulated-key",
        app_secret: str = "simulated-secret",  # noqa: S107 - opens nothing but a simulator
        *,
        permitted: bool = True,
    ) -> LexiangAccount:
        """A customer with no records yet.

        Raises:
            ValueError: the app_key is taken.
        """
        if app_key in self.accounts:
            raise ValueError(f"there is an account {app_key!r} already")
        account = LexiangAccount(app_key, app_secret, permitted=permitted, quirks=self, asked=lambda: self._turn.asked)
        self.accounts[app_key] = account
        return account

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """Open the server; port 0 takes the port of the last start, or any free one."""
        api = Api(
            self,
            self.accounts,
            turn=self._turn,
            pace=self._pace,
            faults=self.faults,
            witness=self.witness,
            wire=self._fresh_wire(),
        )
        try:
            self.base_url = await self._serve(api.app(), host, port or port_of(self.base_url), tls)
        except BaseException:
            await self.stop()
            raise

    def pages(self, app_key: str | None = None) -> list[int | None]:
        """The pages asked for, in order, of one account or of all; None where ``page`` was no number."""
        asked = self.witness.requests("logs")
        return [request.page for request in asked if app_key in (None, request.client_id)]

    async def keep_recording(
        self,
        account: LexiangAccount,
        *,
        every: timedelta = timedelta(seconds=10),
        check_every: timedelta = timedelta(milliseconds=200),
    ) -> None:
        """Until cancelled: a record ``every`` so often, some of them minutes late, and a deletion now and then.

        ``every`` follows the cloud's clock; ``check_every`` is real time.
        """
        rng = Random(f"{self.seed}|recording")
        due = self.now() + every
        while True:
            while due <= self.now():
                late = _LATEST * rng.random() if rng.random() < _LATE_SHARE else timedelta()
                account.add_record(due, back=late)
                if rng.random() < _DELETED_SHARE:
                    account.delete_random(newest=_DELETED_AMONG)
                due += every
            await asyncio.sleep(check_every.total_seconds())
