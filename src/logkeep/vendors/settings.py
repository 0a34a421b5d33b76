"""The settings with every vendor's accounts in them. A new vendor adds one field and one row."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, SecretStr

from logkeep.config.findings import Findings
from logkeep.config.reading import AccountKind, read_accounts, read_sections
from logkeep.config.sections import CommonSettings
from logkeep.config.sources import DEFAULT_CONFIG, read_sources
from logkeep.errors import Problem
from logkeep.model import AccountKey
from logkeep.vendors.lexiang.settings import LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings

_KINDS = (
    AccountKind("pan123", Pan123Settings, secret="client_secret"),  # noqa: S106 - the key's name, not a secret
    AccountKind("lexiang", LexiangSettings, secret="app_secret"),  # noqa: S106
)


class Settings(CommonSettings):
    """Everything that can be set, judged and resolved; no secret shows in its ``repr``."""

    pan123: tuple[Pan123Settings, ...] = ()
    lexiang: tuple[LexiangSettings, ...] = ()

    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What works and is unwise, such as a secret that every user of the machine can read."""
        return self._warnings

    @property
    def account_keys(self) -> tuple[AccountKey, ...]:
        """Every account of every vendor."""
        return (*(account.key for account in self.pan123), *(account.key for account in self.lexiang))

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """Everything that no log and no output may ever show."""
        accounts = (getattr(account, kind.secret) for kind in _KINDS for account in getattr(self, kind.vendor))
        return (*accounts, *([] if self.http.proxy is None else [self.http.proxy]))


def load_settings(
    config_path: Path | None, environ: Mapping[str, str] = os.environ, *, default_path: Path = DEFAULT_CONFIG
) -> Settings:
    """Read the settings from the file and the environment, which beats it.

    The file is ``config_path``, else what ``LOGKEEP_CONFIG`` names, else ``default_path`` if that exists, else none.

    Raises:
        ConfigError: with every problem there is. Whether the storage path is usable is not looked at here.
    """
    sources = read_sources(Settings, config_path, environ, default_path)
    findings = Findings(sources)
    sections: Mapping[str, Any] = read_sections(Settings, sources, findings)
    accounts: dict[str, Any] = {kind.vendor: read_accounts(kind, sources, findings) for kind in _KINDS}
    if not any(sources.tree.get(kind.vendor) for kind in _KINDS):
        known = " or a ".join(f"[[{kind.vendor}]]" for kind in _KINDS)
        findings.add((_KINDS[0].vendor,), f"no account; add a {known} section")
    findings.raise_if_any()
    settings = Settings(**sections, **accounts)
    settings._warnings = findings.warnings  # noqa: SLF001 - no key, so that no file can set it
    return settings
