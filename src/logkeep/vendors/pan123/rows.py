"""One row of a listing, read tolerantly. Pure.

``id`` is the only key: a row with a usable one is a file whatever else is odd about it; a row without is evidence.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from logkeep.model import Hour, ListedFile, SignedUrl
from logkeep.vendors.wire import MASK, read_id

NAME_MAX_CHARS = 1_000
RAW_MAX_BYTES = 4_096

_ADDRESS = "downloadURL"
_KNOWN = ("id", "fileName", "fileSize", "logTimeRange")
_EXACT_FLOAT = 2**53
_SIZE_END = 2**63
_YEARS = range(2000, 2100)
_QUERY_MARK = re.compile(r"[?#]")
_RANGE_START = re.compile(r"\s*(\d{4})\s*-\s*(\d{1,2})\s*-\s*(\d{1,2})\s*[T ]\s*(\d{1,2})\s*:\s*\d{2}(?!\d)", re.ASCII)
_NAME_HOUR = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})\d{2}(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row without a usable id. ``raw`` is compact JSON of at most 4 KiB, queries of addresses masked."""

    raw: str


Row = ListedFile | UnreadableRow


def read_row(value: Any) -> Row:
    """Read one member of ``list``, whatever it is."""
    file_id = read_id(value.get("id")) if isinstance(value, dict) else None
    if file_id is None:
        return UnreadableRow(_cut(_compact(_masked(value))))
    name = value.get("fileName")
    name = name[:NAME_MAX_CHARS] if isinstance(name, str) else ""
    url = value.get(_ADDRESS)
    return ListedFile(
        file_id=file_id,
        name=name,
        size_bytes=_size(value.get("fileSize")),
        hour=read_hour(value.get("logTimeRange"), name),
        url=SignedUrl(url.strip() if isinstance(url, str) else ""),
        raw=_evidence(value),
    )


def read_hour(time_range: Any, file_name: str) -> Hour | None:
    """The hour a row belongs to: by the date and start of ``logTimeRange``, else by ``fileName``, else None.

    The end is never looked at: midnight may read ``00:00`` or ``24:00``. Full-width characters count as their plain
    ones; years outside 2000 to 2099 as unreadable.
    """
    text = unicodedata.normalize("NFKC", time_range[:100]) if isinstance(time_range, str) else ""
    for match in (_RANGE_START.match(text), _NAME_HOUR.match(file_name)):
        if match is not None and (hour := _hour(*map(int, match.groups()))) is not None:
            return hour
    return None


def _hour(year: int, month: int, day: int, hour: int) -> Hour | None:
    if year not in _YEARS:
        return None
    try:
        return Hour.parse(f"{year:04}{month:02}{day:02}{hour:02}")
    except ValueError:
        return None


def _size(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,19}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _SIZE_END else None


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    """The row without its address; only the documented members, cut short, where it is larger than 4 KiB."""
    kept: dict[str, Any] = _masked({key: value for key, value in row.items() if key.lower() != _ADDRESS.lower()})
    if len(_compact(kept).encode()) <= RAW_MAX_BYTES:
        return kept
    return {key: _short(kept[key]) for key in _KNOWN if key in kept}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else _compact(value)
    return value if len(text) <= NAME_MAX_CHARS // 4 else f"{text[: NAME_MAX_CHARS // 4]}…"


def _masked(value: Any) -> Any:
    """The value with the query of every address in it masked. The nesting is bounded by the reader of the JSON."""
    if isinstance(value, dict):
        return {_masked(key): _masked(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_masked(member) for member in value]
    return _mask_address(value) if isinstance(value, str) else value


def _mask_address(text: str) -> str:
    """Cut a text at its query, if it may be an address or carry a signature."""
    mark = _QUERY_MARK.search(text)
    if mark is None or not ("/" in text[: mark.start()] or "=" in text[mark.start() :]):
        return text
    return f"{text[: mark.start()]}?{MASK}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str) -> str:
    if len(text.encode()) <= RAW_MAX_BYTES:
        return text
    return text.encode()[: RAW_MAX_BYTES - len("…".encode())].decode(errors="ignore") + "…"
