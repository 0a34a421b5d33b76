"""Accounts of Lexiang in the settings: every guarantee that accounts of 123pan have, and both side by side."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from logkeep.model import AccountKey
from logkeep.vendors.settings import load_settings

from config_text import ACCOUNT, LEXIANG, NOWHERE, SECRET, lexiang_problems, load, problems, write_config

BARE = {"name": "hq", "app_key": "key-1"}


def test_smallest_account_has_every_default(tmp_path: Path) -> None:
    (account,) = load(tmp_path, {"lexiang": [LEXIANG]}).lexiang
    assert account.key == AccountKey("lexiang", "hq")
    assert (account.app_key, account.app_secret.get_secret_value()) == ("key-1", SECRET)
    assert account.base_url == "https://lxapi.lexiangla.com"
    assert (account.per_page, account.requests_per_second) == (100, 2.0)
    assert (account.interval, account.lookback) == (timedelta(minutes=5), timedelta(minutes=10))
    assert (account.sweep, account.deep_sweep) == ("0 4 * * *", "0 5 * * sun")
    assert [account.credential[0], account.credential[1].get_secret_value()] == ["key-1", SECRET]


@pytest.mark.parametrize(
    ("tree", "counts"),
    [
        ({"lexiang": [LEXIANG]}, (0, 1)),
        ({"lexiang": [LEXIANG, {**LEXIANG, "name": "branch"}], "pan123": []}, (0, 2)),
        ({"pan123": [ACCOUNT], "lexiang": []}, (1, 0)),
        ({"pan123": [ACCOUNT], "lexiang": [LEXIANG]}, (1, 1)),
    ],
)
def test_accounts_of_one_vendor_or_both(tree: dict[str, Any], counts: tuple[int, int], tmp_path: Path) -> None:
    settings = load(tmp_path, tree)
    assert (len(settings.pan123), len(settings.lexiang)) == counts


def test_accounts_of_different_vendors_may_share_a_name(tmp_path: Path) -> None:
    assert problems(tmp_path, {"pan123": [ACCOUNT], "lexiang": [{**LEXIANG, "name": "main"}]}) == {}


@pytest.mark.parametrize("twin", ["hq", "HQ"])
def test_two_accounts_of_one_name(twin: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {"lexiang": [LEXIANG, {**LEXIANG, "name": "b"}, {**LEXIANG, "name": twin}]})
    assert found == {"lexiang[2].name": f"'{twin}' is taken by lexiang[0]; give each account a name of its own"}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("per_page", 0, "must be at least 1, not 0"),
        ("per_page", 1001, "must be at most 1000, not 1001"),
        ("per_page", "100", "write a whole number"),
        ("requests_per_second", 0, "must be more than 0.0, not 0.0"),
        ("interval", "59s", "must be at least "),
        ("interval", "25h", "must be at most "),
        ("interval", 5, "write a number and a unit"),
        ("lookback", "31d", "must be at most "),
        ("sweep", "0 4 * * 1", "write the weekday by day names"),
        ("deep_sweep", "0 5 * * 0", "write the weekday by day names, mon-sun, not '0'"),
        ("deep_sweep", "0 5", "write five fields"),
        ("base_url", "http://lxapi.lexiangla.com", "http:// sends the secret unencrypted"),
        ("base_url", "https://127.0.0.1", "is not a public address"),
        ("base_url", "https://lxapi.lexiangla.com/cgi-bin", "holds a path"),
        ("app_key", "", "is empty"),
        ("name", "../hq", "write 1 to 64 of the characters"),
        ("client_secret", "x", "no such key; did you mean app_secret?"),
        ("page_size", 5, "no such key"),
    ],
)
def test_value_that_is_wrong(key: str, value: object, words: str, tmp_path: Path) -> None:
    found = lexiang_problems(tmp_path, **{key: value})
    assert list(found) == [f"lexiang[0].{key}"]
    assert words in found[f"lexiang[0].{key}"]


def test_problems_of_both_vendors_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    tree = {
        "lexiang": [{**LEXIANG, "interval": "1s", "deep_sweep": "0 5 * * 7"}, {}],
        "pan123": [{**ACCOUNT, "page_size": 0}],
    }
    assert list(problems(tmp_path, tree)) == [
        "lexiang[0].interval",
        "lexiang[0].deep_sweep",
        "lexiang[1].app_secret",
        "lexiang[1].name",
        "lexiang[1].app_key",
        "pan123[0].page_size",
    ]


def test_accounts_with_single_brackets(tmp_path: Path) -> None:
    assert "write [[lexiang]] with double brackets" in problems(tmp_path, {"lexiang": dict(LEXIANG)})["lexiang"]


def test_section_that_is_misspelt(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [ACCOUNT], "lexang": [LEXIANG]})
    assert found == {"lexang": "no such section; did you mean lexiang?"}


def test_secret_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "secret").chmod(0o640)
    (account,) = load(tmp_path, {"lexiang": [{**BARE, "app_secret_file": "secret"}]}).lexiang
    assert account.app_secret.get_secret_value() == SECRET


def test_secret_from_a_systemd_credential(tmp_path: Path) -> None:
    (tmp_path / "lexiang.hq.app_secret").write_text(SECRET)
    (tmp_path / "lexiang.hq.app_secret").chmod(0o440)
    settings = load(tmp_path, {"lexiang": [BARE]}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.lexiang[0].app_secret.get_secret_value() == SECRET
    assert settings.warnings == ()


def test_secret_from_nowhere_or_from_two_places(tmp_path: Path) -> None:
    assert problems(tmp_path, {"lexiang": [BARE]}) == {
        "lexiang[0].app_secret": "no secret; give app_secret, app_secret_file, "
        "or the systemd credential lexiang.hq.app_secret"
    }
    found = lexiang_problems(tmp_path, app_secret_file="secret")
    assert found == {"lexiang[0].app_secret": "is given 2 times (app_secret, app_secret_file); keep one"}


def test_secret_that_strangers_can_read_is_a_warning(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"lexiang": [LEXIANG]})
    path.chmod(0o644)
    assert [warning.where for warning in load_settings(path, {}).warnings] == [str(path)]


def test_accounts_of_the_environment_replace_those_of_the_file_by_vendor(tmp_path: Path) -> None:
    other = json.dumps([{**LEXIANG, "name": "other"}])
    settings = load(tmp_path, {"pan123": [ACCOUNT], "lexiang": [LEXIANG]}, {"LOGKEEP_LEXIANG": other})
    assert [account.key for account in (*settings.pan123, *settings.lexiang)] == [
        AccountKey("pan123", "main"),
        AccountKey("lexiang", "other"),
    ]
    assert load_settings(None, {"LOGKEEP_LEXIANG": other}, default_path=NOWHERE).lexiang[0].name == "other"


def test_wrong_account_in_a_variable_is_named_by_the_variable(tmp_path: Path) -> None:
    accounts = json.dumps([{**LEXIANG, "app_secret": [SECRET]}])
    found = problems(tmp_path, {}, {"LOGKEEP_LEXIANG": accounts})
    assert found == {"LOGKEEP_LEXIANG[0].app_secret": "write text in quotes"}


def test_every_secret_is_known_to_whoever_has_to_hide_it_and_shown_by_none(tmp_path: Path) -> None:
    tree = {
        "pan123": [{**ACCOUNT, "client_secret": "secret-one"}, {**ACCOUNT, "name": "b", "client_secret": "secret-two"}],
        "lexiang": [{**LEXIANG, "app_secret": "secret-three"}],
        "http": {"proxy": "http://user:secret-four@proxy.example:3128"},
    }
    settings = load(tmp_path, tree)
    assert [secret.get_secret_value() for secret in settings.secrets] == [
        "secret-one",
        "secret-two",
        "secret-three",
        "http://user:secret-four@proxy.example:3128",
    ]
    for text in (repr(settings), str(settings), repr(settings.secrets), settings.model_dump_json()):
        assert "secret-" not in text
