"""What ``logkeep.files`` and ``logkeep.records`` ask of their vendors."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from logkeep.model import Hour, ListedFile, ListedRecord


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


class RecordPage(Protocol):
    """One page of a record listing, read. Nothing in it is checked against the request; that is the walk's work."""

    @property
    def records(self) -> Sequence[ListedRecord]:
        """Rows with an id, in the vendor's order."""
        ...

    @property
    def unreadable(self) -> Sequence[str]:
        """Rows without a usable id, as compact JSON without credentials, at most 64 KiB each."""
        ...

    @property
    def page(self) -> int | None:
        """The page's number as the vendor states it, None when it states none."""
        ...

    @property
    def per_page(self) -> int | None:
        """The page size that the vendor states to have served, None when it states none."""
        ...

    @property
    def total(self) -> int | None:
        """How many records the vendor counted for this request, None when it did not say."""
        ...

    @property
    def has_next(self) -> bool:
        """Whether the vendor says that more pages follow."""
        ...

    @property
    def vendor_date(self) -> datetime | None:
        """The vendor's clock when it answered."""
        ...

    @property
    def skew_s(self) -> float | None:
        """The vendor's clock minus this host's."""
        ...


class RecordVendor(Protocol):
    """Lists one stream of records, newest first, page by page; paces, authenticates and retries by itself."""

    @property
    def calls_made(self) -> int:
        """Requests sent so far, tokens and retries included."""
        ...

    async def read_page(self, page: int, per_page: int) -> RecordPage:
        """Page number ``page`` (from 1) where each has ``per_page`` rows.

        Raises:
            FatalVendorError: asking again cannot help.
            RetriableVendorError: the retries within the call's budget are used up.
            PageRefused: the vendor will not serve a page of this size or number.
            UnreadableReply: the answer's shape is not the documented one.
        """
        ...
