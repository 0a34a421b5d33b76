"""Secrets: written inline, in a file of their own, or handed over by systemd. Exactly one of the three.

systemd's ``LoadCredential=pan123.main.client_secret:/path`` puts a file of that name into ``$CREDENTIALS_DIRECTORY``.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from logkeep.config.findings import Findings
from logkeep.config.sources import Sources
from logkeep.config.values import nearby_path, parse_name, parse_secret
from logkeep.config.wording import KeyPath, one_line

_LARGEST_SECRET_BYTES = 64 * 2**10
_UNUSABLE = SecretStr("a problem was recorded; these settings are never built")


def with_secret(
    account: Mapping[str, Any], key: str, at: KeyPath, *, sources: Sources, findings: Findings
) -> dict[str, Any]:
    """The account with its secret under ``key``, wherever that was found; what is wrong goes to ``findings``."""
    file_key, credential = f"{key}_file", _credential(account, key, at)
    places: dict[str, Any] = {
        key: account.get(key),
        file_key: account.get(file_key),
        credential: _handed_over(credential, sources),
    }
    given = [place for place, value in places.items() if value not in (None, "")]
    secret: object = _UNUSABLE
    if len(given) > 1:
        findings.add((*at, key), f"is given {len(given)} times ({', '.join(given)}); keep one")
    elif not given:
        findings.add((*at, key), f"no secret; give {key}, {file_key}, or the systemd credential {credential}")
    elif given == [key]:
        secret = places[key]
        if sources.open_to_all and at[:1] not in sources.variables:
            findings.warn_of_file("holds a secret and every user of this machine can read it; chmod 640 it")
    elif given == [file_key]:
        secret = _from_file(places[file_key], (*at, file_key), sources.folder, findings)
    else:
        secret = _checked(places[credential], (*at, key), findings)
    return {**account, key: secret}


def _credential(account: Mapping[str, Any], key: str, at: KeyPath) -> str:
    try:
        return f"{at[0]}.{parse_name(account.get('name'))}.{key}"
    except ValueError:
        return f"{at[0]}.<name>.{key}"


def _handed_over(credential: str, sources: Sources) -> Path | None:
    """The credential's file if systemd gave one; one that cannot even be looked at counts, and reading it says why."""
    path = None if sources.credentials is None else sources.credentials / credential
    try:
        return path if path is not None and path.exists() else None
    except OSError:
        return path


def _from_file(file: object, at: KeyPath, folder: Path | None, findings: Findings) -> SecretStr:
    try:
        path = nearby_path(file, folder)
    except ValueError as exc:
        findings.add(at, str(exc))
        return _UNUSABLE
    if path is None:
        raise AssertionError("an empty path counts as not given")
    return _checked(path, at, findings)


def _checked(path: Path, at: KeyPath, findings: Findings) -> SecretStr:
    try:
        secret, mode = read_secret(path)
    except ValueError as exc:
        findings.add(at, str(exc))
        return _UNUSABLE
    if mode & stat.S_IROTH:
        findings.warn(at, f"every user of this machine can read {one_line(str(path))}; chmod 640 it")
    return secret


def read_secret(path: Path) -> tuple[SecretStr, int]:
    """A secret and its file's mode. Line breaks at the end go, as editors put them there.

    Raises:
        ValueError: the file cannot be used; says why, never what is in it.
    """
    shown = one_line(str(path))
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"{shown} is not a regular file; name a file that holds the secret alone")
        with path.open("rb") as file:
            content = file.read(_LARGEST_SECRET_BYTES + 1)
    except OSError as exc:
        raise ValueError(f"cannot read {shown}: {exc.strerror}; make it a file that this user can read") from None
    if len(content) > _LARGEST_SECRET_BYTES:
        raise ValueError(f"{shown} is too large for a secret; name a file that holds the secret alone")
    return _decoded(content, shown), mode


def _decoded(content: bytes, shown: str) -> SecretStr:
    try:
        return parse_secret(content.decode("utf-8-sig").rstrip("\r\n"))
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not text; write the secret alone into it") from None
    except ValueError as exc:
        raise ValueError(f"{shown} {exc}") from None
