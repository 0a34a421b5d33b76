"""How a simulated 123pan behaves where the vendor's own behaviour is unknown or has changed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from logkeep.simulator.lapse import utc_now


@dataclass(kw_only=True, eq=False)
class Quirks:
    """The settings of a cloud; each may be changed while it runs and holds from the next request on.

    Attributes:
        now: the cloud's clock; expiry, retention, visibility and the rate limit follow it.
        seed: everything random derives from it.
        page_cap: the largest page served, whatever ``pageSize`` asks.
        max_span_hours: a listing whose ``endHour - startHour`` is larger is refused with an envelope.
        clamp_span_hours: only so many hours of the asked span are looked at, silently.
        clamp_keeps: which end of the span a clamp keeps.
        end_inclusive: ``endHour`` itself is listed as well.
        ignore_page_num: every page is page 1.
        repeat_last_page: a page past the end repeats the last one instead of being empty.
        null_list_at_end: an empty page says ``"list": null``.
        ids_as: JSON type of ids that are numbers here; ``mixed`` alternates from listing to listing.
        midnight: how the end of the hour 23 is written; ``mixed`` alternates from file to file.
        order: ``newest`` id first, ``oldest`` first, or ``shuffled`` (the same shuffle every time).
        retention: rows and objects older than this are gone.
        refuse_older: what a listing that starts before the retention gets: a refusal, or only what is left.
        publish_delay: how long after an hour's end its files appear, unless published otherwise.
        url_lifetime: a download URL expires this long after the listing that issued it.
        single_use_urls: a download URL serves one GET.
        token_lifetime: what ``expiredAt`` promises, and what holds.
        token_limit: live tokens per client_id; one more evicts the oldest.
        carrier: where listing parameters are read from; ``any`` takes the query and else the body.
        qps: requests per second and credential, for each endpoint; the surplus is refused. None: no limit.
        real_http_status: refusals carry their envelope's code as HTTP status where it is one, instead of 200.
        date_offset: error of the ``Date`` headers against ``now``.
        content_encoding: objects are served with ``Content-Encoding: gzip``.
        offer_etag: objects carry an ETag.
    """

    now: Callable[[], datetime] = utc_now
    seed: int = 1
    page_cap: int | None = None
    max_span_hours: int | None = None
    clamp_span_hours: int | None = None
    clamp_keeps: Literal["first", "last"] = "first"
    end_inclusive: bool = False
    ignore_page_num: bool = False
    repeat_last_page: bool = False
    null_list_at_end: bool = False
    ids_as: Literal["number", "text", "mixed"] = "number"
    midnight: Literal["00:00", "24:00", "mixed"] = "mixed"
    order: Literal["newest", "oldest", "shuffled"] = "newest"
    retention: timedelta = timedelta(days=30)
    refuse_older: Literal["error", "empty"] = "empty"
    publish_delay: timedelta = timedelta()
    url_lifetime: timedelta = timedelta(minutes=30)
    single_use_urls: bool = False
    token_lifetime: timedelta = timedelta(days=30)
    token_limit: int = 3
    carrier: Literal["query", "body", "any"] = "query"
    qps: float | None = None
    real_http_status: bool = False
    date_offset: timedelta = timedelta()
    content_encoding: bool = False
    offer_etag: bool = True
