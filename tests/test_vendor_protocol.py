import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.errors import Unreachable, UnreadableReply, VendorError
from logkeep.model import Hour, ListedFile
from logkeep.vendors.pan123.protocol import (
    Page,
    UnreadableRow,
    list_request,
    read_page,
    read_token,
    token_request,
)
from logkeep.vendors.pan123.rows import read_hour, read_row
from logkeep.vendors.wire import read_date, read_id, read_retry_after

SAMPLE = Path(__file__).parent / "data" / "pan123-official-sample.json"
JSON = {"Content-Type": "application/json"}
ROW = {
    "id": 12,
    "fileName": "202506201516.gz",
    "fileSize": 317,
    "logTimeRange": "2025-06-20 15:00~16:00",
    "downloadURL": "https://m88.cjjd20.com/bucket/key?X-Amz-Signature=deadbeef",
}


def reply(data: Any, code: Any = 0, **more: Any) -> bytes:
    return json.dumps({"code": code, "message": "ok", "data": data, "x-traceID": "t"} | more).encode()


def page(body: bytes, status: int = 200) -> Page:
    return read_page(status, JSON, body)


def error_of(read: Callable[[int, dict[str, str], bytes], object], status: int, body: bytes) -> str | None:
    try:
        read(status, JSON, body)
    except VendorError as error:
        return str(error)
    return None


def page_of(*rows: Any) -> Page:
    return page(reply({"list": list(rows), "total": 0}))


def test_the_official_sample_is_five_rows_of_five_files() -> None:
    """Two rows share name, size and hour, two more the name, and ``total`` is 0: only ids count."""
    read = page(SAMPLE.read_bytes())
    assert read.raw_count == 5
    assert read.unreadable == ()
    assert [file.file_id for file in read.files] == ["12", "11", "10", "8", "7"]
    assert [file.size_bytes for file in read.files] == [317, 195, 208, 195, 195]
    assert [str(file.hour) for file in read.files] == [f"20250620{hour}" for hour in (15, 15, 13, 12, 12)]
    assert read.files[2].name == "202506201314.log.gz"
    assert read.files[0].url.startswith("https://m88.cjjd20.com/123-direct-link-logs/2025")
    assert read.trace_id == ""


@pytest.mark.parametrize("total", [0, 99, -1, None, "many", {}])
def test_total_is_never_believed(total: object) -> None:
    assert page(reply({"list": [ROW], "total": total})).raw_count == 1


def test_a_null_list_is_an_empty_page() -> None:
    assert page(reply({"list": None, "total": 0})) == Page((), "t", 0)


@pytest.mark.parametrize(
    "body",
    [
        reply(None),
        reply({}),
        reply({"total": 0}),
        reply({"list": {}}),
        reply({"list": "none"}),
        reply({"list": 0}),
        reply({"list": False}),
        reply([]),
        reply("ok"),
        b"[]",
        b"null",
        b"{}",
        b'"ok"',
        b"0",
        reply({"list": []}, code=None),
        reply({"list": []}, code=False),
        reply({"list": []}, code=0.0),
        reply({"list": []}, code="zero"),
        reply({"list": []}, code=10**12),
    ],
)
def test_a_success_of_the_wrong_shape_is_never_no_files(body: bytes) -> None:
    with pytest.raises(UnreadableReply):
        page(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"code":' + b'{"a":' * 500 + b"1" + b"}" * 501,
        reply({"list": []}, extra=[[[[]]]]).replace(b"[[[[]]]]", b"[" * 40 + b"]" * 40),
        b'{"code":0,"data":{"list":[]},"data":{"list":[]}}',
        b'{"code":0,"data":{"list":[{"id":1,"id":2}]}}',
        b'{"code":0,"data":{"list":[]},"x":NaN}',
        b'{"code":0,"data":{"list":[]},"x":-Infinity}',
        b'{"code":0,"data":{"list":[]},"x":1e999}',
        b'{"code":0,"data":{"list":[]},"x":' + b"9" * 5000 + b"}",
        b'{"code":0,"data":{"list":[]},"message":"\xff\xfe"}',
        b'{"code":0,"data":{"list":[]},"message":"\\ud800"}',
        b'{"code":0,"data":{"list":[]},"\\ud800":1}',
        b'{"code":0,"data":{"list":[',
        b'{"code"=0}',
        b'\xef\xbb\xbf {"code":0,',
    ],
)
def test_hostile_or_broken_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableReply) as caught:
        page(body)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"<?xml version='1.0'?><Error/>", b"Bad Gateway", b"\x1f\x8b\x00"]
)
@pytest.mark.parametrize("status", [200, 204, 206, 210])
def test_a_page_that_never_was_json_is_a_gateway_s_whatever_its_good_status(body: bytes, status: int) -> None:
    with pytest.raises(Unreachable, match="not the API's answer"):
        read_page(status, {"content-type": "text/html; charset=utf-8"}, body)


