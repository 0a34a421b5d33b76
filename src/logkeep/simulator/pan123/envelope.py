"""The envelope of every API answer, and the refusals that the vendor is known or believed to utter."""

from dataclasses import dataclass
from typing import Any

OK_MESSAGE = "ok"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One answer; ``code`` 0 is success, on errors ``data`` is None."""

    code: int
    message: str
    data: Any = None

    def body(self, trace_id: str) -> dict[str, Any]:
        """The JSON object, keys in the vendor's order."""
        return {"code": self.code, "message": self.message, "data": self.data, "x-traceID": trace_id}


class Refused(Exception):
    """The request is answered with an error envelope."""

    def __init__(self, code: int, message: str) -> None:
        self.envelope = Envelope(code, message)
        super().__init__(f"{code}: {message}")


def bad_parameter(name: str) -> Refused:
    """A parameter is missing or unreadable."""
    return Refused(1, f"参数错误: {name}")


TOO_MANY_TOKENS = "tokens number has exceeded the limit"
TOKEN_INVALID = "token is invalid"  # noqa: S105 - a message
TOKEN_EXPIRED = "token is expired"  # noqa: S105 - a message
FATES = {"unknown": TOKEN_INVALID, "evicted": TOO_MANY_TOKENS, "expired": TOKEN_EXPIRED}
"""What is said of a token that no longer opens anything."""
NO_RIGHTS = "无效的登录信息"
TOO_FREQUENT = "请求太频繁"
WRONG_SECRET = "clientID或clientSecret错误"  # noqa: S105 - a message
MESSAGES = {
    401: TOKEN_INVALID,
    429: TOO_FREQUENT,
    1: "内部错误",
    5066: "文件不存在",
    5113: "流量已超出限制",
    20103: "文件正在校验中,请间隔1秒后再试",
}
