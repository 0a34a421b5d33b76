import json
from collections.abc import Callable

import pytest

from logkeep.errors import (
    CredentialsRefused,
    NotEntitled,
    RateLimited,
    SpanRefused,
    TokenRefused,
    Unreachable,
    VendorError,
)
from logkeep.vendors.pan123.protocol import read_page, read_token

Reader = Callable[..., object]
EVICTED = "tokens number has exceeded the limit"
DATE = {"Date": "Sat, 21 Jun 2025 01:05:00 GMT"}


def refusal(
    read: Reader,
    code: object = None,
    message: object = "",
    *,
    status: int = 200,
    hide: tuple[str, ...] = (),
    **headers: str,
) -> VendorError:
    body = b"<html>no</html>"
    if code is not None:
        body = json.dumps({"code": code, "message": message, "data": None, "x-traceID": "trace-1"}).encode()
    with pytest.raises(VendorError) as caught:
        read(status, DATE | {name.replace("_", "-"): value for name, value in headers.items()}, body, hide=hide)
    return caught.value


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (401, "token is expired", TokenRefused),
        (401, "token is invalid", TokenRefused),
        (401, EVICTED, TokenRefused),
        (401, "无效的登录信息", TokenRefused),
        (1, EVICTED, TokenRefused),
        (1, "access_token无效", TokenRefused),
        (1, "无效的登录信息", NotEntitled),
        (1, "请先开通开发者权益", NotEntitled),
        (403, "forbidden", NotEntitled),
        (5113, "流量已超出限制", NotEntitled),
        (429, "请求太频繁", RateLimited),
        (1, "请求太频繁", RateLimited),
        (429, "", RateLimited),
        (5066, "文件不存在", Unreachable),
        (20103, "文件正在校验中,请间隔1秒后再试", Unreachable),
        (1, "内部错误", Unreachable),
        (1, "系统繁忙,请稍后重试", Unreachable),
        (1, "请在24小时后重试", Unreachable),
        (1, "", Unreachable),
        (1, None, Unreachable),
        (500, "oops", Unreachable),
        (503, "oops", Unreachable),
        (1, "查询时间范围不能超过24小时", SpanRefused),
        (1, "仅支持查询近30天的日志", SpanRefused),
        (1, "仅支持查询近30天", SpanRefused),
        (1, "时间跨度过大", SpanRefused),
        (1, "请缩小时间范围后重试", SpanRefused),
        (1, "结束时间不能早于开始时间", SpanRefused),
        (1, "参数错误: startHour", SpanRefused),
        (1, "startHour is too early", SpanRefused),
        (1, "the time range must not exceed 1 day", SpanRefused),
        (1, "only the last 30 days can be queried", SpanRefused),
        (400, "bad request", SpanRefused),
        (4711, "参数错误", SpanRefused),
        (4711, "never heard of", SpanRefused),
        (4711, "server busy", Unreachable),
        (-1, "never heard of", SpanRefused),
    ],
)
def test_a_listing_refused_in_the_envelope(code: int, message: object, kind: type[VendorError]) -> None:
    error = refusal(read_page, code, message)
    assert type(error) is kind
    assert error.code == code
    assert error.trace_id == "trace-1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, TokenRefused),
        (403, NotEntitled),
        (429, RateLimited),
        *((status, Unreachable) for status in (302, 304, 400, 404, 405, 408, 410, 413, 500, 502, 503, 504, 520)),
    ],
)
def test_a_listing_refused_by_the_status_of_a_web_page(status: int, kind: type[VendorError]) -> None:
    error = refusal(read_page, status=status)
    assert type(error) is kind
    assert error.code == status


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (401, 401, "token is expired", TokenRefused),
        (200, 401, "token is expired", TokenRefused),
        (403, 401, "token is expired", TokenRefused),
        (401, 0, "ok", TokenRefused),
        (403, 1, "no", NotEntitled),
        (429, 1, "slow down", RateLimited),
        (500, 0, "ok", Unreachable),
        (500, 1, "oops", Unreachable),
        (400, 1, "查询时间范围不能超过24小时", SpanRefused),
        (404, 404, "no such path", Unreachable),
    ],
)
def test_status_and_envelope_together_mean_one_class(
    status: int, code: int, message: str, kind: type[VendorError]
) -> None:
    """Never a page: code 0 under a bad status is no success."""
    assert type(refusal(read_page, code, message, status=status)) is kind


