"""An account of the simulated cloud: its credentials, its tokens, and the files it offers.

Ids are counted per account and have gaps, so two accounts use the same ids for different files.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain
from random import Random
from typing import Any, Literal, TypedDict, Unpack, overload
from urllib.parse import quote

from logkeep.simulator.content import Content, Held, Joined, as_content, exact_gzip, log_gzip, sized_content
from logkeep.simulator.pan123.offered import CHINA, HOUR, OfferedFile, file_name, hour_index, hour_start
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.sample import OFFICIAL_SAMPLE
from logkeep.simulator.tokens import TokenDesk

SMALL_LOG_BYTES = (200, 4_000)
GROWTH_BYTES = 97
_GAP_SHARE = 0.2
_SUFFIXES = (".gz", ".gz", ".log.gz")


class Publication(TypedDict, total=False):
    """How ``Account.publish`` offers a file; whatever is left out is the vendor's habit."""

    content: bytes | Content
    """Its bytes; by default a small seeded gzip log, or what ``size`` says."""
    size: int
    """Valid gzip of exactly so many bytes, generated while it is read from 8 MiB on."""
    size_range: tuple[int, int]
    """Uncompressed bytes of the default content."""
    name: str
    """``fileName``; by default the vendor's pattern with either suffix."""
    file_id: int | str
    """By default the next number, after a gap now and then."""
    listed_size: int
    """``fileSize``, if it is to differ from the truth."""
    visible_from: datetime
    """By default the hour's end plus ``publish_delay``: files of hours to come appear by themselves."""
    withdrawn_at: datetime
    """When it vanishes."""
    midnight: Literal["00:00", "24:00"]
    """How the end of the hour 23 is written."""
    overrides: Mapping[str, Any]
    """Keys of the listing row replaced, added, or removed with ``OMIT``."""


