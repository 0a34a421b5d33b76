"""Every section that is the same for all vendors; ``config.example.toml`` explains each key to its reader."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from logkeep.config.addresses import Address, Listen, Proxy
from logkeep.config.values import AbsolutePath, Duration, Flag, NearbyPath, Size, Whole, ZoneName, one_of
from logkeep.config.wording import show

_ZERO = timedelta(0)
_GIB = 2**30
_LARGEST_BYTES = 2**60
_SQLITE = "sqlite:///"


class Section(BaseModel):
    """Keys that belong together; unknown ones are errors, and nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StorageSettings(Section):
    """Where the archive lies. ``min_free`` in bytes."""

    path: AbsolutePath = Path("/var/lib/logkeep")
    create: Flag = True
    min_free: Size = Field(default=_GIB, ge=0, le=_LARGEST_BYTES)


def parse_catalog_url(value: object) -> str | None:
    """A database's address as SQLAlchemy writes it. Never shown: other kinds hold a password."""
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, str) else ""
    if not text.startswith(_SQLITE):
        raise ValueError("only SQLite is supported by this version; write sqlite:////ABSOLUTE/PATH, or leave it out")
    path = text.removeprefix(_SQLITE)
    if not path.startswith("/") or path == "/" or "?" in path or not path.isprintable():
        raise ValueError(
            "write sqlite:// and an absolute path, four slashes in all: sqlite:////var/lib/catalog.sqlite3"
        )
    return text


class CatalogSettings(Section):
    """Where the catalog lies; None is under the storage path."""

    url: Annotated[str | None, BeforeValidator(parse_catalog_url)] = None

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, if one was named."""
        return None if self.url is None else Path(self.url.removeprefix(_SQLITE))


class ScheduleSettings(Section):
    """When cron lines are meant."""

    timezone: ZoneName = Field(default="Asia/Shanghai", validate_default=True)

    @property
    def zone(self) -> ZoneInfo:
        """The zone itself; it was found on this machine when the settings were read."""
        return ZoneInfo(self.timezone)


class DownloadSettings(Section):
    """How files are fetched. ``max_file_size`` in bytes."""

    concurrency: Whole = Field(default=16, ge=1, le=1024)
    max_file_size: Size = Field(default=16 * _GIB, ge=1, le=_LARGEST_BYTES)
    idle_timeout: Duration = Field(default=timedelta(seconds=60), gt=_ZERO)
    total_timeout: Duration = Field(default=timedelta(hours=6), gt=_ZERO, validate_default=True)
    allow_http: Flag = False
    allow_private_addresses: Flag = False

    @field_validator("total_timeout")
    @classmethod
    def _no_shorter_than_idle(cls, total: timedelta, info: ValidationInfo) -> timedelta:
        idle = info.data.get("idle_timeout", total)
        if total < idle:
            raise ValueError(f"{show(total)} is shorter than idle_timeout ({show(idle)}); write at least that")
        return total


class HttpSettings(Section):
    """How the vendors' clouds are reached. ``proxy`` may hold a password."""

    proxy: Proxy = None


class DaemonSettings(Section):
    """How the daemon lives and ends."""

    drain: Duration = Field(default=timedelta(seconds=20), ge=_ZERO)


class WebSettings(Section):
    """The web endpoint; ``listen`` is None when it is off."""

    listen: Listen = Address("127.0.0.1", 8480)
    token_file: NearbyPath = None


LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["auto", "json", "console"]


class LogSettings(Section):
    """What is written to standard error, and how."""

    level: Annotated[LogLevel, one_of("debug", "info", "warning", "error", "critical")] = "info"
    format: Annotated[LogFormat, one_of("auto", "json", "console")] = "auto"


def refuse_alert(value: object) -> tuple[str, ...]:
    """Refuse what this version cannot do: silence would be taken for consent. Never shown: webhooks are secrets."""
    if value not in ("", [], ()):
        raise ValueError("this version reports alerts in its log only; leave it empty")
    return ()


class AlertsSettings(Section):
    """Who is told of trouble, and when."""

    urls: Annotated[tuple[str, ...], BeforeValidator(refuse_alert)] = ()
    ping_url: Annotated[str, BeforeValidator(lambda value: "".join(refuse_alert(value)))] = ""
    unreachable_after: Duration = Field(default=timedelta(hours=6), gt=_ZERO)


class CommonSettings(BaseSettings):
    """Everything but the vendors' accounts. Built in code it takes what it is given and looks nowhere else."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="LOGKEEP_", env_nested_delimiter="__"
    )

    storage: StorageSettings = Field(default_factory=StorageSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)
    download: DownloadSettings = Field(default_factory=DownloadSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    alerts: AlertsSettings = Field(default_factory=AlertsSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library passes all five by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller passes: ``sources`` reads file and environment, ``reading`` judges them."""
        return (init_settings,)
