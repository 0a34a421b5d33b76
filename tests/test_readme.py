"""Every command of both READMEs is followed, and the two READMEs say the same.

What a reader would do is done, with these replacements and no others:

- ``/etc/logkeep/config.toml`` is a file in the test's folder, named by ``LOGKEEP_CONFIG``: the README's own settings,
  with the test's ``path``, ``client_id``, ``app_key`` and secrets; in addition ``base_url``, ``requests_per_second``,
  ``min_free``, the two ``allow_…`` keys and ``web.listen``, which lead to simulated vendors on loopback and to a free
  port. ``/var/lib/logkeep`` in a query is that ``path``.
- The account of 123pan is watched for two days instead of thirty, so that catching up is short; that of Lexiang offers
  the vendor's own sample of 2018 among other records.
- ``logkeep run`` goes on while the commands after it are followed, and is ended with SIGTERM.
- The hour and the file's id of ``explain``, and the day of the query for 123pan, are ones that were archived; the hours
  of ``gaps --ack`` are lost beforehand.
- ``127.0.0.1:8480`` is the port that was free, ``$USER`` a name.
- Printed numbers, sizes and the storage path may differ from those shown.

The queries are run once more against the archive that ``logkeep demo --once`` makes. ``make``, ``pip`` and ``docker``
commands are checked as far as that goes without a network, and skipped then.
"""

import gzip
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from asyncio.subprocess import create_subprocess_exec
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logkeep.catalog import Catalog
from logkeep.catalog.records import HourRecord
from logkeep.config.sources import DEFAULT_CONFIG
from logkeep.model import CHINA, Hour, Span
from logkeep.simulator import LexiangAccount, LexiangCloud
from program import Installation, Running, installation, start

from config_text import write_config

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "zh-CN": ROOT / "README.zh-CN.md"}
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARCHIVED_HOURS = 48
RECORDS = 300
TOOLS = ("duckdb", "zcat", "zgrep")
NEEDS_JQ = "needs jq, a package of Debian"


@dataclass(frozen=True)
class Shown:
    """A command line as a README shows it, and what it says the command prints, if anything."""

    command: str
    output: tuple[str, ...]


def fenced(language: str, kind: str) -> list[str]:
    text = READMES[language].read_text(encoding="utf-8")
    return [body for found, body in FENCED.findall(text) if found == kind]


def shown(language: str) -> list[Shown]:
    """Every command line, in order: ``sh`` blocks hold nothing else, in ``console`` blocks they follow ``$``."""
    text = READMES[language].read_text(encoding="utf-8")
    found: list[Shown] = []
    for kind, body in FENCED.findall(text):
        if kind == "sh":
            lines = body.splitlines()
            while lines:
                command, lines = first_command(lines)
                found.append(Shown(command, ()))
        elif kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, output = first_command(part.splitlines())
                found.append(Shown(command, tuple(output)))
    return found


def first_command(lines: list[str]) -> tuple[str, list[str]]:
    """The command that the lines begin with, to where its quotes end, and the lines after it."""
    for end in range(1, len(lines) + 1):
        command = "\n".join(lines[:end])
        try:
            shlex.split(command)
        except ValueError:  # a quote is open
            continue
        return command, lines[end:]
    raise AssertionError(f"a quote stays open: {lines}")


def programs(language: str, *names: str) -> list[str]:
    return [entry.command for entry in shown(language) if shlex.split(entry.command)[0].split("/")[-1] in names]


def same_but_for_facts(line: str, storage: Path) -> str:
    line = re.sub(rf"{re.escape(str(storage))}|/var/lib/logkeep", "STORAGE", line)
    return re.sub(r"[+-]?\d+(\.\d+)?( ?[KMGT]iB| B\b)?", "N", line).rstrip()


