"""Where settings come from: the file, the environment over it, and what neither may say."""

import json
from pathlib import Path

import pytest

from logkeep.config import DEFAULT_CONFIG
from logkeep.config.sources import known_variables
from logkeep.errors import ConfigError
from logkeep.vendors.settings import Settings, load_settings

from config_text import ACCOUNT, NOWHERE, SECRET, load, problems, write_config

ACCOUNTS_AS_JSON = json.dumps([ACCOUNT])


def test_smallest_file_has_every_default(tmp_path: Path) -> None:
    settings = load(tmp_path, {"pan123": [ACCOUNT]})
    assert settings.storage.path == Path("/var/lib/logkeep")
    assert settings.pan123[0].key.name == "main"
    assert settings.schedule.zone.key == "Asia/Shanghai"
    assert settings.warnings == ()


def test_several_accounts_keep_their_order(tmp_path: Path) -> None:
    settings = load(tmp_path, {"pan123": [{**ACCOUNT, "name": name} for name in ("b", "a", "c")]})
    assert [account.name for account in settings.pan123] == ["b", "a", "c"]


def test_environment_alone() -> None:
    settings = load_settings(None, {"LOGKEEP_PAN123": ACCOUNTS_AS_JSON}, default_path=NOWHERE)
    assert settings.pan123[0].client_secret.get_secret_value() == SECRET


def test_environment_beats_the_file_key_by_key(tmp_path: Path) -> None:
    tree = {"download": {"concurrency": 3, "idle_timeout": "5s"}, "pan123": [ACCOUNT]}
    download = load(tmp_path, tree, {"LOGKEEP_DOWNLOAD__CONCURRENCY": "7"}).download
    assert (download.concurrency, download.idle_timeout.total_seconds()) == (7, 5)


def test_accounts_of_the_environment_replace_those_of_the_file_whole(tmp_path: Path) -> None:
    other = json.dumps([{**ACCOUNT, "name": "other"}])
    settings = load(tmp_path, {"pan123": [ACCOUNT, {**ACCOUNT, "name": "second"}]}, {"LOGKEEP_PAN123": other})
    assert [account.name for account in settings.pan123] == ["other"]


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("LOGKEEP_STORAGE__PATH", "/srv/logs", "storage", "path", Path("/srv/logs")),
        ("LOGKEEP_STORAGE__CREATE", "no", "storage", "create", False),
        ("LOGKEEP_STORAGE__MIN_FREE", "2GiB", "storage", "min_free", 2**31),
        ("LOGKEEP_STORAGE__MIN_FREE", "1024", "storage", "min_free", 1024),
        ("LOGKEEP_DOWNLOAD__ALLOW_HTTP", "True", "download", "allow_http", True),
        ("LOGKEEP_HTTP__PROXY", "", "http", "proxy", None),
        ("LOGKEEP_WEB__LISTEN", "", "web", "listen", None),
        ("LOGKEEP_ALERTS__URLS", "[]", "alerts", "urls", ()),
        ("LOGKEEP_LOG__LEVEL", "warning", "log", "level", "warning"),
    ],
)
def test_variable_of_each_kind(variable: str, text: str, section: str, key: str, value: object, tmp_path: Path) -> None:
    settings = load(tmp_path, {"pan123": [ACCOUNT]}, {variable: text})
    assert getattr(getattr(settings, section), key) == value


def test_every_key_has_its_variable() -> None:
    known = known_variables(Settings)
    assert {"LOGKEEP_STORAGE__PATH", "LOGKEEP_WEB__TOKEN_FILE", "LOGKEEP_PAN123", "LOGKEEP_LEXIANG"} <= known.keys()
    assert len(known) == 22


@pytest.mark.parametrize("text", ["many", "1.5", "true", "", "0x10", "1" * 30])
def test_wrong_variable_is_named_instead_of_its_key(text: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [ACCOUNT]}, {"LOGKEEP_DOWNLOAD__CONCURRENCY": text})
    assert list(found) == ["LOGKEEP_DOWNLOAD__CONCURRENCY"]
    assert "write a whole number" in found["LOGKEEP_DOWNLOAD__CONCURRENCY"]


def test_wrong_account_in_a_variable_is_named_by_the_variable(tmp_path: Path) -> None:
    accounts = json.dumps([ACCOUNT, {**ACCOUNT, "name": "b", "page_size": 0}])
    assert list(problems(tmp_path, {}, {"LOGKEEP_PAN123": accounts})) == ["LOGKEEP_PAN123[1].page_size"]


@pytest.mark.parametrize("text", [f"[{SECRET}", "", "[" * 100_000, SECRET])
def test_accounts_that_are_not_json(text: str, tmp_path: Path) -> None:
    """One problem, and nothing of what was written: there is a secret in it."""
    found = problems(tmp_path, {}, {"LOGKEEP_PAN123": text})
    assert list(found) == ["LOGKEEP_PAN123"]
    assert "is not JSON" in found["LOGKEEP_PAN123"]
    assert SECRET not in str(found)


