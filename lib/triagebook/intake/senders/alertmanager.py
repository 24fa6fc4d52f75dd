"""Alertmanager's webhook, version 4; Prometheus, VictoriaMetrics and Mimir send the same."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from triagebook.core.errors import NotUnderstoodError
from triagebook.core.models import Alert
from triagebook.core.times import to_utc
from triagebook.incidents.fingerprints import of_labels
from triagebook.intake.body import HINT, read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings

NAME = "alertmanager"

_SHOWN_PROBLEMS = 3


def _time(value: object) -> datetime | None:
    """Read a time of Go's: up to nine digits of a second; the year 1 means there is none."""
    if not isinstance(value, str):
        message = "expected a time as text"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located message
    if value.startswith("0001-"):
        return None
    try:
        return to_utc(value)
    except OverflowError as error:
        message = f"{value!r} is no time that a clock can show"
        raise ValueError(message) from error


Time = Annotated[datetime | None, BeforeValidator(_time)]
Texts = dict[str, str]


class _Shape(BaseModel):
    # Strict: a label that is a number is not what Alertmanager sends. Keys of later versions pass.
    model_config = ConfigDict(strict=True, extra="ignore")


class _Alert(_Shape):
    status: Literal["firing", "resolved"]
    labels: Texts
    annotations: Texts = Field(default_factory=dict)
    starts_at: Time = Field(alias="startsAt")
    ends_at: Time = Field(alias="endsAt", default=None)
    generator_url: str = Field(alias="generatorURL", default="")
    fingerprint: str = ""


class _Webhook(_Shape):
    version: Literal["4"]
    alerts: list[_Alert] = Field(min_length=1)
    external_url: str = Field(alias="externalURL", default="")
    truncated: int = Field(alias="truncatedAlerts", default=0, ge=0)


@SENDERS.register(NAME)
class Alertmanager:
    """Alertmanager.

    References
    ----------
    Prometheus documentation, "Alerting: configuration", webhook_config: the JSON object.
    """

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, settings: IntakeSettings, root: Path
    ) -> None:
        """Check the bearer token or basic auth of its `http_config`; it signs nothing."""
        del body
        check_authorization(headers, settings, root)

    def parse(self, body: bytes) -> list[Alert]:
        """Return every alert of the group, each with its own status; the group's says less."""
        try:
            webhook = _Webhook.model_validate(read_json(body))
        except ValidationError as error:
            raise NotUnderstoodError(
                f"the body is no Alertmanager webhook of version 4: {_problems(error)}", HINT
            ) from error
        return [_normalised(alert, webhook) for alert in webhook.alerts]


def _problems(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the whole'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = f" and {len(found) - _SHOWN_PROBLEMS} more" if len(found) > _SHOWN_PROBLEMS else ""
    return "; ".join(found[:_SHOWN_PROBLEMS]) + more


def _normalised(alert: _Alert, webhook: _Webhook) -> Alert:
    notes = dict(alert.annotations)
    if webhook.truncated:
        # The receiver's max_alerts cut the group; whoever reads the alert should know.
        notes["truncated_alerts"] = str(webhook.truncated)
    return Alert(
        sender=NAME,
        fingerprint=alert.fingerprint or of_labels(alert.labels),
        status=alert.status,
        title=_first(notes.get("summary"), notes.get("title"), alert.labels.get("alertname")),
        description=_first(notes.get("description"), notes.get("message")),
        severity=_first(alert.labels.get("severity")),
        starts_at=alert.starts_at,
        # While it fires, an end is only when Prometheus would give it up unheard.
        ends_at=alert.ends_at if alert.status == "resolved" else None,
        labels=alert.labels,
        annotations=notes,
        value=_number(notes.get("value"), alert.labels.get("value")),
        threshold=_number(notes.get("threshold"), alert.labels.get("threshold")),
        metric=_first(notes.get("metric"), alert.labels.get("metric")),
        links=_links(alert, webhook),
    )


def _first(*texts: str | None) -> str | None:
    return next((text for text in texts if text), None)


def _number(*texts: str | None) -> float | None:
    """Return the first that is a plain finite number; `2.067s` and `NaN` are none."""
    for text in texts:
        try:
            number = float(text or "")
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return None


def _links(alert: _Alert, webhook: _Webhook) -> dict[str, str]:
    """Return what a browser may be sent to; anything but http and https stays in the annotations."""
    notes = alert.annotations
    found = {
        "generator": alert.generator_url,
        "alertmanager": webhook.external_url,
        "runbook": notes.get("runbook_url") or notes.get("runbook"),
        "dashboard": notes.get("dashboard_url") or notes.get("dashboard"),
    }
    return {
        name: url
        for name, url in found.items()
        if url and url.lower().startswith(("http://", "https://"))
    }
