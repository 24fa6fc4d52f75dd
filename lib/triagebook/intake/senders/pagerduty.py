"""PagerDuty's webhooks, version 3: incidents triggered, reopened and resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from triagebook.core.errors import NotAuthenticatedError
from triagebook.core.models import Alert
from triagebook.intake.body import read_json
from triagebook.intake.sender import SENDERS
from triagebook.intake.shapes import Shape, Time, read_shape, web_links
from triagebook.intake.signatures import any_equal, hex_digest, signing_secret

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "pagerduty"
SIGNATURE_HEADER = "x-pagerduty-signature"
_VERSION = "v1="
_FIRING = frozenset({"incident.triggered", "incident.reopened", "incident.unacknowledged"})
_RESOLVED = frozenset({"incident.resolved"})


class _Named(Shape):
    id: str = ""
    summary: str | None = None


class _Incident(Shape):
    id: str = Field(min_length=1)
    type: str
    html_url: str | None = None
    incident_key: str | None = None
    created_at: Time = None
    resolved_at: Time = None
    title: str | None = None
    urgency: str | None = None
    service: _Named | None = None
    priority: _Named | None = None
    teams: list[_Named] = Field(default_factory=list)


class _Event(Shape):
    id: str
    event_type: str
    occurred_at: Time = None
    data: dict[str, object]


class _Webhook(Shape):
    event: _Event


@SENDERS.register(NAME)
class PagerDuty:
    """PagerDuty.

    References
    ----------
    PagerDuty developer documentation, "Webhooks: overview" and "Verifying webhook signatures".
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check that one of the signatures is ours: there are two while its secret is changed."""
        given = delivery.headers.get(SIGNATURE_HEADER, "")
        ours = [
            part.strip().removeprefix(_VERSION)
            for part in given.split(",")
            if part.strip().startswith(_VERSION)
        ]
        expected = hex_digest(signing_secret(settings, root), delivery.body)
        if not any_equal(ours, expected):
            raise NotAuthenticatedError(
                "no signature fits the body",
                "secret under [intake.pagerduty] is what PagerDuty showed when the webhook was made",
            )

    def key(self, delivery: Delivery) -> str | None:
        """Return its id of the delivery, which stays the same over retries."""
        return delivery.headers.get("x-webhook-id") or None

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the incident's alert; nothing for a ping, a note, an acknowledgement and the like."""
        del settings
        event = read_shape(_Webhook, read_json(body), "PagerDuty webhook of version 3").event
        if event.event_type not in _FIRING | _RESOLVED:
            return []
        incident = read_shape(_Incident, event.data, "PagerDuty incident")
        over = event.event_type in _RESOLVED
        service = incident.service.summary if incident.service else None
        priority = incident.priority.summary if incident.priority else None
        labels = {
            "service": service,
            "urgency": incident.urgency,
            "priority": priority,
            "team": ", ".join(team.summary for team in incident.teams if team.summary) or None,
            "incident_key": incident.incident_key,
        }
        return [
            Alert(
                sender=NAME,
                fingerprint=incident.id,
                status="resolved" if over else "firing",
                title=incident.title,
                severity=priority or incident.urgency,
                starts_at=incident.created_at or event.occurred_at,
                ends_at=(incident.resolved_at or event.occurred_at) if over else None,
                labels={name: text for name, text in labels.items() if text},
                annotations={"event_type": event.event_type},
                links=web_links({"pagerduty": incident.html_url}),
            )
        ]
