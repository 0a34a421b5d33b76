"""Lexiang's requests and replies without a socket."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logkeep.errors import RateLimited, Unreachable, UnreadableReply, VendorError
from logkeep.model import CHINA, ListedRecord
from logkeep.vendors import strict_json
from logkeep.vendors.lexiang.protocol import Page, logs_request, read_page, read_token, token_request, zone_offset
from logkeep.vendors.lexiang.rows import EVIDENCE_MAX_BYTES
from logkeep.vendors.port import RecordPage

OFFICIAL = (Path(__file__).parent / "data" / "lexiang-official-sample.json").read_bytes()
BASE = "https://lxapi.lexiangla.com"
NOW = datetime(2025, 6, 21, 1, 5, tzinfo=UTC)
ROW: dict[str, Any] = {
    "type": "download_log",
    "id": "r1",
    "attributes": {"created_at": "2018-04-10 15:51:21"},
    "relationships": {
        "target": {"data": {"type": "file", "id": "f1"}},
        "owner": {"data": {"type": "staff", "id": "o"}},
    },
}
FILE = {"type": "file", "id": "f1", "attributes": {"name": "投票结果"}}
STAFF = {"type": "staff", "id": "o", "attributes": {"name": "张三", "english_name": None}}


def page_of(*rows: Any, included: Any = (FILE, STAFF), **members: Any) -> Page:
    body = {"data": list(rows), "included": included, "links": {"next": None}, "meta": {}} | members
    return read_page(200, {}, json.dumps(body, ensure_ascii=False).encode())


def record_of(*, included: Any = (FILE, STAFF), **members: Any) -> ListedRecord:
    """The one record of a page with one row, whose members are these; None leaves one out."""
    row = {key: value for key, value in (ROW | members).items() if value is not None}
    page = page_of(row, included=included)
    (record,) = page.records
    assert page.unreadable == ()
    return record


def raw_page(rows: str, rest: str = "", **how: Any) -> Page:
    return read_page(200, {}, f'{{"data":[{rows}]{rest}}}'.encode(), **how)


# --- the official sample


def test_the_official_sample_is_read_field_by_field() -> None:
    page: RecordPage = read_page(200, {}, OFFICIAL)
    first, second = page.records
    assert (page.page, page.per_page, page.total, page.has_next, page.unreadable) == (1, 2, 45, True, ())
    assert first.record_id == "f59de3063c9311e8b64995597300a871"
    assert first.created_at == datetime(2018, 4, 10, 15, 51, 21, tzinfo=CHINA)
    assert first.created_at.utcoffset() == timedelta(hours=8)
    assert (first.owner_id, first.owner_name) == ("ThreeZhang", "张三")
    assert (first.target_type, first.target_id) == ("file", "10a18f022c2411e8802db53e40a56056")
    assert first.target_name == "投票结果"
    assert (second.record_id, second.owner_id) == ("64d8df663c9211e8a6d56f2588dac9b6", "FourLee")
    assert (second.owner_name, second.target_name) == ("李四", "投票结果")
    assert second.created_at == datetime(2018, 4, 10, 15, 40, 8, tzinfo=CHINA)


def test_the_official_sample_is_kept_object_by_object_on_one_line() -> None:
    sample = json.loads(OFFICIAL)
    file, three, four = sample["included"]
    for record, row, owner in zip(read_page(200, {}, OFFICIAL).records, sample["data"], (three, four), strict=True):
        assert json.loads(record.record) == row
        assert json.loads(record.included) == [file, owner]
        assert b"\n" not in record.record + record.included
        assert record.record == json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def test_the_ids_of_the_official_sample_hold_the_time_that_it_states() -> None:
    """The free check of +08:00: not a second off."""
    for record in read_page(200, {}, OFFICIAL).records:
        assert record.created_at is not None
        assert zone_offset(record.record_id, record.created_at) == timedelta(0)


def test_a_time_that_is_not_china_s_shows_in_the_id() -> None:
    moment = datetime(2018, 4, 10, 15, 51, 21, tzinfo=UTC)
    assert zone_offset("f59de3063c9311e8b64995597300a871", moment) == timedelta(hours=8)
    assert zone_offset("F59DE3063C9311E8B64995597300A871", moment - timedelta(hours=9)) == timedelta(hours=-1)


@pytest.mark.parametrize(
    "record_id",
    [
        "",
        "12",
        "10a18f022c2441e8802db53e40a56056",
        "10a18f022c2411e8c02db53e40a56056",
        "f59de306-3c93-11e8-b649-95597300a871",
        "x59de3063c9311e8b64995597300a871",
        "f59de3063c9311e8b64995597300a871\n",
    ],
)
def test_other_ids_hold_no_time(record_id: str) -> None:
    assert zone_offset(record_id, NOW) is None


@given(st.from_regex(r"[0-9a-f]{12}1[0-9a-f]{3}[89ab][0-9a-f]{15}", fullmatch=True), st.datetimes())
def test_every_uuid_of_version_1_has_an_offset(record_id: str, moment: datetime) -> None:
    assert zone_offset(record_id, moment.replace(tzinfo=UTC)) is not None


# --- requests


def test_a_token_is_asked_for_by_json() -> None:
    request = token_request(BASE + "/", "key-1", "s3cret")
    assert (request.endpoint, request.method, request.url) == ("token", "POST", f"{BASE}/cgi-bin/token")
    assert request.json == {"grant_type": "client_credentials", "app_key": "key-1", "app_secret": "s3cret"}
    assert "s3cret" not in repr(request)


def test_a_page_is_asked_for_with_what_is_linked() -> None:
    request = logs_request(BASE, "t0ken", 7, 100)
    assert (request.endpoint, request.method, request.json) == ("list", "GET", None)
    assert request.url == f"{BASE}/cgi-bin/v1/download-logs?per_page=100&page=7&include=target,owner"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Accept"] == "application/vnd.api+json, application/json"
    assert "t0ken" not in repr(request)


# --- tolerances


def test_what_the_vendor_wrote_is_kept_to_the_byte() -> None:
    """Spacing, escapes, order, numbers: all as they came, as long as there is no line break between the parts."""
    row = r'{ "id" : "a\u4e2d\/b", "x": 1.50, "attributes":{"n":12345678901234567890123, "z":1E+2} }'
    file = r'{"type":"file" ,"id":"f1","attributes":{"name":"\u6295"},"downloads_count":3}'
    link = r'{"id":"2","relationships":{"target":{"data":{"id":"f1","type":"file"}}}}'
    page = raw_page(f"{row},{link}", f',"included":[{file}]')
    assert page.records[0].record == row.encode()
    assert page.records[0].record_id == "a中/b"
    assert page.records[1].included == f"[{file}]".encode()
    assert page.records[1].target_name == "投"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_breaks_between_the_parts_go(end: str) -> None:
    body = json.dumps({"data": [ROW], "included": [FILE]}, indent=2, ensure_ascii=False).replace("\n", end)
    (record,) = read_page(200, {}, body.encode()).records
    assert record.record == json.dumps(ROW, separators=(",", ":")).encode()
    assert record.included == json.dumps([FILE], separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(("number", "text"), [(12, "12"), (12.0, "12"), ("12", "12"), (2**70, str(2**70)), (0, "0")])
def test_ids_that_are_numbers_become_text(number: Any, text: str) -> None:
    record = record_of(
        id=number,
        relationships={
            "target": {"data": {"type": "file", "id": number}},
            "owner": {"data": {"type": "staff", "id": number}},
        },
        included=[FILE | {"id": text}, STAFF | {"id": number}],
    )
    assert (record.record_id, record.target_id, record.owner_id) == (text, text, text)
    assert (record.target_name, record.owner_name) == ("投票结果", "张三")


@pytest.mark.parametrize(
    ("meta", "numbers"),
    [
        ({"current_page": 2, "per_page": 100, "total": 45}, (2, 100, 45)),
        ({"current_page": "2", "per_page": " 100 ", "total": "0"}, (2, 100, 0)),
        ({"current_page": 2.0, "per_page": None, "total": -1}, (2, None, None)),
        ({"current_page": True, "per_page": "many", "total": 10**400}, (None, None, None)),
        ({"current_page": [], "per_page": "9" * 50, "total": 1.5}, (None, None, None)),
        (None, (None, None, None)),
        ([1], (None, None, None)),
    ],
)
def test_numbers_of_meta(meta: Any, numbers: tuple[int | None, ...]) -> None:
    page = page_of(ROW, meta=meta)
    assert (page.page, page.per_page, page.total) == numbers


@pytest.mark.parametrize(
    ("links", "meta", "rows", "has_next"),
    [
        ({"next": None}, {"current_page": 1, "last_page": 9}, 1, False),
        ({"next": "http://other.example/x"}, {}, 0, True),
        ({"next": {"href": "x"}}, {}, 1, True),
        ({}, {"current_page": 1, "last_page": "2"}, 1, True),
        ({}, {"current_page": 2, "last_page": 2}, 1, False),
        (None, None, 1, True),
        ([], None, 0, False),
    ],
)
def test_whether_more_pages_follow(links: Any, meta: Any, rows: int, has_next: bool) -> None:
    """A vendor that says nothing is taken to have more, as long as there are rows: prefer a request to a gap."""
    assert page_of(*[ROW] * rows, links=links, meta=meta).has_next is has_next


NOTHING_LINKED: list[Any] = [
    None,
    {},
    [],
    "x",
    {"target": None},
    {"target": {}, "owner": []},
    {"target": {"data": None}},
]


@pytest.mark.parametrize("relationships", NOTHING_LINKED)
def test_a_relationship_that_is_missing_empty_or_null(relationships: Any) -> None:
    record = record_of(relationships=relationships)
    assert record.included == b"[]"
    assert (record.owner_id, record.owner_name) == (None, None)
    assert (record.target_type, record.target_id, record.target_name) == (None, None, None)


@pytest.mark.parametrize("included", [None, [], {}, "x", [None, 5, "x", [], {}], [{"type": "file"}, {"id": "f1"}]])
def test_a_link_without_its_object(included: Any) -> None:
    record = record_of(included=included)
    assert record.included == b"[]"
    assert (record.target_type, record.target_id, record.target_name) == ("file", "f1", None)
    assert (record.owner_id, record.owner_name) == ("o", None)


@pytest.mark.parametrize("attributes", [None, {}, [], "x", {"name": None}, {"name": 5}, {"name": ["x"]}])
def test_an_object_without_a_name_is_kept(attributes: Any) -> None:
    file = FILE | {"attributes": attributes}
    record = record_of(included=[file])
    assert (record.target_name, json.loads(record.included)) == (None, [file])


def test_a_target_of_an_unknown_type_and_with_unknown_fields() -> None:
    target = {"type": "mind_map", "id": 7, "attributes": {"name": "图"}, "links": {"self": "x"}}
    links = {"target": {"data": {"type": "mind_map", "id": "7", "more": 1}, "links": {}}}
    record = record_of(relationships=links, included=[target], extra={"a": [1]})
    assert (record.target_type, record.target_id, record.target_name) == ("mind_map", "7", "图")
    assert json.loads(record.record)["extra"] == {"a": [1]}


def test_what_is_linked_stands_in_the_order_of_the_relationships_each_once_and_nothing_else() -> None:
    doc, stranger = {"type": "doc", "id": "d"}, {"type": "file", "id": "other"}
    links = {
        "doc": {"data": [{"type": "doc", "id": "d"}, {"type": "doc", "id": "gone"}, {"type": "doc", "id": "d"}, None]},
        "owner": {"data": {"type": "staff", "id": "o"}},
        "target": {"data": {"type": "file", "id": "f1"}},
        "again": {"data": {"type": "file", "id": "f1"}},
    }
    twin = FILE | {"attributes": {"name": "a twin of the first"}}
    record = record_of(relationships=links, included=[stranger, FILE, STAFF, twin, doc])
    assert json.loads(record.included) == [doc, STAFF, FILE]


def test_what_is_linked_is_found_by_its_type_too() -> None:
    assert record_of(included=[FILE | {"type": "attachment"}]).target_name is None


def test_included_after_meta_and_data_at_the_end() -> None:
    body = {"meta": {"per_page": 20}, "links": {}, "included": [FILE], "jsonapi": {"version": "1.0"}, "data": [ROW]}
    page = read_page(200, {}, json.dumps(body).encode())
    assert (page.per_page, page.records[0].target_name) == (20, "投票结果")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-04-10 15:51:21", datetime(2018, 4, 10, 15, 51, 21, tzinfo=CHINA)),
        ("2018-04-10T15:51:21", datetime(2018, 4, 10, 15, 51, 21, tzinfo=CHINA)),
        ("2018-04-10T15:51:21.5Z", datetime(2018, 4, 10, 23, 51, 21, 500_000, tzinfo=CHINA)),
        ("2018-04-10 15:51:21+0000", datetime(2018, 4, 10, 23, 51, 21, tzinfo=CHINA)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    created_at = record_of(attributes={"created_at": text}).created_at
    assert created_at == moment
    assert created_at.tzinfo is CHINA


UNREADABLE_TIMES: list[Any] = [
    *(
        "",
        "yesterday",
        "2018-04-10",
        "2018-W15-2 10:00:00",
        "2018-04-10 15:51",
        "2018-13-10 15:51:21",
        "2018-04-10 24:00:00",
    ),
    *(
        "0000-00-00 00:00:00",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59-2359",
        "\uff12018-04-10 15:51:21",
        "2018-04-10 15:51:21\n",
    ),
    *(1523346681, None, ["2018-04-10 15:51:21"], {}),
]


@pytest.mark.parametrize("value", UNREADABLE_TIMES)
def test_a_time_that_cannot_be_read_is_none_and_the_record_stays(value: Any) -> None:
    assert record_of(attributes={"created_at": value}).created_at is None


@pytest.mark.parametrize("attributes", [None, {}, [], "2018-04-10 15:51:21"])
def test_attributes_that_are_missing(attributes: Any) -> None:
    assert record_of(attributes=attributes).created_at is None


@given(st.text(max_size=40))
def test_no_text_is_a_traceback_for_a_time(text: str) -> None:
    record_of(attributes={"created_at": text})


# --- rows that are no records

UNUSABLE_IDS: list[Any] = [None, "", " ", True, 1.5, 1e300, [], {}, "x" * 257, "a\0b", "a\nb", "a\x7f", "a\u200bb", "�"]


@pytest.mark.parametrize("value", UNUSABLE_IDS)
def test_a_row_without_a_usable_id_is_evidence(value: Any) -> None:
    row = ROW | {"id": value}
    page = page_of(row, ROW)
    assert [record.record_id for record in page.records] == ["r1"]
    assert [json.loads(text) for text in page.unreadable] == [row]


@pytest.mark.parametrize("row", [None, 5, "x", [], [ROW], True, {}])
def test_a_row_that_is_no_object_is_evidence(row: Any) -> None:
    page = page_of(ROW, row, ROW)
    assert (len(page.records), page.unreadable) == (2, (json.dumps(row, ensure_ascii=False),))


AMBIGUOUS = [
    '{"id":"1","id":"2"}',
    '{"id":"1","attributes":{"a":1,"a":1}}',
    '{"id":"1","x":1e999}',
    '{"id":"1","x":-1e999}',
    '{"id":"1","x":' + "9" * 400 + "}",
    '{"id":"1","x":' + "[" * 40 + "]" * 40 + "}",
]


@pytest.mark.parametrize("row", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_a_row_that_readers_would_disagree_about_is_evidence_and_spoils_no_other(row: str) -> None:
    page = raw_page(f'{{"id":"0"}},{row},{{"id":"3"}}')
    assert [record.record_id for record in page.records] == ["0", "3"]
    assert page.unreadable == (row,)


@pytest.mark.parametrize("member", ['"a":1,"a":2', '"x":1e999', '"x":' + "[" * 40 + "]" * 40], ids=range(3))
def test_a_linked_object_that_readers_would_disagree_about_is_left_out(member: str) -> None:
    file = f'{{"type":"file","id":"f1","attributes":{{"name":"x"}},{member}}}'
    page = raw_page(json.dumps(ROW), f',"included":[{file},{json.dumps(STAFF)}]')
    assert (page.records[0].target_name, page.records[0].owner_name) == (None, "张三")
    assert json.loads(page.records[0].included) == [STAFF]


def test_evidence_is_short_and_does_not_repeat_the_secrets_of_the_exchange() -> None:
    page = raw_page('{"x":"tok-9 and s3cret"}', hide=("tok-9", "s3cret"))
    assert page.unreadable == ('{"x":"[redacted] and [redacted]"}',)
    (text,) = raw_page('{"x":"' + "投" * EVIDENCE_MAX_BYTES + '"}').unreadable
    assert EVIDENCE_MAX_BYTES - 6 <= len(text.encode()) <= EVIDENCE_MAX_BYTES


# --- hostile bodies


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (r"a\ud83d", "a\ufffd"),
        (r"\ude00b", "\ufffdb"),
        (r"\uD83D\uD83D\uDE00", "\ufffd😀"),
        (r"\ud83d\ude00", "😀"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\ud83d\ude00", "\\ud83d\ufffd"),
        (r"\\\ud83d\ude00", "\\😀"),
        (r"\ud83d\n\ude00", "\ufffd\n\ufffd"),
    ],
)
def test_half_a_character_becomes_one_that_every_reader_takes(written: str, kept: str) -> None:
    file = f'{{"type":"file","id":"f1","attributes":{{"name":"{written}"}}}}'
    (record,) = raw_page(json.dumps(ROW), f',"included":[{file}]').records
    assert record.target_name == kept
    assert json.loads(record.included)[0]["attributes"]["name"] == kept
    record.included.decode()


def test_an_id_with_half_a_character_could_be_anybody_s() -> None:
    page = raw_page(r'{"id":"a\ud800"},{"id":"a\udbff"}')
    assert (page.records, len(page.unreadable)) == ((), 2)


def test_a_byte_order_mark_is_tolerated() -> None:
    assert len(read_page(200, {}, b"\xef\xbb\xbf" + OFFICIAL).records) == 2


REFUSED = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"5",
    b'{"data":[]',
    b'{"data":[]}{}',
    b'{"data":[NaN]}',
    b'{"data":[{"id":"1","x":Infinity}]}',
    b'{"data":[{"id":"\xff"}]}',
    b'{"data":[{"id":"1","x":"\xed\xa0\x80"}]}',
    b'{"data":[{"id":"1\n"}]}',
    b'{"data":[{"id":"\\x"}]}',
    b'{"data":[01]}',
    b'{"data":' + b"[" * 100_000,
    b'{"data":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"data":[' + b"9" * 5_000 + b"]}",
    b'{"data":[{"id":"1"}],"data":[]}',
    b'{"data":[],"meta":{"total":0,"total":5}}',
    b'{"data":[],"meta":{"total":1e999}}',
    b'{"data":[],"x":' + b"[" * 40 + b"]" * 40 + b"}",
    b'{"data":null}',
    b'{"data":{}}',
    b'{"data":""}',
    b'{"meta":{"total":0}}',
    b'{"data":[],"code":1}',
    b'{"data":[],"code":"E1"}',
    b'{"data":[],"code":true}',
    b'{"data":[],"errors":["x"]}',
    b"\x1f\x8b\x08\x00",
    '{"data":[]}'.encode("utf-16"),
]


@pytest.mark.parametrize("body", REFUSED, ids=range(len(REFUSED)))
def test_a_success_that_is_none_is_an_error_and_never_an_empty_page(body: bytes) -> None:
    with pytest.raises((UnreadableReply, Unreachable)) as caught:
        read_page(200, {}, body)
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None


JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["file", "f1", "r1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "type", "data", "attributes", "relationships", "target", "owner", "name", "a"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
DOCUMENTS = st.fixed_dictionaries(
    {"data": st.lists(JSONISH, max_size=4) | JSONISH},
    optional=dict.fromkeys(("included", "links", "meta", "errors", "code", "request_id"), JSONISH),
)


def lines_are_json(page: Page) -> None:
    """What becomes a line of the archive is strict JSON on one line."""
    for record in page.records:
        for raw in (record.record, record.included):
            strict_json.load(raw)
            assert b"\n" not in raw
            assert b"\r" not in raw
        assert record.record_id.isprintable()


def page_or_error(status: int, body: bytes) -> Page | None:
    """A page, or None for an error of ours in one printable line; anything else raises."""
    try:
        return read_page(status, {}, body)
    except VendorError as error:
        told = str(error)
    assert told.isprintable()
    return None


@settings(deadline=None)
@given(DOCUMENTS, st.booleans(), st.sampled_from([200, 201, 302, 400, 401, 403, 422, 429, 500]))
def test_whatever_json_comes_it_is_a_page_or_an_error_of_ours(document: Any, pretty: bool, status: int) -> None:
    page = page_or_error(status, json.dumps(document, indent=1 if pretty else None).encode())
    if page is not None:
        assert status < 300
        assert len(page.records) + len(page.unreadable) == len(document["data"])
        lines_are_json(page)


@settings(deadline=None)
@given(st.data())
def test_whatever_bytes_are_damaged_it_is_a_page_or_an_error_of_ours(data: st.DataObject) -> None:
    """The official sample with a piece of it replaced: by noise, or by another piece of itself."""
    at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(OFFICIAL))] * 2)))
    piece = data.draw(st.integers(0, len(OFFICIAL) - 30).map(lambda n: OFFICIAL[n : n + 30]))
    noise = data.draw(
        st.binary(max_size=6) | st.sampled_from([b"\\ud800", b'"id":', b"1e999", b"[" * 50]) | st.just(piece)
    )
    page = page_or_error(200, OFFICIAL[:at] + noise + OFFICIAL[end:])
    if page is not None:
        lines_are_json(page)


# --- tokens


def token_of(**members: Any) -> Any:
    body = {"token_type": "Bearer", "expires_in": 7200, "access_token": "tok-1"} | members
    body = {key: value for key, value in body.items() if value is not ...}
    return read_token(200, {}, json.dumps(body).encode(), sent_at=NOW)


@pytest.mark.parametrize("seconds", [7200, "7200", 7200.0])
def test_a_token_lives_so_many_seconds_from_the_request(seconds: Any) -> None:
    issued = token_of(expires_in=seconds)
    assert (issued.access_token, issued.expires_at) == ("tok-1", NOW + timedelta(hours=2))
    assert "tok-1" not in repr(issued)


@pytest.mark.parametrize("seconds", [0, -5, "soon", None, ..., True, 10**9, 10**14, 10**30, 1.5, [], 2**62])
def test_an_expiry_that_cannot_be_read_is_none(seconds: Any) -> None:
    assert token_of(expires_in=seconds).expires_at is None


@pytest.mark.parametrize("kind", ["bearer", "BEARER", ...])
def test_a_bearer_token_by_any_spelling(kind: Any) -> None:
    assert token_of(token_type=kind).access_token == "tok-1"


BAD_TOKENS: list[Any] = [..., None, "", 5, [], "a b", "a\nb", "törken", "x" * 8193]
NO_TOKENS: list[dict[str, Any]] = [
    *({"access_token": text} for text in BAD_TOKENS),
    *({"token_type": kind} for kind in ("mac", None, 5)),
]


@pytest.mark.parametrize("members", NO_TOKENS)
def test_a_success_without_a_token_that_can_be_sent(members: dict[str, Any]) -> None:
    with pytest.raises(UnreadableReply) as caught:
        token_of(**members)
    assert "a b" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"access_token":"a","access_token":"b"}', b'{"code":7}'])
def test_a_token_reply_that_is_none(body: bytes) -> None:
    with pytest.raises((UnreadableReply, Unreachable)):
        read_token(200, {}, body, sent_at=NOW)


def test_a_rate_limit_tells_how_long_to_wait() -> None:
    date = "Sat, 21 Jun 2025 01:05:00 GMT"
    reset = str(int(NOW.timestamp()) + 42)
    for headers, wait_s in (
        ({"Retry-After": "17", "X-RateLimit-Reset": "99"}, 17.0),
        ({"X-RateLimit-Reset": "99"}, 99.0),
        ({"X-RateLimit-Reset": reset, "Date": date}, 42.0),
        ({"X-RateLimit-Reset": reset}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ):
        with pytest.raises(RateLimited) as caught:
            read_page(429, headers, b"Too Many Attempts.")
        assert caught.value.retry_after_s == wait_s
