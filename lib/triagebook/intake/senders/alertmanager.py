"""Alertmanager's webhook, version 4; Prometheus, VictoriaMetrics and Mimir send the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from triagebook.core.models import Alert
from triagebook.incidents.fingerprints import of_labels
from triagebook.intake.body import read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Shape, Texts, Time, first, number, read_shape, web_links

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "alertmanager"


class _Alert(Shape):
    status: Literal["firing", "resolved"]
    labels: Texts
    annotations: Texts = Field(default_factory=dict)
    starts_at: Time = Field(alias="startsAt", default=None)
    ends_at: Time = Field(alias="endsAt", default=None)
    generator_url: str = Field(alias="generatorURL", default="")
    fingerprint: str = ""


class _Webhook(Shape):
    version: Literal["4"]
    alerts: list[_Alert] = Field(min_length=1)
    external_url: str = Field(alias="externalURL", default="")
    truncated: int = Field(alias="truncatedAlerts", default=0, ge=0)


@SENDERS.register(NAME)
class Alertmanager(Unnamed):
    """Alertmanager.

    References
    ----------
    Prometheus documentation, "Alerting: configuration", webhook_config: the JSON object.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check the bearer token or basic auth of its `http_config`; it signs nothing."""
        check_authorization(delivery.headers, settings, root)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return every alert of the group, each with its own status; the group's says less."""
        del settings
        webhook = read_shape(_Webhook, read_json(body), "Alertmanager webhook of version 4")
        return [_normalised(alert, webhook) for alert in webhook.alerts]


def _normalised(alert: _Alert, webhook: _Webhook) -> Alert:
    notes = dict(alert.annotations)
    if webhook.truncated:
        # The receiver's max_alerts cut the group; whoever reads the alert should know.
        notes["truncated_alerts"] = str(webhook.truncated)
    return Alert(
        sender=NAME,
        fingerprint=alert.fingerprint or of_labels(alert.labels),
        status=alert.status,
        title=first(notes.get("summary"), notes.get("title"), alert.labels.get("alertname")),
        description=first(notes.get("description"), notes.get("message")),
        severity=first(alert.labels.get("severity")),
        starts_at=alert.starts_at,
        # While it fires, an end is only when Prometheus would give it up unheard.
        ends_at=alert.ends_at if alert.status == "resolved" else None,
        labels=alert.labels,
        annotations=notes,
        value=number(notes.get("value"), alert.labels.get("value")),
        threshold=number(notes.get("threshold"), alert.labels.get("threshold")),
        metric=first(notes.get("metric"), alert.labels.get("metric")),
        links=_links(alert, webhook),
    )


def _links(alert: _Alert, webhook: _Webhook) -> dict[str, str]:
    """Return what a browser may be sent to; anything but http and https stays in the annotations."""
    notes = alert.annotations
    found = {
        "generator": alert.generator_url,
        "alertmanager": webhook.external_url,
        "runbook": notes.get("runbook_url") or notes.get("runbook"),
        "dashboard": notes.get("dashboard_url") or notes.get("dashboard"),
    }
    return web_links(found)
