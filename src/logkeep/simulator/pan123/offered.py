"""One file that the simulated vendor offers, and the row that lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from logkeep.simulator.content import Content
from logkeep.simulator.omit import OMIT as OMIT  # noqa: PLC0414 - listings are told with it from here
from logkeep.simulator.omit import overridden

CHINA = timezone(timedelta(hours=8), "+08:00")
HOUR = timedelta(hours=1)


@dataclass(slots=True, eq=False)
class OfferedFile:
    """A file of the cloud; the truth that an archive is compared with.

    Attributes:
        account: the client_id that it belongs to.
        file_id: the vendor's id. A number is served as ``ids_as`` says, a text always as text.
        hour: start of its hour, aware, +08:00. Listings select by it, whatever the row claims.
        name: ``fileName``.
        content: what a download yields now.
        path: raw request path of its object.
        seq: order of publication; "newest first" sorts by it.
        midnight: how this file writes the end of the hour 23.
        visible_from: first moment at which listings show it and downloads serve it.
        withdrawn_at: from this moment on it is gone.
        listed_size: ``fileSize``; None lists the true size.
        overrides: keys of the listing row replaced, added, or removed with ``OMIT``.
        history: earlier contents, oldest first.
    """

    account: str
    file_id: int | str
    hour: datetime
    name: str
    content: Content
    path: str
    seq: int
    midnight: Literal["00:00", "24:00"]
    visible_from: datetime
    withdrawn_at: datetime | None = None
    listed_size: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    history: list[Content] = field(default_factory=list)

    @property
    def hour_name(self) -> str:
        """``YYYYMMDDHH``."""
        return f"{self.hour:%Y%m%d%H}"

    @property
    def size_bytes(self) -> int:
        """True size of what a download yields now."""
        return self.content.size

    def sha256(self) -> str:
        """Digest of what a download yields now; streams huge contents once."""
        return self.content.sha256()

    def offered_at(self, moment: datetime, retention: timedelta) -> bool:
        """Whether listings show it and downloads serve it at a moment."""
        return (
            self.visible_from <= moment
            and (self.withdrawn_at is None or moment < self.withdrawn_at)
            and self.hour >= moment - retention
        )

    def row(self, url: str, *, ids_as: Literal["number", "text"]) -> dict[str, Any]:
        """Its row in a listing, keys in the order of the official sample."""
        row: dict[str, Any] = {
            "id": str(self.file_id) if ids_as == "text" else self.file_id,
            "fileName": self.name,
            "fileSize": self.content.size if self.listed_size is None else self.listed_size,
            "logTimeRange": time_range(self.hour, self.midnight),
            "downloadURL": url,
        }
        return overridden(row, self.overrides)


def hour_index(moment: datetime) -> int:
    """Hours since 1970-01-01T00:00Z."""
    return int(moment.timestamp() // 3600)


def hour_start(hour: datetime | str) -> datetime:
    """Start of the hour of an aware moment, or of a ``YYYYMMDDHH``, in +08:00.

    Raises:
        ValueError: the text is no hour, or the moment has no zone.
    """
    if isinstance(hour, str):
        if len(hour) != len("YYYYMMDDHH") or not (hour.isascii() and hour.isdigit()):
            raise ValueError(f"{hour!r} is no YYYYMMDDHH")
        hour = datetime(int(hour[:4]), int(hour[4:6]), int(hour[6:8]), int(hour[8:]), tzinfo=CHINA)
    if hour.tzinfo is None:
        raise ValueError("an hour needs a zone")
    return hour.astimezone(CHINA).replace(minute=0, second=0, microsecond=0)


def file_name(hour: datetime, midnight: str, suffix: str) -> str:
    """``YYYYMMDD``, start hour, end hour, suffix."""
    end = (hour.hour + 1) % 24
    return f"{hour:%Y%m%d%H}{end or int(midnight[:2]):02d}{suffix}"


def time_range(hour: datetime, midnight: str) -> str:
    """``2025-06-20 15:00~16:00``; the end of the last hour of a day is written as ``midnight`` says."""
    end = (hour.hour + 1) % 24
    return f"{hour:%Y-%m-%d %H}:00~{f'{end:02d}:00' if end else midnight}"
