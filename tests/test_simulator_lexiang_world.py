"""The records of a simulated Lexiang: what they look like, in which order, and the truth about them."""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from lexiang_asker import NOON, asking, frozen_cloud
from logkeep.simulator import GONE, NEWER, OMIT, Habits, LexiangAccount
from logkeep.simulator.lexiang.traits import CHINA, Shape

from manual_clock import ManualClock


def an_account(**quirks: Any) -> LexiangAccount:
    return frozen_cloud(**quirks).add_account()


def seconds(account: LexiangAccount) -> list[datetime]:
    return [account.record(record_id).created_at for record_id in account.ids()]


def test_populate_spreads_records_newest_first_with_ties() -> None:
    account = an_account()
    account.populate(2_000, days=2, ties=0.3)
    moments = seconds(account)
    assert len(account) == len(set(account.ids())) == 2_000
    assert all(newer >= older for newer, older in pairwise(moments))
    assert NOON - timedelta(days=2) <= moments[-1] < moments[0] <= NOON
    assert 500 < sum(newer == older for newer, older in pairwise(moments)) < 750
    assert moments[0].utcoffset() == timedelta(hours=8)


def test_a_second_population_is_merged_into_the_first() -> None:
    account = an_account()
    account.populate(50, days=1)
    account.populate(50, days=3, end=NOON - timedelta(hours=6))
    moments = seconds(account)
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 100


def test_ids_are_of_version_1_with_the_second_inside_or_of_another_kind() -> None:
    account = an_account()
    account.populate(300, habits=Habits(ids="mixed"))
    account.add_record(NOON, ids="uuid4")
    kinds: Counter[str] = Counter()
    for record_id in account.ids():
        if record_id.isdigit() and len(record_id) < 32:
            kinds["number"] += 1
            continue
        told = uuid.UUID(record_id)
        kinds[f"uuid{told.version}"] += 1
        assert told.variant == uuid.RFC_4122
        if told.version == 1:
            second = datetime(1582, 10, 15, tzinfo=CHINA) + timedelta(hours=8, microseconds=told.time // 10)
            assert second.replace(microsecond=0) == account.record(record_id).created_at
    assert set(kinds) == {"uuid1", "uuid4", "number"}
    assert min(kinds.values()) > 60


def test_records_of_now_of_the_past_and_of_the_future_go_where_they_belong() -> None:
    account = an_account()
    account.populate(100, days=1)
    now, tomorrow = account.add_record(), account.add_record(NOON + timedelta(days=1))
    old = account.add_record(back=timedelta(days=2))
    ids = account.ids()
    assert ids[0] == tomorrow
    assert now in ids[1:3], "a record of the same second may stand before it"
    assert ids[-1] == old
    assert account.record(old).created_at == NOON - timedelta(days=2)
    assert account.ids(1) == [tomorrow]


def test_an_id_is_used_once_for_ever() -> None:
    account = an_account()
    account.add_record(record_id="mine")
    with pytest.raises(ValueError, match="'mine'"):
        account.add_record(record_id="mine")
    account.delete("mine")
    with pytest.raises(ValueError, match="'mine'"):
        account.add_record(record_id="mine")
    with pytest.raises(KeyError):
        account.delete("mine")
    with pytest.raises(KeyError):
        account.delete("f59de3063c9311e8b64995597300a871")


async def test_the_truth_tells_since_when_and_until_when_in_time_and_in_requests() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now)) as asker:
        account = asker.account
        account.populate(2)
        await asker.logs()
        clock.advance(timedelta(minutes=1))
        added = account.add_record(back=timedelta(minutes=30))
        await asker.logs()
        clock.advance(timedelta(minutes=1))
        account.delete(added)
        first, _, last = account.truth()
        assert (first.since, first.until, first.since_request, first.until_request) == (NOON, None, 0, None)
        assert last == account.record(added)
        assert (last.since, last.until) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))
        assert (last.since_request, last.until_request) == (1, 2)
        assert last.created_at == NOON - timedelta(minutes=29)
        assert len(account) == 2