@pytest.mark.parametrize("text", ["{}", "null", "5", '"x"', json.dumps(ACCOUNT)])
def test_accounts_that_are_no_list(text: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [ACCOUNT]}, {"LOGKEEP_PAN123": text})
    assert list(found) == ["LOGKEEP_PAN123"]
    assert "a JSON list" in found["LOGKEEP_PAN123"]


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("LOGKEEP_STORAGE_PATH", "did you mean LOGKEEP_STORAGE__PATH?"),
        ("LOGKEEP_DOWNLOAD__CONCURENCY", "did you mean LOGKEEP_DOWNLOAD__CONCURRENCY?"),
        ("logkeep_storage__path", "did you mean LOGKEEP_STORAGE__PATH?"),
        ("LOGKEEP_CONFG", "did you mean LOGKEEP_CONFIG?"),
        ("LOGKEEP_XYZZY", "write LOGKEEP_<SECTION>__<KEY>, or remove it"),
        ("LOGKEEP_WEB__PORT", "no such variable"),
        ("LOGKEEP_WEB__SERVICE_HOST", "no such variable"),
    ],
)
def test_variable_that_means_nothing(variable: str, advice: str, tmp_path: Path) -> None:
    """Even when everything else is right: a misspelt setting must not be accepted in silence."""
    found = problems(tmp_path, {"pan123": [ACCOUNT]}, {variable: SECRET})
    assert list(found) == [variable]
    assert advice in found[variable]
    assert SECRET not in str(found)


def test_variables_that_kubernetes_sets_for_a_service_of_our_name(tmp_path: Path) -> None:
    links = {
        "LOGKEEP_SERVICE_HOST": "10.0.0.1",
        "LOGKEEP_SERVICE_PORT": "8480",
        "LOGKEEP_SERVICE_PORT_HTTP": "8480",
        "LOGKEEP_PORT": "tcp://10.0.0.1:8480",
        "LOGKEEP_PORT_8480_TCP": "tcp://10.0.0.1:8480",
        "LOGKEEP_PORT_8480_TCP_ADDR": "10.0.0.1",
        "LOGKEEP_WEB_SERVICE_HOST": "10.0.0.1",
        "LOGKEEP_WEB_PORT": "tcp://10.0.0.1:8480",
    }
    assert problems(tmp_path, {"pan123": [ACCOUNT]}, links) == {}
    assert list(problems(tmp_path, {"pan123": [ACCOUNT]}, {"LOGKEEP_PORT": "8480"})) == ["LOGKEEP_PORT"]


def test_other_programs_variables_are_none_of_our_business(tmp_path: Path) -> None:
    assert problems(tmp_path, {"pan123": [ACCOUNT]}, {"PATH": "/bin", "LOGKEEPER": "x", "_LOGKEEP_COMPLETE": "x"}) == {}


def test_named_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.toml: no such file; create it") as caught:
        load_settings(tmp_path / "nope.toml", {"LOGKEEP_PAN123": ACCOUNTS_AS_JSON, "LOGKEEP_FOO": "x"})
    assert [problem.where for problem in caught.value.problems] == [str(tmp_path / "nope.toml"), "LOGKEEP_FOO"]


def test_file_named_by_the_environment(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"download": {"concurrency": 5}, "pan123": [ACCOUNT]})
    assert load_settings(None, {"LOGKEEP_CONFIG": str(path)}).download.concurrency == 5
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(None, {"LOGKEEP_CONFIG": str(tmp_path / "nope.toml")})


def test_command_line_beats_the_environment_in_naming_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"pan123": [ACCOUNT]})
    assert load_settings(path, {"LOGKEEP_CONFIG": str(NOWHERE)}).pan123


def test_default_file_is_read_where_it_exists(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"download": {"concurrency": 5}, "pan123": [ACCOUNT]})
    assert load_settings(None, {"LOGKEEP_CONFIG": ""}, default_path=path).download.concurrency == 5
    assert Path("/etc/logkeep/config.toml") == DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = \n", "is not TOML: Invalid value (at line 1, column 5)"),
        (b"[storage]\npath = /x\n", "at line 2"),
        (b"a = 1\na = 2\n", "Cannot overwrite a value"),
        (b"\xff", "is not UTF-8 text (byte 0)"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "is not TOML"),
        (b"#" * (2**20 + 1), "larger than 1 MiB"),
    ],
)
def test_file_that_cannot_be_read_as_toml(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    (problem,) = caught.value.problems
    assert problem.where == str(path)
    assert words in problem.what


def test_folder_where_the_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


def test_file_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "a\nb.toml", {})
    assert len(str(caught.value).splitlines()) == 1


def test_file_saved_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"pan123": [ACCOUNT]})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_settings(path, {}).pan123


def test_default_file_that_cannot_even_be_looked_at() -> None:
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        load_settings(None, {}, default_path=Path("/" + "x" * 5000))


def test_variable_for_an_address_is_text_and_no_json(tmp_path: Path) -> None:
    assert list(problems(tmp_path, {"pan123": [ACCOUNT]}, {"LOGKEEP_WEB__LISTEN": '""'})) == ["LOGKEEP_WEB__LISTEN"]


def test_only_the_environment_that_was_handed_in_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings built in code look at no environment either."""
    monkeypatch.setenv("LOGKEEP_DOWNLOAD__CONCURRENCY", "3")
    monkeypatch.setenv("LOGKEEP_FOO", "x")
    assert load(tmp_path, {"pan123": [ACCOUNT]}).download.concurrency == 16
    assert Settings().download.concurrency == 16
    with pytest.raises(ConfigError, match="LOGKEEP_FOO: no such variable"):
        load_settings(write_config(tmp_path, {"pan123": [ACCOUNT]}))
