"""kill -9 at any moment: nothing lost, nothing twice, nothing half-written ever seen."""

import asyncio
import hashlib
import os
import random
import re
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.offered import OfferedFile
from program import Installation, Running, installation

KILLS = 10
WATCHED_HOURS = 6
LARGE_BYTES = 12 * 1024 * 1024
LOADING_S = 0.8


@contextmanager
def watched(folder: Path, broken: list[str], truth: "Truth") -> "Iterator[None]":
    """Look at every file in the archive again and again meanwhile; note each that is not what the vendor offers."""
    over = threading.Event()

    def watch() -> None:
        sound: set[tuple[str, int, int, int]] = set()
        while not over.wait(0.01):
            for path in files_below(folder):
                facts = path.stat()
                seen = (str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)
                if seen in sound:
                    continue
                if truth.knows(path):
                    sound.add(seen)
                else:
                    broken.append(str(path))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def id_of(name: str) -> str:
    """The id that an archived file's name begins with."""
    found = re.match(r"(\d+)(?:\.v\d+)?-", name)
    assert found is not None, name
    return found[1]


class Truth:
    """Digests of everything the vendor ever offered under an id; reading it is safe from any thread."""

    def __init__(self) -> None:
        self._digests: dict[str, set[str]] = {}

    def learn(self, file: OfferedFile) -> None:
        self._digests.setdefault(str(file.file_id), set()).add(file.sha256())

    def knows(self, path: Path) -> bool:
        return hashlib.sha256(path.read_bytes()).hexdigest() in self._digests.get(id_of(path.name), ())


def offer_more(made: Installation, truth: Truth, rng: random.Random, number: int) -> None:
    """New files for hours long listed, more bytes for a known one, and now and then a large one."""
    now = made.cloud.now()
    for _ in range(rng.randint(6, 12)):
        hour = now - timedelta(hours=rng.randint(1, WATCHED_HOURS))
        truth.learn(made.account.publish(hour, visible_from=now))
    if number % 3 == 0:
        truth.learn(made.account.publish(now - timedelta(hours=3), visible_from=now, size=LARGE_BYTES))
    if number % 2 == 0:
        grown = rng.choice(made.account.files()[:WATCHED_HOURS])
        made.account.grow(grown)
        truth.learn(grown)


async def killed_somewhere(made: Installation, rng: random.Random, number: int) -> str:
    """Call ``sync`` and kill it at a random moment; says in which part of its life that was."""
    made.cloud.reset()
    if number in (3, 7):
        running = await made.cold("sync")
        await asyncio.sleep(rng.uniform(0, LOADING_S))
        part = "loading"
    else:
        running = await made.start("sync")
        part = rng.choice(["opening", "listing", "downloading", "downloading", "ending"])
        await reach(made, running, part, rng)
    code = await running.kill()
    return part if code == -signal.SIGKILL else f"over before: {code}"


async def reach(made: Installation, running: Running, part: str, rng: random.Random) -> None:
    """Wait for a random moment in a part of its life."""
    if part == "opening":
        await asyncio.sleep(rng.uniform(0, 0.3))
        return
    kind, at_most = {"listing": ("list", 4), "downloading": ("download", 8), "ending": ("download", 10)}[part]
    arrived = asyncio.ensure_future(made.cloud.until(kind, rng.randint(1, at_most)))
    await asyncio.wait((arrived, running.ended), return_when=asyncio.FIRST_COMPLETED)
    arrived.cancel()
    await asyncio.sleep(rng.uniform(0, 0.25 if part == "ending" else 0.05))


def recorded(catalog: Path) -> list[tuple[str, str]]:
    """What the catalog says is archived: path and digest."""
    with sqlite3.connect(catalog) as connection:
        rows = connection.execute("SELECT path, lower(hex(sha256)) FROM versions ORDER BY path").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("seed", range(5))
async def test_killed_at_ten_random_moments_one_more_sync_completes_the_archive(tmp_path: Path, seed: int) -> None:
    """Fifty kills in five tests: while loading, opening, listing, downloading, publishing and recording."""
    rng, truth = random.Random(seed), Truth()
    broken: list[str] = []
    async with installation(tmp_path, seed=seed) as made:
        made.sections = {"download": {"concurrency": 3}}
        await made.watch(WATCHED_HOURS)
        for file in made.account.populate(WATCHED_HOURS, 1):
            truth.learn(file)
        assert (await made.run("sync")).code == 0
        made.cloud.faults.add(
            Fault("download", "slow", times=None, at=LARGE_BYTES // 40, pause=timedelta(milliseconds=8))
        )
        parts: Counter[str] = Counter()
        with watched(made.storage / "pan123", broken, truth):
            for number in range(KILLS):
                offer_more(made, truth, rng, number)
                parts[await killed_somewhere(made, rng, number)] += 1
            last = await made.run("sync")
        assert last.code == 0, last.err
        assert broken == []
        assert sum(count for part, count in parts.items() if not part.startswith("over")) >= KILLS - 3, parts
        found = {path: hashlib.sha256(data).hexdigest() for path, data in made.archived().items()}
        by_id = Counter((id_of(Path(path).name), digest) for path, digest in found.items())
        assert set(by_id.values()) == {1}, "no object twice"
        missing = [file.file_id for file in made.account.files() if (str(file.file_id), file.sha256()) not in by_id]
        assert missing == []
        assert all(truth.knows(made.storage / path) for path in found)
        assert recorded(made.catalog) == sorted(found.items())
        assert made.leftovers() == []
        assert (await made.run("gaps")).out == "no gaps\n"
        again = await made.run("sync")
        assert (again.code, "0 files archived" in again.out) == (0, True)
