"""What an odd answer looks like on the wire: for the exams of every vendor's faults."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from pan123_asker import Answer

Check = Callable[[Answer], bool]


def page(status: int, kind: str) -> Check:
    """A gateway's page: a status, a content type, and no JSON."""
    return lambda got: got.status == status and kind in got.headers["Content-Type"] and got.body.startswith(b"<")


def unreadable(error: type[Exception]) -> Check:
    """A good status, yet the body does not parse."""

    def check(got: Answer) -> bool:
        with pytest.raises(error):
            json.loads(got.body)
        return got.status == 200 and "json" in got.headers["Content-Type"]

    return check


def shaped(check: Callable[[Any], bool]) -> Check:
    """Valid JSON of another shape, with a good status."""
    return lambda got: got.status == 200 and check(json.loads(got.body))


GATEWAY: dict[str, Check] = {
    **{f"http_{code}": page(code, "text/html") for code in (400, 401, 403, 404, 408, 429, 500, 502, 503, 504)},
    "html_200": page(200, "text/html"),
    "xml_200": page(200, "application/xml"),
}
SPOILT: dict[str, Check] = {
    "malformed_json": unreadable(json.JSONDecodeError),
    "truncated_json": unreadable(ValueError),
    "empty_body": unreadable(json.JSONDecodeError),
    "bad_utf8": unreadable(UnicodeDecodeError),
    "deep_json": unreadable(RecursionError),
}
BROKEN: dict[str, type[Exception]] = {
    "drop": aiohttp.ServerDisconnectedError,
    "drop_body": aiohttp.ClientPayloadError,
    "reset": aiohttp.ClientOSError,
    "stall": TimeoutError,
    "stall_body": TimeoutError,
}
