"""Secrets in texts and in the facts of events."""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.model import SignedUrl
from logkeep.observe.redaction import KEPT_CHARS, Redactor

SECRET = "zQ9/s3cret+värde\\😀 end"
MASKED = "[redacted]"

SHAPES = [
    ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
    ("{'Authorization': 'Bearer abc', 'a': 1}", "{'Authorization': '[redacted]', 'a': 1}"),
    ("((b'Authorization', b'Basic abc=='), (b'Host', b'h'))", "((b'Authorization', b'[redacted]'), (b'Host', b'h'))"),
    ("sent Bearer  abc, got 401", "sent Bearer  [redacted], got 401"),
    ('{"accessToken":"abc","expiredAt":"2025"}', '{"accessToken":"[redacted]","expiredAt":"2025"}'),
    ('{"client_secret": "a\\"b, c d", "x": 1}', '{"client_secret": "[redacted]", "x": 1}'),
    ('{"client_secret": "it\'s, c", "x": 1}', '{"client_secret": "[redacted]", "x": 1}'),
    (r'"{\"clientSecret\": \"a, b\", \"x\": 1}"', r'"{\"clientSecret\": \"[redacted]\", \"x\": 1}"'),
    ("Account(client_secret='abc', name='main')", "Account(client_secret='[redacted]', name='main')"),
    ("Account(client_secret=Secret('abc'), name='main')", "Account(client_secret=[redacted] name='main')"),
    ("access_token=abc&page=1", "access_token=[redacted]&page=1"),
    ("app_secret: abc,def and more", "app_secret: [redacted] and more"),
    ("APP-SECRET%3Dabc%26x", "APP-SECRET%3D[redacted]"),
    ("('access_token', 'abc')", "('access_token', '[redacted]')"),
    ('{"access_token": "cut off her', '{"access_token": "[redacted]'),
    ("GET https://h.example:30443/p/a.gz?v=5&s='x'&r=1 failed", "GET https://h.example:30443/p/a.gz?[redacted] failed"),
    ("['https://h/p?x=1', 'https://h/q']", "['https://h/p?[redacted]', 'https://h/q']"),
    (r'{"url": "https:\/\/h\/p?x=1\u0026s=2", "n": 1}', r'{"url": "https:\/\/h\/p?[redacted]", "n": 1}'),
    ("to https%3A%2F%2Fh%2Fp%3Fs%3D1 now", "to https%3A[redacted] now"),
    ("GET /api/logs?pageNum=1&s=abc HTTP/1.1", "GET /api/logs?[redacted] HTTP/1.1"),
    ("postgresql://keeper:pass@word@db/catalog", "postgresql://[redacted]@db/catalog"),
    ("got eyJhbGciOiJI.eyJzdWIiOiIx.c2ln-_x back", "got [redacted] back"),
]
HARMLESS = [
    "tokens number has exceeded the limit",
    "access_token_expires is near",
    "https://h.example/p/12-202506201516.gz",
    "is it so? yes = no",
    "20250620 15:00~16:00 C:\\logs %41 a+b",
    "",
]


def spellings(secret: str) -> list[str]:
    """How a secret looks after it passed through one or two encoders."""
    inner: list[Callable[[str], str]] = [
        lambda text: quote(text, safe=""),
        lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
        quote_plus,
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: ascii(text)[1:-1],
        lambda text: text.replace("/", "\\/"),
    ]
    once = [encode(secret) for encode in inner]
    return [secret, repr(secret.encode())[2:-1], *once, *(encode(text) for text in once for encode in inner)]


