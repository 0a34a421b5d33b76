"""The store on a local disk: the contract, and opening, checking, modes and the reserve."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from logkeep.errors import StorageError
from logkeep.store.local import LocalStore
from store_contract import PATH, StoreContract, archived, publication, publish, stage

KIB = 1024


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    local = LocalStore(tmp_path / "root", create=True, reserve_bytes=64 * KIB)
    await local.open()
    yield local
    await local.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


class TestTheLocalStoreKeepsTheContract(StoreContract):
    pass


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
async def test_modes_are_ours_whatever_the_umask(root: Path, mask: int) -> None:
    """Logs are personal data: folders 0750, files 0640, never wider and never too narrow for the group."""
    if mask == 0o777 and os.geteuid() != 0:
        pytest.skip("under this umask only root can enter a folder between its making and its chmod")
    with umask(mask):
        store = LocalStore(root, create=True, reserve_bytes=64 * KIB)
        await store.open()
        await publish(store, "a", b"small")
        await publish(store, "b", b"x" * 600 * KIB, "pan123/main/hour=unknown/13-x.gz")
        await stage(store, "c", b"x")
        await stage(store, "d", b"x" * 600 * KIB)
        await store.quarantine("d", "q")
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.lstat().st_mode) == (0o750 if path.is_dir() else 0o640), path


async def test_a_folder_of_the_operator_keeps_its_mode(root: Path) -> None:
    root.mkdir()
    root.chmod(0o2755)
    await LocalStore(root, create=True, reserve_bytes=0).open()
    assert stat.S_IMODE(root.stat().st_mode) == 0o2755


@pytest.mark.usefixtures("store")
async def test_opening_leaves_only_the_documented_layout(root: Path) -> None:
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        ".logkeep",
        ".logkeep/quarantine",
        ".logkeep/reserve",
        ".logkeep/tmp",
    ]


async def test_an_unmounted_disk_is_refused(root: Path) -> None:
    """``create = false``: an empty mount point must not be mistaken for an empty archive."""
    root.mkdir()
    with pytest.raises(StorageError, match=r"holds no \.logkeep folder: mount its disk, or set \[storage\] create"):
        await LocalStore(root, create=False).open()
    assert list(root.iterdir()) == []


async def test_a_missing_root_is_not_made_unasked(root: Path) -> None:
    with pytest.raises(StorageError, match="mount its disk"):
        await LocalStore(root, create=False).open()
    assert not root.exists()


async def test_an_existing_archive_opens_without_create(store: LocalStore, root: Path) -> None:
    await publish(store, "a", b"data")
    again = LocalStore(root, create=False)
    await again.open()
    assert await archived(again, PATH) == b"data"


@pytest.mark.parametrize("create", [True, False])
async def test_a_root_that_is_a_file_is_refused(root: Path, create: bool) -> None:
    root.write_text("not a folder")
    with pytest.raises(StorageError, match="is not a folder"):
        await LocalStore(root, create=create).open()


async def test_a_root_below_a_file_is_refused(root: Path) -> None:
    root.write_text("not a folder")
    with pytest.raises(StorageError, match=r"cannot use the storage path .*: Not a directory"):
        await LocalStore(root / "deeper", create=True).open()


async def test_a_root_behind_a_symlink_is_welcome(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    root.mkdir()
    store = LocalStore(tmp_path / "link", create=True)
    await store.open()
    await publish(store, "a", b"data")
    assert (root / PATH).read_bytes() == b"data"


async def test_an_error_fits_one_line_whatever_the_path(tmp_path: Path) -> None:
    odd = tmp_path / "new\nline\x1b[2J"
    odd.write_text("not a folder")
    with pytest.raises(StorageError) as caught:
        await LocalStore(odd, create=True).open()
    assert str(caught.value).isprintable()


async def test_a_root_that_was_replaced_is_noticed(store: LocalStore, root: Path) -> None:
    """As when the disk is unmounted, or another one mounted over it."""
    await store.check()
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    with pytest.raises(
        StorageError, match=r"no longer the folder it was at the start: device \d+:\d+ inode \d+ became"
    ):
        await store.check()


async def test_nothing_is_written_where_the_disk_was(store: LocalStore, root: Path) -> None:
    await stage(store, "a", b"data")
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    for call in (
        stage(store, "b", b"data"),
        stage(store, "b", b"x" * 600 * KIB),
        store.publish([publication("a", b"data")]),
        store.flush(["a"]),
        store.quarantine("a", "q"),
        store.adopt_quarantined("q", "a"),
        store.staged_sizes(),
        store.discard("a"),
        store.restore_reserve(),
    ):
        with pytest.raises(StorageError):
            await call
    assert list(root.iterdir()) == []


async def test_a_root_that_disappeared_is_noticed(store: LocalStore, root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(StorageError, match=r"cannot check the storage path .*is its disk mounted"):
        await store.check()
    with pytest.raises(StorageError):
        await store.free_bytes()
    with pytest.raises(StorageError):
        await store.size(PATH)


async def test_checking_leaves_nothing_behind(store: LocalStore, root: Path) -> None:
    before = sorted(root.rglob("*"))
    await store.check()
    assert sorted(root.rglob("*")) == before


async def test_checking_before_opening_is_refused(root: Path) -> None:
    root.mkdir()
    with pytest.raises(StorageError, match="nothing opened"):
        await LocalStore(root, create=True).check()


async def test_the_reserve_takes_real_room(store: LocalStore, root: Path) -> None:
    reserve = root / ".logkeep/reserve"
    assert reserve.stat().st_blocks * 512 >= 64 * KIB
    assert await store.release_reserve() is True
    assert not reserve.exists()
    assert await store.release_reserve() is False
    await store.restore_reserve()
    assert reserve.stat().st_size == 64 * KIB


async def test_an_interrupted_reserve_is_made_anew(store: LocalStore, root: Path) -> None:
    reserve = root / ".logkeep/reserve"
    os.truncate(reserve, 5)
    await store.restore_reserve()
    assert reserve.stat().st_size == 64 * KIB


async def test_a_reserve_larger_than_half_the_free_room_is_not_taken(root: Path) -> None:
    free = os.statvfs(root.parent)
    store = LocalStore(root, create=True, reserve_bytes=free.f_bavail * free.f_frsize * 3 // 5)
    await store.open()
    assert not (root / ".logkeep/reserve").exists()


async def test_no_reserve_is_wanted(root: Path) -> None:
    store = LocalStore(root, create=True, reserve_bytes=0)
    await store.open()
    assert not (root / ".logkeep/reserve").exists()
    assert await store.release_reserve() is False


async def test_free_room_is_what_the_system_says(store: LocalStore, root: Path) -> None:
    facts = os.statvfs(root)
    assert abs(await store.free_bytes() - facts.f_bavail * facts.f_frsize) < 1 << 30


async def test_the_tests_run_on_a_local_disk(store: LocalStore) -> None:
    assert store.network_file_system() is None


async def test_reserve_changes_are_logged_once(store: LocalStore) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await store.release_reserve()
        for _ in range(2):
            await store.restore_reserve()
    assert [entry["event"] for entry in logs] == ["reserve_released", "reserve_taken"]
