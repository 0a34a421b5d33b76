"""What the simulated API makes of a request: parameters, credentials, pace, and the record it keeps."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from pan123_asker import DAY, NOON, asking, frozen_cloud

from manual_clock import ManualClock

BODY = {"startHour": DAY[0], "endHour": DAY[1], "pageNum": 1, "pageSize": 5}


@pytest.mark.parametrize(("carrier", "by_query", "by_body"), [("query", 0, 1), ("body", 1, 0), ("any", 0, 0)])
async def test_parameters_are_read_only_where_this_cloud_looks(carrier: Any, by_query: int, by_body: int) -> None:
    async with asking(frozen_cloud(carrier=carrier)) as asker:
        asker.account.publish("2025062010")
        queried = await asker.listing()
        bodied = await asker.listing(params={}, json=BODY)
        both = await asker.listing(json=BODY)
        assert (queried.json["code"], bodied.json["code"], both.json["code"]) == (by_query, by_body, 0)
        assert len(both.json["data"]["list"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"startHour": None},
        {"startHour": "2025-06-20"},
        {"startHour": "20250620"},
        {"startHour": 2025062000},
        {"endHour": "2025062024"},
        {"endHour": "2025061900"},
        {"pageNum": 0},
        {"pageNum": "one"},
        {"pageNum": True},
        {"pageSize": None},
        {"pageSize": 1.5},
    ],
)
async def test_a_wrong_parameter_is_refused_with_a_null_data(wrong: dict[str, object]) -> None:
    async with asking(frozen_cloud(carrier="body")) as asker:
        answer = await asker.listing(params={}, json=BODY | wrong)
        assert (answer.status, answer.json["code"], answer.json["data"]) == (200, 1, None)
        assert answer.json["message"]
        assert (await asker.listing(params={}, json=BODY)).json["code"] == 0


async def test_a_body_that_is_no_json_object_is_a_wrong_parameter() -> None:
    async with asking(frozen_cloud(carrier="body")) as asker:
        for data in (b"", b"[1]", b"{"):
            assert (await asker.listing(params={}, data=data)).json["code"] == 1


async def test_without_platform_token_or_developer_rights_nothing_is_listed() -> None:
    async with asking(frozen_cloud()) as asker:
        headers = await asker.headers()
        without_platform = await asker.listing(headers={"Authorization": headers["Authorization"]})
        assert (without_platform.status, without_platform.json["code"]) == (200, 1)
        for wrong in ("", "Bearer nonsense", headers["Authorization"].removeprefix("Bearer ")):
            answer = await asker.listing(headers={"Platform": "open_platform", "Authorization": wrong})
            assert (answer.status, answer.json["code"], answer.json["data"]) == (200, 401, None)
        asker.account.developer_rights = False
        no_rights = await asker.listing()
        assert (no_rights.json["code"], no_rights.json["message"]) == (1, "无效的登录信息")


async def test_too_many_requests_a_second_are_refused_and_the_pace_recovers() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, qps=2.0)) as asker:
        codes = [(await asker.listing()).json["code"] for _ in range(3)]
        assert codes == [0, 0, 429]
        clock.advance(timedelta(seconds=1))
        assert (await asker.listing()).json["code"] == 0
        asker.cloud.real_http_status = True
        await asker.listing()
        assert (await asker.listing()).status == 429


async def test_half_a_request_a_second_means_one_in_two_seconds() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, qps=0.5)) as asker:
        codes = []
        for _ in range(6):
            codes.append((await asker.listing()).json["code"])
            clock.advance(timedelta(seconds=1))
        assert codes == [0, 429, 0, 429, 0, 429]


async def test_the_trace_id_is_sometimes_empty() -> None:
    async with asking(frozen_cloud()) as asker:
        traces = [(await asker.listing()).json["x-traceID"] for _ in range(20)]
        assert "" in traces
        assert any(len(trace) == 32 for trace in traces)


async def test_the_date_header_follows_the_clouds_clock_and_its_error() -> None:
    async with asking(frozen_cloud(date_offset=timedelta(minutes=7))) as asker:
        file = asker.account.publish("2025062010")
        assert (await asker.listing()).headers["Date"] == "Sat, 21 Jun 2025 04:07:00 GMT"
        assert (await asker.fetch(file)).headers["Date"] == "Sat, 21 Jun 2025 04:07:00 GMT"


async def test_an_unknown_path_gets_an_error_envelope() -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.send("GET", f"{asker.cloud.base_url}/nowhere", headers=await asker.headers())
        assert (answer.status, answer.json["code"]) == (200, 1)


async def test_two_accounts_use_the_same_ids_for_different_files() -> None:
    async with asking(frozen_cloud()) as asker:
        mine = asker.account.publish("2025062010", file_id=1)
        theirs = asker.cloud.add_account("other", "secret").publish("2025062010", file_id=1)
        assert await asker.ids() == [1]
        assert (await asker.fetch(mine)).body != theirs.content.read(0, theirs.size_bytes)
        with pytest.raises(ValueError, match="other"):
            asker.cloud.add_account("other", "secret")


async def test_user_info_tells_when_the_rights_end() -> None:
    async with asking(frozen_cloud()) as asker:
        url = f"{asker.cloud.base_url}/api/v1/user/info"
        assert (await asker.send("GET", url, headers=await asker.headers())).json["data"]["developerInfo"] is None
        asker.account.rights_until = NOON
        info = (await asker.send("GET", url, headers=await asker.headers())).json["data"]
        assert info["developerInfo"]["endTime"] == "2025-06-21 12:00:00"
        assert info["passport"]
        assert info["mail"]


async def test_traffic_totals_cover_three_days() -> None:
    async with asking(frozen_cloud(carrier="any")) as asker:
        asker.account.add_traffic(NOON - timedelta(days=1), uniqueID="u", fileName="a.zip", totalTraffic=5)
        params = {"startTime": "2025-06-19 00:00:00", "endTime": "2025-06-21 12:00:00", "pageNum": "1", "pageSize": "9"}
        url = f"{asker.cloud.base_url}/api/v1/direct-link/log"
        answer = await asker.send("GET", url, params=params, headers=await asker.headers())
        assert answer.json["data"]["list"] == [{"uniqueID": "u", "fileName": "a.zip", "totalTraffic": 5}]
        for wrong in ({"startTime": "2025-06-18 00:00:00"}, {"endTime": "now"}, {"pageNum": "x"}):
            answer = await asker.send("GET", url, params=params | wrong, headers=await asker.headers())
            assert answer.json["code"] == 1


async def test_every_request_is_recorded_with_what_was_asked_and_answered() -> None:
    async with asking(frozen_cloud()) as asker:
        file = asker.account.publish("2025062010", size=300)
        await asker.fetch(file, {"Range": "bytes=100-"})
        token, listing, download = asker.cloud.requests
        assert (token.kind, token.method, token.status, token.code) == ("token", "POST", 200, 0)
        assert (listing.kind, listing.client_id, listing.page, listing.code) == ("list", asker.account.client_id, 1, 0)
        assert listing.params == {
            "startHour": "2025062010",
            "endHour": DAY[0][:8] + "23",
            "pageNum": "1",
            "pageSize": "100",
        }
        assert (download.kind, download.file_id, download.status) == ("download", file.file_id, 206)
        assert download.sent_bytes == 200
        assert download.headers["Range"] == "bytes=100-"
        assert asker.account.client_secret not in json.dumps(token.params)
        assert [asker.cloud.count(kind) for kind in ("token", "list", "download")] == [1, 1, 1]
        assert asker.cloud.count() == 3
        asker.cloud.reset()
        assert (asker.cloud.count(), asker.cloud.requests) == (0, [])


async def test_requests_one_after_the_other_are_never_in_flight_together() -> None:
    async with asking(frozen_cloud()) as asker:
        await asker.headers()
        for _ in range(3):
            await asker.listing()
        assert asker.cloud.peak("list") == 1
        asker.cloud.reset()
        await asyncio.gather(*(asker.listing() for _ in range(3)))
        assert asker.cloud.count("list") == 3
