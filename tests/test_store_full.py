"""A disk that really is full, read-only, or gone: on a small file system of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logkeep.errors import StorageError, StorageFull
from logkeep.store.local import LocalStore
from store_contract import PATH, archived, publication, publish, stage, staged

KIB = 1024
RESERVE_BYTES = 256 * KIB
OPTIONS = "size=2m,mode=0755"

pytestmark = pytest.mark.system


def mount(point: Path, options: str) -> None:
    run = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "logkeep-test", str(point)], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {run.stderr.strip()}")


def remount(point: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(point)], check=True)


def bind(folder: Path, point: Path) -> None:
    subprocess.run(["mount", "--bind", str(folder), str(point)], check=True)


def unmount(point: Path) -> None:
    subprocess.run(["umount", str(point)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 2 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    mount(point, OPTIONS)
    yield point
    while point.is_mount():
        unmount(point)


@pytest.fixture
async def store(disk: Path) -> LocalStore:
    local = LocalStore(disk, create=True, reserve_bytes=RESERVE_BYTES)
    await local.open()
    return local


def fill(disk: Path, *, leave_bytes: int = 0) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - leave_bytes))
    return filler


def exhaust_names(disk: Path) -> None:
    remount(disk, "nr_inodes=20")
    for number in range(20 - len(list(disk.rglob("*"))) - 1):
        (disk / f"{number}").touch()
    with pytest.raises(OSError, match="No space left"):
        (disk / "one more").touch()


async def test_a_full_disk_stops_a_download_at_a_beginning_of_its_bytes(store: LocalStore) -> None:
    pieces = [bytes([number]) * 300 * KIB for number in range(10)]
    with pytest.raises(StorageFull, match=r"^cannot write .*: No space left on device \(make room\)$"):
        await stage(store, "a", *pieces)
    left = await staged(store, "a")
    assert left == b"".join(pieces)[: len(left)]
    assert 1000 * KIB < len(left) < 2048 * KIB


async def test_a_full_disk_is_full_for_small_objects_too(store: LocalStore, disk: Path) -> None:
    fill(disk)
    with pytest.raises(StorageFull):
        await stage(store, "a", b"x" * 8 * KIB)


async def test_the_reserve_makes_room_and_waits_until_there_is_enough(store: LocalStore, disk: Path) -> None:
    filler = fill(disk)
    assert await store.free_bytes() < 16 * KIB
    assert await store.release_reserve() is True
    assert await store.free_bytes() >= RESERVE_BYTES
    await stage(store, "a", b"x" * 64 * KIB)
    await store.restore_reserve()
    assert not (disk / ".logkeep/reserve").exists()
    filler.unlink()
    await store.restore_reserve()
    assert (disk / ".logkeep/reserve").stat().st_blocks * 512 >= RESERVE_BYTES


async def test_downloads_go_on_once_there_is_room(store: LocalStore, disk: Path) -> None:
    filler = fill(disk, leave_bytes=320 * KIB)
    data = b"0123456789abcdef" * 40 * KIB
    with pytest.raises(StorageFull):
        await stage(store, "a", data)
    kept = (await store.staged_sizes())["a"]
    assert 0 < kept < len(data)
    filler.unlink()
    await stage(store, "a", data[kept:], keep_bytes=kept)
    await store.flush(["a"])
    await store.publish([publication("a", data)])
    assert await archived(store, PATH) == data


async def test_a_full_disk_is_still_the_same_store(store: LocalStore, disk: Path) -> None:
    """Full of bytes, then without room for one more name: neither means that the disk has changed."""
    fill(disk)
    await store.check()
    exhaust_names(disk)
    await store.check()


async def test_starting_on_a_full_disk_gives_up_the_reserve(store: LocalStore, disk: Path) -> None:
    await store.close()
    fill(disk)
    again = LocalStore(disk, create=False, reserve_bytes=RESERVE_BYTES)
    await again.open()
    assert not (disk / ".logkeep/reserve").exists()
    assert await again.free_bytes() > RESERVE_BYTES // 2


async def test_starting_on_a_full_disk_without_a_reserve_is_refused(store: LocalStore, disk: Path) -> None:
    await store.release_reserve()
    fill(disk)
    with pytest.raises(StorageFull, match="cannot write in the storage path"):
        await LocalStore(disk, create=False, reserve_bytes=RESERVE_BYTES).open()


async def test_a_disk_without_room_for_a_folder_is_full(store: LocalStore, disk: Path) -> None:
    await stage(store, "a", b"data")
    await store.flush(["a"])
    remount(disk, "nr_inodes=8")
    with pytest.raises(StorageFull, match="cannot publish"):
        await store.publish([publication("a", b"data")])
    remount(disk, "nr_inodes=100")
    await store.publish([publication("a", b"data")])
    assert await archived(store, PATH) == b"data"


async def test_a_disk_that_became_read_only_is_noticed(store: LocalStore, disk: Path) -> None:
    await publish(store, "a", b"data")
    remount(disk, "ro")
    for call in (store.check(), stage(store, "b", b"x"), LocalStore(disk, create=True).open()):
        with pytest.raises(StorageError, match=r"Read-only file system \(mount it for writing\)"):
            await call
    assert await archived(store, PATH) == b"data"


async def test_an_unmounted_disk_is_noticed_and_welcome_back(store: LocalStore, disk: Path) -> None:
    """The store holds nothing open, so it can be unmounted; nothing is written below the mount point."""
    await stage(store, "a", b"data")
    unmount(disk)
    with pytest.raises(StorageError, match="no longer the folder it was at the start"):
        await store.check()
    with pytest.raises(StorageError, match="is its disk mounted"):
        await stage(store, "b", b"data")
    with pytest.raises(StorageError, match="mount its disk"):
        await LocalStore(disk, create=False).open()
    assert list(disk.iterdir()) == []


async def test_staging_on_another_device_is_refused(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / ".logkeep").mkdir(parents=True)
    (root / ".logkeep/tmp").symlink_to(disk)
    with pytest.raises(StorageError, match="lies on another device"):
        await LocalStore(root, create=True).open()
    assert list(disk.iterdir()) == []


async def test_staging_that_cannot_be_renamed_from_is_refused(disk: Path) -> None:
    """The same device by its number, and yet no rename: a bind mount. Only trying finds it out."""
    root, elsewhere = disk / "root", disk / "elsewhere"
    staging = root / ".logkeep/tmp"
    staging.mkdir(parents=True)
    elsewhere.mkdir()
    bind(elsewhere, staging)
    try:
        with pytest.raises(StorageError, match="Invalid cross-device link"):
            await LocalStore(root, create=True, reserve_bytes=0).open()
    finally:
        unmount(staging)
    assert list(elsewhere.iterdir()) == []
