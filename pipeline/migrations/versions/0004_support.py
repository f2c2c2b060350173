"""Requests of customers to support."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "support_requests",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_on", sa.Date, nullable=False),
        sa.Column("modified_at", sa.DateTime),
        sa.Column("channel", TEXT),
        sa.Column("tags", TEXT),
        sa.Column("priority", TEXT),
        sa.Column("first_reply_at", sa.DateTime),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("closed_by", TEXT),
        sa.Column("csat", sa.Numeric(18, 2)),
        sa.Column("csat_max", sa.BigInteger),
        sa.Column("nps", sa.BigInteger),
        sa.Column("crm", TEXT),
        sa.Column("lead_id", TEXT),
        sa.Column("deal_id", TEXT),
        sa.Column("contact_id", TEXT),
        sa.Column("customer_hash", TEXT),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index("support_requests_key", "support_requests", ["source", "request_id"])
