"""Where settings come from: a TOML file and the environment, which beats it key by key.

Variables are named ``LOGKEEP_<SECTION>__<KEY>``; lists are JSON and replace the file's whole. ``LOGKEEP_CONFIG`` is no
setting: it names the file. A variable that begins with ``LOGKEEP_`` and means nothing is a mistake, except the
ones that Kubernetes and Docker set by themselves when a service next door is called logkeep.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, SettingsError

from logkeep.config.sections import CommonSettings, Section
from logkeep.config.values import EnvironmentText
from logkeep.config.wording import KeyPath, nearest, one_line
from logkeep.errors import ConfigError, Problem

DEFAULT_CONFIG = Path("/etc/logkeep/config.toml")
CONFIG_VARIABLE = "LOGKEEP_CONFIG"

_PREFIX = "LOGKEEP_"
_LARGEST_FILE_BYTES = 2**20
_SERVICE_LINK = re.compile(
    r"LOGKEEP_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+")


@dataclass(frozen=True, slots=True)
class Sources:
    """All that was read, merged, and not yet judged.

    ``variables`` tells which key's value came from which variable. ``broken`` are keys whose variable cannot be read
    at all, ``strays`` mistakes that belong to no key. ``open_to_all``: every user of the machine can read the file.
    ``tree`` holds secrets and is never shown.
    """

    tree: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variables: Mapping[KeyPath, str] = field(default_factory=dict)
    broken: tuple[tuple[KeyPath, str], ...] = ()
    strays: tuple[Problem, ...] = ()
    file: Path | None = None
    open_to_all: bool = False
    credentials: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Where relative paths of the settings begin."""
        return None if self.file is None else self.file.parent


def read_sources(
    settings: type[CommonSettings], config_path: Path | None, environ: Mapping[str, str], default_path: Path
) -> Sources:
    """Read the file and the variables.

    Raises:
        ConfigError: the file is missing or unreadable, so that judging its keys would only mislead; unknown variables
            are told along with it.
    """
    environment = _read_environment(settings, environ)
    try:
        file = _locate(config_path, environ, default_path)
        tree, open_to_all = ({}, False) if file is None else read_file(file)
    except ConfigError as exc:
        raise ConfigError([*exc.problems, *environment.strays]) from None
    folder = environ.get("CREDENTIALS_DIRECTORY")
    return Sources(
        tree=_overridden(tree, environment.values),
        variables=environment.variables,
        broken=environment.broken,
        strays=environment.strays,
        file=file,
        open_to_all=open_to_all,
        credentials=Path(folder) if folder else None,
    )


def _locate(config_path: Path | None, environ: Mapping[str, str], default_path: Path) -> Path | None:
    named = config_path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named.absolute()
    try:
        return default_path if default_path.exists() else None
    except OSError:
        return default_path  # it is there and cannot be looked at; reading it says why


def read_file(path: Path) -> tuple[dict[str, Any], bool]:
    """The tables of a TOML file, and whether every user of the machine can read it.

    Raises:
        ConfigError: with the one reason why not.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
            open_to_all = bool(os.fstat(file.fileno()).st_mode & stat.S_IROTH)
        if len(content) > _LARGEST_FILE_BYTES:
            raise ConfigError([Problem(one_line(str(path)), "is larger than 1 MiB; name a configuration file")])
        return tomllib.loads(content.decode("utf-8-sig")), open_to_all
    except FileNotFoundError:
        what = (
            "no such file; create it (config.example.toml is a start) or name another with --config or LOGKEEP_CONFIG"
        )
    except OSError as exc:
        what = f"cannot be read: {exc.strerror}; make it a file that this user can read"
    except UnicodeDecodeError as exc:
        what = f"is not UTF-8 text (byte {exc.start}); save it as UTF-8"
    except RecursionError:
        what = "is nested too deeply; no setting needs that"
    except ValueError as exc:
        what = f"is not TOML: {exc}"
    raise ConfigError([Problem(one_line(str(path)), one_line(what))])


def known_variables(settings: type[CommonSettings]) -> dict[str, KeyPath]:
    """Every variable that sets something, and the key it sets."""
    return {_PREFIX + "__".join(path).upper(): path for path in _settable(settings)}


def _settable(settings: type[CommonSettings]) -> Iterator[tuple[str, ...]]:
    for name, info in settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from ((name, key) for key in info.annotation.model_fields)
        else:
            yield (name,)


class _OneVariable(EnvSettingsSource):
    """One variable of the caller's environment, not of the process's."""

    def __init__(self, settings: type[CommonSettings], name: str, text: str) -> None:
        super().__init__(settings)
        self.env_vars = {name.lower(): EnvironmentText(text)}


@dataclass(frozen=True, slots=True)
class _Environment:
    values: Mapping[KeyPath, Any] = field(repr=False)
    variables: Mapping[KeyPath, str]
    broken: tuple[tuple[KeyPath, str], ...]
    strays: tuple[Problem, ...]


def _read_environment(settings: type[CommonSettings], environ: Mapping[str, str]) -> _Environment:
    known = known_variables(settings)
    variables = {path: name for name, path in known.items() if name in environ}
    values: dict[KeyPath, Any] = {}
    broken: list[tuple[KeyPath, str]] = []
    for path, name in variables.items():
        try:
            values[path] = _at(_OneVariable(settings, name, environ[name])(), path)
        except (SettingsError, RecursionError):
            broken.append((path, "is not JSON; a list is written as JSON, and replaces the file's whole"))
    return _Environment(values, variables, tuple(broken), tuple(_strays(known, environ)))


def _at(tree: Any, path: KeyPath) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _strays(known: Mapping[str, KeyPath], environ: Mapping[str, str]) -> Iterator[Problem]:
    meant = {name.removeprefix(_PREFIX): name for name in [*known, CONFIG_VARIABLE]}
    for name in sorted(environ):
        ours = name.upper().startswith(_PREFIX) and name != CONFIG_VARIABLE
        if ours and name not in known and not _is_service_link(name, environ[name]):
            close = nearest(name[len(_PREFIX) :].upper(), meant)
            advice = f"did you mean {meant[close]}?" if close else "write LOGKEEP_<SECTION>__<KEY>, or remove it"
            yield Problem(one_line(name[:100]), f"no such variable; {advice}")


def _is_service_link(name: str, text: str) -> bool:
    if "__" in name:
        return False
    return bool(_SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_URL.fullmatch(text)))


def _overridden(tree: Mapping[str, Any], values: Mapping[KeyPath, Any]) -> dict[str, Any]:
    """The tree with the variables' values in place. What should be a section and is not stays, to be told."""
    result = dict(tree)
    for path, value in values.items():
        name, section = str(path[0]), result.get(str(path[0]), {})
        if len(path) == 1:
            result[name] = value
        elif isinstance(section, dict):
            result[name] = {**section, path[1]: value}
    return result
