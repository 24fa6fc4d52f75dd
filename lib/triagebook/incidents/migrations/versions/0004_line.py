"""The line of runs: how urgent, since when it waits, until when it is held; silenced episodes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # 131: an alert that says nothing of its severity, of a service of medium criticality.
    op.add_column(
        "incidents", sa.Column("priority", sa.Integer, nullable=False, server_default="131")
    )
    op.add_column("incidents", sa.Column("queued_at", sa.DateTime(timezone=True)))
    op.add_column("incidents", sa.Column("held_until", sa.DateTime(timezone=True)))
    op.add_column("incidents", sa.Column("held_because", sa.Text))
    op.add_column("episodes", sa.Column("silenced_by", sa.Text))
    op.execute("UPDATE incidents SET queued_at = opened_at")
    op.create_index(
        "incidents_in_line", "incidents", ["run_state", "priority", "queued_at", "seq"]
    )