def test_a_byte_order_mark_and_a_code_in_quotes_are_tolerated() -> None:
    assert page(b"\xef\xbb\xbf" + reply({"list": [ROW]}, code="0")).raw_count == 1


def test_a_reply_without_trace_id_message_and_total_is_read() -> None:
    assert page(b'{"code":0,"data":{"list":[],"more":1},"new":[]}') == Page((), "", 0)


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12"), ("12", "12"), (" 12 ", "12"), (12.0, "12"), (0, "0"), ("x-é", "x-é")]
)
def test_ids_are_text_whether_numbers_or_not(value: object, text: str) -> None:
    assert read_id(value) == text


def test_large_ids_are_exact() -> None:
    (row,) = page(b'{"code":0,"data":{"list":[{"id":12345678901234567890123}]}}').files
    assert row.file_id == "12345678901234567890123"


@pytest.mark.parametrize(
    "value", [None, "", " \t", True, False, 12.5, 2.0**53, -1e300, [], [12], {}, {"id": 1}, "9" * 257, 10**300]
)
def test_what_cannot_tell_two_files_apart_is_no_id(value: object) -> None:
    assert read_id(value) is None
    assert isinstance(read_row({"id": value}), UnreadableRow)


@given(st.integers(min_value=-(10**200), max_value=10**200))
def test_a_number_and_its_text_are_one_id(number: int) -> None:
    assert read_id(number) == read_id(str(number)) == str(number)


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-20 15:00~16:00",
        " 2025-06-20  15:00 ~ 16:00 ",
        "2025-06-20 15:00\uff5e16:00",
        "2025-06-20 15:00\uff0d16:00",
        "2025\uff0d06\uff0d20\u300015\uff1a00\uff5e16\uff1a00",
        "2025-6-20 15:00-16:00",
        "2025-06-20T15:00:00~2025-06-20T16:00:00",
        "2025-06-20 15:00",
        "2025-06-20 15:00~nonsense",
    ],
)
def test_the_hour_is_read_from_date_and_start(text: str) -> None:
    assert read_hour(text, "") == Hour.parse("2025062015")


@pytest.mark.parametrize("end", ["00:00", "24:00", "2025-06-21 00:00"])
def test_midnight_may_be_written_either_way(end: str) -> None:
    assert read_hour(f"2025-06-20 23:00~{end}", "") == Hour.parse("2025062023")


@pytest.mark.parametrize("name", ["202506201516.gz", "202506201516.log.gz", "202506201516", "202506201500.gz"])
@pytest.mark.parametrize(
    "time_range", [None, "", 7, {}, "yesterday", "2025-13-45 15:00~16:00", "2025-06-20 24:00~01:00"]
)
def test_without_a_readable_range_the_name_tells_the_hour(time_range: object, name: str) -> None:
    assert read_hour(time_range, name) == Hour.parse("2025062015")


