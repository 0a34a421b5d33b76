"""A storage path that the daemon's user may not write: refused at the start, in words that help."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from logkeep.store.local import LocalStore

NOBODY = 65534
OPENER = """
import asyncio, json, os, sys, tempfile
from pathlib import Path
from logkeep.errors import LogkeepError
from logkeep.store.local import LocalStore
from logkeep.store.lock import StorageLock

with tempfile.TemporaryDirectory() as folder:  # imports everything, while the interpreter's files may be read
    asyncio.run(LocalStore(Path(folder), create=True).open())
root, user = Path(sys.argv[1]), int(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
said = []
for attempt in (
    lambda: asyncio.run(LocalStore(root, create=sys.argv[3] == "create").open()),
    lambda: StorageLock(root / ".logkeep/lock").acquire(),
):
    try:
        attempt()
    except LogkeepError as refusal:
        said.append([type(refusal).__name__, str(refusal)])
print(json.dumps(said))
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that another user can reach: ``tmp_path`` is closed to everybody else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "root"


def opened_by_another_user(root: Path, how: str) -> list[list[str]]:
    """What a user without privileges is told on opening the store and taking the lock."""
    command = [sys.executable, "-c", OPENER, str(root), str(NOBODY), how]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said: list[list[str]] = json.loads(run.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_root_that_may_not_be_written_is_refused(root: Path, mode: int) -> None:
    root.mkdir()
    root.chmod(mode)
    (kind, message), _ = opened_by_another_user(root, "create")
    assert kind == "StorageError"
    advice = "let the user that runs logkeep write there"
    assert message == f"cannot use the storage path {root}: Permission denied ({advice})"
    root.chmod(0o700)
    assert list(root.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make an archive of somebody else's")
def test_an_archive_of_another_user_is_refused(root: Path) -> None:
    asyncio.run(LocalStore(root, create=True, reserve_bytes=0).open())
    before = sorted(root.rglob("*"))
    said = opened_by_another_user(root, "no")
    assert [kind for kind, _ in said] == ["StorageError", "StorageError"]
    assert all("Permission denied" in message for _, message in said)
    assert sorted(root.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make an archive of somebody else's")
def test_an_archive_that_may_be_read_but_not_written_is_refused(root: Path) -> None:
    """Everything in place and visible: only really writing finds it out."""
    asyncio.run(LocalStore(root, create=True, reserve_bytes=0).open())
    for folder in (root, root / ".logkeep", root / ".logkeep/tmp", root / ".logkeep/quarantine"):
        folder.chmod(0o755)
    (kind, message), (lock_kind, _) = opened_by_another_user(root, "no")
    assert (kind, lock_kind) == ("StorageError", "StorageError")
    assert message.startswith(f"cannot write in the storage path {root}: Permission denied")
