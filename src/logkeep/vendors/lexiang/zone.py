"""A self-check of the time zone that the vendor's ids offer. Pure."""

import re
import uuid
from datetime import UTC, datetime, timedelta

_UUID1 = re.compile(r"[0-9a-f]{12}1[0-9a-f]{3}[89ab][0-9a-f]{15}", re.IGNORECASE | re.ASCII)
_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
_TICKS_PER_S = 10_000_000


def zone_offset(record_id: str, created_at: datetime) -> timedelta | None:
    """How far ``created_at`` is ahead of the time that a dashless UUIDv1 holds, to the second; None for other ids.

    Both are taken to UTC first. Ids are made when the row is, so anything but nearly nothing means that the vendor's
    naive times are not +08:00. Newer kinds of ids hold no time.
    """
    if not _UUID1.fullmatch(record_id):
        return None
    made = _GREGORIAN + timedelta(seconds=uuid.UUID(record_id).time // _TICKS_PER_S)
    return created_at.astimezone(UTC) - made
