"""The local store against a model of three dictionaries, through any order of calls, failures and reopenings."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from logkeep.errors import StorageError
from logkeep.store.local import LocalStore
from store_contract import archived, publication, stage, staged

Result = TypeVar("Result")

names = st.sampled_from(["a", "b", "c"])
odd_names = st.sampled_from(["q", "r"])
paths = st.sampled_from(["v/x/1.gz", "v/x/2.gz", "v/y/1.gz", "w/1.gz"])
contents = st.sampled_from([b"", b"one", b"two", b"x" * 300_000, bytes(range(256)) * 4500])


class StoreMachine(RuleBasedStateMachine):
    """A rule is one call on the store and the same on the model; the runner lends all rules one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="store-machine-"))
        self.staged: dict[str, bytes] = {}
        self.archived: dict[str, bytes] = {}
        self.quarantined: dict[str, bytes] = {}
        self.store = LocalStore(self.root, create=True, reserve_bytes=4096)
        self.run(self.store.open())

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(call)

    def teardown(self) -> None:
        self.runner.close()
        shutil.rmtree(self.root)

    @rule(name=names, data=contents)
    def stage_anew(self, name: str, data: bytes) -> None:
        self.run(stage(self.store, name, data[:1000], data[1000:]))
        self.staged[name] = data

    @rule(name=names, data=contents, fraction=st.floats(0, 1))
    def stage_a_part(self, name: str, data: bytes, fraction: float) -> None:
        """The connection breaks; what arrived stays."""
        arrived = data[: int(len(data) * fraction)]

        async def broken() -> None:
            async with self.store.stage(name) as sink:
                await sink.write(arrived)
                raise ConnectionError

        with pytest.raises(ConnectionError):
            self.run(broken())
        self.staged[name] = arrived

    @rule(name=names, rest=contents, keep_bytes=st.one_of(st.integers(1, 4), st.integers(1, 400_000)))
    def resume(self, name: str, rest: bytes, keep_bytes: int) -> None:
        call = stage(self.store, name, rest, keep_bytes=keep_bytes)
        if len(self.staged.get(name, b"")) < keep_bytes:
            with pytest.raises(StorageError):
                self.run(call)
        else:
            self.run(call)
            self.staged[name] = self.staged[name][:keep_bytes] + rest

    @rule(batch=st.dictionaries(names, paths, min_size=1))
    def publish(self, batch: dict[str, str]) -> None:
        """Any batch: of staged objects and missing ones, onto free paths and taken ones, two onto the same."""
        known = {name: self.staged.get(name, b"never staged") for name in batch}
        self.run(self.store.flush([name for name in batch if name in self.staged]))
        call = self.store.publish([publication(name, known[name], path) for name, path in batch.items()])
        for name, path in batch.items():
            possible = self.archived[path] == known[name] if path in self.archived else name in self.staged
            if not possible:
                with pytest.raises(StorageError):
                    self.run(call)
                return
            self.archived[path] = known[name]
            self.staged.pop(name, None)
        self.run(call)

    @precondition(lambda self: self.archived)
    @rule(data=st.data(), name=names, twin=st.booleans())
    def publish_again(self, data: st.DataObject, name: str, twin: bool) -> None:
        """After a crash, or with the same bytes downloaded once more."""
        path = data.draw(st.sampled_from(sorted(self.archived)))
        if twin:
            self.run(stage(self.store, name, self.archived[path]))
            self.run(self.store.flush([name]))
        self.run(self.store.publish([publication(name, self.archived[path], path)]))
        self.staged.pop(name, None)

    @rule(name=names)
    def discard(self, name: str) -> None:
        self.run(self.store.discard(name))
        self.staged.pop(name, None)

    @rule(name=names, odd_name=odd_names)
    def quarantine(self, name: str, odd_name: str) -> None:
        call = self.store.quarantine(name, odd_name)
        if name not in self.staged:
            with pytest.raises(StorageError):
                self.run(call)
        else:
            assert self.root.joinpath(self.run(call)).is_file()
            self.quarantined[odd_name] = self.staged.pop(name)

    @rule(name=names, odd_name=odd_names)
    def adopt(self, name: str, odd_name: str) -> None:
        assert self.run(self.store.adopt_quarantined(odd_name, name)) == (odd_name in self.quarantined)
        if odd_name in self.quarantined:
            self.staged[name] = self.quarantined.pop(odd_name)

    @rule(odd_name=odd_names)
    def drop(self, odd_name: str) -> None:
        self.run(self.store.drop_quarantined(odd_name))
        self.quarantined.pop(odd_name, None)

    @rule()
    def give_up_and_take_back_the_reserve(self) -> None:
        assert self.run(self.store.release_reserve())
        assert not self.run(self.store.release_reserve())
        self.run(self.store.restore_reserve())

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = LocalStore(self.root, create=False, reserve_bytes=4096)
        self.run(self.store.open())

    @invariant()
    def staging_is_as_the_model_says(self) -> None:
        assert self.run(self.store.staged_sizes()) == {name: len(data) for name, data in self.staged.items()}
        assert {name: self.run(staged(self.store, name)) for name in self.staged} == self.staged
        assert self.run(self.store.quarantined()) == {name: len(data) for name, data in self.quarantined.items()}

    @invariant()
    def the_archive_is_as_the_model_says(self) -> None:
        visible = {path for path in self.root.rglob("*") if path.is_file() and ".logkeep" not in path.parts}
        assert {str(path.relative_to(self.root)) for path in visible} == set(self.archived)
        for path, data in self.archived.items():
            assert self.run(archived(self.store, path)) == data
            assert self.run(self.store.size(path)) == len(data)
            assert self.run(self.store.digest(path)) == sha256(data).hexdigest()

    @invariant()
    def it_is_the_same_store(self) -> None:
        self.run(self.store.check())


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
