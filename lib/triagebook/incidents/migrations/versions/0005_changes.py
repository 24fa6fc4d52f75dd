"""The change feed: what senders of changes posted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "changes",
        sa.Column("id", key, primary_key=True),
        sa.Column("delivery_id", sa.String(32), sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("sender", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("alias", sa.String(256)),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change", sa.JSON, nullable=False),
        sa.UniqueConstraint("delivery_id", "position", name="changes_once"),
    )
    op.create_index("changes_by_subject", "changes", ["subject", "ts"])
    op.create_index("changes_by_alias", "changes", ["sender", "subject", "alias", "ts"])
