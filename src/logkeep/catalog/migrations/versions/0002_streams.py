"""Record streams: how far each has come, its segments, the ids of its records, what is odd; records of a run."""

import sqlalchemy as sa
from alembic import op

from logkeep.catalog import tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("records", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "streams",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("mark", tables.Moment(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("unproven", sa.Boolean(), nullable=False),
        sa.Column("confirmed_at", tables.Moment(), nullable=True),
        sa.Column("page_size", sa.Integer(), nullable=True),
        sa.Column("page_size_at", tables.Moment(), nullable=True),
        sa.Column("passed_at", tables.Moment(), nullable=True),
        sa.Column("swept_at", tables.Moment(), nullable=True),
        sa.Column("deep_swept_at", tables.Moment(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("failed_at", tables.Moment(), nullable=True),
        sa.Column("oldest", tables.Moment(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_streams_account_id")),
        sa.PrimaryKeyConstraint("stream_id", name=op.f("pk_streams")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_streams_account_id_name")),
    )
    op.create_table(
        "stream_intervals",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", tables.Moment(), nullable=True),
        sa.Column("end", tables.Moment(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_stream_intervals_stream_id")),
        sa.PrimaryKeyConstraint("stream_id", "look", "position", name=op.f("pk_stream_intervals")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suspects",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", tables.Moment(), nullable=True),
        sa.Column("end", tables.Moment(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_suspects_stream_id")),
        sa.PrimaryKeyConstraint("stream_id", "position", name=op.f("pk_suspects")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segments",
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", tables.Digest(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("stored_at", tables.Moment(), nullable=False),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_segments_stream_id")),
        sa.ForeignKeyConstraint(["merged_into"], ["segments.segment_id"], name=op.f("fk_segments_merged_into")),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_segments")),
        sa.UniqueConstraint("path", name=op.f("uq_segments_path")),
    )
    op.create_index(op.f("ix_segments_stream_id_day"), "segments", ["stream_id", "day"], unique=False)
    op.create_table(
        "records",
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_records_stream_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.segment_id"], name=op.f("fk_records_segment_id")),
        sa.PrimaryKeyConstraint("stream_id", "record_key", name=op.f("pk_records")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_intents",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("temp_name", sa.Text(), nullable=False),
        sa.Column("sha256", tables.Digest(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_segment_intents_stream_id")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_segment_intents")),
    )
    op.create_table(
        "oddities",
        sa.Column("oddity_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("at", tables.Moment(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", tables.Digest(length=32), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_oddities_stream_id")),
        sa.PrimaryKeyConstraint("oddity_id", name=op.f("pk_oddities")),
        sa.UniqueConstraint("stream_id", "kind", "fingerprint", name=op.f("uq_oddities_stream_id_kind_fingerprint")),
    )
    op.create_index(op.f("ix_oddities_stream_id_kind_at"), "oddities", ["stream_id", "kind", "at"], unique=False)
