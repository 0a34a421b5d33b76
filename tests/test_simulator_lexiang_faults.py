"""Every fault of the simulated Lexiang does on the wire what its name says, once, and then the API is well again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from fault_exam import BROKEN, GATEWAY, SPOILT, Check, shaped
from lexiang_asker import Asker, asking, frozen_cloud
from logkeep.simulator import Fault
from logkeep.simulator.lexiang.api_faults import LOGS_FAULTS, LOGS_PATCHES, TOKEN_FAULTS, TOKEN_PATCHES
from pan123_asker import Answer

ENVELOPE = ["code", "message", "request_id"]


def refusal(status: int, check: Callable[[Any], bool]) -> Check:
    """JSON with a status of its own."""
    return lambda got: got.status == status and check(got.json)


def row(check: Callable[[Any], bool]) -> Check:
    """The first of six rows is odd, the others are there."""
    return shaped(lambda body: len(body["data"]) == 6 and check(body["data"][0]) and "id" in body["data"][1])


def created(value: object) -> Check:
    return row(lambda told: told["attributes"] == {"created_at": value})


EVERYWHERE: dict[str, Check] = {
    **GATEWAY,
    "too_many": lambda got: (got.status, got.body) == (429, b"Too Many Attempts."),
    "envelope": shaped(lambda body: list(body) == ENVELOPE and body["code"] == 1),
    "unauthorized": refusal(401, lambda body: body == {"errors": {"detail": "Unauthenticated."}}),
    "forbidden": refusal(403, lambda body: body == {"errors": {"detail": "Forbidden"}}),
    "needs_upgrade": refusal(403, lambda body: body == {"code": 403, "message": "版本需升级后启用"}),
    "errors_list": refusal(500, lambda body: isinstance(body["errors"], list)),
    "errors_text": refusal(500, lambda body: body["errors"] == "内部错误"),
    "errors_map": refusal(422, lambda body: isinstance(body["errors"]["per_page"], list)),
    "errors_in_200": shaped(lambda body: list(body) == ["errors"]),
    **SPOILT,
    "top_level_list": shaped(lambda body: isinstance(body, list)),
    "top_level_null": shaped(lambda body: body is None),
    "content_type": lambda got: "text/html" in got.headers["Content-Type"] and isinstance(got.json, dict),
    "huge_body": lambda got: len(got.body) > 60_000_000 and isinstance(json.loads(got.body), dict),
    "slow": lambda got: isinstance(got.json, dict),
}
LOGS: dict[str, Check] = {
    "data_missing": shaped(lambda body: list(body) == ["included", "links", "meta"]),
    "data_null": shaped(lambda body: body["data"] is None),
    "data_object": shaped(lambda body: isinstance(body["data"], dict)),
    "data_text": shaped(lambda body: body["data"] == "ok"),
    "empty_page": shaped(lambda body: body["data"] == [] and body["links"]["next"] is not None),
    "empty_last": shaped(lambda body: body["data"] == [] and body["links"]["next"] is None),
    "rows_missing": shaped(lambda body: len(body["data"]) == 4 and body["meta"]["to"] == 6),
    "rows_twice": shaped(lambda body: len(body["data"]) == 12 and body["data"][0] == body["data"][1]),
    "rows_reversed": shaped(lambda body: [one["id"] for one in body["data"]] == ["6", "7", "8", "9", "10", "11"]),
    "row_text": row(lambda told: isinstance(told, str)),
    "row_null": row(lambda told: told is None),
    "row_without_id": row(lambda told: list(told) == ["type", "attributes", "relationships"]),
    "row_id_null": row(lambda told: told["id"] is None),
    "row_id_empty": row(lambda told: told["id"] == ""),
    "row_id_object": row(lambda told: isinstance(told["id"], dict)),
    "row_of_another_type": row(lambda told: told["type"] == "view_log"),
    "row_without_attributes": row(lambda told: "attributes" not in told),
    "row_without_relationships": row(lambda told: "relationships" not in told),
    "created_missing": row(lambda told: told["attributes"] == {}),
    "created_null": created(None),
    "created_garbage": created("昨天"),
    "created_number": created(1_523_346_681),
    "created_impossible": created("2018-02-30 25:61:61"),
    "created_zoned": created("2018-04-10T07:51:21Z"),
    "meta_missing": shaped(lambda body: "meta" not in body),
    "meta_null": shaped(lambda body: body["meta"] is None),
    "meta_list": shaped(lambda body: body["meta"] == []),
    "meta_garbage": shaped(lambda body: body["meta"]["current_page"] == "one"),
    "total_negative": shaped(lambda body: body["meta"]["total"] == -1),
    "total_float": shaped(lambda body: body["meta"]["total"] == 1.5),
    "links_missing": shaped(lambda body: "links" not in body),
    "links_null": shaped(lambda body: body["links"] is None),
    "links_text": shaped(lambda body: body["links"] == "/next"),
    "included_missing": shaped(lambda body: "included" not in body),
    "included_null": shaped(lambda body: body["included"] is None),
    "included_object": shaped(lambda body: isinstance(body["included"], dict)),
    "code_zero": shaped(lambda body: body["code"] == 0 and len(body["data"]) == 6),
    "code_beside_data": shaped(lambda body: body["code"] == 50_001 and len(body["data"]) == 6),
}
TOKEN: dict[str, Check] = {
    "token_missing": shaped(lambda body: list(body) == ["token_type", "expires_in"]),
    "token_number": shaped(lambda body: body["access_token"] == 12_345),
    "token_empty": shaped(lambda body: body["access_token"] == ""),
    "token_split": shaped(lambda body: "\r\n" in body["access_token"]),
    "expiry_missing": shaped(lambda body: list(body) == ["token_type", "access_token"]),
    "expiry_text": shaped(lambda body: body["expires_in"] == "7200"),
    "expiry_garbage": shaped(lambda body: body["expires_in"] == "soon"),
    "expiry_zero": shaped(lambda body: body["expires_in"] == 0),
    "expiry_negative": shaped(lambda body: body["expires_in"] == -5),
    "expiry_endless": shaped(lambda body: body["expires_in"] == 10**30),
}
EXAMINED_ELSEWHERE = {"patch"}
WRONG_PAGES = {"wrong_page", "wrong_page_disguised"}


def populate(asker: Asker) -> None:
    """Twelve records, a second apart; the newest is ``11``."""
    for number in range(12):
        asker.account.add_record(back=timedelta(seconds=12 - number), record_id=str(number))


def test_every_kind_of_fault_is_examined_here() -> None:
    everywhere = EVERYWHERE.keys() | BROKEN.keys() | EXAMINED_ELSEWHERE
    assert everywhere | LOGS.keys() | WRONG_PAGES == LOGS_FAULTS.keys()
    assert everywhere | TOKEN.keys() == TOKEN_FAULTS.keys()
    assert (set(LOGS), set(TOKEN)) == (set(LOGS_PATCHES), set(TOKEN_PATCHES))


@pytest.mark.parametrize("kind", [*EVERYWHERE, *LOGS])
async def test_a_faulty_page_is_what_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        populate(asker)
        await asker.headers()
        asker.cloud.faults.add(Fault("logs", kind))
        assert (EVERYWHERE | LOGS)[kind](await asker.logs(1, 6))
        assert asker.cloud.requests[-1].fault == kind
        assert await asker.ids(1, 6) == ["11", "10", "9", "8", "7", "6"]
        assert asker.cloud.faults.pending == []


@pytest.mark.parametrize("kind", [*EVERYWHERE, *TOKEN])
async def test_a_faulty_token_answer_is_what_its_name_says_and_the_next_is_well(kind: str) -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("token", kind))
        assert (EVERYWHERE | TOKEN)[kind](await asker.token())
        assert list((await asker.token()).json) == ["token_type", "expires_in", "access_token"]


@pytest.mark.parametrize("where", ["token", "logs"])
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_connection_breaks_as_its_name_says_and_the_next_is_well(kind: str, where: str) -> None:
    patience = aiohttp.ClientTimeout(total=0.2 if BROKEN[kind] is TimeoutError else 30.0)
    async with asking(frozen_cloud()) as asker:
        await asker.headers()
        ask: Callable[..., Awaitable[Answer]] = asker.token if where == "token" else asker.logs
        asker.cloud.faults.add(Fault(where, kind))
        with pytest.raises(BROKEN[kind]):
            await ask(timeout=patience)
        assert (await ask()).status == 200


async def test_another_page_is_answered_once_openly_or_in_disguise() -> None:
    async with asking(frozen_cloud()) as asker:
        populate(asker)
        asker.cloud.faults.add(
            Fault("logs", "wrong_page", page=2),
            Fault("logs", "wrong_page_disguised", page=3),
            Fault("logs", "wrong_page", page=4, at=3),
        )
        told = {}
        for number in (1, 2, 3, 4):
            got = await asker.document(number, 3)
            told[number] = (got["meta"]["current_page"], [one["id"] for one in got["data"]])
        assert told == {
            1: (1, ["11", "10", "9"]),
            2: (1, ["11", "10", "9"]),
            3: (3, ["11", "10", "9"]),
            4: (3, ["5", "4", "3"]),
        }
        assert await asker.ids(2, 3) == ["8", "7", "6"]


async def test_headers_of_a_limit_are_sent_only_where_the_fault_has_them() -> None:
    async with asking(frozen_cloud()) as asker:
        limit = {"X-RateLimit-Limit": "3000", "X-RateLimit-Remaining": "0"}
        asker.cloud.faults.add(
            Fault("logs", "too_many"),
            Fault("logs", "too_many", retry_after="7", headers=limit),
            Fault("logs", "http_503", headers=limit, retry_after="soon"),
        )
        answers = [await asker.logs() for _ in range(3)]
        assert [answer.status for answer in answers] == [429, 429, 503]
        assert [answer.headers.get("Retry-After") for answer in answers] == [None, "7", "soon"]
        assert [answer.headers.get("X-RateLimit-Limit") for answer in answers] == [None, "3000", "3000"]


async def test_a_fault_may_concern_one_account_and_carry_words_of_its_own() -> None:
    async with asking(frozen_cloud()) as asker:
        other = Asker(asker.cloud, asker.cloud.add_account("other"), asker.session)
        asker.cloud.faults.add(
            Fault("logs", "envelope", client_id="other", code=50_001, message="参数错误", status=400)
        )
        assert (await asker.logs()).status == 200
        answer = await other.logs()
        assert (answer.status, answer.json["code"], answer.json["message"]) == (400, 50_001, "参数错误")


async def test_a_patch_changes_one_answer_and_never_the_world() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.account.populate(5)
        before = await asker.document()

        def spoil(body: dict[str, Any]) -> Any:
            for row_or_party in (*body["data"], *body["included"]):
                row_or_party["attributes"].clear()
                row_or_party.get("relationships", {}).clear()
            return body

        asker.cloud.faults.add(Fault("logs", "patch", patch=spoil))
        assert (await asker.document())["data"][0]["attributes"] == {}
        assert await asker.document() == before


async def test_a_patch_of_rows_leaves_a_refusal_alone() -> None:
    async with asking(frozen_cloud(), permitted=False) as asker:
        asker.cloud.faults.add(Fault("logs", "data_missing"), Fault("logs", "patch", patch=dict))
        assert [(await asker.logs()).status for _ in range(2)] == [403, 403]
        asker.cloud.calls_per_minute, asker.account.permitted = 1, True
        asker.cloud.faults.add(Fault("logs", "patch", patch=dict, after=1))
        assert [(await asker.logs()).status for _ in range(2)] == [200, 429]
        assert asker.cloud.requests[-1].fault == "patch"


async def test_a_token_may_have_been_issued_though_its_holder_never_hears_of_it() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("token", "drop"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await asker.token()
        assert len(asker.account.tokens.issued()) == 1


async def test_stalled_answers_do_not_keep_the_cloud_from_stopping() -> None:
    async with asking(frozen_cloud()) as asker:
        asker.cloud.faults.add(Fault("logs", "stall"), Fault("logs", "stall_body"))
        await asker.headers()
        stalled = [asyncio.ensure_future(asker.logs()) for _ in range(2)]
        await asker.cloud.until("logs", 2)
        await asker.cloud.stop()
        results = await asyncio.gather(*stalled, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)


async def test_chaos_lets_a_patient_client_through() -> None:
    async with asking(frozen_cloud(), timeout_s=0.5) as asker:
        asker.account.populate(20)
        await asker.headers()
        asker.cloud.faults.chaos(4, 0.5)
        tries = 0
        for number in range(1, 11):
            got: list[Any] = []
            while not got:
                tries += 1
                try:
                    got = (await asker.logs(number, 2)).json["data"]
                except (aiohttp.ClientError, ValueError, KeyError):
                    continue
            assert got[0]["id"] == asker.account.ids()[2 * number - 2]
        assert 12 < tries <= 30


@pytest.mark.parametrize(("where", "kind"), [("list", "http_500"), ("logs", "code_429"), ("token", "empty_page")])
def test_a_fault_that_does_not_exist_is_refused(where: str, kind: str) -> None:
    with pytest.raises(ValueError, match="choose from"):
        frozen_cloud().faults.add(Fault(where, kind))