def test_deleting_at_random_stays_among_the_newest() -> None:
    account = an_account()
    account.populate(100, habits=Habits(ids="number"))
    newest = account.ids(10)
    deleted = account.delete_random(8, newest=5)
    assert len(set(deleted)) == 8
    assert account.ids()[:2] == [record_id for record_id in newest if record_id not in deleted][:2]
    assert set(account.ids()) | set(deleted) == {record.id for record in account.truth()}
    assert len(account.delete_random(1_000)) == 92


def test_ties_keep_their_order_until_shuffled() -> None:
    account = an_account()
    for back in (2, 1, 0):
        for _ in range(20):
            account.add_record(back=timedelta(seconds=back))
    before, moments = account.ids(), seconds(account)
    assert account.ids() == before
    appeared = [record.id for record in account.truth()][:20]
    assert before[-20:] not in (appeared, appeared[::-1]), "a tie has no order of its own"
    account.reorder(newest=20)
    assert account.ids()[20:] == before[20:]
    assert account.ids()[:20] != before[:20]
    account.reorder()
    assert account.ids()[20:] != before[20:]
    assert seconds(account) == moments
    assert sorted(account.ids()) == sorted(before)


def test_rows_of_different_seconds_change_places_on_demand() -> None:
    account = an_account()
    account.populate(50, ties=0)
    before = account.ids()
    account.swap(before[3], before[40])
    assert (account.ids()[40], account.ids()[3]) == (before[3], before[40])
    account.swap(before[3], before[40])
    account.reorder(swaps=1, newest=10)
    moved = [place for place, record_id in enumerate(account.ids()) if record_id != before[place]]
    assert len(moved) == 2
    assert max(moved) < 10
    account.delete(before[moved[0]])
    account.delete(before[moved[1]])
    assert len(account) == 48


async def test_the_official_sample_is_served_as_printed() -> None:
    async with asking(frozen_cloud()) as asker:
        ids = asker.account.add_official_sample()
        got = await asker.document(1, 2)
        assert ids == ["f59de3063c9311e8b64995597300a871", "64d8df663c9211e8a6d56f2588dac9b6"]
        assert list(got) == ["data", "included", "links", "meta"]
        assert got["data"][0] == {
            "type": "download_log",
            "id": "f59de3063c9311e8b64995597300a871",
            "attributes": {"created_at": "2018-04-10 15:51:21"},
            "relationships": {
                "target": {"data": {"type": "file", "id": "10a18f022c2411e8802db53e40a56056"}},
                "owner": {"data": {"type": "staff", "id": "ThreeZhang"}},
            },
        }
        assert [(one["type"], one["id"]) for one in got["included"]] == [
            ("file", "10a18f022c2411e8802db53e40a56056"),
            ("staff", "ThreeZhang"),
            ("staff", "FourLee"),
        ]
        assert got["included"][0]["attributes"] == {"name": "投票结果"}
        assert got["included"][1]["attributes"]["name"] == "张三"


LINKED = {"type": "staff", "id": "Zhang"}


def linked(relationships: dict[str, Any]) -> bool:
    return bool(relationships["owner"] == {"data": LINKED})


