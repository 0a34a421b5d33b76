"""What the rows of a record listing look like, in all the shapes that a reader has to survive."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypedDict

from logkeep.simulator.lexiang.identity import IdKind

CHINA = timezone(timedelta(hours=8), "+08:00")
Shape = Literal["whole", "absent", "empty", "null", "unlinked", "bare", "partial", "nameless"]
"""How a target or an owner is told: whole, or gone in one of these ways.

``absent``: no such relationship; ``empty``: ``{}``; ``null``: ``data`` is null; ``unlinked``: linkage, but nothing in
``included``; ``bare``: included without ``attributes``; ``partial``: ``attributes`` without a name; ``nameless``: the
name is null.
"""
GONE: tuple[Shape, ...] = ("absent", "empty", "null", "unlinked", "bare", "partial", "nameless")
LinkedIds = Literal["text", "number", "mixed"]
"""JSON type of the ids of owners and targets; ``mixed``: a number in the linkage, a text in ``included``."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How records are drawn; shares are between 0 and 1.

    Attributes:
        ids: kind of the records' ids; ``mixed`` draws it.
        linked_ids: type of the owners' and targets' ids.
        attachments: share whose target is an ``attachment`` instead of a ``file``.
        unknown_types: share whose target is of a type that no page of the vendor names.
        gone: share whose target, owner or both are not told whole.
        hidden: share that is counted and paged over but never shown: pages have fewer rows than ``per_page``.
    """

    ids: IdKind | Literal["mixed"] = "uuid1"
    linked_ids: LinkedIds = "text"
    attachments: float = 0.2
    unknown_types: float = 0.02
    gone: float = 0.05
    hidden: float = 0.0


class Given(TypedDict, total=False):
    """What ``LexiangAccount.add_record`` may fix; the rest is drawn."""

    record_id: str
    """Any text; by default of the kind that ``ids`` says."""
    ids: IdKind
    """Kind of the drawn id: ``uuid1`` (default), ``uuid4`` or ``number``."""
    target_type: str
    target_id: str | int
    target_name: str
    target_shape: Shape
    owner_id: str | int
    owner_name: str
    owner_shape: Shape
    hidden: bool
    """Counted and paged over, but never shown."""
    attributes: Mapping[str, Any]
    """Keys of the row's ``attributes`` replaced, added, or removed with ``OMIT``."""
    overrides: Mapping[str, Any]
    """Keys of the row itself replaced, added, or removed with ``OMIT``."""


@dataclass(frozen=True, slots=True)
class OfferedRecord:
    """A record that the vendor offers or offered; the truth that an archive is compared with.

    Attributes:
        id: as text.
        created_at: aware, +08:00, whole seconds.
        since: the cloud's time when it appeared.
        until: the cloud's time when it was deleted, None while it is there.
        since_request: how many requests for logs had come when it appeared: request number ``since_request + 1`` was
            the first that could show it.
        until_request: how many had come when it was deleted: request number ``until_request`` was the last that could.
    """

    id: str
    created_at: datetime
    since: datetime
    until: datetime | None
    since_request: int
    until_request: int | None
