"""A record account, and a pass over it: what ``records.run`` is given and what it gives back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from logkeep.errors import HomeError, VendorError
from logkeep.model import AccountKey
from logkeep.records.plan import Policy
from logkeep.vendors.port import RecordVendor

PAGE_SIZE_HOLDS = timedelta(days=1)
"""How long no larger pages are asked for than the vendor was seen to serve."""


@dataclass(frozen=True, slots=True)
class RecordAccount:
    """A configured account of a vendor that serves records, and the stream that is read of it."""

    key: AccountKey
    account_id: int
    stream_id: int
    policy: Policy
    page_size: int
    vendor: RecordVendor


@dataclass(slots=True)
class Pass:
    """How a pass goes, and in the end how it went. ``error`` is what stopped it, if anything did.

    With ``news_after`` set, a pass that reads history breaks off after that time, so that the next one looks for news
    first; what was read stays read, and ``cut`` says so. ``again`` says that something is left that another pass should
    read at once. ``why`` is what is being done, for people; ``total`` what the vendor counts.
    """

    cause: str
    sweep_since: datetime
    deep_since: datetime
    news_after: timedelta | None = None
    pages: int = 0
    records: int = 0
    reached: datetime | None = None
    total: int | None = None
    why: str = ""
    cut: bool = False
    again: bool = False
    error: VendorError | HomeError | None = None
