"""Settings: values, sections, sources, and every mistake in them at once.

``sections`` says what can be set, ``sources`` where it comes from (file, environment, systemd), ``reading`` brings the
two together. Nothing here knows a vendor; ``vendors.settings`` adds the accounts and offers ``load_settings``.

Settings are read once, before anything else starts, and never change while the process lives.
"""

from logkeep.config.addresses import Address
from logkeep.config.sections import (
    AlertsSettings,
    CatalogSettings,
    CommonSettings,
    DaemonSettings,
    DownloadSettings,
    HttpSettings,
    LogSettings,
    ScheduleSettings,
    StorageSettings,
    WebSettings,
)
from logkeep.config.sources import CONFIG_VARIABLE, DEFAULT_CONFIG

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "Address",
    "AlertsSettings",
    "CatalogSettings",
    "CommonSettings",
    "DaemonSettings",
    "DownloadSettings",
    "HttpSettings",
    "LogSettings",
    "ScheduleSettings",
    "StorageSettings",
    "WebSettings",
]
