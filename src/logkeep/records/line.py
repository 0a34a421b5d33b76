"""One record as one line of a segment. Pure.

A line is a JSON object whose keys always stand in the same order; the vendor's own objects are in it byte for byte. It
ends in a line feed and holds no other, nor a carriage return.
"""

from datetime import datetime

import msgspec

from logkeep.model import CHINA, ListedRecord

UNKNOWN_DAY = "unknown"

_BREAKS_TO_BLANKS = bytes.maketrans(b"\r\n", b"  ")


class _Line(msgspec.Struct, frozen=True):
    id: str
    created_at: datetime | None
    owner_id: str | None
    owner_name: str | None
    target_type: str | None
    target_id: str | None
    target_name: str | None
    record: msgspec.Raw
    included: msgspec.Raw
    archived_at: datetime


class _Identity(msgspec.Struct, frozen=True):
    id: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_decode_identity = msgspec.json.Decoder(_Identity).decode


def line(record: ListedRecord, archived_at: datetime) -> bytes:
    """The record's line, its line feed included; ``archived_at`` to the second.

    A line break in the vendor's JSON can only stand between two tokens and would become a blank; its reader takes them
    out before.
    """
    return _encode(_written(record, archived_at)) + b"\n"


def read_line(data: bytes) -> tuple[ListedRecord, datetime]:
    """The record of a line and when it was archived.

    Raises:
        ValueError: it is no such line.
    """
    read = _decode(data)
    record = ListedRecord(
        record_id=read.id,
        created_at=None if read.created_at is None else read.created_at.astimezone(CHINA),
        record=bytes(read.record),
        included=bytes(read.included),
        owner_id=read.owner_id,
        owner_name=read.owner_name,
        target_type=read.target_type,
        target_id=read.target_id,
        target_name=read.target_name,
    )
    return record, read.archived_at


def read_id(data: bytes) -> str:
    """The id in a line, for less than reading all of it.

    Raises:
        ValueError: it is no such line.
    """
    return _decode_identity(data).id


def day_of(record: ListedRecord) -> str:
    """The day (+08:00) that the record belongs to, ``YYYY-MM-DD``, or ``unknown``."""
    return UNKNOWN_DAY if record.created_at is None else record.created_at.astimezone(CHINA).date().isoformat()


def _written(record: ListedRecord, archived_at: datetime) -> _Line:
    created_at = record.created_at
    return _Line(
        record.record_id,
        None if created_at is None else created_at.astimezone(CHINA),
        record.owner_id,
        record.owner_name,
        record.target_type,
        record.target_id,
        record.target_name,
        msgspec.Raw(record.record.translate(_BREAKS_TO_BLANKS)),
        msgspec.Raw(record.included.translate(_BREAKS_TO_BLANKS)),
        archived_at.astimezone(CHINA).replace(microsecond=0),
    )
