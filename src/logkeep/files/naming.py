"""Names on disk, built from text that nobody vouches for.

The rules, and why each holds:

- *Injective.* Two different (hour, id, version) never share a path. An id becomes a *token* of ``0-9 a-z _`` only; the
  version follows after a dot and the vendor's own name after a hyphen, characters that no token has. The vendor's name
  is decoration for people: nothing is ever decided by it.
- *Injective everywhere.* Tokens hold no capital letters and nothing but ASCII, so file systems that fold case or
  normalise Unicode keep them apart as well.
- *Contained.* No component is empty, begins with a dot or holds a slash, so a path cannot leave its folder.
- *Short.* A component has at most 200 bytes; file systems allow 255.
- *Readable back.* ``parse_path`` returns what a path was built from, except for texts so long that only their digest
  fits; a catalog can be rebuilt from the archive.

A token is the text itself where that is plain (``12``, ``a_1``), else ``_e`` and the text with every other byte as
``_`` and two hexadecimal digits, else, being too long, ``_d`` and the SHA-256 of the text. Plain ones never begin with
``_``, so the three forms cannot meet. Accounts are named by the operator: there capital letters, dots and hyphens are
plain too, and the settings see to it that two accounts differ in more than case.
"""

import hashlib
import json
import re
from dataclasses import dataclass

from logkeep.model import Hour

VERSION_MAX = 999_999

_TOKEN_CHARS = 100
_DECORATION_CHARS = 80
_PLAIN_ID = re.compile(r"[0-9a-z][0-9a-z_]{0,63}", re.ASCII)
_PLAIN_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_TOKEN = r"[0-9a-z_]{1,100}"  # noqa: S105 - a name's part, no secret
_DIGEST_TOKEN = re.compile(r"_d[0-9a-f]{64}", re.ASCII)
_ESCAPED_TOKEN = re.compile(r"_e(?:[0-9a-z]|_[0-9a-f]{2})*", re.ASCII)
_ESCAPE = re.compile(r"_([0-9a-f]{2})", re.ASCII)
_SUFFIX = re.compile(r"(?:\.log)?\.gz\Z", re.ASCII | re.IGNORECASE)
_UNSAFE_RUN = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_PATH = re.compile(
    r"(?P<vendor>[A-Za-z0-9._-]{1,100})/(?P<account>[A-Za-z0-9._-]{1,100})/"
    r"(?:hour=unknown|date=(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)/hour=(?P<hour>\d\d))/"
    rf"(?P<token>{_TOKEN})(?:\.v(?P<version>(?!1-)[1-9]\d{{0,5}}))?-[A-Za-z0-9._-]{{1,{_DECORATION_CHARS}}}",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ParsedPath:
    """What an archive path tells.

    ``file_id`` is None where the id was so long that only its digest, in ``id_token``, is left; an account's name that
    long is given as its token.
    """

    vendor: str
    account: str
    hour: Hour | None
    file_id: str | None
    id_token: str
    version: int


def archive_path(vendor: str, account: str, hour: Hour | None, file_id: str, version: int, name: str) -> str:
    """Where one version of a file lies, relative to the storage root; ``name`` is the vendor's, any text at all.

    Raises:
        ValueError: ``version`` is not within 1..VERSION_MAX.
    """
    if not 1 <= version <= VERSION_MAX:
        raise ValueError(f"a version lies within 1..{VERSION_MAX}, not {version}")
    mark = f".v{version}" if version > 1 else ""
    file_name = f"{id_token(file_id)}{mark}-{_decoration(name)}"
    return "/".join((_folder_token(vendor), _folder_token(account), _hour_folder(hour), file_name))


def parse_path(path: str) -> ParsedPath:
    """The inverse of ``archive_path``.

    Raises:
        ValueError: no call of ``archive_path`` gives this path.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path[:300]!r} is not the path of an archived file")
    digits = "".join(match.group("year", "month", "day", "hour")) if match["year"] else None
    return ParsedPath(
        vendor=_folder_text(match["vendor"]),
        account=_folder_text(match["account"]),
        hour=Hour.parse(digits) if digits else None,
        file_id=_text(match["token"], _PLAIN_ID),
        id_token=match["token"],
        version=int(match["version"] or 1),
    )


def temp_name(vendor: str, account: str, file_id: str, nonce: str) -> str:
    """A name for the staging area: different for different arguments, and telling a person whose it is."""
    return f"{_label(vendor, account, file_id, nonce)}.part"


def quarantine_name(vendor: str, account: str, file_id: str, sha256: str) -> str:
    """A name for the quarantine; the same bytes of the same file always get the same one."""
    return _label(vendor, account, file_id, sha256)


def id_token(file_id: str) -> str:
    """The part of a file name that stands for the id, and for no other."""
    return _token(file_id, _PLAIN_ID)


def _label(vendor: str, account: str, file_id: str, distinction: str) -> str:
    facts = json.dumps([vendor, account, file_id, distinction])
    digest = hashlib.sha256(facts.encode()).hexdigest()[:32]
    return f"{id_token(file_id)}-{_decoration(f'{vendor}-{account}')[:40]}-{digest}"


def _token(text: str, plain: re.Pattern[str]) -> str:
    if plain.fullmatch(text):
        return text
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= _TOKEN_CHARS and len(escaped := "_e" + "".join(map(_escaped, data))) <= _TOKEN_CHARS:
        return escaped
    return f"_d{hashlib.sha256(data).hexdigest()}"


def _escaped(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and (char.isdigit() or char.islower()) else f"_{byte:02x}"


def _text(token: str, plain: re.Pattern[str]) -> str | None:
    """The text that ``_token`` made this of; None for a digest.

    Raises:
        ValueError: it makes this of no text.
    """
    if _DIGEST_TOKEN.fullmatch(token):
        return None
    text = token
    if _ESCAPED_TOKEN.fullmatch(token):
        data = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), token[2:]).encode("latin-1")
        text = data.decode("utf-8", "surrogatepass")
    if _token(text, plain) != token:
        raise ValueError(f"{token!r} stands for nothing")
    return text


def _folder_token(text: str) -> str:
    return _token(text, _PLAIN_FOLDER)


def _folder_text(token: str) -> str:
    text = _text(token, _PLAIN_FOLDER)
    return token if text is None else text


def _hour_folder(hour: Hour | None) -> str:
    if hour is None:
        return "hour=unknown"
    start = hour.start
    return f"date={start.year:04d}-{start.month:02d}-{start.day:02d}/hour={start.hour:02d}"


def shown_name(path: str) -> str:
    """What an archived file's path shows of the vendor's name; ``decorated`` makes the same of that name."""
    return path.rpartition("/")[2].partition("-")[2]


def decorated(name: str) -> str:
    """What a path shows of the vendor's name."""
    return _decoration(name)


def _decoration(name: str) -> str:
    """What of a vendor's name can be shown: safe characters, shortened before its ``.gz``."""
    suffix = match[0] if (match := _SUFFIX.search(name[-len(".log.gz") :])) else ""
    stem = name[: len(name) - len(suffix)][:_DECORATION_CHARS]
    safe = _UNSAFE_RUN.sub("_", stem)[: _DECORATION_CHARS - len(suffix)].rstrip(".")
    return (safe or "unnamed") + suffix