@pytest.mark.parametrize(("status", "kind"), [(502, Unreachable), (401, TokenRefused), (429, RateLimited)])
def test_broken_json_under_a_bad_status_is_judged_by_the_status(status: int, kind: type[VendorError]) -> None:
    with pytest.raises(VendorError) as caught:
        read_page(status, {}, b'{"code":0,')
    assert type(caught.value) is kind


def test_eviction_is_told_apart_from_expiry() -> None:
    errors = [refusal(read_page, 401, message) for message in (EVICTED, "token is expired")]
    assert [isinstance(error, TokenRefused) and error.evicted for error in errors] == [True, False]


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (401, "unauthorized", CredentialsRefused),
        (1, "clientID或clientSecret错误", CredentialsRefused),
        (4711, "invalid client_secret", CredentialsRefused),
        (1, "密钥错误", CredentialsRefused),
        (1, "无效的登录信息", NotEntitled),
        (403, "forbidden", NotEntitled),
        (5113, "流量已超出限制", NotEntitled),
        (429, "too many", RateLimited),
        (401, EVICTED, RateLimited),
        (1, "内部错误", Unreachable),
        (4711, "never heard of", Unreachable),
        (500, "oops", Unreachable),
    ],
)
def test_a_token_refused_in_the_envelope(code: int, message: str, kind: type[VendorError]) -> None:
    """Only a plain statement about the credentials stops an account."""
    assert type(refusal(read_token, code, message)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, CredentialsRefused), (403, NotEntitled), (429, RateLimited), (400, Unreachable), (502, Unreachable)],
)
def test_a_token_refused_by_the_status_of_a_web_page(status: int, kind: type[VendorError]) -> None:
    assert type(refusal(read_token, status=status)) is kind


@pytest.mark.parametrize("read", [read_page, read_token])
@pytest.mark.parametrize(("status", "code"), [(429, None), (200, 429), (503, None)])
def test_retry_after_is_handed_on(read: Reader, status: int, code: int | None) -> None:
    error = refusal(read, code, "later", status=status, Retry_After="17")
    assert isinstance(error, RateLimited | Unreachable)
    assert error.retry_after_s == 17.0


@pytest.mark.parametrize("read", [read_page, read_token])
@pytest.mark.parametrize(
    "message",
    [
        "bad token sEcReT",
        "see https://h/p?X-Amz-Signature=sEcReT&x=1 for more",
        "see https://user:sEcReT@h/p",
        "Authorization: Bearer sEcReT",
        "clientSecret=sEcReT",
        '{"accessToken": "sEcReT"}',
        "eyJhbGciOiJIUzI1NiJ9.sEcReTsEcReTsEcReT1",
        "sEcReT" + "a1" * 30,
        "a" * 5000 + "sEcReT",
        "x\r\nsEcReT\x1b[31m\u202e\u2028",
        "percent sE%3DcReT",
    ],
)
def test_a_message_is_one_short_line_without_credentials(read: Reader, message: str) -> None:
    """What was sent is known and masked everywhere; the rest by its shape."""
    error = refusal(read, 4711, message, hide=("sEcReT", "sE=cReT"))
    assert "sEcReT" not in str(error)
    assert "sE%3DcReT" not in str(error)
    assert str(error).isprintable()
    assert len(str(error)) <= 220


@pytest.mark.parametrize("message", ["https://h/p?sig=abc", "Bearer abc", "secret: abc", "x" * 9 + "1" * 9 + "abcabc"])
def test_credentials_nobody_announced_are_masked_by_their_shape(message: str) -> None:
    assert "abc" not in str(refusal(read_page, 4711, message))


def test_a_trace_id_that_repeats_the_token_is_dropped() -> None:
    body = json.dumps({"code": 0, "data": {"list": []}, "x-traceID": "for tok-9\n"}).encode()
    assert read_page(200, {}, body).trace_id == "for tok-9"
    assert read_page(200, {}, body, hide=("tok-9",)).trace_id == ""


def test_an_ordinary_message_is_shown_as_it_is() -> None:
    assert str(refusal(read_page, 1, "查询时间范围不能超过24小时")) == "code 1: 查询时间范围不能超过24小时"
    assert str(refusal(read_page, 401, "token is expired")) == "code 401: token is expired"
    assert str(refusal(read_page, status=502, Content_Type="text/html")) == "HTTP 502: not the API's answer (text/html)"
