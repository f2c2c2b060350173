"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Binary order on every engine: PostgreSQL would otherwise sort and compare text by the server's locale.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# DuckDB skips blocks by their statistics; PostgreSQL needs an index to find the versions of a key.
KEYS = {
    "leads": ["source", "lead_id"],
    "deals": ["source", "deal_id"],
    "stage_changes": ["source", "entity", "change_id"],
    "stages": ["source", "entity", "pipeline_id", "stage_id"],
    "pipelines": ["source", "entity", "pipeline_id"],
    "crm_sources": ["source", "crm_source"],
    "owners": ["source", "owner_id"],
    "contacts": ["source", "contact_id"],
}


def upgrade() -> None:
    op.create_table(
        "leads",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("lead_id", TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_on", sa.Date, nullable=False),
        sa.Column("modified_at", sa.DateTime),
        sa.Column("moved_at", sa.DateTime),
        sa.Column("stage_id", TEXT, nullable=False),
        sa.Column("semantics", TEXT),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("owner_id", TEXT),
        sa.Column("crm_source", TEXT),
        sa.Column("utm_source", TEXT),
        sa.Column("utm_medium", TEXT),
        sa.Column("utm_campaign", TEXT),
        sa.Column("utm_content", TEXT),
        sa.Column("utm_term", TEXT),
        sa.Column("amount", sa.Numeric(18, 2)),
        sa.Column("currency", TEXT),
        sa.Column("contact_id", TEXT),
        sa.Column("customer_hash", TEXT),
        sa.Column("has_phone", sa.Boolean),
        sa.Column("is_repeat", sa.Boolean),
        sa.Column("branch", TEXT),
        sa.Column("extra", TEXT),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "deals",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("deal_id", TEXT, nullable=False),
        sa.Column("lead_id", TEXT),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_on", sa.Date, nullable=False),
        sa.Column("modified_at", sa.DateTime),
        sa.Column("moved_at", sa.DateTime),
        sa.Column("stage_id", TEXT, nullable=False),
        sa.Column("semantics", TEXT),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("owner_id", TEXT),
        sa.Column("crm_source", TEXT),
        sa.Column("utm_source", TEXT),
        sa.Column("utm_medium", TEXT),
        sa.Column("utm_campaign", TEXT),
        sa.Column("utm_content", TEXT),
        sa.Column("utm_term", TEXT),
        sa.Column("amount", sa.Numeric(18, 2)),
        sa.Column("currency", TEXT),
        sa.Column("contact_id", TEXT),
        sa.Column("customer_hash", TEXT),
        sa.Column("is_repeat", sa.Boolean),
        sa.Column("is_template", sa.Boolean, nullable=False),
        sa.Column("branch", TEXT),
        sa.Column("extra", TEXT),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "stage_changes",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("change_id", TEXT, nullable=False),
        sa.Column("entity_id", TEXT, nullable=False),
        sa.Column("stage_id", TEXT, nullable=False),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("semantics", TEXT),
        sa.Column("moved_at", sa.DateTime, nullable=False),
        sa.Column("moved_on", sa.Date, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "stages",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("stage_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("semantics", TEXT),
        sa.Column("sort", sa.BigInteger),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "pipelines",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "crm_sources",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("crm_source", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "owners",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("owner_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "contacts",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("contact_id", TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime),
        sa.Column("modified_at", sa.DateTime),
        sa.Column("customer_hash", TEXT),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "commits",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("n_versions", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("record_key", TEXT),
        sa.Column("column_name", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("is_resolved", sa.Boolean, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("launch", TEXT, nullable=False),
        sa.Column("as_of", TEXT, nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.Column("document_hash", TEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        for table, columns in KEYS.items():
            op.create_index(f"{table}_key", table, columns)
