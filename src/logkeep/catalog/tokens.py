"""Access tokens, one per credential, shared by every process that uses the catalog."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from logkeep.catalog.database import Database, upsert
from logkeep.catalog.tables import tokens
from logkeep.model import TokenRecord


class Tokens:
    """The tokens of one catalog. A credential is named by a digest, never by the id or the secret itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, credential: str) -> TokenRecord | None:
        """What is known of the credential's token, None when nothing ever was."""
        async with self._database.read(once=True) as connection:
            rows = await connection.execute(select(tokens).where(tokens.c.credential == credential))
            row = rows.mappings().one_or_none()
            return None if row is None else TokenRecord(**{k: v for k, v in row.items() if k != "credential"})

    async def claim_attempt(self, credential: str, *, now: datetime, seen: datetime | None) -> bool:
        """Record that a token is about to be asked for, unless somebody else did since the caller looked.

        Returns:
            False when ``last_attempt_at`` is no longer ``seen``: look again.
        """

        async def work(connection: AsyncConnection) -> bool:
            rows = await connection.execute(select(tokens.c.last_attempt_at).where(tokens.c.credential == credential))
            row = rows.one_or_none()
            if (None if row is None else row[0]) != seen:
                return False
            if row is None:
                values = {"refusals": 0, "pause_reason": ""}
                await upsert(
                    connection, tokens, [{"credential": credential, "last_attempt_at": now, **values}], ["credential"]
                )
            else:
                await connection.execute(
                    update(tokens).where(tokens.c.credential == credential).values(last_attempt_at=now)
                )
            return True

        return await self._database.write(work)

    async def save(self, credential: str, token: str, *, expires_at: datetime, issued_at: datetime) -> None:
        """Keep a new token; a pause that an earlier refusal caused ends."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                update(tokens)
                .where(tokens.c.credential == credential)
                .values(
                    access_token=token,
                    expires_at=expires_at,
                    issued_at=issued_at,
                    paused_until=None,
                    pause_reason="",
                )
            )

        await self._database.write(work)

    async def refuse(
        self,
        credential: str,
        *,
        token: str | None,
        now: datetime,
        paused_until: datetime | None,
        reason: str,
        refusals: int,
    ) -> None:
        """Count refusals, and pause the credential until a moment or not at all.

        With a token: only if it is still the stored one, which is then forgotten; otherwise nothing changes. With
        None: in any case, and the stored token stays.
        """
        values = {"refusals": refusals, "paused_until": paused_until, "pause_reason": reason}
        mine = tokens.c.credential == credential

        async def work(connection: AsyncConnection) -> None:
            if token is not None:
                still_stored = mine & (tokens.c.access_token == token)
                await connection.execute(update(tokens).where(still_stored).values(access_token=None, **values))
                return
            if (await connection.execute(update(tokens).where(mine).values(**values))).rowcount == 0:
                row = {"credential": credential, "last_attempt_at": now, **values}
                await upsert(connection, tokens, [row], ["credential"])

        await self._database.write(work)
