"""How a simulated Lexiang behaves where the vendor's own behaviour is unknown, has changed, or may be feared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from logkeep.simulator.lapse import utc_now

OFFICIAL_HOST = "https://lxapi.lexiangla.com"


@dataclass(kw_only=True, eq=False)
class LexiangQuirks:
    """The settings of a cloud; each may be changed while it runs and holds from the next request on.

    Attributes:
        now: the cloud's clock; expiry, ``created_at`` and the limits follow it.
        seed: everything random derives from it.
        date_offset: error of the ``Date`` headers against ``now``.
        before_request: called with the number of each request for logs (from 1, never reset) before it is answered;
            may change the world and the settings. See ``Churn``.
        token_lifetime: how long a token opens anything.
        expires_in: seconds that a token answer claims, where that is not the truth.
        token_limit: live tokens per app_key; one more evicts the oldest. None: all live side by side.
        token_calls: token calls per app_key within ``token_window``; the surplus gets 429. None: no limit.
        token_window: see ``token_calls``.
        calls_per_minute: requests for logs per app_key; the surplus gets 429. None: no limit.
        rate_headers: a 429 of this cloud carries ``Retry-After`` and ``X-RateLimit-*``.
        refusal: form of a refusal of a token, and of the lack of one.
        per_page_default: page size where ``per_page`` is missing or garbage.
        per_page_cap: larger pages are clamped silently.
        per_page_max: larger pages are refused (422).
        per_page_fixed: every page has this size, whatever is asked.
        meta_per_page: ``meta.per_page`` and the links tell the size served, or echo what was asked.
        garbage_page: a page that is no number from 1 on becomes page 1, or is refused (422).
        past_end: a page behind the last is empty, or silently page 1, or the last page.
        deepest_page: pages behind this one are treated like those past the end. None: no limit.
        ignore_page: every page is page 1.
        meta_page: ``meta.current_page`` tells the page served, or echoes what was asked.
        order: ``newest`` first, ``oldest`` first, or ``blocks``: newest first, but each two blocks of ``block`` rows
            have changed places.
        block: rows of a block.
        duplicate_rows: so many rows of each page stand there twice.
        total: how ``meta.total`` tells the count: truly, not at all (nor the last page), as null, wrongly, or as it was
            at the account's first request (``stale``).
        meta_numbers: JSON types of the numbers in ``meta``; ``sample``: ``per_page`` as asked is text, others are ints.
        links: as in the vendor's sample, left out, null, always without ``next``, or always with one.
        links_host: origin in the links; the vendor's samples name others than the one asked.
        links_keep_include: the links keep ``include``.
        included: where ``included`` stands, or what it is instead; it is only sent where something is to be included.
        ids_as: JSON type of ids of kind ``number``; ``mixed`` alternates from request to request.
        doc: rows have a relationship ``doc``.
        counters: what is included has counters that differ at every request.
        unknown_fields: rows, attributes and the document have keys that no page of the vendor names.
        content_type: of honest answers.
    """

    now: Callable[[], datetime] = utc_now
    seed: int = 1
    date_offset: timedelta = timedelta()
    before_request: Callable[[int], None] | None = None
    token_lifetime: timedelta = timedelta(hours=2)
    expires_in: int | None = None
    token_limit: int | None = None
    token_calls: int | None = 20
    token_window: timedelta = timedelta(minutes=10)
    calls_per_minute: int | None = None
    rate_headers: bool = True
    refusal: Literal["object", "list", "map", "envelope", "text", "html"] = "object"
    per_page_default: int = 20
    per_page_cap: int | None = None
    per_page_max: int | None = None
    per_page_fixed: int | None = None
    meta_per_page: Literal["served", "asked"] = "served"
    garbage_page: Literal["first", "refuse"] = "first"
    past_end: Literal["empty", "first", "last"] = "empty"
    deepest_page: int | None = None
    ignore_page: bool = False
    meta_page: Literal["served", "asked"] = "served"
    order: Literal["newest", "oldest", "blocks"] = "newest"
    block: int = 50
    duplicate_rows: int = 0
    total: Literal["true", "missing", "null", "wrong", "stale"] = "true"
    meta_numbers: Literal["sample", "number", "text"] = "sample"
    links: Literal["sample", "missing", "null", "no_next", "always_next"] = "sample"
    links_host: str = OFFICIAL_HOST
    links_keep_include: bool = False
    included: Literal["sample", "last", "missing", "null", "empty"] = "sample"
    ids_as: Literal["number", "text", "mixed"] = "number"
    doc: bool = False
    counters: bool = False
    unknown_fields: bool = False
    content_type: str = "application/json"


NEWER: Final[Mapping[str, Any]] = MappingProxyType(
    {"meta_numbers": "number", "included": "last", "doc": True, "counters": True, "unknown_fields": True}
)
"""Settings by which answers look as newer ones of the vendor do: ``LexiangCloud(**NEWER)``."""
