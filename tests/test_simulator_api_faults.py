"""Every fault of the simulated API does on the wire what its name says, once, and then the API is well again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from fault_exam import BROKEN, GATEWAY, SPOILT, Check, shaped
from logkeep.simulator import Fault
from logkeep.simulator.pan123.api_faults import API_FAULTS
from pan123_asker import Answer, Asker, asking, frozen_cloud


def data_of(answer: Answer) -> Any:
    return json.loads(answer.body)["data"]


def refusal(code: int, message: str) -> Check:
    """An error envelope inside HTTP 200."""
    body = {"code": code, "message": message, "data": None, "x-traceID": ""}
    return lambda got: got.status == 200 and got.json == body


LIST_ANSWERS: dict[str, Check] = {
    **GATEWAY,
    "code_401": refusal(401, "token is invalid"),
    "code_429": refusal(429, "请求太频繁"),
    "code_1": refusal(1, "内部错误"),
    "code_5066": refusal(5066, "文件不存在"),
    "code_5113": refusal(5113, "流量已超出限制"),
    "code_20103": refusal(20103, "文件正在校验中,请间隔1秒后再试"),
    "envelope": refusal(1, "内部错误"),
    "no_rights": refusal(1, "无效的登录信息"),
    "evicted": refusal(401, "tokens number has exceeded the limit"),
    **SPOILT,
    "code_text": shaped(lambda body: body["code"] == "0" and len(body["data"]["list"]) == 2),
    "code_missing": shaped(lambda body: list(body) == ["message", "data", "x-traceID"]),
    "code_null": shaped(lambda body: body["code"] is None),
    "trace_missing": shaped(lambda body: list(body) == ["code", "message", "data"]),
    "top_level_list": shaped(lambda body: isinstance(body, list) and body[0]["code"] == 0),
    "top_level_null": shaped(lambda body: body is None),
    "data_missing": shaped(lambda body: body["code"] == 0 and "data" not in body),
    "data_null": shaped(lambda body: body["code"] == 0 and body["data"] is None),
    "data_text": shaped(lambda body: body["data"] == "ok"),
    "data_list": shaped(lambda body: body["data"] == []),
    "list_missing": shaped(lambda body: body["data"] == {"total": 0}),
    "list_null": shaped(lambda body: body["data"] == {"list": None, "total": 0}),
    "list_text": shaped(lambda body: body["data"]["list"] == "none"),
    "list_object": shaped(lambda body: isinstance(body["data"]["list"], dict)),
    "list_of_texts": shaped(lambda body: [type(row) for row in body["data"]["list"]] == [str, str]),
    "list_empty": shaped(lambda body: body["code"] == 0 and body["data"]["list"] == []),
    "total_wrong": shaped(lambda body: body["data"]["total"] == 10**9 and len(body["data"]["list"]) == 2),
    "content_type": lambda got: "text/html" in got.headers["Content-Type"] and len(data_of(got)["list"]) == 2,
    "huge_body": lambda got: len(got.body) > 60_000_000 and len(data_of(got)["list"]) == 2,
    "slow": lambda got: len(data_of(got)["list"]) == 2,
}
TOKEN_ANSWERS: dict[str, Check] = {
    "token_missing": shaped(lambda body: list(body["data"]) == ["expiredAt"]),
    "token_number": shaped(lambda body: body["data"]["accessToken"] == 12345),
    "expiry_missing": shaped(lambda body: list(body["data"]) == ["accessToken"]),
    "expiry_garbage": shaped(lambda body: body["data"]["expiredAt"] == "soon"),
    "expiry_past": shaped(lambda body: body["data"]["expiredAt"].startswith("2001-")),
}
EXAMINED_ELSEWHERE = {"patch"}


def test_every_kind_of_fault_is_examined_here() -> None:
    assert {*LIST_ANSWERS, *TOKEN_ANSWERS, *BROKEN} | EXAMINED_ELSEWHERE == API_FAULTS.keys()


@pytest.mark.parametrize("kind", LIST_ANSWERS)
async def test_a_faulty_listing_is_what_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.publish("2025062010", count=2)
        await asker.headers()
        asker.cloud.faults.add(Fault("list", kind))
        assert LIST_ANSWERS[kind](await asker.listing())
        assert asker.cloud.requests[-1].fault == kind
        assert len(await asker.ids()) == 2
        assert asker.cloud.faults.pending == []


@pytest.mark.parametrize("kind", TOKEN_ANSWERS)
async def test_a_faulty_token_answer_is_what_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("token", kind))
        assert TOKEN_ANSWERS[kind](await asker.token())
        assert list((await asker.token()).json["data"]) == ["accessToken", "expiredAt"]


@pytest.mark.parametrize("where", ["token", "list"])
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_connection_breaks_as_its_name_says_and_the_next_is_well(kind: str, where: str) -> None:
    patience = aiohttp.ClientTimeout(total=0.2 if BROKEN[kind] is TimeoutError else 30.0)
    async with asking(frozen_cloud()) as asker:
        await asker.headers()
        ask: Callable[..., Awaitable[Answer]] = asker.token if where == "token" else asker.listing
        asker.cloud.faults.add(Fault(where, kind))
        with pytest.raises(BROKEN[kind]):
            await ask(timeout=patience)
        assert (await ask()).json["code"] == 0


async def test_a_lost_token_answer_has_still_used_a_token_up() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("token", "drop"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await asker.token()
        assert len(asker.account.tokens.issued()) == 1
        assert asker.cloud.requests[-1].status is None


async def test_retry_after_is_sent_only_where_the_fault_has_one() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(
            Fault("list", "http_429", retry_after="7"),
            Fault("list", "http_429"),
            Fault("list", "code_429", retry_after="Sat, 21 Jun 2025 04:00:09 GMT"),
            Fault("list", "http_503", retry_after="1"),
        )
        answers = [await asker.listing() for _ in range(4)]
        assert [answer.status for answer in answers] == [429, 429, 200, 503]
        wishes = [answer.headers.get("Retry-After") for answer in answers]
        assert wishes == ["7", None, "Sat, 21 Jun 2025 04:00:09 GMT", "1"]


async def test_any_code_message_and_status_can_be_put_into_an_envelope() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("list", "envelope", code=777, message="奇怪", status=418))
        answer = await asker.listing()
        assert (answer.status, answer.json["code"], answer.json["message"]) == (418, 777, "奇怪")
        assert asker.cloud.requests[-1].code == 777


async def test_an_honest_answer_can_be_patched_at_will() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.publish("2025062010", count=2)

        def twice(body: dict[str, Any]) -> Any:
            body["data"]["list"] *= 2
            return body

        asker.cloud.faults.add(Fault("list", "patch", patch=twice))
        assert len(await asker.ids()) == 4
        with pytest.raises(ValueError, match="patch"):
            Fault("list", "patch")
        with pytest.raises(ValueError, match="patch"):
            Fault("list", "http_500", patch=twice)


async def test_a_data_fault_leaves_an_honest_refusal_alone() -> None:
    async with asking(frozen_cloud(), developer_rights=False) as asker:
        asker.cloud.faults.add(Fault("list", "list_missing"))
        assert (await asker.listing()).json["data"] is None


async def test_a_slow_answer_takes_its_time_and_a_huge_one_its_size() -> None:
    async with asking(frozen_cloud()) as asker:
        await asker.headers()
        loop = asyncio.get_running_loop()
        asker.cloud.faults.add(
            Fault("list", "slow", pause=timedelta(milliseconds=10)), Fault("list", "huge_body", at=1_000_000)
        )
        began = loop.time()
        answer = await asker.listing()
        assert loop.time() - began >= 0.01 * (len(answer.body) // 16)
        assert 900_000 < len((await asker.listing()).body) < 1_100_000


async def test_stalled_answers_do_not_keep_the_cloud_from_stopping() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("list", "stall"), Fault("list", "stall_body"))
        await asker.headers()
        stalled = [asyncio.ensure_future(asker.listing()) for _ in range(2)]
        await asker.cloud.until("list", 2)
        assert asker.cloud.peak("list") == 2
        await asker.cloud.stop()
        results = await asyncio.gather(*stalled, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)
        endings = {request.fault: request.status for request in asker.cloud.requests if request.kind == "list"}
        assert endings == {"stall": None, "stall_body": 200}, "their handlers ended by themselves, not by cancellation"


async def test_faults_of_the_lesser_endpoints() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("user", "http_500"), Fault("traffic", "code_1"))
        headers = await asker.headers()
        user = await asker.send("GET", f"{asker.cloud.base_url}/api/v1/user/info", headers=headers)
        traffic = await asker.send("GET", f"{asker.cloud.base_url}/api/v1/direct-link/log", headers=headers)
        assert (user.status, traffic.json["code"]) == (500, 1)


async def only_page_two_fails(asker: Asker) -> list[int]:
    return [(await asker.listing(page=number, size=1)).status for number in (1, 2, 3)]


async def test_a_fault_may_concern_one_page_only() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("list", "http_502", page=2, times=None))
        assert await only_page_two_fails(asker) == [200, 502, 200]
        assert await only_page_two_fails(asker) == [200, 502, 200]
        asker.cloud.faults.clear()
        assert await only_page_two_fails(asker) == [200, 200, 200]
