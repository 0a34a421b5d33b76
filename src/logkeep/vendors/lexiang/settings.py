"""What an account of Tencent Lexiang can be told."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from logkeep.config.addresses import Origin
from logkeep.config.reading import AccountSettings
from logkeep.config.values import Cron, Duration, NearbyPath, Real, Secret, Text, Whole

VENDOR = "lexiang"
STREAM = "download-logs"
"""The one stream of records that is kept; a folder of the archive."""


class LexiangSettings(AccountSettings):
    """One account.

    ``app_secret`` is the secret itself wherever it came from; ``app_secret_file`` only tells that it was a file.
    """

    vendor: ClassVar[str] = VENDOR

    app_key: Text
    app_secret: Secret
    app_secret_file: NearbyPath = None
    base_url: Origin = "https://lxapi.lexiangla.com"
    per_page: Whole = Field(default=100, ge=1, le=1000)
    requests_per_second: Real = Field(default=2.0, gt=0)
    interval: Duration = Field(default=timedelta(minutes=5), ge=timedelta(minutes=1), le=timedelta(days=1))
    lookback: Duration = Field(default=timedelta(minutes=10), ge=timedelta(0), le=timedelta(days=30))
    sweep: Cron = "0 4 * * *"
    deep_sweep: Cron = "0 5 * * sun"

    @property
    def credential(self) -> tuple[str, SecretStr]:
        """What a token is asked for with: the key and the secret."""
        return self.app_key, self.app_secret
