"""Every command of both READMEs is followed, and the two READMEs say the same.

What a reader would do is done, with these replacements and no others:

- ``/etc/logkeep/config.toml`` is a file in the test's folder, named by ``LOGKEEP_CONFIG``: the README's own settings,
  with the test's ``path``, ``client_id`` and secret; in addition ``base_url``, ``requests_per_second``, ``min_free``,
  the two ``allow_…`` keys and ``web.listen``, which lead to a simulated vendor on loopback and to a free port.
- The account is watched for two days instead of thirty, so that catching up is short.
- ``logkeep run`` goes on while the commands after it are followed, and is ended with SIGTERM.
- The hour and the id of ``explain`` are ones that were archived; the hours of ``gaps --ack`` are lost beforehand.
- ``127.0.0.1:8480`` is the port that was free, ``$USER`` a name.
- Printed numbers, sizes and the storage path may differ from those shown.

``make``, ``pip`` and ``docker`` commands are checked as far as that goes without a network, and skipped then.
"""

import re
import shlex
import signal
import subprocess
import sys
import tomllib
from asyncio.subprocess import create_subprocess_exec
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from logkeep.catalog import Catalog
from logkeep.catalog.records import HourRecord
from logkeep.config.sources import DEFAULT_CONFIG
from logkeep.model import Hour, Span
from program import Installation, Running, installation, start

from config_text import write_config

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "zh-CN": ROOT / "README.zh-CN.md"}
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARCHIVED_HOURS = 48


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
            found.extend(Shown(line, ()) for line in body.splitlines() if line.strip())
        elif kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, *output = part.splitlines()
                found.append(Shown(command, tuple(output)))
    return found


def programs(language: str, *names: str) -> list[str]:
    return [entry.command for entry in shown(language) if shlex.split(entry.command)[0].split("/")[-1] in names]


def same_but_for_facts(line: str, storage: Path) -> str:
    line = re.sub(rf"{re.escape(str(storage))}|/var/lib/logkeep", "STORAGE", line)
    return re.sub(r"[+-]?\d+(\.\d+)?( ?[KMGT]iB| B\b)?", "N", line).rstrip()


class Reader:
    """Follows a README."""

    def __init__(self, home: Installation) -> None:
        self.home = home
        self.daemon: Running | None = None
        self.port = 0

    async def settle_in(self, language: str) -> None:
        """Write the README's settings, and the secret beside them."""
        (text,) = fenced(language, "toml")
        tree: dict[str, Any] = tomllib.loads(text)
        account, cloud = tree["pan123"][0], self.home.cloud
        self.home.folder.joinpath(account["client_secret_file"]).write_text(f"{self.home.account.client_secret}\n")
        self.home.folder.joinpath(account["client_secret_file"]).chmod(0o640)
        account |= {"client_id": self.home.account.client_id, "base_url": cloud.base_url, "requests_per_second": 500.0}
        tree["storage"] |= {"path": str(self.home.storage), "min_free": 0}
        tree["download"] = {"allow_http": True, "allow_private_addresses": True}
        tree["web"] = {"listen": "127.0.0.1:0"}
        write_config(self.home.folder, tree)
        self.home.account.populate(ARCHIVED_HOURS + 1, 2)
        await self.home.watch(ARCHIVED_HOURS)

    async def follow(self, entry: Shown) -> None:
        """Type the command, expect it to end well and to print what is shown."""
        words = shlex.split(entry.command.replace("$USER", "reader"))
        if words == ["logkeep", "run"]:
            self.daemon = await self._start(*words[1:])
            self.port = (await self.daemon.until_logged("web_listening"))["port"]
            return
        if words[0] == "curl":
            printed = await self._curl(words)
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

    async def _with_real_facts(self, words: list[str]) -> list[str]:
        if words[0] == "explain":
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
    entries = [entry for entry in shown(language) if entry.command in programs(language, "logkeep", "curl")]
    assert len(entries) > 5
    async with installation(tmp_path) as home:
        reader = Reader(home)
        await reader.settle_in(language)
        try:
            for entry in entries:
                await reader.follow(entry)
        finally:
            code = await reader.leave()
        assert code == 0
        assert home.cloud.violations == []


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
    followed = programs("en", "logkeep", "curl", "make", "pip", "docker", "python3.11")
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
