"""What a record looks like in a page: drawn from its number, so nothing of it is kept."""

from dataclasses import dataclass
from random import Random
from time import gmtime, strftime
from typing import Any, Final, get_args

from logkeep.simulator.lexiang.cast import UNKNOWN_TYPES, Cast, Party, party
from logkeep.simulator.lexiang.identity import Identities, IdKind, scatter
from logkeep.simulator.lexiang.records import Records
from logkeep.simulator.lexiang.traits import GONE, Given, Habits, Shape
from logkeep.simulator.omit import overridden

_CHINA_S = 8 * 3600
_FORM = "%Y-%m-%d %H:%M:%S"
_TWELVE_BITS = 0xFFF
_NOTHING: Final[Given] = {}
_KINDS: Final[tuple[IdKind, ...]] = get_args(IdKind)
_BOTH_EACH = 4
"""Of so many gone ones, one lacks the target and the owner."""


@dataclass(slots=True)
class Drawn:
    """One record as it is told; never changed, but a frozen one takes three times as long to make."""

    id: str
    id_is_number: bool
    created_at: str
    target: Party
    target_shape: Shape
    owner: Party
    owner_shape: Shape
    given: Given

    def row(self, *, number_ids: bool) -> dict[str, Any]:
        """The resource object under ``data``; ``number_ids``: an id that is a number is sent as one."""
        attributes: dict[str, Any] = {"created_at": self.created_at}
        parties = {"target": self.target.told(self.target_shape)[0], "owner": self.owner.told(self.owner_shape)[0]}
        row = {
            "type": "download_log",
            "id": int(self.id) if number_ids and self.id_is_number else self.id,
            "attributes": attributes,
            "relationships": {name: told for name, told in parties.items() if told is not None},
        }
        return self._overridden(row) if self.given else row

    def _overridden(self, row: dict[str, Any]) -> dict[str, Any]:
        row["attributes"] = overridden(row["attributes"], self.given.get("attributes", {}))
        return overridden(row, self.given.get("overrides", {}))

    def linked(self, include: frozenset[str]) -> list[tuple[tuple[str, str], dict[str, Any]]]:
        """What it adds to ``included``, each with its key."""
        found = []
        if "target" in include and (resource := self.target.told(self.target_shape)[1]) is not None:
            found.append((self.target.key, resource))
        if "owner" in include and (resource := self.owner.told(self.owner_shape)[1]) is not None:
            found.append((self.owner.key, resource))
        return found


class Rows:
    """Draws the records of one account."""

    def __init__(self, seed: str, records: Records) -> None:
        self.given: dict[int, Given] = {}
        self.named: dict[str, int] = {}
        self.identities = Identities(Random(f"{seed}|ids"))
        self._records = records
        self._cast = Cast(Random(f"{seed}|cast"))
        self._salt = Random(f"{seed}|rows").getrandbits(63)

    def id_of(self, number: int) -> str:
        """The id of a record, as text."""
        given = self.given.get(number, _NOTHING)
        if "record_id" in given:
            return given["record_id"]
        kind = self._kind(number, self._records.batch(number).habits, given)
        return self.identities.make(number, kind, self._records.created_s[number])

    def number_of(self, record_id: str) -> int:
        """The record that has, or had, an id.

        Raises:
            KeyError: none ever had it.
        """
        if record_id in self.named:
            return self.named[record_id]
        number = self.identities.number(record_id)
        if number is None or not 0 <= number < len(self._records.created_s) or self.id_of(number) != record_id:
            raise KeyError(record_id)
        return number

    def hidden(self, number: int) -> bool:
        """Whether a record is paged over but never shown."""
        given = self.given.get(number, _NOTHING)
        if "hidden" in given:
            return given["hidden"]
        share = self._records.batch(number).habits.hidden
        return bool(share) and scatter(self._salt + 1, number) % 10_000 < share * 10_000

    def draw(self, number: int) -> Drawn:
        """A record as it is told."""
        habits = self._records.batch(number).habits
        given = self.given.get(number, _NOTHING)
        bits = scatter(self._salt, number)
        target_shape, owner_shape = _shapes(bits, habits)
        record_id = given.get("record_id")
        kind = self._kind(number, habits, given)
        created_s = self._records.created_s[number]
        return Drawn(
            record_id or self.identities.make(number, kind, created_s),
            kind == "number" and record_id is None,
            strftime(_FORM, gmtime(created_s + _CHINA_S)),
            self._target(bits, habits, given),
            given.get("target_shape", target_shape),
            self._owner(bits, habits, given),
            given.get("owner_shape", owner_shape),
            given,
        )

    def _kind(self, number: int, habits: Habits, given: Given) -> IdKind:
        if "ids" in given:
            return given["ids"]
        if habits.ids != "mixed":
            return habits.ids
        return _KINDS[scatter(self._salt + 2, number) % len(_KINDS)]

    def _target(self, bits: int, habits: Habits, given: Given) -> Party:
        place = ((bits >> 32) & _TWELVE_BITS) / (_TWELVE_BITS + 1)
        pick = (bits >> 16) & 0xFFFF
        if place < habits.attachments:
            kind = "attachment"
        else:
            kind = UNKNOWN_TYPES[pick % len(UNKNOWN_TYPES)] if place >= 1 - habits.unknown_types else "file"
        kind = given.get("target_type", kind)
        drawn = self._cast.target(kind, pick, habits.linked_ids)
        if "target_id" not in given and "target_name" not in given:
            return drawn
        attributes = {"name": given.get("target_name", drawn.resource["attributes"]["name"])}
        return party(kind, given.get("target_id", drawn.resource["id"]), attributes)

    def _owner(self, bits: int, habits: Habits, given: Given) -> Party:
        drawn = self._cast.person(bits & 0xFFFF, habits.linked_ids)
        if "owner_id" not in given and "owner_name" not in given:
            return drawn
        attributes = drawn.resource["attributes"]
        name = given.get("owner_name", attributes["name"])
        return party("staff", given.get("owner_id", drawn.resource["id"]), attributes | {"name": name})


def _shapes(bits: int, habits: Habits) -> tuple[Shape, Shape]:
    if ((bits >> 44) & _TWELVE_BITS) >= habits.gone * (_TWELVE_BITS + 1):
        return "whole", "whole"
    draw = bits >> 56
    shape = GONE[draw % len(GONE)]
    if draw % _BOTH_EACH == 0:
        return shape, shape
    return ("whole", shape) if draw % 2 else (shape, "whole")
