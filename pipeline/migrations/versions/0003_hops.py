"""The steps of each run: written when they begin and again when they end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "hops",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("n_received", sa.BigInteger, nullable=False),
        sa.Column("n_appended", sa.BigInteger, nullable=False),
        sa.Column("n_quarantined", sa.BigInteger, nullable=False),
        sa.Column("n_deleted", sa.BigInteger, nullable=False),
        sa.Column("n_requests", sa.BigInteger, nullable=False),
        sa.Column("n_retries", sa.BigInteger, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
    )
