"""The kinds of value a setting can have, each with its own plain sentence when it is wrong.

Every kind reads what TOML and JSON hold and refuses look-alikes (``true`` is no number, ``"16"`` neither). Text from
the environment has no types, so there, and only there, numbers and booleans are read out of text. Python values of
the right type pass, so that settings can be built in code.
"""

import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from logkeep.config.wording import show

_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_DURATION_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d{1,18}) ?(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_SIZE_UNITS_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_CRON_FIELDS = 5
_FAR_BACK = datetime(2000, 1, 1, tzinfo=UTC)


class EnvironmentText(str):
    """Text that came from an environment variable."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a value may have to know of its surroundings; the validation context.

    ``folder`` is the configuration file's, None without a file. Settings built in code have no surroundings: there
    everything is allowed here, and the one who asks a host judges it anyway.
    """

    folder: Path | None = None
    allow_http: bool = True
    allow_private_addresses: bool = True


def parse_flag(value: object) -> bool:
    """A boolean; from the environment also yes/no, on/off, 1/0."""
    if isinstance(value, EnvironmentText) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if isinstance(value, bool):
        return value
    raise ValueError(f"write true or false, not {show(value)}")


def parse_whole(value: object) -> int:
    """A whole number."""
    if isinstance(value, EnvironmentText) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"write a whole number, not {show(value)}")


def parse_real(value: object) -> float:
    """A finite number."""
    readable = isinstance(value, (int, float, EnvironmentText)) and not isinstance(value, bool)
    try:
        number = float(value) if readable else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise ValueError(f"write a number, not {show(value)}")


def parse_duration(value: object) -> timedelta:
    """``90s``, ``5m``, ``2h`` or ``1d``."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'write a number and a unit, such as "90s", "5m", "2h" or "1d", not {show(value)}')
    return timedelta(seconds=int(match[1]) * _DURATION_UNITS_S[match[2]])  # nine digits of days are timedelta's most


def parse_size(value: object) -> int:
    """Bytes: ``1GiB``, ``512MiB`` or a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'write bytes, or a number with KiB, MiB, GiB or TiB such as "512MiB", not {show(value)}')
    return int(match[1]) * _SIZE_UNITS_BYTES[match[2] or "B"]


def parse_name(value: object) -> str:
    """An account's name. It becomes a folder's name, so it cannot leave its parent or hide."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return str(value)
    raise ValueError(
        f"write 1 to 64 of the characters A-Z a-z 0-9 . _ - beginning with a letter or a digit, not {show(value)}"
    )


def parse_cron(value: object) -> str:
    """A cron line of five fields whose weekdays are names.

    Digits are refused there because APScheduler counts 0 as Monday and everybody else as Sunday.
    """
    fields = value.split() if isinstance(value, str) and value.isascii() else []
    if len(fields) != _CRON_FIELDS:
        raise ValueError(f'write five fields (minute hour day month weekday) such as "5 * * * *", not {show(value)}')
    if any(char.isdigit() for char in fields[-1]):
        raise ValueError(f"write the weekday by day names, mon-sun, not {show(fields[-1])}: digits mean different days")
    line = " ".join(fields)
    _check_cron(line)
    return line


def _check_cron(line: str) -> None:
    from apscheduler.triggers.cron import CronTrigger  # a slow import, needed only where a line is configured

    try:
        trigger = CronTrigger.from_crontab(line, timezone=UTC)
        first = trigger.get_next_fire_time(None, _FAR_BACK)
    except (ValueError, TypeError, OverflowError) as exc:
        raise ValueError(f"{show(line)} is not a cron line that can be read; check each field's range") from exc
    if first is None:
        raise ValueError(f"{show(line)} never comes: no such day exists; check day and month")


def parse_zone(value: object) -> str:
    """The name of a time zone that this machine knows."""
    try:
        if isinstance(value, str):
            return ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        pass  # all three mean: there is no such zone here
    raise ValueError(f'no time zone {show(value)} on this machine; write a name such as "Asia/Shanghai"')


def parse_text(value: object) -> str:
    """Printable text that is not empty. Never shown in a message: it may stand beside a secret."""
    text = str(value) if isinstance(value, str) else None
    if text is None:
        raise ValueError("write text in quotes")
    if not text.strip():
        raise ValueError("is empty; write a value")
    if not text.isprintable():
        raise ValueError("holds a line break or another control character; write it on one line")
    return text


def parse_secret(value: object) -> SecretStr:
    """A secret, wrapped so that no ``repr``, log or traceback shows it."""
    return value if isinstance(value, SecretStr) else SecretStr(parse_text(value))


def parse_absolute_path(value: object) -> Path:
    """A path from the root; ``~`` and variables are not expanded."""
    path = _path(value)
    if not path.is_absolute():
        raise ValueError(f"write an absolute path, beginning with /, not {show(str(path))}")
    return path


def parse_nearby_path(value: object, info: ValidationInfo) -> Path | None:
    """A path from the root or from the configuration file's folder; empty for none."""
    folder = info.context.folder if isinstance(info.context, Reading) else None
    return nearby_path(value, folder)


def nearby_path(value: object, folder: Path | None) -> Path | None:
    """See ``parse_nearby_path``.

    Raises:
        ValueError: not a path, or relative while there is no folder.
    """
    if value is None or value == "":
        return None
    path = _path(value)
    if path.is_absolute():
        return path
    if folder is None:
        raise ValueError(f"write an absolute path: there is no configuration file beside which to find {show(value)}")
    return folder / path


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"write a path in quotes, not {show(value)}")
    try:
        usable = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError(f"{show(value)} cannot be a path: it holds a character that no file name can have")
    return Path(str(value))


def one_of(*words: str) -> BeforeValidator:
    """One of a few words, in any case."""

    def parse(value: object) -> str:
        word = value.lower() if isinstance(value, str) else ""
        if word in words:
            return word
        raise ValueError(f"write one of {', '.join(words)}, not {show(value)}")

    return BeforeValidator(parse)


# Checks run before pydantic's own, never instead: a PlainValidator drops a field's bounds (ge, le) in silence.
Flag = Annotated[bool, BeforeValidator(parse_flag)]
Whole = Annotated[int, BeforeValidator(parse_whole)]
Real = Annotated[float, BeforeValidator(parse_real)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Name = Annotated[str, BeforeValidator(parse_name)]
Cron = Annotated[str, BeforeValidator(parse_cron)]
ZoneName = Annotated[str, BeforeValidator(parse_zone)]
Text = Annotated[str, BeforeValidator(parse_text)]
Secret = Annotated[SecretStr, BeforeValidator(parse_secret)]
AbsolutePath = Annotated[Path, BeforeValidator(parse_absolute_path)]
NearbyPath = Annotated[Path | None, BeforeValidator(parse_nearby_path)]
