"""What Lexiang's refusals mean, in every shape they come in."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from logkeep.errors import (
    CredentialsRefused,
    NotEntitled,
    PageRefused,
    RateLimited,
    TokenRefused,
    Unreachable,
    UnreadableReply,
    VendorError,
)
from logkeep.vendors.lexiang.protocol import read_page, read_token

NOW = datetime(2025, 6, 21, 1, 5, tzinfo=UTC)
HTML = b"<html><body>too many pages of per_page, app_key</body></html>"
SHAPES: list[Any] = [
    lambda text, _code: {"errors": [{"title": text}]},
    lambda text, code: {"errors": [{"status": str(code), "detail": text}]},
    lambda text, _code: {"errors": [text]},
    lambda text, _code: {"errors": {"detail": text}},
    lambda text, code: {"code": code, "message": text, "request_id": "req-1"},
    lambda text, _code: {"message": text},
]
"""A message in every shape that the vendor is known to use."""


def page_error(status: int, body: Any = None, **headers: str) -> VendorError:
    with pytest.raises(VendorError) as caught:
        read_page(status, headers, as_bytes(body))
    return caught.value


def token_error(status: int, body: Any = None) -> VendorError:
    with pytest.raises(VendorError) as caught:
        read_token(status, {}, as_bytes(body), sent_at=NOW)
    return caught.value


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()


BY_STATUS: list[tuple[int, type[VendorError], type[VendorError]]] = [
    (302, Unreachable, Unreachable),
    (400, Unreachable, Unreachable),
    (401, TokenRefused, CredentialsRefused),
    (403, NotEntitled, NotEntitled),
    (404, Unreachable, Unreachable),
    (422, Unreachable, Unreachable),
    (429, RateLimited, RateLimited),
    (500, Unreachable, Unreachable),
    (502, Unreachable, Unreachable),
    (503, Unreachable, Unreachable),
]


@pytest.mark.parametrize(("status", "of_page", "of_token"), BY_STATUS)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_status_decides_whatever_shape_the_error_has(
    status: int, of_page: type[VendorError], of_token: type[VendorError], shape: int
) -> None:
    body = SHAPES[shape]("出错了", status)
    for error, kind in ((page_error(status, body), of_page), (token_error(status, body), of_token)):
        assert type(error) is kind
        assert "出错了" in str(error)
        assert error.code == status


@pytest.mark.parametrize(("status", "of_page", "of_token"), BY_STATUS)
@pytest.mark.parametrize("body", [HTML, b"", b"\xff\xfe", b"Server Error", b"null", b"[]", b'"x"', b'{"a":1,"a":2}'])
def test_a_status_decides_where_the_body_is_no_answer_of_the_api(
    status: int, of_page: type[VendorError], of_token: type[VendorError], body: bytes
) -> None:
    assert type(page_error(status, body)) is of_page
    assert type(token_error(status, body)) is of_token


@pytest.mark.parametrize(("status", "of_page", "of_token"), BY_STATUS)
def test_a_code_decides_where_the_status_says_success(
    status: int, of_page: type[VendorError], of_token: type[VendorError]
) -> None:
    body = {"code": str(status), "message": "x", "data": [], "access_token": "t"}
    assert type(page_error(200, body)) is of_page
    assert type(token_error(200, body)) is of_token


@pytest.mark.parametrize("code", [401, 403, 429])
def test_a_telling_code_decides_beside_any_status(code: int) -> None:
    for status in (400, 404, 500):
        assert type(page_error(status, {"code": code, "message": "x"})) is type(page_error(code, {}))
        assert type(page_error(status, {"errors": [{"status": code, "title": "x"}]})) is type(page_error(code, {}))


@pytest.mark.parametrize(
    "body",
    [
        {"errors": {"per_page": ["The per page may not be greater than 100."]}},
        {"errors": {"page": ["must be at least 1"]}},
        {"errors": {"page": "x"}},
        {"errors": [{"source": {"parameter": "per_page"}, "title": "Invalid Query Parameter"}]},
        {"errors": [{"source": {"pointer": "/page"}, "detail": "x"}]},
        {"errors": [{"detail": "per_page 不能大于 100"}]},
        {"errors": {"detail": "每页数量超出限制"}},
        {"code": 422, "message": "The per page must be an integer.", "request_id": "r"},
        {"message": "页码超出范围"},
    ],
)
def test_a_refusal_that_names_the_page_or_its_size(body: Any) -> None:
    for status in (400, 422):
        assert type(page_error(status, body)) is PageRefused
    assert type(page_error(500, body)) is Unreachable
    if "code" in body:
        assert type(page_error(200, body)) is PageRefused


@pytest.mark.parametrize(
    "body",
    [
        {"errors": {"include": ["unknown relation"]}},
        {"errors": {"detail": "Homepage is missing"}},
        {"code": 400, "message": "参数错误"},
        HTML,
    ],
)
def test_a_refusal_that_names_something_else_is_no_matter_of_the_page(body: Any) -> None:
    assert type(page_error(400, body)) is Unreachable


def test_a_not_found_is_no_matter_of_the_page_even_if_it_says_page() -> None:
    assert type(page_error(404, {"message": "Page not found"})) is Unreachable


@pytest.mark.parametrize(
    "body",
    [
        {"errors": {"app_key": ["The app key is invalid."]}},
        {"errors": {"app_secret": ["x"]}},
        {"errors": {"detail": "app_secret 错误"}},
        {"errors": [{"title": "invalid credentials"}]},
        {"code": 400, "message": "凭证无效"},
    ],
)
def test_a_refusal_that_names_the_credentials(body: Any) -> None:
    for status in (400, 422):
        assert type(token_error(status, body)) is CredentialsRefused
    assert type(token_error(500, body)) is Unreachable


def test_a_plan_without_this_interface_is_a_matter_of_configuration() -> None:
    for status in (200, 400, 403):
        error = page_error(status, {"code": 403, "message": "版本需升级后启用", "request_id": "req-9"})
        assert type(error) is NotEntitled
        assert (str(error), error.trace_id, error.exit_code) == ("code 403: 版本需升级后启用", "req-9", 3)


@pytest.mark.parametrize("text", ["Too Many Attempts.", "Too Many Attempts.\n", "too many requests", "请求过于频繁"])
@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_a_rate_limit_as_plain_text(text: str, status: int) -> None:
    assert type(page_error(status, text.encode())) is RateLimited
    assert type(token_error(status, text.encode())) is RateLimited


def test_a_rate_limit_by_its_words() -> None:
    assert type(page_error(400, {"message": "Too Many Attempts."})) is RateLimited
    assert type(page_error(200, {"code": 7, "message": "请求过于频繁"})) is RateLimited


def test_a_web_page_with_status_200_is_no_answer() -> None:
    for error in (page_error(200, HTML, **{"Content-Type": "text/html; charset=utf-8"}), token_error(200, HTML)):
        assert type(error) is Unreachable
    error = page_error(200, HTML, **{"Content-Type": "text/html; charset=utf-8"})
    assert str(error) == "HTTP 200: not the API's answer (text/html)"


def test_errors_beside_data_are_errors() -> None:
    assert type(page_error(200, {"data": [], "errors": [{"status": "403", "title": "x"}]})) is NotEntitled
    assert type(page_error(200, {"data": [], "errors": {"detail": "x"}})) is Unreachable


def test_no_list_under_data_is_told_with_the_vendor_s_name_for_the_exchange() -> None:
    error = page_error(200, {"code": 0, "request_id": "req-2", "data": {"list": []}})
    assert type(error) is UnreadableReply
    assert (str(error), error.trace_id) == ("HTTP 200, but no list under 'data'", "req-2")


ODD: list[Any] = [
    {"errors": None, "code": 1},
    {"errors": {}, "message": {"a": 1}},
    {"errors": [[["x"]], None, 5, {}, {"source": 5}, {"source": {"parameter": []}}, {"title": []}]},
    {"errors": {"detail": {"a": ["b"]}, "page": [], "status": []}},
    {"errors": ["x" * 100_000] * 100, "request_id": "\n" * 500},
    {"errors": {f"p{n}": ["x"] for n in range(1000)}},
    {"errors": True},
    {"code": 10**30},
    {"code": [], "message": 5},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("status", [200, 400, 500])
def test_odd_errors_are_errors_of_one_short_line(body: Any, status: int) -> None:
    for error in (page_error(status, body), token_error(status, body)):
        assert str(error).isprintable()
        assert len(str(error)) < 260


def test_errors_nested_beyond_reason_are_errors_too() -> None:
    nested = b'{"errors":' + b"[" * 900 + b"]" * 900 + b"}"
    assert type(page_error(500, nested)) is Unreachable
    assert type(token_error(500, nested)) is Unreachable


def test_messages_show_no_credential() -> None:
    text = "Bearer tok-9 s3cret app_secret=zzz https://x/y?sig=qqq " + "a1" * 20
    for shape in SHAPES:
        with pytest.raises(VendorError) as caught:
            read_page(400, {}, as_bytes(shape(text, 400)), hide=("tok-9", "s3cret"))
        for secret in ("tok-9", "s3cret", "zzz", "qqq", "a1a1"):
            assert secret not in str(caught.value)
    with pytest.raises(VendorError) as caught:
        read_page(500, {}, as_bytes({"code": 5, "message": "x", "request_id": "for tok-9"}), hide=("tok-9",))
    assert caught.value.trace_id == ""
