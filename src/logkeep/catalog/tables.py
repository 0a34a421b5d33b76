"""The catalog's tables, the same on SQLite and PostgreSQL; those of record streams are in ``stream_tables``.

Moments are integers of microseconds since 1970 in UTC, hours are ``Hour.index``, digests are 32 raw bytes: small,
sortable, and free of zones.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from logkeep.model import Hour

SCHEMA = "0003"
"""The migration this code was written for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Exact: no floating point."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Always UTC; the first hours of the year 1 at +08:00 have no UTC and become its first moment."""
        return None if value is None else _EPOCH + max(value, _FIRST) * _MICROSECOND


class HourIndex(TypeDecorator[Hour]):
    """An ``Hour``, kept as its index."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Hour | None, dialect: Dialect) -> int | None:
        """The index."""
        return None if value is None else value.index

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Hour | None:
        """The hour."""
        return None if value is None else Hour(value)


class Digest(TypeDecorator[str]):
    """A SHA-256 in hex, kept as 32 bytes."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Raw bytes."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """Lower-case hex."""
        return None if value is None else bytes(value).hex()


class Words(TypeDecorator[tuple[str, ...]]):
    """A few plain words, kept as one text."""

    impl = String(200)
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str:
        """Joined by blanks."""
        return " ".join(value or ())

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...]:
        """Split again."""
        return tuple((value or "").split())


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def account_column(*, primary_key: bool = False) -> Column[int]:
    """The column of a table whose rows belong to an account."""
    return Column("account_id", Integer, ForeignKey("accounts.account_id"), primary_key=primary_key, nullable=False)


accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Integer, primary_key=True),
    Column("vendor", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("watched_from", HourIndex, nullable=False),
    Column("judged_to", HourIndex, nullable=False),
    Column("configured", Boolean, nullable=False),
    Column("span_limit", Integer),
    Column("span_limited_at", Moment),
    Column("skew_s", Float),
    Column("answered_at", Moment),
    Column("lateness_s", Float),
    Column("trouble_kind", String(32)),
    Column("trouble_reason", Text),
    Column("trouble_since", Moment),
    Column("orphan_acked_at", Moment),
    Column("orphan_acked_by", Text, nullable=False, server_default=""),
    Column("orphan_ack_reason", Text, nullable=False, server_default=""),
    UniqueConstraint("vendor", "name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("credential", String(200), primary_key=True),
    Column("access_token", Text),
    Column("expires_at", Moment),
    Column("issued_at", Moment),
    Column("last_attempt_at", Moment),
    Column("refusals", Integer, nullable=False),
    Column("paused_until", Moment),
    Column("pause_reason", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Integer, primary_key=True),
    account_column(),
    Column("cause", String(32), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("listings", Integer, nullable=False, server_default="0"),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("files", Integer, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("records", Integer, nullable=False, server_default="0"),
    Column("outcome", Text, nullable=False, server_default=""),
    Index(None, "account_id", "run_id"),
)

hours = Table(
    "hours",
    metadata,
    account_column(primary_key=True),
    Column("hour", HourIndex, primary_key=True),
    Column("listed_at", Moment),
    Column("attested_at", Moment),
    Column("blanks", Integer, nullable=False),
    Column("blank_first", HourIndex),
    Column("blank_last", HourIndex),
    Column("offered", Integer, nullable=False),
    Column("listings", Integer, nullable=False),
    Column("lateness_s", Float),
    Column("failure", Text, nullable=False),
    Column("failed_at", Moment),
    Column("ask_alone", Boolean, nullable=False),
    Column("refused_at", Moment),
    Column("lost_at", Moment),
    Column("lost_reason", Text, nullable=False),
    Column("acked_at", Moment),
    Column("acked_by", Text, nullable=False),
    Column("ack_reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

listings = Table(
    "listings",
    metadata,
    Column("listing_id", Integer, primary_key=True),
    account_column(),
    Column("first_hour", HourIndex, nullable=False),
    Column("last_hour", HourIndex, nullable=False),
    Column("why", Text, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("finished_at", Moment, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "account_id", "last_hour"),
)

unreadable_rows = Table(
    "unreadable_rows",
    metadata,
    Column("row_id", Integer, primary_key=True),
    account_column(),
    Column("listing_id", Integer, ForeignKey("listings.listing_id"), nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("raw", Text, nullable=False),
    Index(None, "account_id", "listing_id"),
)

files = Table(
    "files",
    metadata,
    account_column(primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("hour", HourIndex),
    Column("seen_first", HourIndex, nullable=False),
    Column("seen_last", HourIndex, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("withdrawn_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at", Moment),
    Column("failure", Text, nullable=False),
    Column("lost_at", Moment),
    Column("acked_at", Moment),
    Column("acked_by", Text, nullable=False, server_default=""),
    Column("ack_reason", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
Index(None, files.c.account_id, files.c.hour)
Index("ix_files_wanted", files.c.account_id, files.c.hour, sqlite_where=files.c.wanted, postgresql_where=files.c.wanted)

versions = Table(
    "versions",
    metadata,
    account_column(primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sha256", Digest, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("flags", Words, nullable=False),
    Column("checked_at", Moment, nullable=False, server_default="0"),
    UniqueConstraint("account_id", "file_id", "sha256"),
    Index(None, "checked_at"),
    sqlite_with_rowid=False,
)

intents = Table(
    "intents",
    metadata,
    account_column(primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("temp_name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("listed_bytes", BigInteger),
    Column("flags", Words, nullable=False),
    sqlite_with_rowid=False,
)

partials = Table(
    "partials",
    metadata,
    account_column(primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("temp_name", Text, nullable=False),
    Column("validator", Text, nullable=False),
    Column("total_bytes", BigInteger),
    sqlite_with_rowid=False,
)

sightings = Table(
    "sightings",
    metadata,
    Column("sighting_id", Integer, primary_key=True),
    account_column(),
    Column("file_id", Text, nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("disagreement", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Index(None, "account_id", "file_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True),
    account_column(),
    Column("file_id", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "account_id", "file_id", "attempt_id"),
)

mutations = Table(
    "mutations",
    metadata,
    Column("mutation_id", Integer, primary_key=True),
    account_column(),
    Column("file_id", Text, nullable=False),
    Column("hour", HourIndex),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "account_id", "file_id"),
    Index(None, "account_id", "hour"),
)
