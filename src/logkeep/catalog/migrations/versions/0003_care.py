"""Care: when each archived object was last read whole, what is damaged, and which records are lacking by it."""

import sqlalchemy as sa
from alembic import op

from logkeep.catalog import tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table in ("versions", "segments"):
        op.add_column(table, sa.Column("checked_at", tables.Moment(), server_default="0", nullable=False))
        op.execute(f"UPDATE {table} SET checked_at = stored_at")  # noqa: S608 - our own words
        op.create_index(op.f(f"ix_{table}_checked_at"), table, ["checked_at"], unique=False)
    op.create_table(
        "damages",
        sa.Column("damage_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("found_at", tables.Moment(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("aside", sa.Text(), server_default="", nullable=False),
        sa.Column("file_id", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("hour", tables.HourIndex(), nullable=True),
        sa.Column("was_wanted", sa.Boolean(), nullable=False),
        sa.Column("listed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("stream_id", sa.Integer(), nullable=True),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("lacking", sa.Integer(), nullable=True),
        sa.Column("acked_at", tables.Moment(), nullable=True),
        sa.Column("acked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("ack_reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_damages_account_id")),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.stream_id"], name=op.f("fk_damages_stream_id")),
        sa.PrimaryKeyConstraint("damage_id", name=op.f("pk_damages")),
        sa.UniqueConstraint("path", name=op.f("uq_damages_path")),
    )
    op.create_table(
        "lacking_records",
        sa.Column("damage_id", sa.Integer(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["damage_id"], ["damages.damage_id"], name=op.f("fk_lacking_records_damage_id")),
        sa.PrimaryKeyConstraint("damage_id", "record_key", name=op.f("pk_lacking_records")),
        sqlite_with_rowid=False,
    )
