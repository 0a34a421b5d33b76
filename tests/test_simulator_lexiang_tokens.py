"""The simulated token endpoint of Lexiang, and who may read the logs."""

from datetime import timedelta
from typing import Any

import pytest

from lexiang_asker import NOON, Asker, asking, frozen_cloud

from manual_clock import ManualClock

SHAPES = {
    "object": {"errors": {"detail": "Unauthenticated."}},
    "list": {"errors": [{"status": "401", "title": "Unauthorized", "detail": "Unauthenticated."}]},
    "map": {"errors": {"access_token": ["Unauthenticated."]}},
}


async def test_a_token_is_told_as_the_vendor_tells_it_and_opens_the_logs() -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.token()
        assert answer.status == 200
        assert answer.json == {
            "token_type": "Bearer",
            "expires_in": 7200,
            "access_token": asker.account.tokens.issued()[0],
        }
        assert (await asker.logs()).status == 200
        assert (asker.cloud.count("token"), asker.cloud.count("logs")) == (1, 1)


@pytest.mark.parametrize(
    ("changed", "status", "body"),
    [
        ({"app_secret": "wrong"}, 401, {"errors": {"detail": "app_key或app_secret错误"}}),
        ({"app_key": "nobody"}, 401, {"errors": {"detail": "app_key或app_secret错误"}}),
        ({"app_key": None}, 400, {"errors": {"app_key": ["app_key 不能为空。"]}}),
        ({"app_key": 7}, 400, {"errors": {"app_key": ["app_key 不能为空。"]}}),
        ({"app_secret": None}, 400, {"errors": {"app_secret": ["app_secret 不能为空。"]}}),
        ({"grant_type": None}, 400, {"errors": {"grant_type": ["grant_type 不正确。"]}}),
    ],
)
async def test_wrong_credentials_are_refused_as_the_vendor_refuses_them(
    changed: dict[str, Any], status: int, body: object
) -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.token(changed=changed)
        assert (answer.status, answer.json) == (status, body)
        assert asker.account.tokens.issued() == []
        assert "app_secret" not in asker.cloud.requests[-1].params


async def test_a_form_is_no_json() -> None:
    async with asking(frozen_cloud()) as asker:
        answer = await asker.token(json=None, data={"app_key": asker.account.app_key})
        assert (answer.status, list(answer.json["errors"])) == (400, ["app_key"])


async def test_twenty_calls_in_ten_minutes_and_no_more_even_across_a_restart_of_the_cloud() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now)) as asker:
        statuses = [(await asker.token(changed={"app_secret": "x"} if n % 2 else None)).status for n in range(20)]
        assert statuses == [200, 401] * 10
        await asker.cloud.stop()
        await asker.cloud.start()
        clock.advance(timedelta(minutes=1))
        refused = await asker.token()
        assert (refused.status, refused.body) == (429, b"Too Many Attempts.")
        assert refused.headers["Content-Type"].startswith("text/plain")
        assert refused.headers["Retry-After"] == "540"
        assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("20", "0")
        clock.advance(timedelta(minutes=9))
        assert (await asker.token()).status == 200


async def test_limits_may_be_kept_silent_and_hold_for_each_account() -> None:
    async with asking(frozen_cloud(token_calls=1, calls_per_minute=2, rate_headers=False)) as asker:
        other = Asker(asker.cloud, asker.cloud.add_account("other"), asker.session)
        assert [(await asker.token()).status for _ in range(2)] == [200, 429]
        assert [(await asker.logs()).status for _ in range(2)] == [200, 200]
        refused = await asker.logs()
        assert (refused.status, refused.body) == (429, b"Too Many Attempts.")
        assert not {"Retry-After", "X-RateLimit-Limit"} & set(refused.headers)
        assert [(await other.token()).status, (await other.logs()).status] == [200, 200]


async def test_tokens_live_side_by_side_unless_told_otherwise_and_end_when_promised() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, token_lifetime=timedelta(minutes=5), expires_in=99)) as asker:
        first, second = [(await asker.token()).json for _ in range(2)]
        assert first["expires_in"] == 99

        async def status(token: dict[str, str]) -> int:
            return (await asker.logs(headers={"Authorization": f"Bearer {token['access_token']}"})).status

        assert [await status(first), await status(second)] == [200, 200]
        asker.cloud.token_limit = 2
        third = (await asker.token()).json
        assert [await status(token) for token in (first, second, third)] == [401, 200, 200]
        clock.advance(timedelta(minutes=5))
        assert await status(third) == 401


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic {token}", "{token}"])
async def test_only_a_bearer_of_a_token_reads_logs(authorization: str) -> None:
    async with asking(frozen_cloud()) as asker:
        token = (await asker.token()).json["access_token"]
        answer = await asker.logs(headers={"Authorization": authorization.format(token=token)})
        assert (answer.status, answer.json) == (401, SHAPES["object"])


@pytest.mark.parametrize("form", ["object", "list", "map", "envelope", "text", "html"])
async def test_refusals_come_in_every_form(form: Any) -> None:
    async with asking(frozen_cloud(refusal=form)) as asker:
        answer = await asker.logs(headers={})
        assert answer.status == 401
        if form in SHAPES:
            assert answer.json == SHAPES[form]
        elif form == "envelope":
            assert (answer.json["code"], list(answer.json)) == (401, ["code", "message", "request_id"])
        else:
            assert answer.body.startswith({"text": b"Unauthenticated.", "html": b"<!DOCTYPE html>"}[form])


async def test_without_permission_there_are_tokens_but_no_logs() -> None:
    async with asking(frozen_cloud(), permitted=False) as asker:
        answer = await asker.logs()
        assert (answer.status, answer.json) == (403, {"code": 403, "message": "版本需升级后启用"})
        asker.account.permitted = True
        assert (await asker.logs()).status == 200


async def test_a_secret_in_a_query_is_a_violation() -> None:
    async with asking(frozen_cloud()) as asker:
        await asker.logs()
        assert asker.cloud.violations == []
        await asker.logs(params={"access_token": "x"})
        assert asker.cloud.violations == ["access_token sent in the query of /cgi-bin/v1/download-logs"]
        assert (await asker.send("GET", "/elsewhere")).status == 404
