"""Who competes: how each is installed, set up and started.

Each peer lives in a virtual environment of its own below `$LOGKEEP_BENCH_CACHE` (default: ~/.cache/logkeep-bench),
made once with pip. One that cannot be installed is left out, and why is printed.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("LOGKEEP_BENCH_CACHE", "~/.cache/logkeep-bench")).expanduser()
CONFIG = """
[storage]
path = "{storage}"
min_free = 0
[[lexiang]]
name = "bench"
app_key = "{app_key}"
app_secret = "{app_secret}"
base_url = "{base_url}"
per_page = {per_page}
requests_per_second = 100000.0
[download]
allow_http = true
allow_private_addresses = true
[log]
level = "error"
"""


@dataclass(frozen=True)
class Task:
    """The vendor to read, the folder to write to, the page size."""

    base_url: str
    app_key: str
    app_secret: str
    folder: Path
    per_page: int

    @property
    def arguments(self) -> list[str]:
        """For the peers' scripts."""
        return [self.base_url, self.app_key, self.app_secret, str(self.folder), str(self.per_page)]


@dataclass(frozen=True)
class Contender:
    """``commands`` run in a pipe; ``pattern`` finds what they wrote, below the task's folder."""

    name: str
    pattern: str
    commands: Callable[[Task], Sequence[Sequence[str]]]
    environments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prepare: Callable[[Task], object] = lambda _task: None


def contenders(only: Sequence[str]) -> Iterator[Contender]:
    """logkeep, and those of its peers that can be had."""
    for contender in (logkeep(), PLAIN, DLT, SINGER):
        if only and contender.name not in only:
            continue
        missing = [why for name, packages in contender.environments.items() if (why := install(name, packages))]
        if missing:
            print(f"{contender.name} is left out: {missing[0]}")
        else:
            yield contender


def logkeep() -> Contender:
    """This program, in the environment that runs this."""
    command = [sys.executable, "-m", "logkeep", "--config"]
    return Contender(
        "logkeep",
        "storage/lexiang/bench/*/*/*.jsonl.gz",
        lambda task: [[*command, str(task.folder / "config.toml"), "sync", "lexiang"]],
        prepare=write_config,
    )


def write_config(task: Task) -> Path:
    """Settings for a storage in the task's folder."""
    config = task.folder / "config.toml"
    known = {name: getattr(task, name) for name in ("app_key", "app_secret", "base_url", "per_page")}
    config.write_text(CONFIG.format(storage=task.folder / "storage", **known))
    config.chmod(0o600)
    return config


def install(name: str, packages: Sequence[str]) -> str:
    """Make the environment if it is not there; why that failed, or nothing."""
    home = CACHE / name
    if (home / "ready").exists():
        return ""
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    (home / "ready").touch()
    return ""


def _python(environment: str) -> str:
    return str(CACHE / environment / "bin" / "python")


PLAIN = Contender(
    "plain",
    "records.jsonl",
    lambda task: [[_python("plain"), str(HERE / "plain.py"), *task.arguments]],
    {"plain": ("aiohttp", "orjson")},
)
"""Twenty-five lines of aiohttp and orjson."""
DLT = Contender(
    "dlt",
    "out/lexiang/download_logs/*.jsonl.gz",
    lambda task: [[_python("dlt"), str(HERE / "dlt_pipeline.py"), *task.arguments]],
    {"dlt": ("dlt",)},
)
SINGER = Contender(
    "singer",
    "download_logs-*.jsonl",
    lambda task: [
        [_python("singer-sdk"), str(HERE / "singer_tap.py"), *task.arguments],
        [str(CACHE / "target-jsonl" / "bin" / "target-jsonl")],
    ],
    {"singer-sdk": ("singer-sdk",), "target-jsonl": ("target-jsonl",)},
)
"""A tap on the Singer SDK, and a target that its requirements keep in another environment."""
