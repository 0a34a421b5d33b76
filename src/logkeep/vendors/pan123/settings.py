"""What an account of 123pan can be told."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from logkeep.config.addresses import Origin
from logkeep.config.reading import AccountSettings
from logkeep.config.values import Cron, Duration, NearbyPath, Real, Secret, Text, Whole, one_of
from logkeep.config.wording import show

VENDOR = "pan123"
RETENTION = timedelta(days=30)
"""How long the vendor keeps a log: "only logs of the last 30 days can be queried"."""

Carrier = Literal["query", "body", "both"]
"""Where a listing's parameters travel; the vendor's table says query, its samples send a body."""


class Pan123Settings(AccountSettings):
    """One account.

    ``client_secret`` is the secret itself wherever it came from; ``client_secret_file`` only tells that it was a file.
    """

    vendor: ClassVar[str] = VENDOR

    client_id: Text
    client_secret: Secret
    client_secret_file: NearbyPath = None
    base_url: Origin = "https://open-api.123pan.com"
    carrier: Annotated[Carrier, one_of("query", "body", "both")] = "query"
    page_size: Whole = Field(default=100, ge=1, le=1000)
    requests_per_second: Real = Field(default=1.0, gt=0)
    poll: Cron = "5 * * * *"
    settle: Duration = Field(default=timedelta(hours=2), ge=timedelta(0), le=timedelta(days=7))
    lookback: Duration = Field(default=timedelta(hours=48), gt=timedelta(0), le=RETENTION, validate_default=True)
    span_hours: Whole = Field(default=24, ge=1, le=720)
    sweep: Cron = "30 3 * * *"

    @field_validator("lookback")
    @classmethod
    def _reaches_what_settles(cls, lookback: timedelta, info: ValidationInfo) -> timedelta:
        settle = info.data.get("settle", lookback)
        if lookback < settle:
            raise ValueError(f"{show(lookback)} is shorter than settle ({show(settle)}); write at least that")
        return lookback

    @property
    def credential(self) -> tuple[str, SecretStr]:
        """What a token is asked for with: the id and the secret."""
        return self.client_id, self.client_secret
