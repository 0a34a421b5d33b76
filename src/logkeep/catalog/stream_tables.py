"""The catalog's tables of record streams; moments, digests and names as in ``tables``.

A record points to the segment it was first written to, for good. Compaction replaces segments by one, whose number
then stands in their ``merged_into``: recording it changes a row for each segment, however many records they hold.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from logkeep.catalog.tables import Digest, Moment, account_column, metadata


def _stream(*, primary_key: bool = False) -> Column[int]:
    return Column("stream_id", Integer, ForeignKey("streams.stream_id"), primary_key=primary_key, nullable=False)


streams = Table(
    "streams",
    metadata,
    Column("stream_id", Integer, primary_key=True),
    account_column(),
    Column("name", String(64), nullable=False),
    Column("mark", Moment),
    Column("looks", Integer, nullable=False),
    Column("unproven", Boolean, nullable=False),
    Column("confirmed_at", Moment),
    Column("page_size", Integer),
    Column("page_size_at", Moment),
    Column("passed_at", Moment),
    Column("swept_at", Moment),
    Column("deep_swept_at", Moment),
    Column("failure", Text, nullable=False),
    Column("failed_at", Moment),
    Column("oldest", Moment),
    Column("total", BigInteger),
    UniqueConstraint("account_id", "name"),
)

# of ``look`` 1 (what is covered) or 2 (how far the second look has come)
stream_intervals = Table(
    "stream_intervals",
    metadata,
    _stream(primary_key=True),
    Column("look", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("start", Moment),
    Column("end", Moment, nullable=False),
    Column("records", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

suspects = Table(
    "suspects",
    metadata,
    _stream(primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("start", Moment),
    Column("end", Moment),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

segments = Table(
    "segments",
    metadata,
    Column("segment_id", Integer, primary_key=True),
    _stream(),
    Column("day", String(10), nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("sha256", Digest, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("records", Integer, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("merged_into", Integer, ForeignKey("segments.segment_id")),
    Column("removed", Boolean, nullable=False),
    Column("checked_at", Moment, nullable=False, server_default="0"),
)
Index(None, segments.c.stream_id, segments.c.day)
Index(None, segments.c.checked_at)

records = Table(
    "records",
    metadata,
    _stream(primary_key=True),
    Column("record_key", LargeBinary, primary_key=True),
    Column("segment_id", Integer, ForeignKey("segments.segment_id"), nullable=False),
    sqlite_with_rowid=False,
)

segment_intents = Table(
    "segment_intents",
    metadata,
    Column("path", Text, primary_key=True),
    _stream(),
    Column("day", String(10), nullable=False),
    Column("temp_name", Text, nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("records", Integer, nullable=False),
    Column("replaces", JSON, nullable=False),
)

oddities = Table(
    "oddities",
    metadata,
    Column("oddity_id", Integer, primary_key=True),
    _stream(),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("record_id", Text),
    Column("fingerprint", Digest, nullable=False),
    UniqueConstraint("stream_id", "kind", "fingerprint"),
)
Index(None, oddities.c.stream_id, oddities.c.kind, oddities.c.at)
