"""What clients of every vendor have in common beside the way to the API."""

from collections import Counter
from types import TracebackType
from typing import Self

from logkeep.vendors.api import TokenApi


class ApiClient:
    """What clients of every vendor offer beside their own calls; ``async with`` opens and closes.

    Construction does no I/O; ``open`` comes first, ``close`` is always safe.
    """

    def __init__(self, api: TokenApi) -> None:
        self._api = api

    async def open(self) -> None:
        """Make the HTTP session; nothing is sent yet."""
        await self._api.open()

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._api.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """Exchanges so far by (endpoint, outcome)."""
        return self._api.calls

    @property
    def calls_made(self) -> int:
        """Requests sent so far, tokens and retries included."""
        return self.calls.total()

    async def ensure_token(self) -> None:
        """Prove that a token can be had: the stored one if it is alive, else a new one. Asks at most once.

        Raises:
            FatalVendorError: the credentials are refused, now or by an earlier attempt.
            RetriableVendorError, UnreadableReply: no answer that helps.
        """
        await self._api.ensure_token()
