"""Erasing a person and pruning old versions: what was done, and who must not come back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("erasure_id", TEXT, nullable=False),
        sa.Column("erased_at", sa.DateTime, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("month", TEXT),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("n_versions", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("record_key", TEXT, nullable=False),
        sa.Column("owner_key", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("erasure_id", TEXT, nullable=False),
        sa.Column("is_gone", sa.Boolean, nullable=False),
    )
    op.create_table(
        "prunings",
        sa.Column("pruned_at", sa.DateTime, nullable=False),
        sa.Column("kept_since", sa.DateTime, nullable=False),
        sa.Column("n_versions", sa.BigInteger, nullable=False),
    )
