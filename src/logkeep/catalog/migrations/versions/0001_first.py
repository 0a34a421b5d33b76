"""The first schema: accounts, tokens, hours with their evidence, files with their versions, runs."""

import sqlalchemy as sa
from alembic import op

from logkeep.catalog import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("vendor", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", tables.Moment(), nullable=False),
        sa.Column("watched_from", tables.HourIndex(), nullable=False),
        sa.Column("judged_to", tables.HourIndex(), nullable=False),
        sa.Column("configured", sa.Boolean(), nullable=False),
        sa.Column("span_limit", sa.Integer(), nullable=True),
        sa.Column("span_limited_at", tables.Moment(), nullable=True),
        sa.Column("skew_s", sa.Float(), nullable=True),
        sa.Column("answered_at", tables.Moment(), nullable=True),
        sa.Column("lateness_s", sa.Float(), nullable=True),
        sa.Column("trouble_kind", sa.String(length=32), nullable=True),
        sa.Column("trouble_reason", sa.Text(), nullable=True),
        sa.Column("trouble_since", tables.Moment(), nullable=True),
        sa.Column("orphan_acked_at", tables.Moment(), nullable=True),
        sa.Column("orphan_acked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("orphan_ack_reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("vendor", "name", name=op.f("uq_accounts_vendor_name")),
    )
    op.create_table(
        "tokens",
        sa.Column("credential", sa.String(length=200), nullable=False),
        sa.Column("access_token", sa.Text(), nullable=True),
        sa.Column("expires_at", tables.Moment(), nullable=True),
        sa.Column("issued_at", tables.Moment(), nullable=True),
        sa.Column("last_attempt_at", tables.Moment(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("paused_until", tables.Moment(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_tokens")),
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("at", tables.Moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_attempts_account_id")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_attempts")),
    )
    op.create_index(
        op.f("ix_attempts_account_id_file_id_attempt_id"),
        "attempts",
        ["account_id", "file_id", "attempt_id"],
        unique=False,
    )
    op.create_table(
        "files",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("hour", tables.HourIndex(), nullable=True),
        sa.Column("seen_first", tables.HourIndex(), nullable=False),
        sa.Column("seen_last", tables.HourIndex(), nullable=False),
        sa.Column("first_seen_at", tables.Moment(), nullable=False),
        sa.Column("last_seen_at", tables.Moment(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("withdrawn_at", tables.Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempted_at", tables.Moment(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("lost_at", tables.Moment(), nullable=True),
        sa.Column("acked_at", tables.Moment(), nullable=True),
        sa.Column("acked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("ack_reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_files_account_id")),
        sa.PrimaryKeyConstraint("account_id", "file_id", name=op.f("pk_files")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_files_account_id_hour"), "files", ["account_id", "hour"], unique=False)
    op.create_index(
        "ix_files_wanted",
        "files",
        ["account_id", "hour"],
        unique=False,
        sqlite_where=sa.text("wanted"),
        postgresql_where=sa.text("wanted"),
    )
    op.create_table(
        "hours",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("hour", tables.HourIndex(), nullable=False),
        sa.Column("listed_at", tables.Moment(), nullable=True),
        sa.Column("attested_at", tables.Moment(), nullable=True),
        sa.Column("blanks", sa.Integer(), nullable=False),
        sa.Column("blank_first", tables.HourIndex(), nullable=True),
        sa.Column("blank_last", tables.HourIndex(), nullable=True),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("listings", sa.Integer(), nullable=False),
        sa.Column("lateness_s", sa.Float(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("failed_at", tables.Moment(), nullable=True),
        sa.Column("ask_alone", sa.Boolean(), nullable=False),
        sa.Column("refused_at", tables.Moment(), nullable=True),
        sa.Column("lost_at", tables.Moment(), nullable=True),
        sa.Column("lost_reason", sa.Text(), nullable=False),
        sa.Column("acked_at", tables.Moment(), nullable=True),
        sa.Column("acked_by", sa.Text(), nullable=False),
        sa.Column("ack_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_hours_account_id")),
        sa.PrimaryKeyConstraint("account_id", "hour", name=op.f("pk_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intents",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("temp_name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", tables.Digest(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("listed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("flags", tables.Words(length=200), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_intents_account_id")),
        sa.PrimaryKeyConstraint("account_id", "file_id", name=op.f("pk_intents")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "listings",
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("first_hour", tables.HourIndex(), nullable=False),
        sa.Column("last_hour", tables.HourIndex(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("asked_at", tables.Moment(), nullable=False),
        sa.Column("finished_at", tables.Moment(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_listings_account_id")),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_listings")),
    )
    op.create_index(op.f("ix_listings_account_id_last_hour"), "listings", ["account_id", "last_hour"], unique=False)
    op.create_table(
        "mutations",
        sa.Column("mutation_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("hour", tables.HourIndex(), nullable=True),
        sa.Column("at", tables.Moment(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_mutations_account_id")),
        sa.PrimaryKeyConstraint("mutation_id", name=op.f("pk_mutations")),
    )
    op.create_index(op.f("ix_mutations_account_id_file_id"), "mutations", ["account_id", "file_id"], unique=False)
    op.create_index(op.f("ix_mutations_account_id_hour"), "mutations", ["account_id", "hour"], unique=False)
    op.create_table(
        "partials",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("temp_name", sa.Text(), nullable=False),
        sa.Column("validator", sa.Text(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_partials_account_id")),
        sa.PrimaryKeyConstraint("account_id", "file_id", name=op.f("pk_partials")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("started_at", tables.Moment(), nullable=False),
        sa.Column("finished_at", tables.Moment(), nullable=True),
        sa.Column("listings", sa.Integer(), server_default="0", nullable=False),
        sa.Column("calls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("files", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_runs_account_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_account_id_run_id"), "runs", ["account_id", "run_id"], unique=False)
    op.create_table(
        "sightings",
        sa.Column("sighting_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("sha256", tables.Digest(length=32), nullable=False),
        sa.Column("seen_at", tables.Moment(), nullable=False),
        sa.Column("disagreement", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_sightings_account_id")),
        sa.PrimaryKeyConstraint("sighting_id", name=op.f("pk_sightings")),
    )
    op.create_index(op.f("ix_sightings_account_id_file_id"), "sightings", ["account_id", "file_id"], unique=False)
    op.create_table(
        "versions",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", tables.Digest(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stored_at", tables.Moment(), nullable=False),
        sa.Column("flags", tables.Words(length=200), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_versions_account_id")),
        sa.PrimaryKeyConstraint("account_id", "file_id", "version", name=op.f("pk_versions")),
        sa.UniqueConstraint("account_id", "file_id", "sha256", name=op.f("uq_versions_account_id_file_id_sha256")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unreadable_rows",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("seen_at", tables.Moment(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=op.f("fk_unreadable_rows_account_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.listing_id"], name=op.f("fk_unreadable_rows_listing_id")),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_unreadable_rows")),
    )
    op.create_index(
        op.f("ix_unreadable_rows_account_id_listing_id"), "unreadable_rows", ["account_id", "listing_id"], unique=False
    )
