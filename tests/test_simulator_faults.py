"""Which fault strikes which request: armed ones in their order, chance by its seed."""

from collections.abc import Sequence
from random import Random
from typing import Any

import aiohttp
import pytest

from logkeep.simulator import Fault, Faults, Request
from logkeep.simulator.faults import FaultKinds
from logkeep.simulator.pan123.api_faults import API_FAULTS, API_KINDS
from logkeep.simulator.pan123.download_faults import DOWNLOAD_KINDS
from pan123_asker import NOON, asking, frozen_cloud

KINDS = {
    "list": FaultKinds({"bad", "worse", "worst"}, ("bad", "worse")),
    "download": FaultKinds({"bad"}, ("bad",)),
}


def request(kind: str = "list", file_id: object = None, **params: object) -> Request:
    made = Request(kind, "GET", NOON, {}, params=dict(params), client_id="me")
    made.file_id = file_id  # type: ignore[assignment]
    return made


def struck(faults: Faults, requests: Sequence[Request]) -> list[str | None]:
    kinds = []
    for one in requests:
        strike = faults.take(one)
        kinds.append(None if strike is None else strike.fault.kind)
    return kinds


def test_a_fault_strikes_as_often_as_it_says_and_not_before_its_time() -> None:
    faults = Faults(KINDS)
    faults.add(Fault("list", "bad", times=2, after=1))
    assert [fault.kind for fault in faults.pending] == ["bad"]
    assert struck(faults, [request() for _ in range(5)]) == [None, "bad", "bad", None, None]
    assert faults.pending == []
    assert faults.struck["list", "bad"] == 2


def test_a_request_remembers_what_struck_it() -> None:
    faults = Faults(KINDS)
    faults.add(Fault("list", "bad"))
    hit, missed = request(), request()
    struck(faults, [hit, missed])
    assert (hit.fault, missed.fault) == ("bad", None)


def test_a_fault_without_an_end_strikes_for_ever_until_disarmed() -> None:
    faults = Faults(KINDS)
    faults.add(Fault("list", "bad", times=None))
    assert struck(faults, [request() for _ in range(9)]) == ["bad"] * 9
    assert faults.pending == []
    faults.clear()
    assert struck(faults, [request()]) == [None]


def test_faults_take_turns_in_the_order_they_were_armed() -> None:
    faults = Faults(KINDS)
    faults.add(Fault("list", "bad"), Fault("list", "worse", times=2), Fault("list", "worst"))
    assert struck(faults, [request() for _ in range(5)]) == ["bad", "worse", "worse", "worst", None]


def test_the_number_of_the_strike_is_told() -> None:
    faults = Faults(KINDS)
    faults.add(Fault("list", "bad", times=3, after=2))
    strikes = [faults.take(request()) for _ in range(5)]
    assert [strike.nth if strike else 0 for strike in strikes] == [0, 0, 1, 2, 3]


CONDITIONS: list[tuple[dict[str, Any], Request, Request]] = [
    ({"page": 2}, request(pageNum="2"), request(pageNum="1")),
    ({"page": 2}, request(pageNum=2), request()),
    ({"client_id": "me"}, request(), Request("list", "GET", NOON, {}, client_id="you")),
    ({"match": lambda one: one.params.get("startHour") == "x"}, request(startHour="x"), request(startHour="y")),
    ({"where": "download", "file_id": 7}, request("download", "7"), request("download", 8)),
    ({"where": "download", "file_id": "7"}, request("download", 7), request("list", 7)),
]


@pytest.mark.parametrize(("condition", "hit", "missed"), CONDITIONS)
def test_a_fault_strikes_only_what_it_concerns(condition: dict[str, Any], hit: Request, missed: Request) -> None:
    faults = Faults(KINDS)
    faults.add(Fault(**{"where": "list", "kind": "bad", "times": None, **condition}))
    assert struck(faults, [hit, missed, hit]) == ["bad", None, "bad"]


def test_a_fault_that_does_not_exist_cannot_be_armed() -> None:
    faults = Faults(KINDS)
    with pytest.raises(ValueError, match="choose from download, list"):
        faults.add(Fault("lst", "bad"))
    with pytest.raises(ValueError, match="choose from bad, worse, worst"):
        faults.add(Fault("list", "bda"))
    with pytest.raises(ValueError, match="worst"):
        faults.chaos(1, 0.5, kinds={"list": ("bda",)})
    with pytest.raises(ValueError, match="nowhere"):
        Fault("download", "bad", to="nowhere")


def questions() -> list[Request]:
    files = [request("download", number) for number in range(40)]
    return (files + [request(startHour=str(hour), pageNum="1") for hour in range(40)]) * 3


Outcome = dict[tuple[object, ...], list[str | None]]


def by_chance(seed: int, rate: float, requests: list[Request], **how: Any) -> Outcome:
    """What struck each question, in the order it was repeated."""
    faults = Faults(KINDS)
    faults.chaos(seed, rate, **how)
    outcome: Outcome = {}
    for one, kind in zip(requests, struck(faults, requests), strict=True):
        outcome.setdefault((one.kind, one.file_id, str(one.params)), []).append(kind)
    return outcome


def test_chance_depends_on_the_seed_and_the_question_not_on_the_order_of_arrival() -> None:
    shuffled = questions()
    Random(5).shuffle(shuffled)
    assert by_chance(1, 0.3, questions()) == by_chance(1, 0.3, shuffled)
    assert by_chance(1, 0.3, questions()) != by_chance(2, 0.3, questions())


def test_chance_strikes_about_as_often_as_told_and_only_with_kinds_that_pass() -> None:
    outcome = [kind for kinds in by_chance(1, 0.3, questions()).values() for kind in kinds]
    hits = [kind for kind in outcome if kind]
    assert 0.2 < len(hits) / len(outcome) < 0.4
    assert set(hits) == {"bad", "worse"}
    assert all(kind is None for kinds in by_chance(1, 0.0, questions()).values() for kind in kinds)


def test_chance_lets_a_patient_client_through() -> None:
    always = by_chance(1, 1.0, [request()] * 7, kinds={"list": ("worst",)})
    assert list(always.values()) == [["worst", "worst", None, "worst", "worst", None, "worst"]]
    stubborn = by_chance(1, 1.0, [request()] * 5, streak=10**9)
    assert None not in next(iter(stubborn.values()))


def test_the_kinds_that_pass_exist_and_end_by_themselves() -> None:
    for kinds in (API_KINDS, DOWNLOAD_KINDS):
        assert set(kinds.passing) <= set(kinds.known)
        assert not {"stall", "silence", "slow", "huge_body", "stall_body"} & set(kinds.passing)
    assert set(API_KINDS.known) == API_FAULTS.keys()


async def test_through_chaos_every_file_can_be_had_by_asking_again() -> None:
    async with asking(frozen_cloud()) as asker:
        files = asker.account.populate(5, 2)
        await asker.headers()
        asker.cloud.faults.chaos(7, 0.5, kinds={"download": ("http_503", "corrupt", "http_404", "truncate")})
        for file in files:
            truth = file.content.read(0, file.size_bytes)
            url = await asker.url(file)
            for _ in range(3):
                try:
                    body = (await asker.download(url)).body
                except aiohttp.ClientError:
                    continue
                if body == truth:
                    break
            else:
                raise AssertionError(f"file {file.file_id} never came")
        assert sum(asker.cloud.faults.struck.values()) > 3
