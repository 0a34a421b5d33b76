"""What stands for a record's id in the catalog: short, injective, and in the order in which records come. Pure.

Most ids are version 1 UUIDs without dashes, kept as 16 bytes. Their clock is written lowest digits first, so ids of
the same minute would lie all over a table of millions, and every commit would rewrite as many pages as it has rows
(measured: 80 times the bytes for a million records). The clock's highest digits are therefore put first.

- 32 lower-case hexadecimal digits: their 16 bytes, reordered. Nothing else has 16 bytes.
- Any other id of at most 200 bytes: ``ff`` and its UTF-8; where that makes 16 bytes, ``ff`` once more, which no UTF-8
  text ends in.
- A longer id: ``fe`` and its SHA-256, 33 bytes.
"""

import hashlib
import re

_HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HEX_ID_BYTES = 16
_LONGEST_BYTES = 200


def record_key(record_id: str) -> bytes:
    """Different for different ids, up to collisions of SHA-256 between ids of more than 200 bytes."""
    if _HEX_ID.fullmatch(record_id):
        raw = bytes.fromhex(record_id)
        return raw[6:8] + raw[4:6] + raw[:4] + raw[8:]
    text = record_id.encode("utf-8", "surrogatepass")
    if len(text) > _LONGEST_BYTES:
        return b"\xfe" + hashlib.sha256(text).digest()
    key = b"\xff" + text
    return key + b"\xff" if len(key) == _HEX_ID_BYTES else key
