"""The tables of the incident store, for SQLite and Postgres alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite has none, so the zone is put back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write UTC; a naive time is a mistake of the caller."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a time without a zone cannot be stored: {value!r}"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts by itself in INTEGER primary keys only.
_BigKey = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _BigKey, primary_key=True),  # the order of arrival
    Column("id", String(32), nullable=False, unique=True),
    Column("sender", String(64), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_bytes", Integer, nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("why", Text),
    Column("sender_key", String(128)),  # its own id of the delivery, where it has one
    Index("deliveries_by_status", "status", "seq"),
    Index("deliveries_once", "sender", "sender_key", unique=True),
)

incidents = Table(
    "incidents",
    metadata,
    Column("seq", _BigKey, primary_key=True),  # newest first is by this
    Column("id", String(32), nullable=False, unique=True),
    Column("incident_type", String(32), nullable=False),
    Column("service", String(64)),
    Column("title", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16)),
    Column("verdict", String(32)),
    Column("headline", Text),
    Column("opened_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("run_state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("runbook", String(128), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("alert", JSON, nullable=False),
    Column("delivery_id", String(32), ForeignKey("deliveries.id")),
    Column("priority", Integer, nullable=False, server_default="131"),  # the smaller goes first
    Column("queued_at", UtcTime),  # since when its run waits
    Column("held_until", UtcTime),  # in a maintenance window
    Column("held_because", Text),
    Index("incidents_in_line", "run_state", "priority", "queued_at", "seq"),
    Column("subject", String(200)),  # what further alerts are correlated by; null for none
    Column("alerted_at", UtcTime),  # when its last alert came
    Column("refresh_at", UtcTime),  # when its notebook is executed again
    Column("refresh_why", String(16)),
    Column("refresh_by", UtcTime),  # however many alerts join, no later
    Column("refreshes", Integer),  # how often that was by the clock alone
    Index("incidents_by_state", "state", "seq"),
    Index("incidents_by_subject", "subject", "alerted_at"),
    Index("incidents_by_refresh", "refresh_at"),
    Index("incidents_by_service", "service", "seq"),
    Index("incidents_by_type", "incident_type", "seq"),
    Index("incidents_by_run_state", "run_state", "seq"),
    Index("incidents_by_delivery", "delivery_id"),
)

# What incidents are searched by, in one case: narrow, as all of it is read for a search.
incident_words = Table(
    "incident_words",
    metadata,
    Column("seq", _BigKey, primary_key=True, autoincrement=False),  # the incident's
    Column("words", Text, nullable=False),
)

episodes = Table(
    "episodes",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("sender", String(64), nullable=False),
    Column("fingerprint", String(128), nullable=False),
    Column("incident_id", String(32), ForeignKey("incidents.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("starts_at", UtcTime),  # what the sender says; data, not key
    Column("ends_at", UtcTime),
    Column("opened_at", UtcTime, nullable=False),  # by our clock
    Column("seen_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("alerts", Integer, nullable=False),  # how often it was told
    Column("silenced_by", Text),  # ids of silences, or that a rule inhibits it
    Index("episodes_by_incident", "incident_id"),
    Index("episodes_by_alert", "sender", "fingerprint", "closed_at"),
)

# The rule itself, kept by the database: at most one open episode per sender and fingerprint.
Index(
    "episodes_one_open",
    episodes.c.sender,
    episodes.c.fingerprint,
    unique=True,
    sqlite_where=episodes.c.closed_at.is_(None),
    postgresql_where=episodes.c.closed_at.is_(None),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("delivery_id", String(32), ForeignKey("deliveries.id")),
    Column("position", Integer, nullable=False),  # in its delivery, from 0
    Column("episode_id", _BigKey, ForeignKey("episodes.id")),
    Column("incident_id", String(32), ForeignKey("incidents.id")),
    Column("received_at", UtcTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("alert", JSON, nullable=False),
    UniqueConstraint("delivery_id", "position", name="alerts_once"),
    Index("alerts_by_incident", "incident_id", "id"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("incident_id", String(32), ForeignKey("incidents.id"), nullable=False),
    Column("ts", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Index("timeline_by_incident", "incident_id", "id"),
)

# What was changed, as senders of changes posted it. Not what triagebook itself changes.
changes = Table(
    "changes",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("delivery_id", String(32), ForeignKey("deliveries.id"), nullable=False),
    Column("position", Integer, nullable=False),  # in its delivery, from 0
    Column("sender", String(64), nullable=False),
    Column("subject", String(256), nullable=False),  # what was changed, such as a model's name
    Column("alias", String(256)),  # what of the subject points at `to` since; null: nothing does
    Column("ts", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("change", JSON, nullable=False),
    UniqueConstraint("delivery_id", "position", name="changes_once"),
    Index("changes_by_subject", "subject", "ts"),
    Index("changes_by_alias", "sender", "subject", "alias", "ts"),
)

runs = Table(
    "runs",
    metadata,
    Column("incident_id", String(32), ForeignKey("incidents.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("queued_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("message", Text),
)
