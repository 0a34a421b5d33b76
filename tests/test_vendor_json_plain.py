"""The quick way to read JSON, held against the slow one: it may refuse to judge, never judge otherwise."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logkeep.vendors.strict_json import MAX_DEPTH, JsonRefused, load, read_plain

TEXTS = st.text(st.sampled_from('a":\\ ,{}[]é中\u2028\x00\n😀'), max_size=5)
LEAVES = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False), st.booleans(), st.just(0), st.just(2**64))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(TEXTS, inner), max_size=4), max_leaves=12
)
SPELLINGS = st.sampled_from([(True, (",", ":")), (False, (",", ":")), (False, (" , ", " : ")), (True, (",\n", ":\t"))])


def spelled(value: Any, ascii_only: bool, separators: tuple[str, str]) -> str:
    """A list of pairs is an object, whose keys may stand twice."""
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        members = [
            f"{json.dumps(key, ensure_ascii=ascii_only)}{separators[1]}{spelled(inner, ascii_only, separators)}"
            for key, inner in value
        ]
        return "{" + separators[0].join(members) + "}"
    if isinstance(value, list):
        return "[" + separators[0].join(spelled(inner, ascii_only, separators) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@given(VALUES, SPELLINGS)
@example([("a", 1), ("a", 2)], (True, (",", ":")))
@example([("a", 1), ("a", ":")], (False, (",", ":")))
@example([("a", "x"), ("a", "y"), ("b", '":')], (True, (",", ":")))
def test_what_is_read_quickly_is_read_alike_slowly(value: Any, spelling: tuple[bool, tuple[str, str]]) -> None:
    body = spelled(value, *spelling).encode("utf-8", "surrogatepass")
    quick = read_plain(body)
    if quick is not None:
        assert json.dumps(quick) == json.dumps(load(body))


@given(st.binary(max_size=30) | st.text(st.sampled_from('{}[]":,\\u0012aé -eE.+tfn'), max_size=14).map(str.encode))
def test_bytes_that_are_refused_slowly_are_not_read_quickly(body: bytes) -> None:
    quick = read_plain(body)
    if quick is not None:
        assert json.dumps(quick) == json.dumps(load(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1, "a" : 2, "b":":"}',
        rb'{"a":1,"a":2,"b":"\u003ax"}',
        rb'{"a":1,"a":2,"b":"\":x"}',
        b'[{"a":{"b":1,"b":1}}]',
        b"[1e999]",
        b"[NaN]",
        b'["\xff"]',
        rb'["\ud800"]',
        b"[" + b"1" * 400 + b"]",
        nested(MAX_DEPTH + 1),
        b"[" * 5_000,
        b"",
    ],
)
def test_what_no_one_can_use_is_never_read_quickly(body: bytes) -> None:
    assert read_plain(body) is None


def test_nesting_is_read_quickly_down_to_the_same_depth() -> None:
    """Where the slow way refuses, and not a level before: a page must not become slow for nothing."""
    assert load(nested(MAX_DEPTH)) == read_plain(nested(MAX_DEPTH))
    with pytest.raises(JsonRefused):
        load(nested(MAX_DEPTH + 1))


def test_an_ordinary_page_is_read_quickly() -> None:
    page = {"data": [{"id": "a", "attributes": {"created_at": "2018-04-10 15:40:08"}, "n": ["文档", None, 1.5, ":x"]}]}
    for body in (json.dumps(page).encode(), json.dumps(page, indent=4).encode(), msgspec.json.encode(page)):
        assert read_plain(body) == page