def told(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.hide(secret)
    return redactor


@pytest.mark.parametrize(("text", "shown"), SHAPES)
def test_a_credential_nobody_announced_is_known_by_its_shape(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert told(SECRET).text(text) == text


@pytest.mark.parametrize("spelling", spellings(SECRET))
def test_a_hidden_secret_is_found_in_every_spelling(spelling: str) -> None:
    shown = told(SECRET).text(f"before <{spelling}> after")
    assert spelling not in shown
    assert MASKED in shown


def test_a_plain_secret_is_cut_out_and_the_rest_stays() -> None:
    assert told("tok3n-abcdef").text("asked with tok3n-abcdef twice: tok3n-abcdef.") == (
        "asked with [redacted] twice: [redacted]."
    )


def test_of_two_secrets_that_begin_alike_the_longer_is_cut_out_whole() -> None:
    assert told("abcdef", "abcdefghi").text("<abcdefghi> <abcdef>") == "<[redacted]> <[redacted]>"


def test_values_under_six_characters_are_not_hidden() -> None:
    """A five-character secret would blot out words; its shapes still cover it."""
    redactor = told("level", "")
    assert redactor.text("level") == "level"
    assert redactor.text("client_secret=level") == "client_secret=[redacted]"


@pytest.mark.parametrize("secret", ["redacted", "[redacted]", "x[reda", "cted]yz"])
def test_a_secret_that_the_mask_would_complete_is_withheld_with_its_text(secret: str) -> None:
    redactor = told(secret, "abcdef")
    for text in (secret, "xabcdefyz", f"https://h/p?x {secret}", MASKED):
        assert secret not in redactor.text(text)
        assert secret not in redactor.exact(text)
        assert secret not in redactor.value({"access_token": [text]})["access_token"]


text_with_odd_characters = st.text(st.characters(codec=None) | st.sampled_from("\\%\"'?&= \n[]{}:"), max_size=40)
secrets = st.text(st.characters() | st.sampled_from("\\%\"'?&= ab"), min_size=6, max_size=24)


@given(st.lists(secrets, min_size=1, max_size=4), st.data())
def test_no_text_shows_a_hidden_secret(hidden: list[str], data: st.DataObject) -> None:
    parts = data.draw(st.lists(text_with_odd_characters | st.sampled_from(hidden), max_size=8))
    shown = told(*hidden).text("".join(parts))
    assert not any(secret in shown for secret in hidden)


@given(secrets, text_with_odd_characters, st.data())
def test_no_fact_shows_a_hidden_secret_at_any_depth(secret: str, around: str, data: st.DataObject) -> None:
    """Keys, values, sequences, pairs, exceptions and bytes: the leaves of any nesting are clean."""
    loaded = st.sampled_from([secret, around + secret + around, f"https://h/p?t={secret}", ValueError(secret)])
    facts = data.draw(
        st.recursive(
            loaded | st.integers() | st.none() | text_with_odd_characters,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.tuples(inner, inner)
                | st.dictionaries(st.sampled_from([secret, "name", "access_token"]), inner, max_size=3)
            ),
            max_leaves=8,
        )
    )
    assert not any(secret in leaf for leaf in leaves(told(secret).value(facts)))


def leaves(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [leaf for pair in value.items() for part in pair for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [str(value)]


shards = [*"&?=:;,'\"\\/ \n%@[](){}<>", "://", "Bearer ", "bearer", "access_token", "clientSecret", "authorization"]
shards += ["https", "%3A%2F", "%3D", "%2525", "[redacted]", "eyJaaaaaaaa.bbbbbbbb", "token", "abc", "a=1", "***", "b'"]
shards += ["abcdefgh", "\\u0061bcdefgh", "x" * 70, "y" * 4000]


@given(st.lists(st.sampled_from(shards), max_size=30).map("".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    redactor = told("abcdefgh", "s3cret&token=x")
    once = redactor.text(text)
    assert redactor.text(once) == once


def test_a_long_value_keeps_its_beginning_and_says_how_long_it_was() -> None:
    shown = Redactor().text("begin " + "x " * 500_000)
    assert shown.startswith("[cut from 1000006 characters] begin x x")
    assert len(shown) <= KEPT_CHARS
    assert Redactor().text(shown) == shown


@given(
    st.integers(KEPT_CHARS - 300, KEPT_CHARS + 300),
    st.sampled_from(["access_token=ab ", "https://h?a ", 'x"client_secret":"y" ', "://u@", "abcdefgh"]),
)
def test_a_mask_across_the_cut_is_left_alone_the_second_time(length: int, shard: str) -> None:
    redactor = told("abcdefgh")
    once = redactor.text("." * length + shard * 40)
    assert len(once) <= KEPT_CHARS
    assert redactor.text(once) == once


@given(st.integers(-70, 70), st.sampled_from([KEPT_CHARS, 4 * KEPT_CHARS]))
def test_a_secret_across_the_cut_leaves_no_half(shift: int, cut: int) -> None:
    secret = "".join(f"{number:02d}" for number in range(40))
    shown = told(secret).text("x" * (cut - 40 + shift) + secret + "y" * cut)
    assert secret[:8] not in shown


def test_a_long_run_of_secrets_that_shrinks_leaves_no_half_at_its_end() -> None:
    secret = "".join(f"{number:02d}" for number in range(100))
    assert secret[:8] not in told(secret).text(secret * 400)


@pytest.mark.parametrize(
    "shard",
    [
        *(
            "://",
            "\\",
            "access_token",
            "Bearer ",
            "bearer\t",
            "eyJ",
            "eyJaaaaaaaa.",
            "?a",
            "%25",
            "'",
            '"',
            "@",
            " ",
            "a",
        ),
        *("https%25", "access_token=(", "access_token='\\", 'authorization:"', "\\u0061", "access_token" + " " * 300),
    ],
)
def test_hostile_megabytes_cost_little(shard: str) -> None:
    """No expression reads a text again from each of its places."""
    redactor = told(*(f"secret-number-{number}" for number in range(20)))
    hostile = shard * (1_000_000 // len(shard))
    for beginning in ("", 'access_token="'):
        began = time.process_time()
        redactor.text(beginning + hostile)
        assert time.process_time() - began < 0.25


def test_facts_named_like_secrets_are_masked_whatever_they_hold() -> None:
    facts = {
        "access_token": ["abc"],
        "headers": {b"Authorization": b"x"},
        "pairs": [("client_secret", "abc"), ("a", "b")],
    }
    assert Redactor().value(facts | {"live_token": 3, "app_secret": None}) == {
        "access_token": MASKED,
        "headers": {"b'Authorization'": MASKED},
        "pairs": [["client_secret", MASKED], ["a", "b"]],
        "live_token": 3,
        "app_secret": None,
    }


def test_a_signed_url_loses_its_query() -> None:
    assert Redactor().value(SignedUrl("https://h/p.gz?sig=abc")) == "https://h/p.gz?[redacted]"


def test_objects_become_plain_json() -> None:
    moment = datetime(2025, 6, 20, 15, tzinfo=UTC)
    facts = [moment, Path("a/b"), b"a\n", float("inf"), 1.5, 2**64, 10**6000, True, None, ValueError("no"), {1: {2}}]
    assert told("123456").value([*facts, 91234567]) == [
        *("2025-06-20T15:00:00+00:00", "a/b", "b'a\\n'", "inf", 1.5, "[integer of 65 bits]", "[integer of 19932 bits]"),
        *(True, None, "ValueError: no", {"1": [2]}, "9[redacted]7"),
    ]


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("broken")


def test_an_object_that_cannot_be_written_is_named() -> None:
    assert Redactor().value({"a": Broken(), "b": 1}) == {"a": "[unreadable Broken: RuntimeError]", "b": 1}


def test_cycles_and_crowds_end() -> None:
    cycle: list[Any] = []
    cycle += [cycle] * 100
    crowd = {str(number): number for number in range(100_000)}
    shown = Redactor().value({"crowd": crowd, "row": list(range(1000)), "cycle": cycle})
    assert len(json.dumps(shown)) < 100_000
    assert shown["crowd"]["[more]"] == 99_800
    assert shown["row"][-1] == "[800 more]"
