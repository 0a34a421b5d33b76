"""An account of the simulated Lexiang: its credentials, its tokens, and the records that it offers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Unpack

from logkeep.simulator.lexiang.quirks import LexiangQuirks
from logkeep.simulator.lexiang.records import Records
from logkeep.simulator.lexiang.rows import Rows
from logkeep.simulator.lexiang.sample import OFFICIAL_SAMPLE
from logkeep.simulator.lexiang.traits import CHINA, Given, Habits, OfferedRecord
from logkeep.simulator.tokens import TokenDesk

_EVERYTHING = frozenset({"target", "owner"})


class LexiangAccount:
    """Made by ``LexiangCloud.add_account``.

    Attributes:
        app_key: as the token endpoint knows it.
        app_secret: may be changed at any time; tokens already issued stay.
        permitted: without it tokens are issued but logs are refused (403).
        tokens: every token ever issued, and its fate.
        records: the world, in numbers; for the cloud's own use.
        rows: what the numbers look like; for the cloud's own use.
        first_total: the count at the first request, for ``total="stale"``.
    """

    def __init__(
        self, app_key: str, app_secret: str, *, permitted: bool, quirks: LexiangQuirks, asked: Callable[[], int]
    ) -> None:
        seed = f"{quirks.seed}|{app_key}"
        self.app_key = app_key
        self.app_secret = app_secret
        self.permitted = permitted
        self.tokens = TokenDesk(Random(f"{seed}|tokens"))
        self.records = Records(Random(f"{seed}|order"))
        self.rows = Rows(seed, self.records)
        self.first_total: int | None = None
        self._rng = Random(seed)
        self._quirks = quirks
        self._asked = asked

    def __len__(self) -> int:
        """How many records there are now, hidden ones included: the truth about ``meta.total``."""
        return len(self.records)

    def populate(
        self,
        count: int,
        *,
        days: float = 30.0,
        end: datetime | None = None,
        ties: float = 0.1,
        habits: Habits | None = None,
    ) -> None:
        """Offer ``count`` records, evenly drawn from the ``days`` before ``end`` (default: now, both seconds included).

        A share of ``ties`` has the very second of the record before it. A million takes about two seconds.
        """
        last = _second(end or self._quirks.now())
        seconds = sorted(self._rng.choices(range(last - round(days * 86_400), last + 1), k=count))
        for place in range(1, count):
            if self._rng.random() < ties:
                seconds[place] = seconds[place - 1]
        self.records.begin(habits or Habits(), self._quirks.now(), self._asked())
        self.records.extend(seconds)

    def add_record(self, at: datetime | None = None, *, back: timedelta = timedelta(), **given: Unpack[Given]) -> str:
        """Offer one record from now on and say its id.

        ``created_at`` is ``at`` (aware; default: now) less ``back``, cut to the second: earlier, later or equal to
        others' as wished. Among records of one second its place is drawn.
        Target and owner are drawn too, and told whole, unless given otherwise.

        Raises:
            ValueError: a record has, or had, this id.
        """
        record_id = given.get("record_id")
        if record_id is not None and self._known(record_id):
            raise ValueError(f"there is, or was, a record {record_id!r}")
        number = self.records.begin(replace(Habits(), gone=0.0), self._quirks.now(), self._asked())
        if given:
            self.rows.given[number] = given
        if record_id is not None:
            self.rows.named[record_id] = number
        self.records.insert(_second((at or self._quirks.now()) - back))
        return self.rows.id_of(number)

    def add_official_sample(self) -> list[str]:
        """The two records of the vendor's own example (2018-04-10), newest first: same ids, seconds, names."""
        ids = []
        for created_at, given in OFFICIAL_SAMPLE:
            ids.append(self.add_record(datetime.fromisoformat(created_at).replace(tzinfo=CHINA), **given))
        return ids

    def delete(self, record_id: str) -> None:
        """A record is gone from now on.

        Raises:
            KeyError: there is no such record.
        """
        number = self.rows.number_of(record_id)
        if number in self.records.gone:
            raise KeyError(record_id)
        self.records.remove(number, self._quirks.now(), self._asked())

    def delete_random(self, count: int = 1, *, newest: int | None = None) -> list[str]:
        """Delete ``count`` records (or all that are there), each drawn from the ``newest`` then, and say their ids."""
        deleted = []
        for _ in range(min(count, len(self))):
            number = self.records.draw(newest)
            self.records.remove(number, self._quirks.now(), self._asked())
            deleted.append(self.rows.id_of(number))
        return deleted

    def reorder(self, *, newest: int | None = None, swaps: int = 0) -> None:
        """Shuffle the records of each second, and let ``swaps`` pairs of neighbours of different seconds change places.

        ``newest`` bounds both to the newest records; None: all of them, a second of CPU time for a million.
        """
        self.records.shuffle_ties(newest)
        for _ in range(swaps):
            self.records.swap_neighbours(newest)

    def swap(self, one: str, other: str) -> None:
        """Let two records change places, whatever their seconds.

        Raises:
            KeyError, ValueError: one of them is not there.
        """
        self.records.swap(self.rows.number_of(one), self.rows.number_of(other))

    def ids(self, newest: int | None = None) -> list[str]:
        """The ids shown now (no hidden ones), in the order of an honest listing, of the ``newest`` records."""
        order = self.records.order
        numbers = reversed(order[len(order) - self.records.newest(newest) :])
        return [self.rows.id_of(number) for number in numbers if not self.rows.hidden(number)]

    def truth(self) -> Iterator[OfferedRecord]:
        """Every record that is or ever was offered, hidden ones left out, in order of appearance."""
        for number in range(len(self.records.created_s)):
            if not self.rows.hidden(number):
                yield self._offered(number)

    def record(self, record_id: str) -> OfferedRecord:
        """The truth about one record.

        Raises:
            KeyError: there never was such a record.
        """
        return self._offered(self.rows.number_of(record_id))

    def row(self, record_id: str) -> dict[str, Any]:
        """The record's object under ``data`` as an honest listing without further quirks shows it; change nothing."""
        return self.rows.draw(self.rows.number_of(record_id)).row(number_ids=True)

    def linked(self, record_id: str) -> list[dict[str, Any]]:
        """What the record has under ``included``: target, then owner, where they are told; change nothing."""
        drawn = self.rows.draw(self.rows.number_of(record_id))
        return [resource for _, resource in drawn.linked(_EVERYTHING)]

    def _known(self, record_id: str) -> bool:
        try:
            self.rows.number_of(record_id)
        except KeyError:
            return False
        return True

    def _offered(self, number: int) -> OfferedRecord:
        batch = self.records.batch(number)
        until, until_request = self.records.gone.get(number, (None, None))
        return OfferedRecord(
            id=self.rows.id_of(number),
            created_at=datetime.fromtimestamp(self.records.created_s[number], CHINA),
            since=batch.since,
            until=until,
            since_request=batch.since_request,
            until_request=until_request,
        )


def _second(moment: datetime) -> int:
    return int(moment.timestamp() // 1)
