"""Grafana Alerting's webhook contact point: Alertmanager's shape, with values, signed if told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from triagebook.core.models import Alert
from triagebook.incidents.fingerprints import of_labels
from triagebook.intake.body import read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Shape, Texts, Time, first, number, read_shape, web_links
from triagebook.intake.signatures import check_signature

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "grafana"
SIGNATURE_HEADER = "x-grafana-alerting-signature"
"""Where the signature is, unless the contact point names another header."""


class _Alert(Shape):
    status: Literal["firing", "resolved"]
    labels: Texts
    annotations: Texts = Field(default_factory=dict)
    starts_at: Time = Field(alias="startsAt", default=None)
    ends_at: Time = Field(alias="endsAt", default=None)
    generator_url: str = Field(alias="generatorURL", default="")
    dashboard_url: str = Field(alias="dashboardURL", default="")
    panel_url: str = Field(alias="panelURL", default="")
    silence_url: str = Field(alias="silenceURL", default="")
    fingerprint: str = ""
    values: dict[str, float | None] | None = None


class _Webhook(Shape):
    alerts: list[_Alert] = Field(min_length=1)
    truncated: int = Field(alias="truncatedAlerts", default=0, ge=0)


@SENDERS.register(NAME)
class Grafana(Unnamed):
    """Grafana Alerting.

    References
    ----------
    Grafana documentation, "Configure the webhook notifier for Alerting": JSON body, HMAC signature.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check the HMAC of `secret`, over the timestamp too where one is sent; else the credentials."""
        if settings.secret is None:
            check_authorization(delivery.headers, settings, root)
            return
        hint = "let the contact point sign with the secret under [intake.grafana]"
        check_signature(delivery, settings, root, SIGNATURE_HEADER, hint)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return every alert of the group, each with its own status."""
        del settings
        webhook = read_shape(_Webhook, read_json(body), "Grafana alerting webhook")
        return [_normalised(alert, webhook) for alert in webhook.alerts]


def _normalised(alert: _Alert, webhook: _Webhook) -> Alert:
    notes = dict(alert.annotations)
    if webhook.truncated:
        notes["truncated_alerts"] = str(webhook.truncated)
    known = {ref: value for ref, value in (alert.values or {}).items() if value is not None}
    if known:
        notes.setdefault("values", ", ".join(f"{ref}={value:g}" for ref, value in known.items()))
    return Alert(
        sender=NAME,
        fingerprint=alert.fingerprint or of_labels(alert.labels),
        status=alert.status,
        title=first(notes.get("summary"), notes.get("title"), alert.labels.get("alertname")),
        description=first(notes.get("description"), notes.get("message")),
        severity=first(alert.labels.get("severity")),
        starts_at=alert.starts_at,
        ends_at=alert.ends_at if alert.status == "resolved" else None,
        labels=alert.labels,
        annotations=notes,
        # Of several expressions none is known to be the one that was meant; the condition says 0 or 1.
        value=number(notes.get("value"), *(list(known.values()) if len(known) == 1 else [])),
        threshold=number(notes.get("threshold")),
        metric=first(notes.get("metric"), alert.labels.get("metric")),
        links=web_links(
            {
                "generator": alert.generator_url,
                "dashboard": alert.dashboard_url,
                "panel": alert.panel_url,
                "silence": alert.silence_url,
                "runbook": notes.get("runbook_url"),
            }
        ),
    )
