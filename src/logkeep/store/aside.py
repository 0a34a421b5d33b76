"""How a damaged object is called once it is set aside. Pure."""

import hashlib
from datetime import datetime

from logkeep.model import CHINA

_SHOWN_CHARS = 200
_DIGITS = 8


def damaged_name(path: str, found_at: datetime) -> str:
    """Tells when it was found (+08:00) and what it was; the same damage always gets the same name."""
    digits = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"damaged-{found_at.astimezone(CHINA):%Y%m%dT%H%M%S}-{digits}-{path.rpartition('/')[2][-_SHOWN_CHARS:]}"
