"""The refusals that the vendor is known or believed to utter, in all the forms that siblings use."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from logkeep.simulator.exchange import Answer
from logkeep.simulator.wire import HTML_PAGE

TOO_MANY = "Too Many Attempts."
NEEDS_UPGRADE = "版本需升级后启用"
WRONG_SECRET = "app_key或app_secret错误"  # noqa: S105 - a message
UNAUTHENTICATED = "Unauthenticated."
REQUEST_ID = "b7f1c1d04f3a11ef8d3a0242ac110002"


class Refused(Exception):
    """The request is answered with this instead."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(str(answer.status))


def detail(status: int, text: str) -> Answer:
    """``{"errors": {"detail": …}}``."""
    return Answer({"errors": {"detail": text}}, status)


def invalid(status: int, **fields: str) -> Answer:
    """``{"errors": {"field": ["…"]}}``."""
    return Answer({"errors": {name: [text] for name, text in fields.items()}}, status)


def envelope(code: int, message: str, status: int = 200) -> Answer:
    """``{"code", "message", "request_id"}``."""
    return Answer({"code": code, "message": message, "request_id": REQUEST_ID}, status)


def needs_upgrade() -> Answer:
    """The interface is not part of the customer's plan."""
    return Answer({"code": 403, "message": NEEDS_UPGRADE}, 403)


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Plain text."""
    return Answer(text.encode(), status, headers or {}, "text/plain")


def too_many(limit: int, wait: timedelta, *, headers: bool) -> Answer:
    """429 as siblings say it; ``headers`` says whether it carries its limits."""
    told = {
        "Retry-After": str(-(-wait // timedelta(seconds=1))),
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
    }
    return plain(429, TOO_MANY, told if headers else None)


def unauthorized(form: str) -> Answer:
    """401 in one of the forms of errors: object, list, map, envelope, text, html."""
    text = UNAUTHENTICATED
    bodies: dict[str, Any] = {
        "object": {"errors": {"detail": text}},
        "list": {"errors": [{"status": "401", "title": "Unauthorized", "detail": text}]},
        "map": {"errors": {"access_token": [text]}},
        "envelope": {"code": 401, "message": text, "request_id": REQUEST_ID},
    }
    if form in bodies:
        return Answer(bodies[form], 401)
    if form == "text":
        return plain(401, text)
    return Answer(HTML_PAGE.format(title="401 Unauthorized").encode(), 401, {}, "text/html")
