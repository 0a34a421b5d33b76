"""Secrets: exactly one of three places, and never in any message."""

import json
import os
from pathlib import Path

import pytest

from logkeep.errors import ConfigError
from logkeep.vendors.settings import load_settings

from config_text import ACCOUNT, NOWHERE, SECRET, load, problems, write_config

BARE = {"name": "main", "client_id": "id-1"}
FROM_FILE = {**BARE, "client_secret_file": "secret"}


def secret_file(folder: Path, content: str | bytes = SECRET, *, mode: int = 0o600, name: str = "secret") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_secret_from_a_file_beside_the_configuration(end: str, tmp_path: Path) -> None:
    path = secret_file(tmp_path, SECRET + end)
    account = load(tmp_path, {"pan123": [FROM_FILE]}).pan123[0]
    assert account.client_secret.get_secret_value() == SECRET
    assert account.client_secret_file == path


def test_secret_from_an_absolute_file_without_a_configuration_file(tmp_path: Path) -> None:
    account = {**BARE, "client_secret_file": str(secret_file(tmp_path))}
    settings = load_settings(None, {"LOGKEEP_PAN123": json.dumps([account])}, default_path=NOWHERE)
    assert settings.pan123[0].client_secret.get_secret_value() == SECRET


def test_relative_secret_file_without_a_configuration_file() -> None:
    with pytest.raises(ConfigError, match=r"LOGKEEP_PAN123\[0\]\.client_secret_file: write an absolute path"):
        load_settings(None, {"LOGKEEP_PAN123": json.dumps([FROM_FILE])}, default_path=NOWHERE)


def test_secret_from_a_systemd_credential(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret_file(credentials, SECRET + "\n", mode=0o440, name="pan123.main.client_secret")
    settings = load(tmp_path, {"pan123": [BARE]}, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert settings.pan123[0].client_secret.get_secret_value() == SECRET
    assert settings.warnings == ()


def test_systemd_credentials_that_cannot_even_be_looked_at(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [BARE]}, {"CREDENTIALS_DIRECTORY": "/" + "x" * 5000})
    assert list(found) == ["pan123[0].client_secret"]
    assert "File name too long" in found["pan123[0].client_secret"]


@pytest.mark.parametrize("empty", [{}, {"client_secret": ""}, {"client_secret": "", "client_secret_file": ""}])
def test_secret_missing_names_all_three_places(empty: dict[str, str], tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [{**BARE, **empty}]}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == {
        "pan123[0].client_secret": "no secret; give client_secret, client_secret_file, "
        "or the systemd credential pan123.main.client_secret"
    }


def test_secret_given_twice(tmp_path: Path) -> None:
    secret_file(tmp_path)
    found = problems(tmp_path, {"pan123": [{**FROM_FILE, "client_secret": SECRET}]})
    assert found == {"pan123[0].client_secret": "is given 2 times (client_secret, client_secret_file); keep one"}


def test_secret_given_three_times(tmp_path: Path) -> None:
    secret_file(tmp_path)
    secret_file(tmp_path, name="pan123.main.client_secret")
    account = {**FROM_FILE, "client_secret": SECRET}
    found = problems(tmp_path, {"pan123": [account]}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "is given 3 times" in found["pan123[0].client_secret"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("  \n", "is empty"),
        (f"{SECRET}\n{SECRET}", "holds a line break"),
        (f"\xff{SECRET}".encode("latin-1"), "is not text"),
        (SECRET * 10_000, "is too large for a secret"),
    ],
)
def test_secret_file_with_something_else_in_it(content: str | bytes, words: str, tmp_path: Path) -> None:
    path = secret_file(tmp_path, content)
    found = problems(tmp_path, {"pan123": [FROM_FILE]})
    assert list(found) == ["pan123[0].client_secret_file"]
    assert words in found["pan123[0].client_secret_file"]
    assert str(path) in found["pan123[0].client_secret_file"]
    assert SECRET not in str(found)


def test_secret_file_that_is_missing(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [FROM_FILE]})
    assert list(found) == ["pan123[0].client_secret_file"]
    assert "No such file or directory" in found["pan123[0].client_secret_file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_secret_file_that_may_not_be_read(tmp_path: Path) -> None:
    secret_file(tmp_path, mode=0)
    assert "Permission denied" in problems(tmp_path, {"pan123": [FROM_FILE]})["pan123[0].client_secret_file"]


def test_secret_file_that_would_block_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret")
    assert "not a regular file" in problems(tmp_path, {"pan123": [FROM_FILE]})["pan123[0].client_secret_file"]


@pytest.mark.parametrize("path", [5, ["x"], "a\0b", "x" * 5000])
def test_secret_file_whose_name_is_none(path: object, tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [{**BARE, "client_secret_file": path}]})
    assert list(found) == ["pan123[0].client_secret_file"]


def test_secret_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [{**BARE, "client_secret": 987654321}]})
    assert found == {"pan123[0].client_secret": "write text in quotes"}


def test_secret_under_a_misspelt_key_is_not_shown(tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": [{**BARE, "client_secrte": SECRET}]})
    assert found["pan123[0].client_secrte"] == "no such key; did you mean client_secret?"
    assert SECRET not in str(found)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_secret_file_that_strangers_can_read_is_a_warning(mode: int, warned: bool, tmp_path: Path) -> None:
    """Mode 0640 is how packages give a service its secret, so the group is not a stranger."""
    secret_file(tmp_path, mode=mode)
    settings = load(tmp_path, {"pan123": [FROM_FILE]})
    assert [warning.where for warning in settings.warnings] == ["pan123[0].client_secret_file"] * warned


def test_configuration_with_secrets_that_strangers_can_read_is_one_warning(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"pan123": [ACCOUNT, {**ACCOUNT, "name": "b"}]})
    path.chmod(0o644)
    assert [warning.where for warning in load_settings(path, {}).warnings] == [str(path)]


def test_configuration_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    secret_file(tmp_path)
    path = write_config(tmp_path, {"pan123": [FROM_FILE]})
    path.chmod(0o644)
    assert load_settings(path, {}).warnings == ()
    accounts = json.dumps([ACCOUNT])
    assert load_settings(path, {"LOGKEEP_PAN123": accounts}).warnings == ()


def test_no_text_of_the_settings_shows_a_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, {"pan123": [ACCOUNT]})
    for text in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert "main" in text
        assert SECRET not in text
