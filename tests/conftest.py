"""What holds for every test: the program's own code never blocks the event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

_ONCE_AT_START = (
    ("logkeep/catalog/schema.py", {"bring_up_to_date", "_upgrade", "_refuse_newer"}),  # alembic reads its scripts
    ("logkeep/store/lock.py", {"acquire", "release"}),  # microseconds, before anything else runs
    ("logkeep/config/sections.py", {"zone"}),  # a zone's file, cached afterwards
)


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> Iterator[BlockBuster]:
    """A blocking call made by logkeep on the loop fails the test that made it."""
    with blockbuster_ctx("logkeep", excluded_modules=["logkeep.simulator", "logkeep.config"]) as guard:
        for function in guard.functions.values():
            for file, names in _ONCE_AT_START:
                function.can_block_in(file, names)
        yield guard
