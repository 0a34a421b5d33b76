"""What a vendor may answer that nobody would expect, and what becomes of it: archived, or named as a gap."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from logkeep.cli.explain import _stories
from logkeep.cli.invocation import beside
from logkeep.errors import AccountPaused, CredentialsRefused
from logkeep.files.report import Standing
from logkeep.model import Hour, HourState
from logkeep.simulator.faults import Fault
from logkeep.simulator.pan123.offered import OMIT

from archive_world import HOUR, World, reasons, state_of, states, truth, world

PAGE = b"<html><body>please log in</body></html>"
PLAIN = b"198.51.100.7 GET /archive.zip 200\n" * 20


@contextmanager
def events(name: str) -> Iterator[list[dict[str, Any]]]:
    """The log's events of one name, complete when the context ends."""
    found: list[dict[str, Any]] = []
    with capture_logs() as logged:
        yield found
    found.extend(dict(event) for event in logged if event["event"] == name)


def pages_asked(w: World) -> list[tuple[str, int | None]]:
    return [(request.params["startHour"], request.page) for request in w.cloud.requests if request.kind == "list"]


def others_than(hour: datetime, stands: Standing) -> set[HourState]:
    return {judged.state for judged in stands.ledger if judged.hour != Hour.of(hour)}


FINE = {HourState.COMPLETE, HourState.EMPTY, HourState.OPEN}


# --- pages


async def test_a_walk_ends_at_an_empty_page(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours, w.pan123["page_size"] = 8, 2
        offered = w.account.populate(8, 1)
        _, stands = await w.sync()
        first = pages_asked(w)[0][0]
        assert [page for start, page in pages_asked(w) if start == first][:5] == [1, 2, 3, 4, 5]
        assert w.digests() == truth(offered)
        assert stands.gaps == []


@pytest.mark.parametrize("files", [1, 3, 4, 5])
async def test_a_walk_ends_at_a_page_identical_to_the_one_before(tmp_path: Path, files: int) -> None:
    """The server shows its last page for ever, whether that page is full or short."""
    async with world(tmp_path, repeat_last_page=True) as w:
        w.watched_hours, w.pan123["page_size"] = 4, 2
        offered = w.account.publish(w.hour(4), count=files)
        _, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert set(states(stands)) <= FINE


async def test_page_two_identical_to_a_full_page_one_halves_the_span(tmp_path: Path) -> None:
    """``pageNum`` is ignored: eight files in eight hours, four to a page, are seen hour by hour."""
    async with world(tmp_path, ignore_page_num=True) as w:
        w.watched_hours, w.pan123["page_size"] = 8, 4
        offered = w.account.populate(8, 1)
        with events("span_shortened") as shortened:
            _, stands = await w.sync()
        assert shortened[0]["reason"].startswith("paging not honoured")
        assert w.digests() == truth(offered)
        assert stands.gaps == []


async def test_an_hour_whose_pages_cannot_be_turned_is_failed_and_what_it_shows_is_archived(tmp_path: Path) -> None:
    async with world(tmp_path, ignore_page_num=True) as w:
        w.watched_hours, w.pan123["page_size"] = 8, 4
        w.account.populate(8, 1)
        crowded = w.hour(6)
        hidden = w.account.publish(crowded, count=5)
        _, stands = await w.sync()
        state, reason = state_of(stands, crowded)
        assert (state, reason.split(":")[0]) == (HourState.FAILED, "paging not honoured")
        assert [gap.start for gap in stands.gaps] == [crowded]
        assert others_than(crowded, stands) <= FINE
        assert len(w.digests()) == 7 + 4, "the newest four of the crowded hour were shown on page 1"
        w.cloud.ignore_page_num = False
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert stands.gaps == []
        assert set(truth(hidden)) <= set(w.digests())


async def test_a_server_that_caps_pages_below_what_was_asked_hides_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, page_cap=3) as w:
        w.watched_hours = 8
        offered = w.account.populate(8, 2)
        _, stands = await w.sync()
        assert w.digests() == truth(offered)
        assert stands.gaps == []


# --- rows


async def test_a_row_with_an_unreadable_time_range_is_filed_by_the_hour_in_its_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        hour = w.hour(5)
        w.account.publish(hour, file_id=900, overrides={"logTimeRange": "last night"})
        _, stands = await w.sync()
        (path,) = (path for path in w.archived() if "/900-" in path)
        assert f"date={hour:%Y-%m-%d}/hour={hour:%H}/" in path
        assert stands.gaps == []


