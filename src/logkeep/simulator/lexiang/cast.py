"""The people who download and what they download. Each is made once and shared by all pages: change none of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from logkeep.simulator.lexiang.identity import uuid1
from logkeep.simulator.lexiang.traits import LinkedIds, Shape

PEOPLE = 200
TARGETS = 1_000
UNKNOWN_TYPES = ("video", "kb_file", "会议纪要")
_FAMILY_NAMES = "赵钱孙李周吴郑王冯陈"
_GROUPS = ("运营组", "产品组", "研发组", "行政组")
_NO_ENGLISH_NAME_EACH = 7
_BIRTH_TICKS = 1_519_900_000 * 10_000_000


@dataclass(frozen=True, slots=True)
class Party:
    """A target or an owner: its relationship in a row, and its resource under ``included``."""

    key: tuple[str, str]
    relationship: dict[str, Any]
    resource: dict[str, Any]

    def told(self, shape: Shape) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Relationship and resource in a shape; None: left out."""
        match shape:
            case "whole":
                return self.relationship, self.resource
            case "absent":
                return None, None
            case "empty":
                return {}, None
            case "null":
                return {"data": None}, None
            case "unlinked":
                return self.relationship, None
            case _:
                return self.relationship, self._resource(shape)

    def _resource(self, shape: Shape) -> dict[str, Any]:
        attributes: dict[str, Any] = self.resource["attributes"]
        plain = {key: value for key, value in self.resource.items() if key != "attributes"}
        match shape:
            case "bare":
                return plain
            case "partial":
                return plain | {"attributes": {key: value for key, value in attributes.items() if key != "name"}}
            case "nameless":
                return plain | {"attributes": attributes | {"name": None}}
            case _:
                raise AssertionError(shape)


def party(kind: str, party_id: str | int, attributes: dict[str, Any], *, listed_id: str | int | None = None) -> Party:
    """A target or an owner; ``listed_id`` is its id under ``included``, if it differs."""
    return Party(
        (kind, str(party_id)),
        {"data": {"type": kind, "id": party_id}},
        {"type": kind, "id": party_id if listed_id is None else listed_id, "attributes": attributes},
    )


class Cast:
    """All parties of one account."""

    def __init__(self, rng: Random) -> None:
        self._names = list(_names(rng, PEOPLE))
        self._nodes = [rng.getrandbits(48) for _ in range(TARGETS)]
        self._made: dict[tuple[str, int, LinkedIds], Party] = {}

    def person(self, number: int, ids: LinkedIds) -> Party:
        """One of ``PEOPLE`` members of staff; every seventh has no English name."""
        key = ("staff", number % PEOPLE, ids)
        if key not in self._made:
            self._made[key] = self._person(number % PEOPLE, ids)
        return self._made[key]

    def target(self, kind: str, number: int, ids: LinkedIds) -> Party:
        """One of ``TARGETS`` things of a kind that can be downloaded."""
        key = (kind, number % TARGETS, ids)
        if key not in self._made:
            self._made[key] = self._target(kind, number % TARGETS, ids)
        return self._made[key]

    def _person(self, number: int, ids: LinkedIds) -> Party:
        name = self._names[number]
        english = None if number % _NO_ENGLISH_NAME_EACH == 0 else f"Staff{number:03d}"
        attributes = {"name": name, "english_name": english, "organization": _GROUPS[number % len(_GROUPS)]}
        return _party("staff", f"Staff{number:03d}", 70_000 + number, attributes, ids)

    def _target(self, kind: str, number: int, ids: LinkedIds) -> Party:
        text = uuid1(_BIRTH_TICKS + number, len(kind), self._nodes[number])
        name = f"附件 {number}.zip" if kind == "attachment" else f"文档 {number}"
        return _party(kind, text, 900_000 + number, {"name": name}, ids)


def _party(kind: str, text: str, number: int, attributes: dict[str, Any], ids: LinkedIds) -> Party:
    if ids == "text":
        return party(kind, text, attributes)
    return party(kind, number, attributes, listed_id=str(number) if ids == "mixed" else None)


def _names(rng: Random, count: int) -> Iterator[str]:
    for number in range(count):
        yield f"{rng.choice(_FAMILY_NAMES)}{'一二三四五六七八九十'[number % 10]}{'甲乙丙丁'[rng.randrange(4)]}"
