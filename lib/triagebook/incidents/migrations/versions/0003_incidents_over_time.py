"""What alerts of other deliveries join an incident by, and when its notebook is executed again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("incidents", sa.Column("subject", sa.String(200)))
    op.add_column("incidents", sa.Column("alerted_at", TIME))
    op.add_column("incidents", sa.Column("refresh_at", TIME))
    op.add_column("incidents", sa.Column("refresh_why", sa.String(16)))
    op.add_column("incidents", sa.Column("refresh_by", TIME))
    op.add_column("incidents", sa.Column("refreshes", sa.Integer))
    op.create_index("incidents_by_subject", "incidents", ["subject", "alerted_at"])
    op.create_index("incidents_by_refresh", "incidents", ["refresh_at"])
    op.create_index("episodes_by_alert", "episodes", ["sender", "fingerprint", "closed_at"])
    # Incidents of before, too, are joined by what comes right after the upgrade.
    op.execute(
        "UPDATE incidents SET subject = 'service:' || service, alerted_at = updated_at"
        " WHERE service IS NOT NULL AND delivery_id IS NOT NULL"
    )
