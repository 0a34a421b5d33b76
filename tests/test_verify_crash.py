"""Mending is cut off between any two of its steps, and goes on: no record on two lines, none that is known and gone."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lexiang_world import HOUR, stream_world
from logkeep.catalog import Catalog
from logkeep.daemon.archiver import catalog_path
from logkeep.errors import StorageError
from logkeep.model import AccountKey
from logkeep.records.repair import SegmentMender
from logkeep.store.local import LocalStore
from logkeep.store.port import Publication
from test_verify_files import damaged, flip, remove, truncate
from test_verify_segments import busiest, lose_a_line, verify

KEY = AccountKey("lexiang", "hq")


class Dying(LocalStore):
    """Its n-th step ends all of it: half of the steps before they happen, half after."""

    def __init__(self, root: Path, at: int) -> None:
        super().__init__(root, create=False)
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise StorageError("the end")

    async def set_aside(self, path: str, name: str) -> str | None:
        self.step()
        where = await super().set_aside(path, name)
        self.step()
        return where

    async def flush(self, temp_names: Sequence[str]) -> None:
        self.step()
        await super().flush(temp_names)

    async def publish(self, batch: Sequence[Publication]) -> None:
        self.step()
        await super().publish(batch)
        self.step()


@pytest.mark.parametrize("harm", [truncate, lose_a_line, flip, remove])
@pytest.mark.parametrize("at", range(1, 7))
async def test_mending_a_segment_is_cut_off_anywhere(tmp_path: Path, harm: object, at: int) -> None:
    async with stream_world(tmp_path) as kept:
        kept.account.populate(30, days=2, end=kept.ago(hours=1))
        await kept.sync()
        path, count = busiest(kept)
        lines = {line["id"] for line in kept.segments()[path]}
        assert callable(harm)
        harm(kept.root / path)
        await verify(kept)
        catalog, store = Catalog(catalog_path(kept.settings())), Dying(kept.root, at)
        await catalog.open()
        await store.open()
        try:
            stream = await catalog.streams.get(1)
            await SegmentMender(catalog, store, kept.clock).mend(KEY, stream)
        except StorageError:
            assert store.left <= 0
        finally:
            await catalog.close()
        kept.clock.advance(HOUR)
        _, stands = await kept.sync()
        assert (set(kept.ids().values()), set(kept.ids())) == ({1}, set(kept.account.ids()))
        assert (list(stands.gaps), damaged(await verify(kept)), len(lines)) == ([], {}, count)
        aside = list((kept.root / ".logkeep" / "quarantine").iterdir())
        assert len(aside) == (0 if harm is remove else 1)
