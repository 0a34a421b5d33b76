"""What is told of each pass over a stream is that pass's own."""

from pathlib import Path

from structlog.testing import capture_logs

from lexiang_world import stream_world
from logkeep.simulator import OMIT


async def test_passes_of_one_sync_are_counted_each_by_itself(tmp_path: Path) -> None:
    """Something suspect calls for further passes; what ``sync`` sums up is all of them."""
    async with stream_world(tmp_path) as w:
        w.account.populate(45, days=1)
        w.account.add_record(overrides={"id": OMIT})
        with capture_logs() as told:
            summed, _ = await w.sync()
        passes = [event for event in told if event["event"] == "record_pass_finished"]
        assert len(passes) > 1
        assert sum(event["pages"] for event in passes) == summed.pages == w.asked()
        assert [event["records"] for event in passes] == [45] + [0] * (len(passes) - 1)
