"""Accounts and their runs as the catalog keeps them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from logkeep.catalog import Catalog
from logkeep.catalog.records import RunRecord, Trouble, TroubleKind
from logkeep.model import AccountKey, Hour

NOW = datetime(2026, 3, 10, 4, 5, tzinfo=UTC)
MAIN, OTHER = AccountKey("pan123", "main"), AccountKey("pan123", "other")


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    made = Catalog(tmp_path / "catalog.sqlite3")
    await made.open()
    yield made
    await made.close()


async def test_an_account_is_watched_from_the_hour_it_was_first_seen_for_ever(catalog: Catalog) -> None:
    await catalog.accounts.enrol([MAIN], now=NOW, watched_from=Hour(100))
    later = await catalog.accounts.enrol([OTHER, MAIN], now=NOW + timedelta(days=9), watched_from=Hour(200))
    told = {key: (record.account_id, record.watched_from, record.judged_to) for key, record in later.items()}
    assert told == {MAIN: (1, Hour(100), Hour(100)), OTHER: (2, Hour(200), Hour(200))}
    assert (later[MAIN].first_seen_at, later[OTHER].first_seen_at) == (NOW, NOW + timedelta(days=9))


async def test_an_account_that_left_the_configuration_stays_and_may_come_back(catalog: Catalog) -> None:
    await catalog.accounts.enrol([MAIN, OTHER], now=NOW, watched_from=Hour(100))
    assert list(await catalog.accounts.enrol([MAIN], now=NOW, watched_from=Hour(200))) == [MAIN]
    await catalog.accounts.acknowledge_orphan(2, by="Li Na", reason="sold", now=NOW)
    orphan = await catalog.accounts.get(2)
    assert (orphan.configured, orphan.orphan_acked_by, orphan.orphan_ack_reason) == (False, "Li Na", "sold")
    back = (await catalog.accounts.enrol([MAIN, OTHER], now=NOW, watched_from=Hour(300)))[OTHER]
    assert (back.configured, back.orphan_acked_at, back.watched_from) == (True, None, Hour(100))


async def test_trouble_lasts_since_it_began_until_the_vendor_answers(catalog: Catalog) -> None:
    await catalog.accounts.enrol([MAIN], now=NOW, watched_from=Hour(100))
    accounts, later = catalog.accounts, NOW + timedelta(hours=1)
    await accounts.trouble(1, TroubleKind.UNREACHABLE, "no connection", now=NOW)
    await accounts.trouble(1, TroubleKind.UNREACHABLE, "no answer in time", now=later)
    assert (await accounts.get(1)).trouble == Trouble(TroubleKind.UNREACHABLE, "no answer in time", NOW)
    await accounts.trouble(1, TroubleKind.CREDENTIALS, "code 401", now=later)
    assert (await accounts.get(1)).trouble == Trouble(TroubleKind.CREDENTIALS, "code 401", later)
    await accounts.answered(1, at=later, skew_s=-2.5)
    await accounts.answered(1, at=later, skew_s=None)
    kept = await accounts.get(1)
    assert (kept.trouble, kept.answered_at, kept.skew_s) == (None, later, -2.5)


async def test_what_is_learnt_of_an_account_is_kept(catalog: Catalog) -> None:
    before = (await catalog.accounts.enrol([MAIN], now=NOW, watched_from=Hour(100)))[MAIN]
    await catalog.accounts.limit_span(1, 12, now=NOW)
    await catalog.accounts.judged(1, Hour(140))
    kept = await catalog.accounts.get(1)
    assert kept == replace(before, span_limit=12, span_limited_at=NOW, judged_to=Hour(140))


async def test_runs_are_told_newest_first_and_one_without_an_end_was_cut_off(catalog: Catalog) -> None:
    await catalog.accounts.enrol([MAIN, OTHER], now=NOW, watched_from=Hour(100))
    cut_off = await catalog.runs.begin(1, "start", now=NOW)
    number = await catalog.runs.begin(1, "sync", now=NOW)
    await catalog.runs.begin(2, "sync", now=NOW)
    done = RunRecord(number, 1, "sync", NOW, NOW + timedelta(seconds=9), 3, 5, 2, 700, "ok")
    await catalog.runs.end(done)
    assert await catalog.runs.latest(1) == [done, RunRecord(cut_off, 1, "start", NOW)]
    assert await catalog.runs.latest(1, limit=1) == [done]
