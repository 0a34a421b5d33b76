"""Configuration files as text: TOML for whatever a test wants to say, and the smallest file that is right."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logkeep.errors import ConfigError
from logkeep.vendors.settings import Settings, load_settings

SECRET = "hunter2-do-not-show"
ACCOUNT: Mapping[str, Any] = {"name": "main", "client_id": "id-1", "client_secret": SECRET}
LEXIANG: Mapping[str, Any] = {"name": "hq", "app_key": "key-1", "app_secret": SECRET}
NOWHERE = Path("/nonexistent/logkeep/config.toml")


def toml_value(value: object) -> str:
    """A value as TOML writes it in a line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case float():
            return repr(value)  # inf and nan are TOML's own words
        case _:
            return json.dumps(value).replace("\x7f", "\\u007f")


def toml_key(key: str) -> str:
    return json.dumps(key).replace("\x7f", "\\u007f")


def toml(tree: Mapping[str, Any]) -> str:
    """Top-level keys, each on its line; sections become inline tables, which mean the same."""
    return "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in tree.items())


def write_config(folder: Path, tree: Mapping[str, Any] | str) -> Path:
    path = folder / "config.toml"
    path.write_text(tree if isinstance(tree, str) else toml(tree), encoding="utf-8")
    path.chmod(0o600)
    return path


def load(folder: Path, tree: Mapping[str, Any] | str, environ: Mapping[str, str] | None = None) -> Settings:
    return load_settings(write_config(folder, tree), environ or {})


def problems(folder: Path, tree: Mapping[str, Any] | str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is wrong, by where, in the order told; empty when the settings are right."""
    try:
        load(folder, tree, environ)
    except ConfigError as error:
        told = error
    else:
        return {}
    assert str(told).splitlines() == [str(problem) for problem in told.problems]
    return {problem.where: problem.what for problem in told.problems}


def account_problems(folder: Path, **keys: object) -> dict[str, str]:
    """What is wrong with one account that is right but for these keys."""
    return problems(folder, {"pan123": [{**ACCOUNT, **keys}]})


def lexiang_problems(folder: Path, **keys: object) -> dict[str, str]:
    """The same for an account of Lexiang."""
    return problems(folder, {"lexiang": [{**LEXIANG, **keys}]})