async def test_a_row_whose_hour_nothing_tells_is_archived_under_hour_unknown(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        file = w.account.publish(w.hour(5), file_id=900, name="latest.gz", overrides={"logTimeRange": None})
        _, stands = await w.sync()
        assert w.archived()["pan123/main/hour=unknown/900-latest.gz"] == file.content.read(0, file.size_bytes)
        assert stands.gaps == []


async def test_a_file_of_unknown_hour_that_cannot_be_fetched_is_a_gap_and_is_asked_for_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        file = w.account.publish(w.hour(5), file_id=900, name="latest.gz", overrides={"logTimeRange": None})
        w.cloud.faults.add(Fault("download", "http_500", file_id=900, times=4))
        _, stands = await w.sync()
        assert [(gap.file_id, gap.start, gap.state) for gap in stands.gaps] == [("900", None, "failed")]
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert stands.gaps == []
        assert file.sha256() in w.digests()


@pytest.mark.parametrize("claimed", ["2041-01-01 05:00~06:00", "2024-05-01 05:00~06:00"], ids=["future", "long ago"])
async def test_a_file_of_an_hour_outside_the_ledger_that_cannot_be_fetched_is_a_gap_of_its_own(
    tmp_path: Path, claimed: str
) -> None:
    """Its hour is in no ledger, so nothing else would name it; it is asked for where it was seen."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        file = w.account.publish(w.hour(5), file_id=900, overrides={"logTimeRange": claimed})
        w.cloud.faults.add(Fault("download", "http_500", file_id=900, times=8))
        _, stands = await w.sync()
        assert [(gap.file_id, gap.state) for gap in stands.gaps] == [("900", "failed")]
        w.clock.advance(60 * HOUR)  # beyond the look-back
        _, stands = await w.sync()
        assert "900" in [gap.file_id for gap in stands.gaps]
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert "900" not in [gap.file_id for gap in stands.gaps]
        assert file.sha256() in w.digests()
        async with w.catalog() as (catalog, account_id):
            assert await catalog.hours.mutations_of(account_id, Hour.of(w.hour(5))) == []


async def test_a_row_without_an_id_is_kept_as_evidence_and_only_its_own_hour_stays_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        offered = w.account.populate(8, 1)
        hour = w.hour(5)
        nameless = w.account.publish(hour, overrides={"id": OMIT, "note": "who am I"})
        _, stands = await w.sync()
        assert state_of(stands, hour) == (
            HourState.FAILED,
            "unreadable row: the vendor listed something without an id",
        )
        assert others_than(hour, stands) <= FINE
        assert w.digests() == truth(offered), "the row beside it was taken as usual"
        async with beside(w.settings(), w.clock) as opened:
            (story,) = await _stories(opened, opened.accounts[0], str(Hour.of(hour)))
        (raw,) = story["unreadable_rows"]
        assert "who am I" in raw
        assert "Signature" not in raw
        nameless.overrides = {}
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert stands.gaps == []
        assert state_of(stands, hour)[0] is HourState.COMPLETE
        assert nameless.sha256() in w.digests()


async def test_an_hour_that_was_complete_is_failed_by_an_unreadable_row_that_appears_later(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        hour = w.hour(5)
        await w.sync()
        w.account.publish(hour, overrides={"id": {"no": "id"}})
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert state_of(stands, hour)[0] is HourState.FAILED
        assert others_than(hour, stands) <= FINE


async def test_a_row_that_makes_its_whole_reply_unreadable_takes_only_its_own_hour_with_it(tmp_path: Path) -> None:
    """Whatever shows it has not the documented shape; the hours beside it can still be listed."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        offered = w.account.populate(8, 1)
        hour = w.hour(5)
        poison = w.account.publish(hour, name="poison.gz")
        w.cloud.faults.add(Fault("list", "patch", times=None, patch=_poisoned))
        _, stands = await w.sync()
        state, reason = state_of(stands, hour)
        assert state is HourState.FAILED, reason
        assert others_than(hour, stands) <= FINE
        assert set(w.digests()) == set(truth([file for file in offered if file.hour != hour]))
        poison.name = "cured.gz"
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert stands.gaps == []


def _poisoned(envelope: dict[str, Any]) -> Any:
    rows = (envelope["data"] or {}).get("list") or []
    return {"code": 0} if any(row["fileName"] == "poison.gz" for row in rows) else envelope


# --- bytes that disagree with their promise


@pytest.mark.parametrize(
    ("offer", "flags"),
    [
        ({"listed_size": 999}, ("size_differs",)),
        ({"content": PLAIN}, ("not_gzip",)),
        ({"content": gzip.compress(PLAIN)[:-5]}, ("not_gzip",)),
        ({"content": gzip.compress(PLAIN) + b"\x00junk"}, ("not_gzip",)),
        ({"content": PLAIN, "listed_size": 7}, ("size_differs", "not_gzip")),
        ({"content": b""}, ("not_gzip",)),
    ],
    ids=["size differs", "no gzip", "truncated gzip", "trailing junk", "both", "empty"],
)
async def test_the_same_bytes_three_times_an_hour_apart_are_the_vendors_object(
    tmp_path: Path, offer: Any, flags: tuple[str, ...]
) -> None:
    """Archived as received, flagged, said once; no gap, and nothing is left in quarantine."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.populate(8, 1)
        hour = w.hour(5)
        file = w.account.publish(hour, file_id=900, **offer)
        for attempt in (1, 2):
            _, stands = await w.sync()
            assert len(w.quarantined()) == 1
            assert [gap.file_id for gap in stands.gaps] == ["900"]
            assert f"seen {attempt} of 3 times" in stands.gaps[0].reason
            w.clock.advance(HOUR)
        with events("vendor_object_accepted") as accepted:
            _, stands = await w.sync()
            w.clock.advance(HOUR)
            await w.sync()
        assert len(accepted) == 1
        assert state_of(stands, hour)[0] is HourState.COMPLETE
        assert stands.gaps == []
        assert file.sha256() in w.digests()
        assert (w.quarantined(), w.leftovers()) == ([], [])
        async with w.catalog() as (catalog, account_id):
            (version,) = await catalog.files.versions(account_id, "900")
            assert version.flags == flags


async def test_three_attempts_within_an_hour_prove_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        w.account.publish(w.hour(5), file_id=900, content=PLAIN)
        for _ in range(3):
            await w.sync()
            w.clock.advance(timedelta(minutes=10))
        _, stands = await w.sync()
        assert "seen 1 of 3 times" in stands.gaps[0].reason
        assert w.archived() == {}


async def test_arrivals_that_differ_from_each_other_never_count_and_stay_in_quarantine(tmp_path: Path) -> None:
    """Each attempt finds more bytes: none is the vendor's object, the hour stays failed."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        hour = w.hour(5)
        w.account.publish(hour, file_id=900)
        w.cloud.faults.add(Fault("download", "grows", file_id=900, times=None))
        _, stands = await w.sync_hourly(5)
        assert w.archived() == {}
        assert state_of(stands, hour)[0] is HourState.FAILED
        assert [(gap.file_id, gap.state) for gap in stands.gaps] == [("900", "failed")]
        assert "size_differs" in stands.gaps[0].reason
        assert w.quarantined()


async def test_what_never_repeats_does_not_fill_the_disk_with_its_arrivals(tmp_path: Path) -> None:
    """A person needs a few to look at; thirty days of hourly attempts would starve every other file."""
    async with world(tmp_path) as w:
        w.watched_hours = 4
        w.account.publish(w.hour(4), file_id=900)
        w.cloud.faults.add(Fault("download", "grows", file_id=900, times=None))
        await w.sync_hourly(6)
        assert len(w.quarantined()) == 3


async def test_one_odd_arrival_between_good_promises_is_forgotten_once_the_file_arrives(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.watched_hours = 8
        file = w.account.publish(w.hour(5), file_id=900)
        w.cloud.faults.add(Fault("download", "junk", file_id=900))
        await w.sync()
        assert len(w.quarantined()) == 1
        w.clock.advance(HOUR)
        _, stands = await w.sync()
        assert w.digests() == truth([file])
        assert stands.gaps == []
        assert w.quarantined() == []


@pytest.mark.parametrize(
    "body",
    [
        PAGE,
        b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>",
        b'{"code":5066,"message":"gone"}',
        b"[]",
        "\ufeff <!DOCTYPE html>".encode(),
    ],
    ids=["html", "xml", "json", "json list", "html with a mark"],
)
async def test_a_page_in_place_of_a_file_is_never_archived_however_often_it_comes(tmp_path: Path, body: bytes) -> None:
    """The listing even promises its size: three equal arrivals, hours apart, still make no log of it."""
    async with world(tmp_path) as w:
        w.watched_hours = 4
        hour = w.hour(4)
        w.account.publish(hour, file_id=900, content=body)
        _, stands = await w.sync_hourly(5)
        assert w.archived() == {}
        assert state_of(stands, hour)[0] is HourState.FAILED
        assert "error_page" in reasons(stands)[0]


# --- credentials


async def test_refused_credentials_are_tried_once_in_half_an_hour_and_again_for_ever(tmp_path: Path) -> None:
    """Nothing disables itself: as soon as the credentials are good, the account catches up."""
    async with world(tmp_path) as w:
        w.watched_hours = 8
        offered = w.account.populate(8, 1)
        right, w.account.client_secret = w.account.client_secret, "rotated"
        w.pan123["client_secret"] = right
        passing, stands = await w.sync()
        assert isinstance(passing.error, CredentialsRefused)
        assert {gap.state for gap in stands.gaps} == {"failed"}
        asked_at = [w.clock.now()]
        for _ in range(11):
            w.clock.advance(timedelta(minutes=9))
            before = w.cloud.count("token")
            passing, _ = await w.sync()
            if w.cloud.count("token") > before:
                asked_at.append(w.clock.now())
            else:
                assert isinstance(passing.error, AccountPaused)
        apart = [later - earlier for earlier, later in pairwise(asked_at)]
        assert len(apart) >= 2, "it never stops trying"
        assert min(apart) >= timedelta(minutes=30)
        assert w.cloud.count("list") == 0
        w.account.client_secret = right
        w.clock.advance(timedelta(minutes=31))
        passing, stands = await w.sync()
        assert passing.error is None
        assert stands.gaps == []
        assert w.digests() == truth(offered)
