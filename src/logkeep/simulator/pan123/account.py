"""An account of the simulated cloud: its credentials, its tokens, and the files it offers.

Ids are counted per account and have gaps, so two accounts use the same ids for different files.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain
from random import Random
from typing import Any, overload
from urllib.parse import quote

from logkeep.simulator.content import Content, Held, Joined, as_content, exact_gzip, log_gzip, sized_content
from logkeep.simulator.pan123.offered import CHINA, HOUR, OfferedFile, file_name, hour_index, hour_start
from logkeep.simulator.pan123.quirks import Quirks
from logkeep.simulator.pan123.sample import OFFICIAL_SAMPLE
from logkeep.simulator.pan123.tokens import TokenDesk

SMALL_LOG_BYTES = (200, 4_000)
GROWTH_BYTES = 97


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
    def publish(self, hour: datetime | str, *, count: None = None, **how: Any) -> OfferedFile: ...

    @overload
    def publish(self, hour: datetime | str, *, count: int, **how: Any) -> list[OfferedFile]: ...

    def publish(self, hour: datetime | str, *, count: int | None = None, **how: Any) -> OfferedFile | list[OfferedFile]:
        """Offer one file of an hour, or a list of ``count`` files; ``how`` is told by ``publish_one``."""
        if count is None:
            return self.publish_one(hour, **how)
        return [self.publish_one(hour, **how) for _ in range(count)]

    def publish_one(  # noqa: PLR0913: the facts of one file
        self,
        hour: datetime | str,
        *,
        content: bytes | Content | None = None,
        size: int | None = None,
        name: str | None = None,
        file_id: int | str | None = None,
        listed_size: int | None = None,
        visible_from: datetime | None = None,
        withdrawn_at: datetime | None = None,
        overrides: Mapping[str, Any] | None = None,
        size_range: tuple[int, int] = SMALL_LOG_BYTES,
    ) -> OfferedFile:
        """Offer one file.

        Args:
            hour: any aware moment of the hour, or ``YYYYMMDDHH`` (+08:00).
            content: its bytes; by default a small seeded gzip log, or with ``size`` a valid gzip of exactly that size,
                generated while it is read from 8 MiB on.
            size: see ``content``.
            name: ``fileName``; by default the vendor's pattern with either suffix.
            file_id: by default the next number, after a gap now and then.
            listed_size: ``fileSize`` if it is to differ from the truth.
            visible_from: by default the hour's end plus ``publish_delay``: files of hours to come appear by themselves.
            withdrawn_at: when it vanishes.
            overrides: keys of the listing row replaced, added, or removed with ``OMIT``.
            size_range: uncompressed bytes of the default content.
        """
        start = hour_start(hour)
        self._count += 1
        new_id = self._next_id() if file_id is None else file_id
        if isinstance(new_id, int):
            self._last_id = max(self._last_id, new_id)
        midnight = self._midnight()
        suffix = self._rng.choice((".gz", ".gz", ".log.gz"))
        name = file_name(start, midnight, suffix) if name is None else name
        file = OfferedFile(
            account=self.client_id,
            file_id=new_id,
            hour=start,
            name=name,
            content=self._content(content, size, size_range),
            path=self._path(start, name),
            seq=self._count,
            midnight=midnight,
            visible_from=start + HOUR + self._quirks.publish_delay if visible_from is None else visible_from,
            withdrawn_at=withdrawn_at,
            listed_size=listed_size,
            overrides=dict(overrides or {}),
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
        return [self.publish_one(start, size_range=size_range) for start in starts for _ in range(files_per_hour)]

    def publish_official_sample(self) -> list[OfferedFile]:
        """The five files of the vendor's own example (2025-06-20), in its order: same ids, names, sizes and ranges."""
        files = [
            self.publish_one(hour, file_id=file_id, name=name, size=size)
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

    def _content(self, content: bytes | Content | None, size: int | None, size_range: tuple[int, int]) -> Content:
        if content is not None:
            return as_content(content)
        if size is not None:
            return sized_content(size, f"{self._quirks.seed}|{self.client_id}|{self._count}")
        return Held(log_gzip(self._rng, size_range))

    def _next_id(self) -> int:
        gap = self._rng.randint(1, 3) if self._rng.random() < 0.2 else 0  # noqa: PLR2004: one in five
        return self._last_id + 1 + gap

    def _midnight(self) -> Any:
        styles = self._quirks.midnight
        return styles if styles != "mixed" else ("00:00", "24:00")[self._count % 2]

    def _path(self, start: datetime, name: str) -> str:
        day = f"{start.astimezone(CHINA):%Y%%2F%m%%2f%d}"
        return f"/123-direct-link-logs/{day}/{quote(self.client_id, safe='')}+{self._count}%7E{quote(name, safe='')}"
