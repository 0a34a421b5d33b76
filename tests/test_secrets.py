"""Nothing that opens a door is ever printed or kept: secrets, tokens, signed addresses, a proxy's password.

The program runs at level debug against a vendor that repeats what it was told in its messages, sends downloads through
redirects, and lets addresses expire. Then everything that was printed and everything below the storage is searched.
"""

import asyncio
import base64
import json
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest

from lexiang_program import LexiangInstallation, lexiang_installation
from logkeep.simulator.faults import Fault
from program import PATIENCE_S, Installation, installation, run

from config_text import toml

SECRET = 'sT4+r/=%"ü-do-not-show-0123456789'
OTHER = "an0ther-secret-do-not-show"
PASSWORD = "pr0xy-password-do-not-show"
SHAPES = ("X-Amz-Signature=", "X-Amz-Credential=", "Nonce=n", "%2faws4_request")
"""Parts of every signed query, whoever issued it."""


@dataclass
class Leaky:
    """An installation whose vendor repeats everything, and what must never be seen of it."""

    made: Installation
    queries: set[str] = field(default_factory=set)

    def remember(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Note the addresses of an honest listing on its way out."""
        for row in (envelope.get("data") or {}).get("list") or []:
            self.queries.add(row["downloadURL"].partition("?")[2])
        return envelope

    def repeat_token(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Refuse, and show the token that was sent, in words and in an address."""
        token = self.made.account.tokens.issued()[-1]
        message = f"token {token} not liked, see https://h.example/x?access_token={token}&sign={quote(token)}"
        return {**envelope, "code": 5066, "message": message, "data": None}

    def needles(self) -> dict[str, str]:
        """What must not be found, by what it is."""
        found = {"secret": SECRET, "other secret": OTHER, "password": PASSWORD}
        found |= {f"token {number}": token for number, token in enumerate(self.made.account.tokens.issued())}
        found |= {f"shape {shape}": shape for shape in SHAPES}
        for number, query in enumerate(sorted(self.queries)):
            found[f"query {number}"] = query
            found[f"signature {number}"] = query.rpartition("Signature=")[2]
        return found

    def printed(self) -> dict[str, str]:
        texts = (self.made.folder / "printed").glob("*.*")
        return {path.name: path.read_text(encoding="utf-8", errors="backslashreplace") for path in texts}

    def kept(self) -> Iterator[tuple[str, str]]:
        """Every file below the storage, but of the catalog its cells instead, without the tokens that belong there."""
        for path in self.made.storage.rglob("*"):
            if path.is_file() and not path.name.startswith("catalog.sqlite3") and path.name != "reserve":
                yield str(path), path.read_bytes().decode("latin-1") + path.name
        yield from cells(self.made.catalog)

    def leaks(self) -> list[str]:
        """Where something was found that must not be."""
        needles = {name: spellings(text) for name, text in self.needles().items()}
        places = [*self.printed().items(), *self.kept()]
        return [
            f"{name} in {place}"
            for place, text in places
            for name, spelled in needles.items()
            if any(spelling in text for spelling in spelled)
        ]


def spellings(text: str) -> set[str]:
    """The text as it is and as encoders write it."""
    encoded = text.encode()
    as_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    escaped = {*as_json, repr(text)[1:-1], repr(encoded)[2:-1]}
    percent = {quote(text), quote(text, safe=""), quote_plus(text), unquote(text)}
    return {text, base64.b64encode(encoded).decode(), encoded.hex(), encoded.decode("latin-1"), *escaped, *percent}


def cells(catalog: Path) -> Iterator[tuple[str, str]]:
    if not catalog.exists():
        return
    with closing(sqlite3.connect(catalog)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the catalog's own names
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if (table, column) != ("tokens", "access_token"):
                        yield f"{table}.{column}", str(value)


@pytest.fixture(params=[("json", True), ("console", False)], ids=["json, inline", "console, secret in a file"])
async def leaky(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Leaky]:
    style, inline = request.param
    async with installation(tmp_path) as made:
        made.account.client_secret = SECRET
        made.inline_secret = inline
        made.sections = {"log": {"level": "debug", "format": style}, "web": {"listen": "127.0.0.1:0"}}
        await made.watch(6)
        made.account.populate(6, 2)
        yield Leaky(made)


def saw(leaky: Leaky, *words: str) -> None:
    """The provocation really happened: its traces are there, without what it should have leaked."""
    everything = "\n".join(leaky.printed().values())
    missing = [word for word in words if word not in everything]
    assert missing == []


async def test_downloads_through_expired_addresses_and_redirects(leaky: Leaky) -> None:
    """Each way an address can fail, then well; what is logged, told and kept names hosts and paths at most."""
    made, files = leaky.made, leaky.made.account.files()
    ways: Iterable[tuple[str, dict[str, Any]]] = (
        ("http_403", {"times": 2}),
        ("http_302", {"to": "private", "times": None}),
        ("http_302", {"to": "self", "hops": 2}),
        ("http_307", {"to": "loop", "times": None}),
        ("http_210", {"location": f"https://u:{OTHER}@127.0.0.1:9/x?sign={OTHER}&access_token={OTHER}", "times": None}),
        ("http_302", {"location": f"gopher://h.example/x?sign={OTHER}#{OTHER}", "times": None}),
        ("xml_200", {"times": None}),
        ("json_200", {"message": f"see https://h.example/?client_secret={OTHER}", "times": None}),
        ("drop", {}),
        ("truncate", {"times": None}),
        ("short_length", {"times": None}),
    )
    for file, (kind, how) in zip(files, ways, strict=False):
        made.cloud.faults.add(Fault("download", kind, file_id=file.file_id, **how))
    made.cloud.faults.add(Fault("list", "patch", times=None, patch=leaky.remember))
    assert (await made.run("sync")).code == 1
    for args in (("status",), ("gaps",), ("gaps", "--json"), ("plan",), ("check",)):
        await made.run(*args)
    for file in files:
        assert (await made.run("explain", str(file.file_id))).code == 0
    assert len(leaky.queries) > 12
    saw(leaky, "fetch_failed", "redirect_loop", "address_refused", "api_call", "file_archived")
    assert leaky.leaks() == []


async def test_a_vendor_that_repeats_what_it_was_told(leaky: Leaky) -> None:
    """In messages of refusals, of the token endpoint and of the listing, which are logged, kept and told again."""
    made = leaky.made
    made.cloud.faults.add(
        Fault("list", "patch", patch=leaky.repeat_token, times=6),
        Fault("list", "patch", times=None, patch=leaky.remember),
    )
    await made.run("sync")
    made.account.tokens.evict_all()
    echo = f"bad secret {SECRET} / {json.dumps(SECRET)} / {quote(SECRET)} for https://h.example/?client_secret={SECRET}"
    made.cloud.faults.add(Fault("token", "envelope", times=None, code=401, message=echo))
    with closing(sqlite3.connect(made.catalog)) as connection, connection:
        connection.execute("UPDATE tokens SET last_attempt_at = last_attempt_at - 3600000000")
    for args in (("sync",), ("check",), ("status",), ("gaps", "--json"), ("check", "--json")):
        await made.run(*args)
    saw(leaky, "listing_failed", "credentials_refused", "bad secret", "not liked")
    assert leaky.leaks() == []


async def test_the_daemon_from_start_to_end(leaky: Leaky) -> None:
    made = leaky.made
    made.cloud.faults.add(
        Fault("list", "http_502"),
        Fault("list", "drop"),
        Fault("list", "malformed_json"),
        Fault("download", "reset", file_id=made.account.files()[0].file_id),
        Fault("list", "patch", times=None, patch=leaky.remember),
    )
    running = await made.start("run")
    async with asyncio.timeout(PATIENCE_S):
        while "pass_finished" not in running.err:
            assert not running.ended.done(), running.err
            await asyncio.sleep(0.02)
    running.send(signal.SIGTERM)
    assert (await running.end()).code == 0
    saw(leaky, "token_issued", "web_listening", "stopped", "api_call")
    assert leaky.leaks() == []


async def test_a_catalog_that_refuses_to_keep_a_token(leaky: Leaky) -> None:
    """The database's error holds the statement; its values are never told, nor the statement."""
    made = leaky.made
    with closing(sqlite3.connect(made.catalog)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no_tokens BEFORE UPDATE ON tokens WHEN NEW.access_token IS NOT NULL"
            " BEGIN SELECT RAISE(ABORT, 'no tokens here'); END"
        )
    for args in (("check",), ("sync",)):
        assert (await made.run(*args)).code == 4
        with closing(sqlite3.connect(made.catalog)) as connection, connection:
            connection.execute("UPDATE tokens SET last_attempt_at = last_attempt_at - 3600000000")
    assert len(made.account.tokens.issued()) == 2
    saw(leaky, "no tokens here")
    assert leaky.leaks() == []


async def test_a_proxy_that_cannot_be_reached(leaky: Leaky) -> None:
    leaky.made.sections["http"] = {"proxy": f"http://user:{PASSWORD}@127.0.0.1:9"}
    assert (await leaky.made.run("check")).code == 5
    assert (await leaky.made.run("plan")).code == 0
    saw(leaky, "the proxy cannot be reached")
    assert leaky.leaks() == []


def _broken_settings() -> Iterator[tuple[str, str]]:
    """Settings that are wrong in the very places where secrets stand, or with secrets where they do not belong."""
    account: dict[str, Any] = {"name": "main", "client_id": "id-1", "client_secret": OTHER}
    trees: dict[str, dict[str, Any]] = {
        "a list for a secret": {"pan123": [{**account, "client_secret": [OTHER]}]},
        "a table for a secret": {"pan123": [{**account, "client_secret": {"value": OTHER}}]},
        "a secret with a line break": {"pan123": [{**account, "client_secret": f"{OTHER}\n{OTHER}"}]},
        "given twice": {"pan123": [{**account, "client_secret_file": "/nowhere"}]},
        "misspelt": {"pan123": [{**account, "client_secret": "", "client_secrt": OTHER}]},
        "as a base address": {"pan123": [{**account, "base_url": f"https://u:{OTHER}@h.example/?sign={OTHER}"}]},
        "in a proxy": {"pan123": [account], "http": {"proxy": f"ftp://u:{OTHER}@h.example"}},
        "in a catalog's address": {"pan123": [account], "catalog": {"url": f"postgresql://u:{OTHER}@h.example/x"}},
        "in an alert": {"pan123": [account], "alerts": {"urls": [f"https://h.example/?key={OTHER}"]}},
        "accounts that are no list": {"pan123": {**account, "client_secret": OTHER}},
        "two of a name": {"pan123": [account, account]},
    }
    for name, tree in trees.items():
        yield name, toml(tree)
    yield "no TOML", f'[[pan123]]\nclient_secret = "{OTHER}\n'
    yield "no TOML behind the secret", f'[[pan123]]\nclient_secret = "{OTHER}" oops\n'


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in _broken_settings()])
async def test_settings_that_are_wrong_where_the_secret_stands(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    outcome = await run("--config", "config.toml", "check", cwd=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err
    assert not [spelling for spelling in spellings(OTHER) if spelling in outcome.err]
    assert "Traceback" not in outcome.err


async def test_variables_that_are_wrong_where_the_secret_stands(tmp_path: Path) -> None:
    for text in (f"[{{{OTHER}", json.dumps([{"client_secret": OTHER, "name": [OTHER]}]), json.dumps({"x": OTHER})):
        environ = {"LOGKEEP_PAN123": text, "LOGKEEP_PAN123_SECRET": OTHER, "LOGKEEP_HTTP__PROXY": f"//{OTHER}@"}
        outcome = await run("check", cwd=tmp_path, environ=environ)
        assert outcome.code == 2
        assert OTHER not in outcome.err + outcome.out


@dataclass
class LeakyStream(Leaky):
    """The same with Lexiang: what must never be seen is its secret and every token that it issued."""

    made: LexiangInstallation

    def needles(self) -> dict[str, str]:
        issued = enumerate(self.made.hq.tokens.issued())
        return {"secret": SECRET, "other secret": OTHER} | {f"token {number}": token for number, token in issued}

    def repeat_what_was_sent(self, _document: dict[str, Any]) -> dict[str, Any]:
        """Refuse, and show token and secret, in words and in addresses."""
        token = self.made.hq.tokens.issued()[-1]
        said = f"Bearer {token} not liked, see https://h.example/x?access_token={quote(token)}&app_secret={SECRET}"
        return {"errors": [{"status": "500", "detail": said, "title": token}], "message": said, "request_id": token}


@pytest.fixture(params=[("json", True), ("console", False)], ids=["json, inline", "console, secret in a file"])
async def leaky_stream(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[LeakyStream]:
    style, inline = request.param
    async with lexiang_installation(tmp_path) as made:
        made.hq.app_secret = SECRET
        if not inline:
            (tmp_path / "the-secret").write_text(SECRET + "\n", encoding="utf-8")
            (tmp_path / "the-secret").chmod(0o600)
            made.record_keys = {"app_secret": "", "app_secret_file": str(tmp_path / "the-secret")}
        made.sections = {"log": {"level": "debug", "format": style}, "web": {"listen": "127.0.0.1:0"}}
        made.hq.populate(60, days=3)
        yield LeakyStream(made)


async def test_a_record_vendor_that_repeats_what_it_was_told(leaky_stream: LeakyStream) -> None:
    """In refusals of pages and of tokens, as JSON and as plain text; what is archived holds no token either."""
    made, base = leaky_stream.made, leaky_stream.made.base
    patch = leaky_stream.repeat_what_was_sent
    base.faults.add(*(Fault("logs", "patch", after=after, status=500, patch=patch) for after in (0, 2)))
    assert (await made.run("sync")).code == 0
    base.faults.add(Fault("logs", "patch", times=None, status=500, patch=patch))
    assert (await made.run("sync")).code == 5
    base.faults.clear()
    token = made.hq.tokens.issued()[-1]
    base.faults.add(Fault("logs", "too_many", times=1, message=f"Too Many Attempts. {token} {SECRET}", retry_after="0"))
    base.faults.add(Fault("logs", "envelope", times=3, code=403, message=f"no right for {token} / {quote(SECRET)}"))
    for args in (("sync",), ("check",), ("status",), ("gaps",), ("plan",), ("verify",), ("explain", made.hq.ids(1)[0])):
        await made.run(*args)
    base.faults.clear()
    made.hq.tokens.evict_all()
    echo = f"bad secret {SECRET} / {json.dumps(SECRET)} / {quote(SECRET)} for https://h.example/?app_secret={SECRET}"
    base.faults.add(Fault("token", "envelope", times=None, code=401, message=echo))
    with closing(sqlite3.connect(made.catalog)) as connection, connection:
        connection.execute("UPDATE tokens SET last_attempt_at = last_attempt_at - 3600000000")
    for args in (("sync",), ("check", "--json"), ("status", "--json"), ("gaps", "--json")):
        await made.run(*args)
    saw(leaky_stream, "record_pass_finished", "credentials_refused", "bad secret", "not liked", "no right", "api_call")
    assert len(made.hq.tokens.issued()) >= 1
    assert leaky_stream.leaks() == []


async def test_rows_that_hold_the_token_are_evidence_without_it(leaky_stream: LeakyStream) -> None:
    """A row without an id is kept as it came, but never a token or a secret that stands in it."""
    made = leaky_stream.made

    def row_with_secrets(document: dict[str, Any]) -> dict[str, Any]:
        row = {"type": "download_log", "token": made.hq.tokens.issued()[-1], "secret": SECRET, "shown": "evidence"}
        return {**document, "data": [row, *document["data"]]}

    made.base.faults.add(Fault("logs", "patch", times=None, patch=row_with_secrets))
    for args in (("sync",), ("gaps",), ("status",)):
        await made.run(*args)
    assert any("evidence" in text for _, text in cells(made.catalog))
    assert leaky_stream.leaks() == []
