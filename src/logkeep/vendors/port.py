"""What ``logkeep.files`` asks of a vendor that publishes files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from logkeep.model import Hour, ListedFile


class FilePage(Protocol):
    """One page of a listing, read."""

    @property
    def files(self) -> Sequence[ListedFile]:
        """Rows with an id, in the vendor's order."""
        ...

    @property
    def unreadable(self) -> Sequence[str]:
        """Rows without a usable id, as compact JSON without credentials."""
        ...

    @property
    def trace_id(self) -> str:
        """The vendor's name for the exchange, maybe empty."""
        ...

    @property
    def vendor_date(self) -> datetime | None:
        """The vendor's clock when it answered."""
        ...

    @property
    def skew_s(self) -> float | None:
        """The vendor's clock minus this host's."""
        ...


class FileVendor(Protocol):
    """Lists the files of some hours, page by page; paces, authenticates and retries by itself."""

    @property
    def calls_made(self) -> int:
        """Requests sent so far, tokens and retries included."""
        ...

    async def list_page(self, start: Hour, end: Hour, page_num: int, page_size: int | None = None) -> FilePage:
        """One page of the files of ``start <= hour < end``, asked so that either reading of the end covers them.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries within the call's budget are used up.
            SpanRefused: the vendor will not list this span.
            UnreadableReply: the answer's shape is not the documented one.
        """
        ...
