"""The program as its users meet it, with Lexiang in its settings: a folder, a settings file, a vendor on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexiang_world import read_segments
from logkeep.simulator.lexiang.account import LexiangAccount
from logkeep.simulator.lexiang.cloud import LexiangCloud
from logkeep.simulator.pan123.cloud import Pan123Cloud
from program import Installation


@dataclass
class LexiangInstallation(Installation):
    """An installation with an account ``main`` of 123pan, and of Lexiang whatever ``records`` names."""

    base: LexiangCloud = field(kw_only=True)
    records: dict[str, LexiangAccount] = field(default_factory=dict)
    record_keys: dict[str, Any] = field(default_factory=dict)
    with_files: bool = False

    def tree(self) -> dict[str, Any]:
        whole = super().tree()
        if not self.with_files:
            del whole["pan123"]
        whole["lexiang"] = [
            {
                "name": name,
                "app_key": account.app_key,
                "app_secret": account.app_secret,
                "base_url": self.base.base_url,
                "requests_per_second": 500.0,
                "per_page": 20,
                **self.record_keys,
            }
            for name, account in self.records.items()
        ]
        return whole

    @property
    def hq(self) -> LexiangAccount:
        return self.records["hq"]

    def segments(self, account: str = "hq") -> dict[str, list[dict[str, Any]]]:
        return read_segments(self.storage, account)

    def lines(self, account: str = "hq") -> list[dict[str, Any]]:
        return [line for lines in self.segments(account).values() for line in lines]


@asynccontextmanager
async def lexiang_installation(folder: Path, **quirks: Any) -> AsyncIterator[LexiangInstallation]:
    """Both clouds on loopback, and an installation that archives the account ``hq``."""
    folder.mkdir(exist_ok=True)
    async with Pan123Cloud() as cloud, LexiangCloud(**quirks) as base:
        made = LexiangInstallation(folder, cloud, cloud.add_account(), base=base)
        made.records["hq"] = base.add_account()
        yield made
