"""What can come instead of an object: refusals, pages with a good status, redirects.

``DOWNLOAD_FAULTS`` names the kinds that replace the answer; ``DELIVERY_FAULTS`` names those that spoil its bytes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from logkeep.simulator.exchange import to_json
from logkeep.simulator.faults import Fault, FaultKinds
from logkeep.simulator.pan123.delivery_faults import DELIVERY_FAULTS
from logkeep.simulator.pan123.envelope import MESSAGES
from logkeep.simulator.wire import Wire, html, xml

METADATA_HOST = "169.254.169.254"
SOFT_REDIRECT = 210
REDIRECTS = (301, 302, 303, 307, 308, SOFT_REDIRECT)


@dataclass(frozen=True, slots=True)
class Errand:
    """One download on its way; ``address`` makes a fresh absolute address of the same file, with a redirect's state."""

    request: web.Request
    address: Callable[[str | None], str]
    wire: Wire


Refusing = Callable[[Errand, Fault], Awaitable[web.StreamResponse]]


def json_reply(status: int, body: Any, *, retry_after: str | None = None) -> web.Response:
    """JSON from the download host."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.Response(status=status, body=to_json(body), content_type="application/json", headers=headers)


def redirect(status: int, location: str) -> web.Response:
    """A redirect; 210 is the soft one, whose target stands in its JSON body."""
    if status == SOFT_REDIRECT:
        return json_reply(status, {"code": 0, "message": "ok", "data": {"redirect_url": location}})
    return web.Response(status=status, headers={"Location": location})


def next_hop(errand: Errand, hop: str) -> web.Response | None:
    """Where a redirect that has begun leads next; None when its content is due. ``hop`` is ``status-rest``."""
    status, _, rest = hop.partition("-")
    if rest == "0":
        return None
    return redirect(int(status), errand.address(hop if rest == "loop" else f"{status}-{int(rest) - 1}"))


def _target(status: int, errand: Errand, fault: Fault) -> str:
    if fault.location is not None:
        return fault.location
    hop = f"{status}-loop" if fault.to == "loop" else f"{status}-{fault.hops - 1}"
    here = urlsplit(errand.address(hop))
    targets = {
        "self": here.geturl(),
        "loop": here.geturl(),
        "http": here._replace(scheme="http").geturl(),
        "private": here._replace(netloc=METADATA_HOST).geturl(),
        "host": here._replace(netloc=f"localhost:{here.port}").geturl(),
        "relative": here._replace(scheme="", netloc="").geturl(),
        "file": "file:///etc/hostname",
    }
    return targets[fault.to]


async def _redirect(status: int, errand: Errand, fault: Fault) -> web.StreamResponse:
    return redirect(status, _target(status, errand, fault))


async def _redirect_without_target(_errand: Errand, fault: Fault) -> web.StreamResponse:
    status = fault.status or SOFT_REDIRECT
    if status == SOFT_REDIRECT:
        return json_reply(status, {"code": 0, "message": "ok", "data": {}})
    return web.Response(status=status)


async def _xml(status: int, code: str, message: str, _errand: Errand, fault: Fault) -> web.StreamResponse:
    return xml(fault.status or status, code, message, retry_after=fault.retry_after)


async def _html(status: int, _errand: Errand, fault: Fault) -> web.StreamResponse:
    return html(fault.status or status, retry_after=fault.retry_after)


async def _json(status: int, code: int, message: str, _errand: Errand, fault: Fault) -> web.StreamResponse:
    chosen = code if fault.code is None else fault.code
    body = {"code": chosen, "message": fault.message or message, "data": None}
    return json_reply(fault.status or status, body, retry_after=fault.retry_after)


async def _drop(errand: Errand, _fault: Fault) -> web.StreamResponse:
    return errand.wire.cut(errand.request)


async def _reset(errand: Errand, _fault: Fault) -> web.StreamResponse:
    return errand.wire.reset(errand.request)


async def _silence(errand: Errand, _fault: Fault) -> web.StreamResponse:
    return await errand.wire.stall(errand.request)


DOWNLOAD_FAULTS: dict[str, Refusing] = {
    "http_400": partial(_xml, 400, "InvalidArgument", "Invalid argument"),
    "http_401": partial(_xml, 401, "Unauthorized", "Unauthorized"),
    "http_403": partial(_xml, 403, "AccessDenied", "Request has expired"),
    "http_403_geo": partial(_json, 403, 1010, "请求的城市与下载的城市不一致"),
    "http_403_html": partial(_html, 403),
    "http_404": partial(_xml, 404, "NoSuchKey", "The specified key does not exist."),
    "http_410": partial(_xml, 410, "Gone", "The object is gone."),
    "http_429": partial(_xml, 429, "TooManyRequests", "Please reduce your request rate."),
    "http_500": partial(_xml, 500, "InternalError", "We encountered an internal error."),
    "http_502": partial(_html, 502),
    "http_503": partial(_xml, 503, "SlowDown", "Please reduce your request rate."),
    "http_504": partial(_html, 504),
    "xml_200": partial(_xml, 200, "AccessDenied", "Request has expired"),
    "html_200": partial(_html, 200),
    "json_200": partial(_json, 200, 5066, MESSAGES[5066]),
    **{f"http_{status}": partial(_redirect, status) for status in REDIRECTS},
    "redirect_nowhere": _redirect_without_target,
    "drop": _drop,
    "drop_reset": _reset,
    "silence": _silence,
}
_PASSING = ("http_403", "http_404", "http_429", "http_500", "http_502", "http_503", "xml_200", "html_200", "json_200")
_PASSING_BYTES = ("truncate", "reset", "short_length", "corrupt", "junk", "empty", "no_content_length", "chunked_cut")
_PASSING_WAYS = ("http_210", "http_302", "drop", "drop_reset", "ignores_range", "range_wrong", "changed_etag")
DOWNLOAD_KINDS = FaultKinds({*DOWNLOAD_FAULTS, *DELIVERY_FAULTS}, (*_PASSING, *_PASSING_BYTES, *_PASSING_WAYS))
