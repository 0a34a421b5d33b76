"""One record, one line."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logkeep.model import CHINA, ListedRecord
from logkeep.records.line import day_of, line, read_id, read_line

ARCHIVED = datetime(2018, 4, 11, 1, 2, 3, 456, tzinfo=UTC)
SAMPLE = ListedRecord(
    "f59de3063c9311e8b64995597300a871",
    datetime(2018, 4, 10, 15, 51, 21, tzinfo=CHINA),
    b'{"type": "download_log","id":"f59de3063c9311e8b64995597300a871"}',
    '[{"type":"staff","attributes":{"name":"张三"}}]'.encode(),
    "ThreeZhang",
    "张三",
    "file",
    "10a18f022c2411e8802db53e40a56056",
    "投票结果",
)

texts = st.text(st.characters(codec="utf-8"))
maybe = st.none() | texts
json_objects = st.dictionaries(texts, texts | st.none() | st.integers() | st.lists(texts), max_size=3)
raws = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode(), json_objects, st.booleans()
)
records = st.builds(
    ListedRecord,
    record_id=texts,
    created_at=st.none() | st.datetimes(timezones=st.just(CHINA)),
    record=raws,
    included=raws,
    owner_id=maybe,
    owner_name=maybe,
    target_type=maybe,
    target_id=maybe,
    target_name=maybe,
)


def test_the_vendors_sample() -> None:
    assert line(SAMPLE, ARCHIVED).decode() == (
        '{"id":"f59de3063c9311e8b64995597300a871","created_at":"2018-04-10T15:51:21+08:00",'
        '"owner_id":"ThreeZhang","owner_name":"张三","target_type":"file",'
        '"target_id":"10a18f022c2411e8802db53e40a56056","target_name":"投票结果",'
        '"record":{"type": "download_log","id":"f59de3063c9311e8b64995597300a871"},'
        '"included":[{"type":"staff","attributes":{"name":"张三"}}],"archived_at":"2018-04-11T09:02:03+08:00"}\n'
    )


@given(records)
@example(
    ListedRecord(
        '"\\\n\r\u2028\u2029\x85\x00\x1e', None, b'{"a":"\xe2\x80\xa8"}', b"[]", "\t", "\x7f", "", "\ufeff", "😀"
    )
)
def test_whatever_the_texts_it_is_one_line_of_json_and_comes_back(record: ListedRecord) -> None:
    written = line(record, ARCHIVED)
    assert written.endswith(b"\n")
    assert written.splitlines(keepends=True) == [written]
    assert json.loads(written)["id"] == record.record_id
    assert json.loads(written)["record"] == json.loads(record.record)
    assert read_line(written) == (record, ARCHIVED.replace(microsecond=0))
    assert read_id(written) == record.record_id


def test_a_record_without_a_time_owner_or_target() -> None:
    assert json.loads(line(ListedRecord("7", None, b"{}"), ARCHIVED)) == {
        "id": "7", "created_at": None, "owner_id": None, "owner_name": None, "target_type": None, "target_id": None,
        "target_name": None, "record": {}, "included": [], "archived_at": "2018-04-11T09:02:03+08:00",
    }  # fmt: skip


def test_line_breaks_between_the_vendors_tokens_do_not_break_the_line() -> None:
    written = line(ListedRecord("7", None, b'{\r\n"a":\n1}', b"[\n]"), ARCHIVED)
    assert written.count(b"\n") == 1
    assert json.loads(written)["record"] == {"a": 1}


@pytest.mark.parametrize(
    ("created_at", "day"),
    [
        (None, "unknown"),
        (datetime(2018, 4, 10, 0, 0, 0, tzinfo=CHINA), "2018-04-10"),
        (datetime(2018, 4, 10, 23, 59, 59, tzinfo=CHINA), "2018-04-10"),
        (datetime(2018, 4, 10, 16, 0, 0, tzinfo=UTC), "2018-04-11"),
        (datetime(1, 1, 1, tzinfo=CHINA), "0001-01-01"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=CHINA), "9999-12-31"),
    ],
)
def test_the_day_is_chinas(created_at: datetime | None, day: str) -> None:
    assert day_of(ListedRecord("7", created_at, b"{}")) == day


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"[1]", b'{"id":7}', b'{"id":"7"', b"\xff", b"not json"])
def test_what_is_no_line_is_not_read(data: bytes) -> None:
    for read in (read_line, read_id):
        with pytest.raises(ValueError):  # noqa: PT011 - the library words it
            read(data)