SHAPES: dict[Shape, tuple[Callable[[dict[str, Any]], bool], Callable[[list[Any]], bool]]] = {
    "absent": (lambda told: "owner" not in told, lambda included: included == []),
    "empty": (lambda told: told["owner"] == {}, lambda included: included == []),
    "null": (lambda told: told["owner"] == {"data": None}, lambda included: included == []),
    "unlinked": (linked, lambda included: included == []),
    "bare": (linked, lambda included: included == [LINKED]),
    "partial": (
        lambda told: told["owner"] == {"data": LINKED},
        lambda included: "name" not in included[0]["attributes"],
    ),
    "nameless": (
        lambda told: told["owner"] == {"data": LINKED},
        lambda included: included[0]["attributes"]["name"] is None,
    ),
    "whole": (
        lambda told: told["owner"] == {"data": LINKED},
        lambda included: included[0]["attributes"]["name"] == "张三",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_owner_is_gone_in_every_shape(shape: Shape) -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.add_record(owner_id="Zhang", owner_name="张三", owner_shape=shape, target_shape="empty")
        got = await asker.document()
        in_row, in_included = SHAPES[shape]
        assert in_row(got["data"][0]["relationships"])
        assert in_included(got["included"])


def test_every_shape_is_examined_and_drawn() -> None:
    assert set(SHAPES) == {*GONE, "whole"}
    account = an_account()
    account.populate(2_000, habits=Habits(gone=0.5, attachments=0.3, unknown_types=0.3))
    drawn = [account.rows.draw(number) for number in range(2_000)]
    assert {one.owner_shape for one in drawn} == {one.target_shape for one in drawn} == {*GONE, "whole"}
    assert 900 < sum(one.owner_shape == one.target_shape == "whole" for one in drawn) < 1_100
    types = Counter(one.target.key[0] for one in drawn)
    assert {"file", "attachment"} < set(types)
    assert min(types["file"], types["attachment"]) > 500
    assert len(types) > 3
    assert any(one.owner.resource["attributes"]["english_name"] is None for one in drawn)


async def test_given_keys_are_replaced_added_and_removed() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.add_record(
            target_type="相册",
            target_id=77,
            target_name="图",
            attributes={"created_at": OMIT, "extra": 1},
            overrides={"type": "view_log", "relationships": OMIT},
        )
        row = (await asker.document())["data"][0]
        assert row == {"type": "view_log", "id": row["id"], "attributes": {"extra": 1}}


@pytest.mark.parametrize(("ids_as", "types"), [("number", [int, int]), ("text", [str, str]), ("mixed", [str, int])])
async def test_ids_that_are_numbers_come_as_numbers_or_text(ids_as: Any, types: list[type]) -> None:
    async with asking(frozen_cloud(ids_as=ids_as)) as asker:
        asker.account.populate(3, habits=Habits(ids="number", linked_ids="mixed", gone=0))
        told = [(await asker.ids())[0] for _ in range(2)]
        assert [type(one) for one in told] == types
        assert {str(one) for one in told} == {asker.account.ids()[0]}
        got = await asker.document()
        assert type(got["data"][0]["relationships"]["owner"]["data"]["id"]) is int
        assert type(got["included"][0]["id"]) is str
        assert str(got["data"][0]["relationships"]["target"]["data"]["id"]) == got["included"][0]["id"]


async def test_newer_answers_look_newer() -> None:
    async with asking(frozen_cloud(**NEWER)) as asker:
        asker.account.populate(5, habits=Habits(gone=0))
        first, second = await asker.document(), await asker.document()
        assert list(first) == ["jsonapi", "data", "links", "meta", "included"]
        assert first["meta"]["per_page"] == 100
        assert first["data"] == second["data"]
        assert first["included"] != second["included"], "counters change"
        assert set(first["data"][0]["relationships"]) == {"target", "owner", "doc"}
        assert "ip_region" in first["data"][0]["attributes"]


async def test_what_the_account_shows_is_what_is_served() -> None:
    async with asking(frozen_cloud()) as asker:
        account = asker.account
        account.populate(40, habits=Habits(gone=0.5, unknown_types=0.3))
        got = await asker.document()
        assert got["data"] == [account.row(record_id) for record_id in account.ids()]
        linked = [one for record_id in account.ids() for one in account.linked(record_id)]
        assert all(one in linked for one in got["included"])
        keys = [(one["type"], one["id"]) for one in got["included"]]
        assert len(keys) == len(set(keys))
        assert set(keys) == {(one["type"], one["id"]) for one in linked}


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    def world(seed: int) -> list[str]:
        account = an_account(seed=seed)
        account.populate(100)
        account.delete_random(10)
        account.reorder(swaps=3)
        return account.ids()

    assert world(1) == world(1)
    assert not set(world(1)) & set(world(2))
