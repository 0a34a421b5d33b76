"""The catalog's tables of damage: archived objects that are not what was recorded; moments and names as in ``tables``.

A row stands until a good copy is back; one of a segment is told anew by how many of its records are lacking.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from logkeep.catalog.tables import HourIndex, Moment, account_column, metadata

damages = Table(
    "damages",
    metadata,
    Column("damage_id", Integer, primary_key=True),
    account_column(),
    Column("path", Text, nullable=False, unique=True),
    Column("what", Text, nullable=False),
    Column("found_at", Moment, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("aside", Text, nullable=False, server_default=""),
    Column("file_id", Text),
    Column("version", Integer),
    Column("hour", HourIndex),
    Column("was_wanted", Boolean, nullable=False),
    Column("listed_bytes", BigInteger),
    Column("stream_id", Integer, ForeignKey("streams.stream_id")),
    Column("segment_id", Integer),
    Column("day", String(10)),
    Column("records", Integer, nullable=False),
    Column("lacking", Integer),
    Column("acked_at", Moment),
    Column("acked_by", Text, nullable=False, server_default=""),
    Column("ack_reason", Text, nullable=False, server_default=""),
)

# records that a damaged segment held and that could not be read from it any more
lacking_records = Table(
    "lacking_records",
    metadata,
    Column("damage_id", Integer, ForeignKey("damages.damage_id"), primary_key=True, nullable=False),
    Column("record_key", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)
