"""Nothing on the disk, prepared by whomever, leads the store out of its root."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from logkeep.errors import StorageError
from logkeep.store.local import LocalStore
from store_contract import PATH, archived, publication, publish, stage, staged

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


@pytest.mark.parametrize("level", ["pan123", "pan123/main", "pan123/main/date=2025-06-20"])
async def test_a_symlink_on_the_way_is_never_followed(store: LocalStore, root: Path, level: str) -> None:
    outside = root.with_name("outside")
    outside.mkdir()
    (root / level).parent.mkdir(parents=True, exist_ok=True)
    (root / level).symlink_to(outside)
    with pytest.raises(StorageError):
        await publish(store, "a", b"data")
    with pytest.raises(StorageError):
        await store.size(PATH)
    assert list(outside.iterdir()) == []
    assert await staged(store, "a") == b"data"


async def test_a_symlink_at_the_end_is_never_followed(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"data")
    (root / PATH).parent.mkdir(parents=True)
    (root / PATH).symlink_to(tmp_path / "outside")
    for call in (publish(store, "a", b"data"), archived(store, PATH), store.digest(PATH), store.size(PATH)):
        with pytest.raises(StorageError):
            await call


async def test_a_symlink_in_staging_is_never_followed(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"precious")
    (root / ".logkeep/tmp/a").symlink_to(tmp_path / "outside")
    for call in (
        stage(store, "a", b"x"),
        stage(store, "a", b"x", keep_bytes=1),
        staged(store, "a"),
        store.flush(["a"]),
    ):
        with pytest.raises(StorageError):
            await call
    assert (tmp_path / "outside").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_what_is_no_plain_file_is_neither_read_nor_replaced(store: LocalStore, root: Path, kind: str) -> None:
    (root / PATH).parent.mkdir(parents=True)
    if kind == "folder":
        (root / PATH).mkdir()
    else:
        os.mkfifo(root / PATH)
    for call in (publish(store, "a", b"data"), archived(store, PATH), store.digest(PATH)):
        with pytest.raises(StorageError, match="not a plain file"):
            await call
    assert await staged(store, "a") == b"data"


async def test_only_plain_files_are_published(store: LocalStore, root: Path) -> None:
    (root / ".logkeep/tmp/a").symlink_to("/etc/passwd")
    (root / ".logkeep/tmp/b").mkdir()
    for name in ("a", "b"):
        with pytest.raises(StorageError):
            await store.publish([publication(name, b"data")])
    assert await store.size(PATH) is None
    assert await store.staged_sizes() == {}
