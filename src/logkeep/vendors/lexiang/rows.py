"""One row of a page and the objects it links to, read tolerantly and kept as the vendor wrote them. Pure.

``id`` is the only key: a row with a usable one is a record whatever else is odd about it; a row without is evidence.
What is linked is looked up by (type, id) and never changes a record's identity.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from logkeep.model import CHINA, ListedRecord
from logkeep.vendors.wire import masked, read_id

EVIDENCE_MAX_BYTES = 64 * 1024

_NO_CHARACTER = "\ufffd"
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII)
_YEARS = range(1970, 9999)

_End = tuple[str | None, str | None]
"""Type and id of what a link points at, as far as it says them."""
_NOTHING: _End = (None, None)


@dataclass(frozen=True, slots=True)
class Linked:
    """One object of ``included``: as the vendor wrote it, on one line, and the name it bears."""

    raw: bytes
    name: str | None


def read_linked(objects: Sequence[Any], raws: Sequence[bytes]) -> dict[_End, Linked]:
    """The objects of ``included`` by type and id; of twins the first. What lacks one of them is left out."""
    found: dict[_End, Linked] = {}
    for thing, raw in zip(objects, raws, strict=True):
        key = _type_and_id(thing)
        if None not in key and key not in found:
            attributes = thing.get("attributes")
            name = attributes.get("name") if isinstance(attributes, dict) else None
            found[key] = Linked(one_line(raw), name if isinstance(name, str) else None)
    return found


def read_row(row: Any, raw: bytes, linked: Mapping[_End, Linked]) -> ListedRecord | None:
    """Read one member of ``data``; None where it has no usable id."""
    record_id = _record_id(row)
    if record_id is None:
        return None
    links = _links(row)
    owner, target = _type_and_id(links.get("owner")), _type_and_id(links.get("target"))
    return ListedRecord(
        record_id,
        _created_at(row),
        one_line(raw),
        _included(links, linked),
        owner[1],
        linked[owner].name if owner in linked else None,
        *target,
        linked[target].name if target in linked else None,
    )


def evidence(raw: bytes, hide: Sequence[str]) -> str:
    """A row that is no record, as compact JSON without the exchange's own credentials, at most 64 KiB."""
    text = masked(one_line(raw).decode(), hide)
    if len(text.encode()) <= EVIDENCE_MAX_BYTES:
        return text
    return text.encode()[: EVIDENCE_MAX_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def one_line(raw: bytes) -> bytes:
    """The same JSON without line breaks, which can only stand between its parts; untouched where there are none."""
    if b"\n" not in raw and b"\r" not in raw:
        return raw
    try:
        return msgspec.json.format(raw, indent=-1)
    except RecursionError:
        return raw.translate(None, b"\r\n")


def _record_id(row: Any) -> str | None:
    record_id = read_id(row.get("id")) if isinstance(row, dict) else None
    if record_id is None or not record_id.isprintable() or _NO_CHARACTER in record_id:
        return None
    return record_id


def _links(row: Mapping[str, Any]) -> dict[str, Any]:
    """What each relationship points at, in the vendor's order: an object, or a list of them."""
    relationships = row.get("relationships")
    if not isinstance(relationships, dict):
        return {}
    return {name: link.get("data") for name, link in relationships.items() if isinstance(link, dict)}


def _type_and_id(link: Any) -> _End:
    if not isinstance(link, dict):
        return _NOTHING
    kind = link.get("type")
    return kind if isinstance(kind, str) else None, read_id(link.get("id"))


def _ends(links: Mapping[str, Any]) -> Iterator[_End]:
    for link in links.values():
        if isinstance(link, list):
            yield from map(_type_and_id, link)
        else:
            yield _type_and_id(link)


def _included(links: Mapping[str, Any], linked: Mapping[_End, Linked]) -> bytes:
    """Every linked object once."""
    return b"[" + b",".join([linked[end].raw for end in dict.fromkeys(_ends(links)) if end in linked]) + b"]"


def _created_at(row: Mapping[str, Any]) -> datetime | None:
    """A naive time is China's; one with an offset of its own is taken at its word."""
    attributes = row.get("attributes")
    text = attributes.get("created_at") if isinstance(attributes, dict) else None
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=CHINA) if moment.tzinfo is None else moment.astimezone(CHINA)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None
