"""Google Cloud Monitoring's webhook notification channel, schema 1.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from triagebook.core.models import Alert
from triagebook.intake.body import read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Epoch, Shape, Texts, first, number, read_shape, web_links

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "gcp"


class _Resource(Shape):
    type: str = ""
    labels: Texts = Field(default_factory=dict)


class _Metric(Shape):
    type: str = ""
    labels: Texts = Field(default_factory=dict)


class _Documentation(Shape):
    content: str = ""
    subject: str = ""


class _Incident(Shape):
    incident_id: str = Field(min_length=1)
    resource_name: str = ""
    resource: _Resource | None = None
    metric: _Metric | None = None
    started_at: Epoch = None
    ended_at: Epoch = None
    policy_name: str = ""
    condition_name: str = ""
    severity: str = ""
    url: str = ""
    documentation: _Documentation | str | None = None
    state: str
    summary: str = ""
    observed_value: str | float | None = None
    threshold_value: str | float | None = None
    scoping_project_id: str = ""
    user_labels: Texts = Field(default_factory=dict, alias="policy_user_labels")

    @field_validator("state")
    @classmethod
    def _known_state(cls, value: str) -> str:
        found = value.strip().lower()
        if found not in {"open", "closed"}:
            message = "expected `open` or `closed`"
            raise ValueError(message)
        return found


class _Webhook(Shape):
    incident: _Incident
    version: str = ""


@SENDERS.register(NAME)
class GoogleCloudMonitoring(Unnamed):
    """Google Cloud Monitoring. It can send basic auth, or a token in the address.

    References
    ----------
    Google Cloud documentation, "Create and manage notification channels: webhooks".
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check basic auth, or the token in `?auth_token=`."""
        check_authorization(delivery.headers, settings, root, delivery.query.get("auth_token"))

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the incident's alert."""
        del settings
        told = read_shape(_Webhook, read_json(body), "Google Cloud Monitoring webhook").incident
        over = told.state == "closed"
        labels = {
            "policy": told.policy_name,
            "condition": told.condition_name,
            "resource": told.resource_name,
            "project": told.scoping_project_id,
            **(told.resource.labels if told.resource else {}),
            **(told.metric.labels if told.metric else {}),
            **told.user_labels,
        }
        note = told.documentation
        return [
            Alert(
                sender=NAME,
                fingerprint=told.incident_id,
                status="resolved" if over else "firing",
                title=first(told.summary, told.condition_name, told.policy_name),
                description=note.content if isinstance(note, _Documentation) else note,
                severity=first(told.severity),
                starts_at=told.started_at,
                ends_at=told.ended_at if over else None,
                labels={name: text for name, text in labels.items() if text},
                value=number(told.observed_value),
                threshold=number(told.threshold_value),
                metric=first(told.metric.type if told.metric else None),
                links=web_links({"google": told.url}),
            )
        ]