async def ask(command: str, folder: Path) -> str:
    """What a query prints, typed into a shell in ``folder``."""
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    process = await create_subprocess_exec(
        *("bash", "-eo", "pipefail", "-c", command),
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, problems = await process.communicate()
    assert process.returncode == 0, f"{command}: {process.returncode}, {problems.decode()}"
    return printed.decode(errors="replace")


def can_be_asked(command: str) -> bool:
    return "| jq " not in command or shutil.which("jq") is not None


@dataclass
class Reader:
    """Follows a README."""

    home: Installation
    cloud: LexiangCloud
    records: LexiangAccount
    daemon: Running | None = None
    port: int = 0
    left_out: list[str] = field(default_factory=list)

    async def settle_in(self, language: str) -> None:
        """Write the README's settings, and the secrets beside them."""
        (text,) = fenced(language, "toml")
        tree: dict[str, Any] = tomllib.loads(text)
        files, records = tree["pan123"][0], tree["lexiang"][0]
        secrets = {
            files["client_secret_file"]: self.home.account.client_secret,
            records["app_secret_file"]: self.records.app_secret,
        }
        for name, secret in secrets.items():
            self.home.folder.joinpath(name).write_text(f"{secret}\n")
            self.home.folder.joinpath(name).chmod(0o640)
        files |= {"client_id": self.home.account.client_id, "base_url": self.home.cloud.base_url}
        records |= {"app_key": self.records.app_key, "base_url": self.cloud.base_url}
        for account in (files, records):
            account["requests_per_second"] = 500.0
        tree["storage"] |= {"path": str(self.home.storage), "min_free": 0}
        tree["download"] = {"allow_http": True, "allow_private_addresses": True}
        tree["web"] = {"listen": "127.0.0.1:0"}
        write_config(self.home.folder, tree)
        self.home.account.populate(ARCHIVED_HOURS + 1, 2)
        await self.home.watch(ARCHIVED_HOURS)
        self.records.populate(RECORDS, days=5)
        self.records.add_official_sample()

    async def follow(self, entry: Shown) -> None:
        """Type the command, expect it to end well and to print what is shown."""
        words = shlex.split(entry.command.replace("$USER", "reader"))
        if words == ["logkeep", "run"]:
            self.daemon = await self._start(*words[1:])
            self.port = (await self.daemon.until_logged("web_listening"))["port"]
            return
        if not can_be_asked(entry.command):
            self.left_out.append(entry.command)
            return
        if words[0] == "curl":
            printed = await self._curl(words)
        elif words[0] in TOOLS:
            printed = await self._ask(entry.command)
        else:
            ended = await (await self._start(*await self._with_real_facts(words[1:]))).end()
            assert ended.code == 0, f"{entry.command}: {ended.code}, {ended.out}{ended.err}"
            printed = ended.out
        if entry.output:
            told = [same_but_for_facts(line, self.home.storage) for line in printed.splitlines()]
            assert told == [same_but_for_facts(line, self.home.storage) for line in entry.output], entry.command

    async def leave(self) -> int:
        """Stop the daemon as a supervisor does; its exit code."""
        assert self.daemon is not None, "the README shows how to run it"
        self.daemon.send(signal.SIGTERM)
        return (await self.daemon.end()).code

    async def _start(self, *words: str) -> Running:
        environ = {"LOGKEEP_CONFIG": str(self.home.config)}
        return await start(*words, cwd=self.home.folder, environ=environ)

    async def _curl(self, words: list[str]) -> str:
        assert words[:2] == ["curl", "-s"], words
        replaced = [word.replace(":8480", f":{self.port}") for word in words]
        assert replaced != words, "nothing but this machine is asked"
        process = await create_subprocess_exec(*replaced, stdout=subprocess.PIPE)
        printed, _ = await process.communicate()
        assert process.returncode == 0, replaced
        return printed.decode()

    async def _ask(self, command: str) -> str:
        day = max(self.home.archived()).split("/")[2].removeprefix("date=")
        facts = {"/var/lib/logkeep": str(self.home.storage), "2025-06-20": day}
        for shown_fact, fact in facts.items():
            command = command.replace(shown_fact, fact)
        return await ask(command, self.home.folder)

    async def _with_real_facts(self, words: list[str]) -> list[str]:
        if words[0] == "explain" and words[1].isdecimal():
            newest = max(self.home.archived())
            found = re.search(r"date=(\d+)-(\d+)-(\d+)/hour=(\d+)/(\d+)-", newest)
            assert found is not None, newest
            hour, file_id = "".join(found.groups()[:4]), found[5]
            return [words[0], file_id if len(words[1]) < len(hour) else hour, *words[2:]]
        if words[:2] == ["gaps", "--ack"]:
            await self._lose(words[2], words[3])
        return words

    async def _lose(self, account: str, hours: str) -> None:
        first, _, last = hours.partition("..")
        now, catalog = datetime.now(UTC), Catalog(self.home.catalog)
        await catalog.open_beside()
        record = next(record for record in await catalog.accounts.all() if record.name == account)
        span = Span(Hour.parse(first), Hour.parse(last or first))
        lost = [HourRecord(hour, lost_at=now, lost_reason="not listed yet") for hour in span]
        await catalog.hours.save(record.account_id, lost)
        await catalog.close()


@pytest.mark.parametrize("language", READMES)
async def test_a_reader_who_follows_the_readme_gets_what_it_shows(language: str, tmp_path: Path) -> None:
    entries = [entry for entry in shown(language) if entry.command in programs(language, "logkeep", "curl", *TOOLS)]
    assert len(entries) > 15
    async with installation(tmp_path) as home, LexiangCloud() as cloud:
        reader = Reader(home, cloud, cloud.add_account())
        await reader.settle_in(language)
        try:
            for entry in entries:
                await reader.follow(entry)
        finally:
            code = await reader.leave()
        assert code == 0
        assert home.cloud.violations + cloud.violations == []
        (line,) = fenced(language, "json")
        assert told_apart(json.loads(line)) == told_apart(archived_record(home.storage, json.loads(line)["id"]))
    if reader.left_out:
        pytest.skip(f"all but these were followed: {reader.left_out}: {NEEDS_JQ}")


def archived_record(storage: Path, record_id: str) -> dict[str, Any]:
    (found,) = [record for record in archived_records(storage) if record["id"] == record_id]
    return found


def archived_records(storage: Path) -> list[dict[str, Any]]:
    paths = sorted(storage.glob("lexiang/*/download-logs/date=*/*.jsonl.gz"))
    return [json.loads(line) for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()]


def told_apart(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """Its members in their order; of its archiving no time, of what it links to the names only."""
    linked = [(thing["type"], thing["id"], thing["attributes"]["name"]) for thing in record["included"]]
    return list((record | {"archived_at": None, "included": linked}).items())


@dataclass
class Demo:
    """What ``logkeep demo --once`` left, and what the README's queries should find in it."""

    storage: Path
    month: str
    owner: str
    day: str

    @classmethod
    def of(cls, storage: Path) -> "Demo":
        newest = datetime.now(CHINA) - timedelta(days=1)  # of today there may be nothing yet
        owners = Counter(record["owner_id"] for record in archived_records(storage) if record["owner_id"])
        return cls(storage, f"{newest:%Y-%m}", owners.most_common(1)[0][0], f"{newest:%Y-%m-%d}")

    def query(self, command: str) -> str:
        """The README's query with the demo's names and days; DuckDB answers in JSON."""
        facts = {
            "/var/lib/logkeep": str(self.storage),
            "lexiang/hq": "lexiang/demo",
            "pan123/main": "pan123/demo",
            "2018-04": self.month,
            "ThreeZhang": self.owner,
            "2025-06-20": self.day,
            'duckdb logkeep.duckdb -c "\n  SELECT': 'duckdb -json logkeep.duckdb -c "\n  SELECT',
        }
        for shown_fact, fact in facts.items():
            command = command.replace(shown_fact, fact)
        return command.replace(f"{self.month}-30", f"{self.month}-31")

    def of_month(self) -> list[dict[str, Any]]:
        return [record for record in archived_records(self.storage) if record["created_at"].startswith(self.month)]

    def between_two_dates(self, records: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
        return rows(records, "created_at", "owner_name", "target_name")

    def of_one_person(self, records: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
        mine = [record for record in records if record["owner_id"] == self.owner]
        return rows(mine, "created_at", "target_type", "target_name")

    def by_document_and_day(self, records: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
        days = Counter((r["created_at"][:10], r["target_type"], r["target_id"]) for r in records)
        return Counter((day, str(count)) for (day, _, _), count in days.items())

    def lines(self) -> list[bytes]:
        paths = sorted(self.storage.glob(f"pan123/demo/date={self.day}/hour=*/*.gz"))
        return [line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines() if b"GET" in line]


def rows(records: list[dict[str, Any]], *names: str) -> Counter[tuple[str, ...]]:
    return Counter(tuple(record[name] or "" for name in names) for record in records)


async def answer(query: str, folder: Path) -> Counter[tuple[str, ...]]:
    """The rows of an answer, with times as they lie in the archive."""
    printed = await ask(query, folder)
    if not query.startswith("duckdb"):
        return Counter(tuple(line.split("\t")) for line in printed.splitlines())
    told = re.sub(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)", r"\1T\2+08:00", printed)
    return Counter(tuple(str(value or "") for value in row.values()) for row in json.loads(told))


async def test_the_queries_of_the_readme_tell_the_truth_about_the_demo_s_archive(tmp_path: Path) -> None:
    """Whatever is compacted meanwhile: each segment lies there twice."""
    demo = await (await start("demo", "--once", "--folder", "demo", cwd=tmp_path)).end(120)
    assert demo.code == 0, demo.err
    world = Demo.of(tmp_path / "demo")
    everything, month = archived_records(world.storage), world.of_month()
    for path in sorted(world.storage.glob("lexiang/*/*/date=*/*.jsonl.gz")):
        shutil.copy(path, path.with_name(f"0-{path.name}"))
    queries = programs("en", *TOOLS)
    records_view, *of_records, lines_view, counted, grepped = queries
    between, person, daily = world.between_two_dates, world.of_one_person, world.by_document_and_day
    await ask(world.query(records_view), tmp_path)
    expected = [between(month), person(everything), daily(month), between(month), person(month), daily(month)]
    assert len(of_records) == len(expected)
    for query, truth in zip(of_records, expected, strict=True):
        if can_be_asked(query):
            told = await answer(world.query(query), tmp_path)
            if truth == daily(month):  # a document may have borne several names
                told = Counter((day, count) for day, _, count in told.elements())
            assert told == truth, query
    await ask(world.query(lines_view), tmp_path)
    by_hour = await answer(world.query(counted), tmp_path)
    assert sum(int(row[2]) for row in by_hour) == sum(is_utf8(line) for line in world.lines()) > 0
    assert len((await ask(world.query(grepped), tmp_path)).splitlines()) == len(world.lines())
    if shutil.which("jq") is None:
        pytest.skip(f"all but those of jq told it: {NEEDS_JQ}")


def is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("command", programs("en", "make"))
def test_a_target_that_the_readme_names_exists(command: str) -> None:
    """It would run this very test, or take minutes: make is asked what it would do."""
    made = subprocess.run([*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert {"make demo": "logkeep demo", "make test": "-m pytest"}[command] in made.stdout


def test_an_environment_is_made_as_the_readme_says(tmp_path: Path) -> None:
    """But without pip, which takes seconds, and with the interpreter that runs this."""
    (command,) = programs("en", "python3.11")
    words = shlex.split(command)
    assert words[1:3] == ["-m", "venv"]
    assert f"{words[3]}/bin/pip" in {shlex.split(found)[0] for found in programs("en", "pip")}
    subprocess.run([sys.executable, *words[1:3], "--without-pip", str(tmp_path / "venv")], check=True)


@pytest.mark.parametrize("command", programs("en", "pip"))
def test_the_readme_installs_what_is_locked(command: str) -> None:
    words = shlex.split(command)[1:]
    if words == ["install", "--no-deps", "."]:
        offline = ["--dry-run", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "pip", *words, *offline], cwd=ROOT, check=True)
        return
    assert words == ["install", "--require-hashes", "-r", "requirements.lock"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^\S", lock, re.MULTILINE)), "every package has one version and its hashes"
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.split(r"[\[<>=]", name)[0] for name in needed} <= set(pinned)
    pytest.skip(f"not run, needs a package index: {command}")


@pytest.mark.parametrize("command", programs("en", "docker"))
def test_the_container_is_what_the_readme_says(command: str) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    words = shlex.split(command)
    if words[1] == "run":
        mounts = [words[at + 1].split(":")[1] for at, word in enumerate(words) if word == "-v"]
        assert re.findall(r"^VOLUME (\S+)", text, re.MULTILINE) == [mounts[0]] == ["/var/lib/logkeep"]
        assert mounts[1] == str(DEFAULT_CONFIG.parent)
        assert 'ENTRYPOINT ["logkeep"]' in text
        assert "--uid 8480" in text
    else:
        assert words == ["docker", "build", "-t", "logkeep", "."]
    pytest.skip(f"not run, needs Docker and a base image: {command}")


def test_every_command_shown_is_followed_by_a_test_here() -> None:
    followed = programs("en", "logkeep", "curl", "make", "pip", "docker", "python3.11", *TOOLS)
    assert [entry.command for entry in shown("en")] == followed


def code(language: str) -> list[str]:
    """What stands in backticks within sentences and tables, in order of the alphabet."""
    prose = FENCED.sub("", READMES[language].read_text(encoding="utf-8"))
    return sorted(set(re.findall(r"`([^`\n]+)`", prose)))


def links(language: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", READMES[language].read_text(encoding="utf-8"))


def test_both_readmes_have_the_same_commands_and_show_the_same_output() -> None:
    assert shown("en") == shown("zh-CN")


def test_both_readmes_have_the_same_settings_and_code() -> None:
    assert fenced("en", "toml") == fenced("zh-CN", "toml")
    assert code("en") == code("zh-CN")


def test_both_readmes_have_the_same_links_and_they_lead_somewhere() -> None:
    english, chinese = links("en"), links("zh-CN")
    assert (english[0], chinese[0]) == ("README.zh-CN.md", "README.md")
    assert english[1:] == chinese[1:]
    assert [link for link in english if not (ROOT / link).exists()] == []


def test_both_readmes_have_the_same_sections_tables_and_lists() -> None:
    def skeleton(language: str) -> list[str]:
        text = FENCED.sub("```", READMES[language].read_text(encoding="utf-8"))
        return re.findall(r"^(#+ |\||- |```)", text, re.MULTILINE)

    assert skeleton("en") == skeleton("zh-CN")
