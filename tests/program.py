"""The program as its users meet it: settings in a file, a process of its own, exit codes, what it prints.

``run`` and ``start`` fork it from a process that has loaded it already (``program_warm.py``); everything else about it
is as real as from a shell. ``cold`` starts the interpreter from nothing, for what happens while it still loads.
"""

import asyncio
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from logkeep.catalog import Catalog
from logkeep.model import AccountKey, Hour
from logkeep.simulator.pan123.account import Account
from logkeep.simulator.pan123.cloud import Pan123Cloud

from config_text import write_config

WARM = Path(__file__).with_name("program_warm.py")
PATIENCE_S = 60.0
_INHERITED = ("PATH", "HOME", "LANG", "PYTHONPATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


@dataclass(frozen=True)
class Outcome:
    """How a call of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it logged as JSON."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


@dataclass
class Running:
    """The program while it runs. What it prints so far can be read at any time."""

    pid: int
    out_path: Path
    err_path: Path
    ended: "asyncio.Task[int]"

    @property
    def out(self) -> str:
        return self.out_path.read_text(encoding="utf-8", errors="backslashreplace") if self.out_path.exists() else ""

    @property
    def err(self) -> str:
        return self.err_path.read_text(encoding="utf-8", errors="backslashreplace") if self.err_path.exists() else ""

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            os.kill(self.pid, number)

    async def end(self, timeout_s: float = PATIENCE_S) -> Outcome:
        """Wait for its end."""
        async with asyncio.timeout(timeout_s):
            code = await asyncio.shield(self.ended)
        return Outcome(code, self.out, self.err)

    async def kill(self) -> int:
        """End it at once; its exit status, which is that of the kill unless it ended before."""
        self.send(signal.SIGKILL)
        return (await self.end()).code

    async def until_logged(self, event: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for an event in its log, which must be JSON.

        Raises:
            AssertionError: it ended without.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                over = self.ended.done()
                for line in self.err.splitlines():
                    if f'"event": "{event}"' in line:
                        found: dict[str, Any] = json.loads(line)
                        return found
                assert not over, f"it ended with {self.ended.result()} and never logged {event}: {self.err[-2000:]}"
                await asyncio.sleep(0.01)


@dataclass
class Installation:
    """A folder with a settings file in it, and the program called with that file.

    ``sections`` are merged into the settings file; of ``accounts``, each mapping is merged into that account's table.
    """

    folder: Path
    cloud: Pan123Cloud
    account: Account
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    inline_secret: bool = True

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def catalog(self) -> Path:
        return self.storage / ".logkeep" / "catalog.sqlite3"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def tree(self) -> dict[str, Any]:
        account: dict[str, Any] = {
            "name": "main",
            "client_id": self.account.client_id,
            "base_url": self.cloud.base_url,
            "requests_per_second": 500.0,
            **self.keys,
        }
        if self.inline_secret:
            account.setdefault("client_secret", self.account.client_secret)
        else:
            secret = self.folder / "the-secret"
            secret.write_text(self.account.client_secret + "\n", encoding="utf-8")
            secret.chmod(0o600)
            account["client_secret_file"] = str(secret)
        sections: dict[str, dict[str, Any]] = {
            "storage": {"path": str(self.storage), "min_free": 0},
            "download": {"allow_http": True, "allow_private_addresses": True, "idle_timeout": "5s"},
            "web": {"listen": ""},
            "log": {"format": "json"},
        }
        for name, keys in self.sections.items():
            sections[name] = {**sections.get(name, {}), **keys}
        return {**sections, "pan123": [account]}

    def configure(self) -> Path:
        return write_config(self.folder, self.tree())

    async def watch(self, hours: int) -> None:
        """Let the account answer for so many closed hours only, as if it had been configured that long ago."""
        now = datetime.now(UTC)
        async with self.opened() as catalog:
            await catalog.accounts.enrol([AccountKey("pan123", "main")], now=now, watched_from=Hour.of(now) + -hours)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Catalog]:
        """The catalog, to look at it or to put something into it."""
        self.catalog.parent.mkdir(parents=True, exist_ok=True)
        catalog = Catalog(self.catalog)
        await catalog.open()
        try:
            yield catalog
        finally:
            await catalog.close()

    def archived(self) -> dict[str, bytes]:
        """Every object in the archive: its path below the storage, and its bytes."""
        paths = sorted(self.storage.glob("pan123/**/*"))
        return {str(path.relative_to(self.storage)): path.read_bytes() for path in paths if path.is_file()}

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in (self.storage / ".logkeep" / "tmp").iterdir())

    def leftovers_bytes(self) -> int:
        staging = self.storage / ".logkeep" / "tmp"
        return sum((staging / name).stat().st_size for name in self.leftovers()) if staging.exists() else 0

    async def start(self, *args: str, **where: Any) -> Running:
        """Call the program, with the settings file written anew; ``where`` as for ``start`` below."""
        return await start("--config", str(self.configure()), *args, cwd=self.folder, environ=self.environ, **where)

    async def run(self, *args: str, **where: Any) -> Outcome:
        """Call the program and wait for its end."""
        return await (await self.start(*args, **where)).end()

    async def cold(self, *args: str) -> Running:
        """Call the program in an interpreter that has yet to load it."""
        return await cold("--config", str(self.configure()), *args, cwd=self.folder, environ=self.environ)


async def start(
    *args: str, cwd: Path, environ: Mapping[str, str] | None = None, out: Path | None = None, err: Path | None = None
) -> Running:
    """The program with these arguments, forked from the process that has loaded it.

    ``out`` and ``err`` may name a terminal or a pipe; what goes there is for the caller to read.
    """
    out_path, err_path = _outputs(cwd)
    reader, writer = await asyncio.open_unix_connection(await asyncio.to_thread(_warm_socket))
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environ or {})
    places = {"out": str(out or out_path), "err": str(err or err_path)}
    request = {"args": args, "env": env, "cwd": str(cwd), **places}
    writer.write(json.dumps(request).encode() + b"\n")
    pid: int = json.loads(await reader.readline())["pid"]

    async def ended() -> int:
        code: int = json.loads(await reader.readline())["code"]
        writer.close()
        await writer.wait_closed()
        return code

    return Running(pid, out_path, err_path, asyncio.create_task(ended()))


async def run(*args: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Outcome:
    """The program with these arguments, to its end."""
    return await (await start(*args, cwd=cwd, environ=environ)).end()


async def cold(*args: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Running:
    """The program with these arguments in a new interpreter; coverage is not measured in it, it may be killed."""
    out_path, err_path = _outputs(cwd)
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ and "COVERAGE" not in name}
    with out_path.open("wb") as out, err_path.open("wb") as err:
        process = await create_subprocess_exec(
            *(sys.executable, "-m", "logkeep", *args),
            cwd=cwd,
            env=env | dict(environ or {}),
            stdin=DEVNULL,
            stdout=out,
            stderr=err,
        )
    return Running(process.pid, out_path, err_path, asyncio.create_task(_waited(process)))


async def _waited(process: Process) -> int:
    return await process.wait()


def _outputs(folder: Path) -> tuple[Path, Path]:
    printed = folder / "printed"
    printed.mkdir(exist_ok=True)
    number = len(list(printed.glob("*.out")))
    out_path = printed / f"{number}.out"
    out_path.touch()
    return out_path, printed / f"{number}.err"


@cache
def _warm_socket() -> str:
    """Start the process that has loaded the program, once for this one; it ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="logkeep-warm-"))
    path = str(folder / "socket")
    command = [sys.executable, str(WARM), path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop() -> None:
        process.communicate("", timeout=PATIENCE_S)
        shutil.rmtree(folder)

    atexit.register(stop)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return path


@asynccontextmanager
async def installation(folder: Path, **quirks: Any) -> AsyncIterator[Installation]:
    """A cloud with one account on loopback, and an installation that archives from it."""
    folder.mkdir(exist_ok=True)
    async with Pan123Cloud(**quirks) as cloud:
        yield Installation(folder, cloud, cloud.add_account())
