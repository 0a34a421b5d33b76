"""Removing from the local store: only files, only below the root, and only while its disk is there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from logkeep.errors import StorageError
from logkeep.store.local import LocalStore
from store_contract import PATH, archived, publish


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    local = LocalStore(tmp_path / "root", create=True, reserve_bytes=4096)
    await local.open()
    yield local
    await local.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


async def test_a_symlink_on_the_way_is_never_followed(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    precious = tmp_path / "outside" / "x.gz"
    precious.write_bytes(b"precious")
    (root / "pan123").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError):
        await store.remove(["pan123/x.gz"])
    assert precious.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["folder", "symlink"])
async def test_what_is_no_plain_file_stays(store: LocalStore, root: Path, kind: str) -> None:
    place = root / PATH
    place.parent.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(root / ".logkeep")
    with pytest.raises(StorageError):
        await store.remove([PATH])
    assert place.exists()


async def test_on_an_unmounted_disk_nothing_counts_as_gone(store: LocalStore, root: Path) -> None:
    """The folder below the mount point is there and empty: its files are elsewhere, not removed."""
    await publish(store, "a", b"data")
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    with pytest.raises(StorageError, match="is its disk mounted"):
        await store.remove([PATH])
    root.rmdir()
    root.with_name("unmounted").rename(root)
    assert await archived(store, PATH) == b"data"
