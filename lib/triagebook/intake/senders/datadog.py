"""Datadog's webhooks: the body is a template that the admin pastes, as docs/senders.md gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from triagebook.core.models import Alert
from triagebook.intake.body import read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Epoch, Shape, first, number, read_shape, web_links

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "datadog"
_FIRING = frozenset({"triggered", "re-triggered", "warn", "re-warn", "no data", "re-no data"})
_RESOLVED = frozenset({"recovered"})


class _Webhook(Shape):
    id: str = ""
    alert_id: str = ""
    alert_cycle_key: str = ""
    aggreg_key: str = ""
    alert_transition: str
    alert_priority: str = ""
    alert_metric: str = ""
    alert_query: str = ""
    alert_scope: str = ""
    alert_status: str = ""
    title: str = ""
    body: str = ""
    date: Epoch = None
    tags: str = ""
    hostname: str = ""
    link: str = ""
    value: str | float | None = None
    threshold: str | float | None = Field(default=None)


@SENDERS.register(NAME)
class Datadog(Unnamed):
    """Datadog. It signs nothing: a custom header or basic auth proves who it is.

    References
    ----------
    Datadog documentation, "Webhooks": variables, custom headers.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check the token in the configured header, or the Authorization header."""
        check_authorization(delivery.headers, settings, root)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the monitor's alert; nothing for a renotification's own kinds that say no state."""
        del settings
        told = read_shape(_Webhook, read_json(body), "Datadog webhook of our template")
        state = told.alert_transition.strip().lower()
        if state not in _FIRING | _RESOLVED:
            return []
        over = state in _RESOLVED
        labels = dict(_tags(told.tags))
        if told.hostname:
            labels.setdefault("host", told.hostname)
        return [
            Alert(
                sender=NAME,
                # The cycle's key stays the same from trigger to recovery.
                fingerprint=first(told.alert_cycle_key, told.aggreg_key, told.alert_id, told.id),
                status="resolved" if over else "firing",
                title=first(told.title),
                description=first(told.body, told.alert_status),
                severity=first(labels.get("severity"), told.alert_priority),
                starts_at=None if over else told.date,
                ends_at=told.date if over else None,
                labels=labels,
                annotations=_filled(
                    query=told.alert_query, scope=told.alert_scope, transition=told.alert_transition
                ),
                value=number(told.value),
                threshold=number(told.threshold),
                metric=first(told.alert_metric),
                links=web_links({"datadog": told.link}),
            )
        ]


def _tags(text: str) -> list[tuple[str, str]]:
    """Read `env:prod,team:ml,urgent`; a tag without a colon stands for itself."""
    pairs = [tag.strip().partition(":") for tag in text.split(",") if tag.strip()]
    return [(name, value if colon else "true") for name, colon, value in pairs if name]


def _filled(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
