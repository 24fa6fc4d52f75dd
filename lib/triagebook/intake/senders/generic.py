"""Any other sender: CloudEvents 1.0 in JSON, or plain JSON read by a mapping in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triagebook.core.errors import NotUnderstoodError
from triagebook.core.models import Alert
from triagebook.incidents.fingerprints import of_labels
from triagebook.incidents.routes import known_type
from triagebook.intake.body import HINT, read_json
from triagebook.intake.credentials import check_authorization
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import number, web_links
from triagebook.intake.signatures import check_signature
from triagebook.intake.times import read_epoch, read_time

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "generic"
SIGNATURE_HEADER = "x-triagebook-signature"
_TEXTS = ("title", "description", "severity", "metric", "service")
_FIELDS = (
    *_TEXTS,
    "fingerprint",
    "status",
    "incident_type",
    "starts_at",
    "ends_at",
    "value",
    "threshold",
    "labels",
    "link",
)
_OVER = frozenset({"resolved", "ok", "closed", "recovered", "normal", "success", "inactive"})
_FIRING = frozenset(
    {
        "firing",
        "alert",
        "alerting",
        "alarm",
        "open",
        "triggered",
        "failed",
        "error",
        "critical",
        "bad",
    }
)


@SENDERS.register(NAME)
class Generic(Unnamed):
    """CloudEvents and plain JSON.

    References
    ----------
    CloudEvents 1.0, JSON event format, structured mode.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check the HMAC of `secret` over the body (with the timestamp, if one is sent), or credentials."""
        if settings.secret is None:
            check_authorization(delivery.headers, settings, root)
            return
        hint = "sign the raw body with HMAC-SHA256 and the secret under [intake.generic], as hex"
        check_signature(delivery, settings, root, SIGNATURE_HEADER, hint)

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return one alert: of the event's `data`, or of the document, by the mapping's paths."""
        document = read_json(body)
        if not isinstance(document, dict):
            raise NotUnderstoodError("the body is no JSON object", HINT)
        event = document if "specversion" in document else None
        content = document if event is None else _data(document)
        told = {
            name: _at(document if path.startswith("$") else content, path.removeprefix("$."))
            for name in _FIELDS
            if (path := settings.mapping.get(name, name))
        }
        labels = told["labels"] if isinstance(told["labels"], dict) else {}
        texts = {str(k): str(v) for k, v in labels.items() if not isinstance(v, dict | list)}
        if event is not None:
            texts |= {"source": str(event.get("source", "")), "type": str(event.get("type", ""))}
        over = _over(told["status"], settings)
        fingerprint = _text(told["fingerprint"])
        if fingerprint is None and event is not None:
            # The subject of a CloudEvent is what it is about; its id is another one each time.
            about = {k: str(event.get(k, "")) for k in ("source", "type", "subject")}
            fingerprint = of_labels(about | texts)
        title = _text(told["title"]) or (_text(event.get("type")) if event is not None else None)
        if title is None:
            raise NotUnderstoodError(
                "the body says no title",
                'name where it lies: mapping = { title = "path.to.it" } under [intake.generic]',
            )
        began, ended = _time(told["starts_at"], "starts_at"), _time(told["ends_at"], "ends_at")
        if began is None and event is not None and not over:
            began = _time(event.get("time"), "time")
        return [
            Alert(
                sender=NAME,
                fingerprint=fingerprint or of_labels({**texts, "title": title}),
                status="resolved" if over else "firing",
                incident_type=known_type(_text(told["incident_type"]) or ""),
                title=title,
                **{name: _text(told[name]) for name in _TEXTS if name != "title"},
                starts_at=began,
                ends_at=ended if over else None,
                labels=texts,
                value=number(told["value"]),
                threshold=number(told["threshold"]),
                links=web_links({"link": _text(told["link"])}),
            )
        ]


def _data(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if data is None and "data_base64" in event:
        raise NotUnderstoodError("the event's data is binary, and only JSON is read", HINT)
    if data is not None and not isinstance(data, dict):
        raise NotUnderstoodError("the event's data is no JSON object", HINT)
    return data or {}


def _at(document: Any, path: str) -> Any:
    """Return what lies at `a.b.0.c`; None where nothing does."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def _over(status: object, settings: IntakeSettings) -> bool:
    if status is None:
        return False
    word = str(status).strip().lower()
    own = {text.lower() for text in settings.resolved_when}
    if own:
        return word in own
    if word in _OVER:
        return True
    if word in _FIRING:
        return False
    raise NotUnderstoodError(
        f"the status {word[:40]!r} says neither firing nor resolved",
        "say which words mean that it is over: resolved_when = […] under [intake.generic]",
    )


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int | float) and value != "" else None


def _time(value: object, name: str) -> datetime | None:
    try:
        number_like = isinstance(value, int | float) or (
            isinstance(value, str) and value.strip().isdigit()
        )
        return read_epoch(value) if number_like else read_time(value)
    except ValueError as error:
        raise NotUnderstoodError(f"{name} is no time: {error}", HINT) from error
