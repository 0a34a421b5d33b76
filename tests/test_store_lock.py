"""One writer at a time, whoever it is and however it ends."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logkeep.errors import LockHeld, StorageError
from logkeep.store.lock import StorageLock

from manual_clock import ManualClock

CLOCK = ManualClock(datetime(2025, 6, 20, 7, 0, tzinfo=UTC))
HOLDER = """
import sys
from pathlib import Path
from logkeep.store.lock import StorageLock
lock = StorageLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@contextmanager
def another_process(path: Path) -> "Iterator[subprocess.Popen[str]]":
    """A process that has taken the lock."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_free_lock_is_taken_and_given_back(path: Path) -> None:
    lock = StorageLock(path)
    assert lock.holder() is None
    lock.acquire()
    lock.release()
    lock.release()
    with lock:
        assert lock.holder() is not None
    assert lock.holder() is None


def test_another_lock_of_this_process_is_refused(path: Path) -> None:
    with StorageLock(path, clock=CLOCK), pytest.raises(LockHeld) as caught:
        StorageLock(path).acquire()
    expected = rf"process {os.getpid()} on host \S+ since 2025-06-20T15:00:00\+08:00 \(.+\)"
    assert re.fullmatch(expected, caught.value.holder)


def test_the_same_lock_is_not_taken_twice(path: Path) -> None:
    with StorageLock(path) as lock:
        with pytest.raises(LockHeld, match="this very process"):
            lock.acquire()
        assert StorageLock(path).holder() is not None


def test_another_process_is_named(path: Path) -> None:
    with another_process(path) as process:
        with pytest.raises(LockHeld, match=rf"in use by process {process.pid} on host"):
            StorageLock(path).acquire()
        assert f"process {process.pid} " in (StorageLock(path).holder() or "")


def test_a_killed_holder_holds_nothing(path: Path) -> None:
    """Kill -9: the kernel lets go; the text that the dead one left is nobody's."""
    with another_process(path) as process:
        process.kill()
        process.wait()
        assert f'"pid": {process.pid}' in path.read_text()
        assert StorageLock(path).holder() is None
        with StorageLock(path) as lock:
            assert f"process {os.getpid()} " in (lock.holder() or "")


def test_asking_who_holds_it_does_not_take_it(path: Path) -> None:
    asking = StorageLock(path)
    asking.holder()
    with StorageLock(path):
        first = asking.holder()
        assert asking.holder() == first is not None


def test_asking_makes_no_file(path: Path) -> None:
    assert StorageLock(path).holder() is None
    assert not path.exists()


def test_the_file_stays_with_one_line_of_facts(path: Path) -> None:
    path.write_text("x" * 5000)
    inode = path.stat().st_ino
    with StorageLock(path, clock=CLOCK):
        facts = json.loads(path.read_text())
        assert path.read_text().count("\n") == 1
    assert facts["pid"] == os.getpid()
    assert set(facts) == {"pid", "host", "started_at", "command"}
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("mask", [0, 0o077])
def test_the_file_is_readable_for_the_group(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with StorageLock(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"[]", b"{}", b'{"pid": 1}', b"[" * 4000, b"null"],
    ids=["empty", "binary", "list", "no facts", "few facts", "deep", "null"],
)
def test_a_holder_that_wrote_nonsense_still_holds(path: Path, text: bytes) -> None:
    with StorageLock(path):
        path.write_bytes(text)
        with pytest.raises(LockHeld, match="did not say who it is"):
            StorageLock(path).acquire()


def test_a_holder_cannot_write_into_the_terminal(path: Path) -> None:
    with StorageLock(path):
        facts = {"pid": 1, "host": "\x1b[2J" * 500, "started_at": "a\nb", "command": "\u202e"}
        path.write_text(json.dumps(facts))
        said = StorageLock(path).holder() or ""
        assert said.isprintable()
        assert len(said) < 1500


def test_a_lock_in_no_folder_is_a_storage_error(tmp_path: Path) -> None:
    lock = StorageLock(tmp_path / "missing/lock")
    with pytest.raises(StorageError, match=r"cannot lock .*No such file"):
        lock.acquire()
    assert lock.holder() is None


def test_a_symlink_is_no_lock(path: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError):
        StorageLock(path).acquire()
    assert (tmp_path / "precious").read_text() == "precious"


def test_the_lock_is_given_back_when_its_work_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), StorageLock(path):
        raise ZeroDivisionError
    with StorageLock(path):
        pass