class Account:
    """Made by ``Pan123Cloud.add_account``. ``register`` makes an object downloadable.

    Attributes:
        client_id: as the token endpoint knows it.
        client_secret: may be changed at any time; tokens already issued stay.
        developer_rights: without them tokens are issued but listings are refused.
        rights_until: end of the paid rights, as the user endpoint tells it.
        tokens: every token ever issued, and its fate.
        traffic_rows: what the traffic endpoint lists, newest last; see ``add_traffic``.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        developer_rights: bool,
        quirks: Quirks,
        register: Callable[["Account", OfferedFile], None],
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.developer_rights = developer_rights
        self.rights_until: datetime | None = None
        self.traffic_rows: list[tuple[datetime, dict[str, Any]]] = []
        self._rng = Random(f"{quirks.seed}|{client_id}")
        self.tokens = TokenDesk(Random(f"{quirks.seed}|{client_id}|tokens"))
        self._quirks = quirks
        self._register = register
        self._by_hour: dict[int, list[OfferedFile]] = {}
        self._count = 0
        self._last_id = 0

    @overload
    def publish(self, hour: datetime | str, *, count: None = None, **how: Unpack[Publication]) -> OfferedFile: ...

    @overload
    def publish(self, hour: datetime | str, *, count: int, **how: Unpack[Publication]) -> list[OfferedFile]: ...

    def publish(
        self, hour: datetime | str, *, count: int | None = None, **how: Unpack[Publication]
    ) -> OfferedFile | list[OfferedFile]:
        """Offer one file, or a list of ``count`` files, of an hour: any aware moment of it, or ``YYYYMMDDHH``."""
        if count is None:
            return self._offer(hour_start(hour), how)
        return [self._offer(hour_start(hour), how) for _ in range(count)]

    def _offer(self, start: datetime, how: Publication) -> OfferedFile:
        self._count += 1
        midnight = how.get("midnight") or self._midnight()
        name = how.get("name")
        if name is None:
            name = file_name(start, midnight, self._rng.choice(_SUFFIXES))
        file = OfferedFile(
            account=self.client_id,
            file_id=self._id(how.get("file_id")),
            hour=start,
            name=name,
            content=self._content(how),
            path=self._path(start, name),
            seq=self._count,
            midnight=midnight,
            visible_from=how.get("visible_from", start + HOUR + self._quirks.publish_delay),
            withdrawn_at=how.get("withdrawn_at"),
            listed_size=how.get("listed_size"),
            overrides=how.get("overrides", {}),
        )
        self._by_hour.setdefault(hour_index(start), []).append(file)
        self._register(self, file)
        return file

    def populate(
        self,
        hours: int,
        files_per_hour: int,
        *,
        end: datetime | None = None,
        size_range: tuple[int, int] = SMALL_LOG_BYTES,
    ) -> list[OfferedFile]:
        """Offer files for the last ``hours`` hours that closed before ``end`` (default: now), oldest first."""
        first_open = hour_start(self._quirks.now() if end is None else end)
        starts = (first_open - HOUR * back for back in range(hours, 0, -1))
        return [self.publish(start, size_range=size_range) for start in starts for _ in range(files_per_hour)]

    def publish_official_sample(self) -> list[OfferedFile]:
        """The five files of the vendor's own example (2025-06-20), in its order: same ids, names, sizes and ranges."""
        files = [
            self.publish(hour, file_id=file_id, name=name, size=size)
            for file_id, name, size, hour in reversed(OFFICIAL_SAMPLE)
        ]
        return files[::-1]

    def grow(self, file: OfferedFile, new_content: bytes | Content | None = None) -> None:
        """The same id gets more bytes: ``new_content``, or what it had and another gzip member behind it."""
        more = Held(exact_gzip(GROWTH_BYTES, self._rng))
        self.replace(file, Joined(file.content, more) if new_content is None else new_content)

    def replace(self, file: OfferedFile, new_content: bytes | Content | None = None) -> None:
        """The same id gets other bytes; by default of the same size and valid gzip, so that no listing tells."""
        if new_content is None:
            new_content = sized_content(file.content.size, f"{file.path}|{len(file.history)}")
        file.history.append(file.content)
        file.content = as_content(new_content)

    def withdraw(self, file: OfferedFile, at: datetime | None = None) -> None:
        """It vanishes from listings and downloads; now, unless ``at`` says when."""
        file.withdrawn_at = self._quirks.now() if at is None else at

    def files(self) -> list[OfferedFile]:
        """Every file ever published, oldest publication first."""
        return sorted(chain.from_iterable(self._by_hour.values()), key=lambda file: file.seq)

    def offered(self, at: datetime | None = None) -> list[OfferedFile]:
        """The truth: what the vendor offers now, or offers at a moment; oldest publication first."""
        moment = self._quirks.now() if at is None else at
        return [file for file in self.files() if file.offered_at(moment, self._quirks.retention)]

    def in_hours(self, indexes: range) -> Iterable[OfferedFile]:
        """Every file ever published for hours of a range of ``hour_index``; costs no more than the smaller of both."""
        if len(indexes) > len(self._by_hour):
            return chain.from_iterable(files for index, files in self._by_hour.items() if index in indexes)
        return chain.from_iterable(self._by_hour.get(index, ()) for index in indexes)

    def add_traffic(self, at: datetime, **row: Any) -> None:
        """A row for the traffic endpoint (``direct-link/log``), counted at a moment."""
        self.traffic_rows.append((at, row))

    def _content(self, how: Publication) -> Content:
        if "content" in how:
            return as_content(how["content"])
        if "size" in how:
            return sized_content(how["size"], f"{self._quirks.seed}|{self.client_id}|{self._count}")
        return Held(log_gzip(self._rng, how.get("size_range", SMALL_LOG_BYTES)))

    def _id(self, given: int | str | None) -> int | str:
        gap = self._rng.randint(1, 3) if self._rng.random() < _GAP_SHARE else 0
        new_id = self._last_id + 1 + gap if given is None else given
        if isinstance(new_id, int):
            self._last_id = max(self._last_id, new_id)
        return new_id

    def _midnight(self) -> Literal["00:00", "24:00"]:
        if self._quirks.midnight == "mixed":
            return "24:00" if self._count % 2 else "00:00"
        return self._quirks.midnight

    def _path(self, start: datetime, name: str) -> str:
        day = f"{start.astimezone(CHINA):%Y%%2F%m%%2f%d}"
        return f"/123-direct-link-logs/{day}/{quote(self.client_id, safe='')}+{self._count}%7E{quote(name, safe='')}"
