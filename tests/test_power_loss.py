"""A loss of power at any moment: what was vouched for is there, nothing partial is seen, the next sync completes all.

A run of the real program is recorded, each of its file operations, and played to a disk that keeps what was synced and
of the rest only some. A part of the states of ``make crash``; that one looks at them all.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

import crash_points_ptrace as ptrace
from crash_points_effects import Effect
from crash_points_oracle import CATALOG, ledger
from crash_points_trace import tracer
from crash_points_world import SMALL, world
from powerloss_check import Checker
from powerloss_model import Choice, Disk, Fate
from powerloss_states import states

traced_only = pytest.mark.skipif(bool(ptrace.why_not()), reason=ptrace.why_not() or "it can be traced here")
EVERY = 30
SYNC_EVERY = 16


def disk_with(folder: Path, files: dict[str, bytes]) -> Disk:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return Disk(folder)


def everything_lost(disk: Disk) -> dict[str, bytes | None]:
    return disk.tree(Choice(frozenset(), others=Fate.LOST))


def everything_kept(disk: Disk) -> dict[str, bytes | None]:
    return disk.tree(Choice(frozenset(disk.moves)))


def created(disk: Disk, path: str, node: int, data: bytes) -> None:
    disk.apply(Effect("openat", "create", path, node=node))
    disk.apply(Effect("write", "write", path, node=node, data=data))


def root_of(folder: Path) -> int:
    return folder.stat().st_ino


def test_bytes_and_names_are_sure_once_file_and_folder_were_synced_and_not_before(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, {})
    created(disk, "f", -1, b"all of it")
    assert everything_lost(disk) == {}
    disk.apply(Effect("fsync", "sync", "", node=root_of(tmp_path)))
    assert everything_lost(disk) == {"f": b""}
    disk.apply(Effect("fsync", "sync", "f", node=-1))
    assert everything_lost(disk) == {"f": b"all of it"}


def test_a_file_renamed_before_it_was_synced_may_be_found_empty_under_its_new_name(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, {"there": b""})
    created(disk, "f", -1, b"all of it")
    disk.apply(Effect("rename", "rename", "f", "final", node=-1))
    disk.apply(Effect("fsync", "sync", "", node=root_of(tmp_path)))
    assert everything_lost(disk) == {"there": b"", "final": b""}
    assert everything_kept(disk) == {"there": b"", "final": b"all of it"}


def test_between_two_folders_a_renamed_file_is_found_under_one_name_or_both_and_never_under_none(
    tmp_path: Path,
) -> None:
    disk = disk_with(tmp_path, {"tmp/f": b"whole", "final/x": b""})
    disk.apply(Effect("rename", "rename", "tmp/f", "final/f", node=(tmp_path / "tmp/f").stat().st_ino))
    made, gone = disk.moves
    found = {
        frozenset(path for path, content in disk.tree(Choice(frozenset(kept))).items() if content == b"whole")
        for kept in ([], [made], [gone], [made, gone])
    }
    assert found == {frozenset({"tmp/f"}), frozenset({"tmp/f", "final/f"}), frozenset({"final/f"})}


def test_blocks_of_one_write_are_lost_one_by_one(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, {"f": b""})
    node = (tmp_path / "f").stat().st_ino
    disk.apply(Effect("write", "write", "f", node=node, data=b"a" * 4096 + b"b" * 4096))
    assert disk.tree(Choice(frozenset(), {node: frozenset({1})})) == {"f": bytes(4096) + b"b" * 4096}
    assert disk.tree(Choice(frozenset(), {node: Fate.ZEROS})) == {"f": bytes(8192)}


@traced_only
async def test_what_any_loss_of_power_leaves_is_whole_and_the_next_sync_completes_it_exactly_once(
    tmp_path: Path,
) -> None:
    """Also: with every effect played and nothing lost, the disk of the model is the real one, byte for byte."""
    base, storage = tmp_path / "base", tmp_path / "storage"
    async with world(tmp_path / "settings", datetime.now(UTC), SMALL, base) as made, tracer() as traced:
        shutil.copytree(base, storage)
        disk, replayed = Disk(storage), Disk(storage)
        config = str(made.config(storage))
        run, effects = await traced.recorded("--config", config, "sync", root=storage, folder=tmp_path / "printed")
        assert run.code == 0
        for effect in effects:
            replayed.apply(effect)
        assert everything_kept(replayed) == everything_kept(Disk(storage))
        checker = Checker(made, tmp_path / "scratch", ledger(base / CATALOG), sync_every=SYNC_EVERY)
        for state in states(disk, effects, 1, lambda _, number: number % EVERY == 0):
            await checker.check(state)
        assert checker.tally.violations == []
        assert checker.tally.distinct > 150
        assert checker.tally.synced > 8
