"""config.example.toml: it loads, it names every key, and what it shows as a default is the default."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logkeep.config.sections import Section
from logkeep.vendors.lexiang.settings import LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings

from config_text import SECRET, load

EXAMPLE = (Path(__file__).parent.parent / "config.example.toml").read_text(encoding="utf-8")
WITHOUT_DEFAULT = {
    "catalog.url",
    "pan123.name",
    "pan123.client_id",
    "pan123.client_secret",
    "pan123.client_secret_file",
    "lexiang.name",
    "lexiang.app_key",
    "lexiang.app_secret",
    "lexiang.app_secret_file",
}
ACCOUNTS: dict[str, type[Section]] = {"pan123": Pan123Settings, "lexiang": LexiangSettings}
SECRET_FILES = ("pan123.main.client_secret", "lexiang.hq.app_secret")


def models() -> Iterator[tuple[str, type[Section]]]:
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield name, info.annotation
    yield from ACCOUNTS.items()


def documented() -> Iterator[tuple[str, str]]:
    """Every key of the example with the line above it, those that stand behind a ``#`` included."""
    section, above = "", ""
    for line in EXAMPLE.splitlines():
        if header := re.fullmatch(r"\[+(\w+)\]+", line):
            section = header[1]
        elif key := re.match(r"#?(\w+) = ", line):
            yield f"{section}.{key[1]}", above
        above = line


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in SECRET_FILES:
        (tmp_path / name).write_text(f"{SECRET}\n")
        (tmp_path / name).chmod(0o640)
    return load(tmp_path, EXAMPLE)


def test_example_loads_as_it_is_beside_its_secrets(settings: Settings) -> None:
    assert settings.pan123[0].client_secret.get_secret_value() == SECRET
    assert settings.lexiang[0].app_secret.get_secret_value() == SECRET
    assert settings.warnings == ()


def test_example_names_every_key_of_every_section_once_and_no_other() -> None:
    expected = [f"{name}.{key}" for name, model in models() for key in model.model_fields]
    assert sorted(key for key, _ in documented()) == sorted(expected)


def test_every_key_of_the_example_is_explained_right_above_it() -> None:
    unexplained = [key for key, above in documented() if not re.match(r"# \S", above)]
    assert unexplained == []


def test_what_the_example_shows_is_the_default(settings: Settings) -> None:
    for name, model in models():
        shown = getattr(settings, name)
        shown = shown[0] if name in ACCOUNTS else shown
        for key, info in model.model_fields.items():
            if f"{name}.{key}" not in WITHOUT_DEFAULT:
                assert getattr(shown, key) == info.default, f"{name}.{key}"


def test_only_what_has_no_default_is_commented_out_or_left_to_fill_in() -> None:
    tree: dict[str, Any] = tomllib.loads(EXAMPLE)
    active = {f"{name}.{key}" for name, keys in tree.items() for key in (keys[0] if name in ACCOUNTS else keys)}
    behind = {key for key, _ in documented()} - active
    assert behind == {"catalog.url", "pan123.client_secret", "lexiang.app_secret"}


def test_commented_keys_load_when_uncommented(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(\w+ = )", r"\1", re.sub(r"(?m)^\w+_secret_file = .*\n", "", EXAMPLE))
    settings = load(tmp_path, text)
    assert settings.catalog.sqlite_path == Path("/var/lib/logkeep-catalog/catalog.sqlite3")
    assert [secret.get_secret_value() for secret in settings.secrets] == ["your-client-secret", "your-app-secret"]