def test_the_range_beats_the_name() -> None:
    assert read_hour("2025-06-20 15:00~16:00", "202401010102.gz") == Hour.parse("2025062015")


@pytest.mark.parametrize(
    "name", ["", "access.gz", "2025062015.gz", "2025062015160.gz", "202513201516.gz", "000106201516.gz", "999906201516"]
)
def test_a_row_without_readable_hour_is_kept_without_one(name: str) -> None:
    (row,) = page_of({"id": 1, "fileName": name}).files
    assert row.hour is None
    assert row.name == name


@given(st.text(), st.text())
def test_reading_an_hour_never_fails(time_range: str, name: str) -> None:
    hour = read_hour(time_range, name)
    assert hour is None or 2000 <= hour.start.year < 2100


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (317, 317),
        (0, 0),
        ("317", 317),
        (317.0, 317),
        (-1, None),
        (3.5, None),
        (None, None),
        ("big", None),
        (True, None),
        ([], None),
        (2**63, None),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_a_size_that_makes_no_sense_is_none(value: object, size: int | None) -> None:
    (row,) = page_of(ROW | {"fileSize": value}).files
    assert row.size_bytes == size


@pytest.mark.parametrize("missing", ["fileName", "fileSize", "logTimeRange", "downloadURL"])
def test_a_row_lacking_anything_but_its_id_is_kept(missing: str) -> None:
    row = {key: value for key, value in ROW.items() if key != missing}
    (read,) = page_of(row).files
    assert read.file_id == "12"
    assert (missing == "downloadURL") == (read.url == "")


def test_the_raw_row_holds_everything_but_the_address() -> None:
    (row,) = page_of(ROW | {"new": {"see": "https://h/x?sig=deadbeef"}, "fileName": "odd?.gz"}).files
    assert "downloadURL" not in row.raw
    assert row.raw == {
        "id": 12,
        "fileName": "odd?.gz",
        "fileSize": 317,
        "logTimeRange": "2025-06-20 15:00~16:00",
        "new": {"see": "https://h/x?[redacted]"},
    }
    assert "deadbeef" not in repr(row)
    assert row.url.endswith("deadbeef")


def test_an_inflated_row_keeps_its_documented_members_only() -> None:
    (row,) = page_of(ROW | {"fileName": "n" * 5000, "junk": ["x" * 5000]}).files
    assert set(row.raw) == {"id", "fileName", "fileSize", "logTimeRange"}
    assert len(json.dumps(row.raw)) < 4096


@pytest.mark.parametrize(
    "value", [None, 7, "row", [], [ROW], ROW | {"id": None}, {k: v for k, v in ROW.items() if k != "id"}]
)
def test_a_row_without_id_is_evidence_without_the_signature(value: object) -> None:
    read = page_of(ROW, value)
    (raw,) = read.unreadable
    assert read.raw_count == 2
    assert len(read.files) == 1
    assert "deadbeef" not in raw
    if isinstance(value, dict):
        assert json.loads(raw) == {**value, "downloadURL": "https://m88.cjjd20.com/bucket/key?[redacted]"}


def test_evidence_is_at_most_four_kib() -> None:
    (raw,) = page_of({"id": None, "fileName": "名" * 9000}).unreadable
    assert 4000 < len(raw.encode()) <= 4096


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
odd_rows = st.fixed_dictionaries({}, optional=dict.fromkeys([*ROW, "extra"], json_values)) | json_values


@given(st.lists(odd_rows, max_size=5))
def test_every_row_of_any_page_is_a_file_or_evidence(rows: list[Any]) -> None:
    """Nothing that a list can hold makes the page fail or a row vanish."""
    read = page_of(*rows)
    assert len(read.rows) == read.raw_count == len(rows)
    assert len(read.files) + len(read.unreadable) == len(rows)
    assert all(isinstance(row, ListedFile | UnreadableRow) for row in read.rows)


