"""The simulated token endpoint: three live tokens, eviction told apart from expiry, wrong secrets refused."""

from datetime import datetime, timedelta

from pan123_asker import NOON, Asker, asking, frozen_cloud

from manual_clock import ManualClock


async def new_token(asker: Asker) -> str:
    return str((await asker.token()).json["data"]["accessToken"])


async def listed_with(asker: Asker, token: str) -> tuple[int, str]:
    """Code and message of a listing that shows a token."""
    answer = await asker.listing(headers={"Platform": "open_platform", "Authorization": f"Bearer {token}"})
    assert answer.status == 200
    return answer.json["code"], answer.json["message"]


async def test_a_token_comes_with_its_expiry_in_chinese_time() -> None:
    async with asking(frozen_cloud(token_lifetime=timedelta(days=90))) as asker:
        answer = await asker.token()
        assert answer.json["code"] == 0
        assert answer.json["data"]["expiredAt"] == "2025-09-19T12:00:00+08:00"
        assert datetime.fromisoformat(answer.json["data"]["expiredAt"]) == NOON + timedelta(days=90)
        assert asker.account.tokens.issued() == [answer.json["data"]["accessToken"]]


async def test_a_fourth_token_evicts_the_oldest_whose_holder_is_told_so() -> None:
    async with asking(frozen_cloud()) as asker:
        tokens = [await new_token(asker) for _ in range(3)]
        assert [await listed_with(asker, token) for token in tokens] == [(0, "ok")] * 3
        tokens.append(await new_token(asker))
        assert await listed_with(asker, tokens[0]) == (401, "tokens number has exceeded the limit")
        assert [await listed_with(asker, token) for token in tokens[1:]] == [(0, "ok")] * 3


async def test_a_fleet_that_answers_every_refusal_with_a_new_token_revokes_itself_for_ever() -> None:
    async with asking(frozen_cloud()) as asker:
        held = [await new_token(asker) for _ in range(4)]
        refusals = 0
        for turn in range(40):
            code, _ = await listed_with(asker, held[turn % 4])
            if code == 401:
                refusals += 1
                held[turn % 4] = await new_token(asker)
        assert refusals >= 30


async def test_the_limit_counts_live_tokens_of_one_client_only() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, token_limit=1, token_lifetime=timedelta(hours=1))) as asker:
        other = asker.cloud.add_account("other", "secret")
        first = await new_token(asker)
        await new_token(Asker(asker.cloud, other, asker.session))
        assert await listed_with(asker, first) == (0, "ok")
        clock.advance(timedelta(hours=1))
        assert await listed_with(asker, first) == (401, "token is expired")
        second = await new_token(asker)
        assert len(asker.account.tokens.live(clock.now())) == 1
        assert await listed_with(asker, second) == (0, "ok")


async def test_all_tokens_evicted_at_once() -> None:
    async with asking(frozen_cloud()) as asker:
        token = await new_token(asker)
        asker.account.tokens.evict_all()
        assert await listed_with(asker, token) == (401, "tokens number has exceeded the limit")


async def test_a_wrong_secret_or_client_is_refused_and_costs_no_token() -> None:
    async with asking(frozen_cloud()) as asker:
        for answer in (
            await asker.token(secret="wrong"),
            await asker.token(headers={}),
        ):
            assert (answer.status, answer.json["code"], answer.json["data"]) == (200, 1, None)
        asker.account.client_secret = "rotated"
        assert (await asker.token(secret="simulated-secret")).json["code"] == 1
        unknown = await asker.send(
            "POST",
            f"{asker.cloud.base_url}/api/v1/access_token",
            json={"clientID": ["x"], "clientSecret": None},
            headers={"Platform": "open_platform"},
        )
        assert unknown.json["code"] == 1
        assert asker.account.tokens.issued() == []


async def test_refusals_may_carry_a_real_http_status() -> None:
    async with asking(frozen_cloud(real_http_status=True)) as asker:
        answer = await asker.listing(headers={"Platform": "open_platform", "Authorization": "Bearer x"})
        assert (answer.status, answer.json["code"]) == (401, 401)


async def test_the_token_endpoint_has_a_pace_of_its_own() -> None:
    clock = ManualClock(NOON)
    async with asking(frozen_cloud(now=clock.now, qps=1.0)) as asker:
        assert [(await asker.token()).json["code"] for _ in range(2)] == [0, 429]
        assert (await asker.listing()).json["code"] == 0
