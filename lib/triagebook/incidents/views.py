"""What the store gives out: frozen, JSON-friendly pictures of its rows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from triagebook.core.models import Alert, Change, IncidentType
from triagebook.core.times import Utc
from triagebook.incidents.clocks import doubts_of_message, doubts_of_start
from triagebook.incidents.priority import USUAL, Level, level

DeliveryStatus = Literal["stored", "processed", "quarantined"]
"""`stored`: kept, not yet read. `quarantined`: authenticated, but not understood."""

IncidentState = Literal["open", "acknowledged", "mitigated", "resolved", "reviewed"]

RunState = Literal["held", "queued", "running", "published", "failed"]
"""`held`: not queued before a maintenance window ends, and never if the alerts are over before."""

RefreshWhy = Literal["joined", "reopened", "resolved", "scheduled", "asked"]
"""Why a notebook is executed again."""

TimelineKind = Literal[
    "received",  # the alert that opened the incident
    "joined",  # a further alert: of the same delivery, service or topology
    "cleared",  # one of several alerts is over
    "silenced",  # by people or rules of Alertmanager, while it fires
    "unsilenced",
    "held",  # in a maintenance window
    "raised",  # its run became more urgent
    "doubted",  # told to be over by somebody who cannot know
    "resolved",  # the last one is over
    "reopened",  # one fires again soon after
    "queued",
    "started",
    "diagnosed",
    "published",
    "failed",
    "unarchived",  # brought back after it was archived
]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_json(self) -> dict[str, Any]:
        """Return the view as what `json.dumps` takes: times in ISO 8601 with Z."""
        return self.model_dump(mode="json", by_alias=True)


class IncidentView(_View):
    """An incident.

    `alert` is the alert that opened it, with the incident type and service that the routes gave
    it. `severity`, `verdict` and `headline` are null until a run has an answer. `attempt` counts
    runs from 1 and names the folder of the latest. `delivery_id` is null for one opened by hand.
    Runs start by `priority`, the smallest first, then by `queued_at`; `level` is what the priority
    means in a word. `held_until` and `held_because` stay after a maintenance window.
    `refresh_at` is when its notebook is executed again; that waits for a run that is under way.
    """

    id: str
    incident_type: IncidentType
    service: str | None
    title: str
    state: IncidentState
    severity: str | None = None
    verdict: str | None = None
    headline: str | None = None
    opened_at: Utc
    updated_at: Utc
    resolved_at: Utc | None = None
    run_state: RunState
    attempt: int
    runbook: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    alert: Alert
    delivery_id: str | None = None
    priority: int = USUAL
    queued_at: Utc | None = None
    held_until: Utc | None = None
    held_because: str | None = None
    alerted_at: Utc | None = None
    refresh_at: Utc | None = None
    refresh_why: RefreshWhy | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def level(self) -> Level:
        """How urgent: critical, high, normal or low."""
        return level(self.priority)


class TimelineEntry(_View):
    """One line of an incident's timeline."""

    incident_id: str
    ts: Utc
    kind: TimelineKind
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class AlertView(_View):
    """One alert of one delivery; without an incident it is a `resolved` that nothing waited for."""

    id: int
    delivery_id: str | None
    incident_id: str | None
    received_at: Utc
    alert: Alert

    @computed_field  # type: ignore[prop-decorator]
    @property
    def doubts(self) -> list[str]:
        """What cannot be true of the times that it tells."""
        return doubts_of_message(self.alert, self.received_at)


class EpisodeView(_View):
    """An alert from its firing to its end. `alert` is how it was told last, `alerts` how often."""

    sender: str
    fingerprint: str
    incident_id: str
    title: str
    starts_at: Utc | None = None
    ends_at: Utc | None = None
    opened_at: Utc
    seen_at: Utc
    closed_at: Utc | None = None
    silenced_by: str | None = None
    alerts: int
    alert: Alert | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def doubts(self) -> list[str]:
        """What speaks against the start that its sender tells."""
        return doubts_of_start(self.starts_at, self.opened_at)

    def as_alert(self) -> Alert:
        """Return the alert as a whole: since when, and until when where it is over.

        Times are the episode's: an end that was told may name another start than its firing did.
        """
        told = self.alert or Alert(sender=self.sender, fingerprint=self.fingerprint)
        over = self.closed_at is not None
        known = {
            "title": told.title or self.title,
            "status": "resolved" if over else "firing",
            "starts_at": self.starts_at or self.opened_at,
            "ends_at": (self.ends_at or self.closed_at) if over else None,
        }
        return told.model_copy(update=known)


class RunView(_View):
    """One execution of an incident's runbook."""

    incident_id: str
    attempt: int
    state: RunState
    queued_at: Utc
    started_at: Utc | None = None
    ended_at: Utc | None = None
    message: str | None = None


class DeliveryView(_View):
    """A body that a sender posted. `preview` is its start as text, with what is no UTF-8 replaced."""

    id: str
    sender: str
    received_at: Utc
    headers: dict[str, str]
    status: DeliveryStatus
    why: str | None = None
    body_bytes: int
    body_sha256: str
    preview: str = ""


class ChangeView(_View):
    """A change of the feed: `ts` is when it was made, as its sender says, `received_at` by our clock.

    `alias` is what of the subject points at the change's `to` since, null where nothing was put
    into use; `again`: it pointed there before. The change's `from` is null where the feed does not
    know it.
    """

    id: int
    delivery_id: str
    sender: str
    subject: str
    alias: str | None = None
    ts: Utc
    received_at: Utc
    again: bool = False
    change: Change


class Counts(_View):
    """How many of each there are; a state that nothing is in is missing."""

    incidents_by_state: dict[str, int]
    runs_by_state: dict[str, int]
    deliveries_by_status: dict[str, int]
