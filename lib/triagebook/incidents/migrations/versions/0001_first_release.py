"""The first release: deliveries, incidents, episodes, alerts, timeline, runs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("seq", KEY, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("sender", sa.String(64), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("why", sa.Text),
    )
    op.create_index("deliveries_by_status", "deliveries", ["status", "seq"])

    op.create_table(
        "incidents",
        sa.Column("seq", KEY, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("incident_type", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64)),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16)),
        sa.Column("verdict", sa.String(32)),
        sa.Column("headline", sa.Text),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("resolved_at", TIME),
        sa.Column("run_state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("runbook", sa.String(128), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("alert", sa.JSON, nullable=False),
        sa.Column("delivery_id", sa.String(32), sa.ForeignKey("deliveries.id")),
    )
    op.create_index("incidents_by_state", "incidents", ["state", "seq"])
    op.create_index("incidents_by_service", "incidents", ["service", "seq"])
    op.create_index("incidents_by_run_state", "incidents", ["run_state", "seq"])
    op.create_index("incidents_by_delivery", "incidents", ["delivery_id"])

    op.create_table(
        "episodes",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("sender", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(128), nullable=False),
        sa.Column("incident_id", sa.String(32), sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("starts_at", TIME),
        sa.Column("ends_at", TIME),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.Column("alerts", sa.Integer, nullable=False),
    )
    op.create_index("episodes_by_incident", "episodes", ["incident_id"])
    op.create_index(
        "episodes_one_open",
        "episodes",
        ["sender", "fingerprint"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )

    op.create_table(
        "alerts",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("delivery_id", sa.String(32), sa.ForeignKey("deliveries.id")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("episode_id", KEY, sa.ForeignKey("episodes.id")),
        sa.Column("incident_id", sa.String(32), sa.ForeignKey("incidents.id")),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("alert", sa.JSON, nullable=False),
        sa.UniqueConstraint("delivery_id", "position", name="alerts_once"),
    )
    op.create_index("alerts_by_incident", "alerts", ["incident_id", "id"])

    op.create_table(
        "timeline",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("incident_id", sa.String(32), sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("ts", TIME, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("timeline_by_incident", "timeline", ["incident_id", "id"])

    op.create_table(
        "runs",
        sa.Column(
            "incident_id", sa.String(32), sa.ForeignKey("incidents.id"), primary_key=True
        ),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queued_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("message", sa.Text),
    )