@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()), st.integers(100, 599))
def test_any_reply_is_a_page_or_one_of_our_errors(body: bytes, status: int) -> None:
    for read in (read_page, read_token):
        problem = error_of(read, status, body)
        assert problem is None or (len(problem) < 300 and problem.isprintable())


def test_the_carrier_decides_where_parameters_travel() -> None:
    made = {
        carrier: list_request(
            "https://h/",
            "tok",
            start_hour="2025062001",
            end_hour="2025062023",
            page_num=2,
            page_size=5,
            carrier=carrier,
        )
        for carrier in ("query", "body", "both")
    }
    params = {"startHour": "2025062001", "endHour": "2025062023", "pageNum": 2, "pageSize": 5}
    path = "https://h/api/v1/direct-link/offline/logs"
    query = path + "?startHour=2025062001&endHour=2025062023&pageNum=2&pageSize=5"
    assert [(made[c].url, made[c].json) for c in ("query", "body", "both")] == [
        (query, None),
        (path, params),
        (query, params),
    ]
    assert {request.method for request in made.values()} == {"GET"}
    assert made["query"].headers == {"Authorization": "Bearer tok", "Platform": "open_platform"}


def test_a_token_request_holds_what_the_vendor_asks_for_and_shows_nothing() -> None:
    request = token_request("https://h", "id", "secret-1")
    assert (request.method, request.url) == ("POST", "https://h/api/v1/access_token")
    assert request.headers == {"Platform": "open_platform"}
    assert request.json == {"clientID": "id", "clientSecret": "secret-1"}
    assert "secret-1" not in repr(request)


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("2025-03-23T15:48:37+08:00", datetime(2025, 3, 23, 7, 48, 37, tzinfo=UTC)),
        ("2025-03-23T07:48:37Z", datetime(2025, 3, 23, 7, 48, 37, tzinfo=UTC)),
        ("2025-03-23T15:48:37", datetime(2025, 3, 23, 7, 48, 37, tzinfo=UTC)),
        ("soon", None),
        (None, None),
        (1742716117, None),
        ("0001-01-01T00:00:00+08:00", None),
    ],
)
def test_an_expiry_is_believed_only_when_it_can_be_read(text: object, expires: datetime | None) -> None:
    issued = read_token(200, JSON, reply({"accessToken": "tok-1", "expiredAt": text}))
    assert issued.expires_at == expires
    assert "tok-1" not in repr(issued)


@pytest.mark.parametrize("token", [None, 12345, "", "a b", "a\r\nX: y", "tökén", "t" * 9000, ["t"]])
def test_a_token_that_fits_no_header_is_unreadable(token: object) -> None:
    with pytest.raises(UnreadableReply):
        read_token(200, JSON, reply({"accessToken": token, "expiredAt": "2025-03-23T15:48:37+08:00"}))


def test_the_vendor_s_date_is_aware_or_none() -> None:
    assert read_date({"date": "Sat, 21 Jun 2025 01:05:00 GMT"}) == datetime(2025, 6, 21, 1, 5, tzinfo=UTC)
    assert read_date({"Date": "Sat, 21 Jun 2025 09:05:00 +0800"}) == datetime(2025, 6, 21, 1, 5, tzinfo=UTC)
    assert [read_date({"Date": text}) for text in ("", "yesterday", "Sat, 99 Jun 2025 01:05:00 GMT")] == [None] * 3
    assert read_date({}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999999", 86_400.0),
        ("Sat, 21 Jun 2025 01:05:30 GMT", 30.0),
        ("Sat, 21 Jun 2025 01:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_vendor_s_own_clock(text: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": text, "Date": "Sat, 21 Jun 2025 01:05:00 GMT"}) == seconds


def test_a_retry_after_date_means_nothing_without_the_vendor_s_date() -> None:
    assert read_retry_after({"Retry-After": "Sat, 21 Jun 2025 01:05:30 GMT"}) is None
