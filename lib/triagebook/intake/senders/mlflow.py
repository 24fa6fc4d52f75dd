"""MLflow's webhooks: models and prompts of its registry, as changes; none of them is an alert."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from triagebook.core.errors import NotAuthenticatedError, NotUnderstoodError
from triagebook.core.models import Change
from triagebook.incidents.changes import NEWEST, Announced
from triagebook.intake.body import HINT, read_json
from triagebook.intake.sender import SENDERS
from triagebook.intake.shapes import Shape, read_shape
from triagebook.intake.signatures import any_equal, base64_digest, check_age, signing_secret
from triagebook.intake.times import read_time

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.models import Alert
    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = "mlflow"
SIGNATURE_HEADER = "x-mlflow-signature"
DELIVERY_HEADER = "x-mlflow-delivery-id"
TIMESTAMP_HEADER = "x-mlflow-timestamp"
_VERSION = "v1,"

_Name = Annotated[str, Field(min_length=1, max_length=256)]
_When = Annotated[datetime, BeforeValidator(read_time)]


class _Webhook(Shape):
    entity: str
    action: str
    timestamp: _When
    data: dict[str, object]


class _Named(Shape):
    name: _Name


class _Version(_Named):
    version: str = Field(min_length=1)


class _Tag(_Named):
    version: str | None = None
    key: str
    value: str | None = None


class _Alias(_Named):
    alias: _Name


class _AliasSet(_Alias):
    version: str = Field(min_length=1)


@SENDERS.register(NAME)
class MLflow:
    """MLflow.

    An alias that is set puts a version into use: that is a change of kind `model`, of a prompt
    `config`. One that is deleted may break who loads by it: `config`. A new version moves what is
    newest and nothing else; new names and tags move nothing, and are kept to be looked at.

    References
    ----------
    MLflow documentation, "Webhooks": events, payloads and signature verification.
    """

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Check its HMAC over the delivery's id, the time and the body, and how old the time is."""
        given = delivery.headers.get(SIGNATURE_HEADER, "")
        stamp = delivery.headers.get(TIMESTAMP_HEADER, "")
        named = delivery.headers.get(DELIVERY_HEADER, "")
        signed = f"{named}.{stamp}.".encode("utf-8", "replace")
        expected = base64_digest(signing_secret(settings, root), signed, delivery.body)
        if not any_equal([given], _VERSION + expected):
            raise NotAuthenticatedError(
                "the signature does not fit the body",
                "give the webhook in MLflow the secret that is named under [intake.mlflow]",
            )
        check_age(stamp, settings.max_age)

    def key(self, delivery: Delivery) -> str | None:
        """Return its id of the delivery, which stays the same over its retries."""
        return delivery.headers.get(DELIVERY_HEADER) or None

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return nothing: what it tells are changes."""
        del settings
        _announced(body)
        return []

    def changes(self, body: bytes) -> list[Announced]:
        """Return the one change."""
        return [_announced(body)]


def _announced(body: bytes) -> Announced:
    told = read_shape(_Webhook, read_json(body), "webhook of MLflow")
    thing, known = _kind_of(told.entity)
    what = f"{told.entity}.{told.action} of MLflow"
    prompt = thing == "prompt"
    kind = "config" if prompt else "model"
    noun = "prompt " if prompt else ""
    if (known, told.action) == ("", "created"):
        named = read_shape(_Named, told.data, what)
        text = f"{noun or 'model '}{named.name} registered"
        return _change(told, named.name, kind, text)
    if (known, told.action) == ("version", "created"):
        version = read_shape(_Version, told.data, what)
        return _change(
            told, version.name, kind, noun + version.name, to=version.version, alias=NEWEST
        )
    if (known, told.action) == ("alias", "created"):
        points = read_shape(_AliasSet, told.data, what)
        return _change(
            told, points.name, kind, noun + points.name, to=points.version, alias=points.alias
        )
    if (known, told.action) == ("alias", "deleted"):
        gone = read_shape(_Alias, told.data, what)
        text = f"{noun}{gone.name} alias {gone.alias} deleted"
        return _change(told, gone.name, "config", text, alias=gone.alias)
    if known in ("tag", "version_tag") and told.action in ("set", "deleted"):
        tag = read_shape(_Tag, told.data, what)
        of = f" version {tag.version}" if tag.version else ""
        text = f"{noun}{tag.name}{of} tag {tag.key}"
        if told.action == "deleted":
            text += " deleted"
        return _change(told, tag.name, "config", text, to=tag.value)
    raise NotUnderstoodError(
        f"{told.entity}.{told.action} is no event of a model or a prompt in MLflow's registry", HINT
    )


def _kind_of(entity: str) -> tuple[str, str]:
    """Return whether an entity is of a model or a prompt, and what it is of it."""
    return _ENTITIES.get(entity, ("", "unknown"))


_ENTITIES = {
    "registered_model": ("model", ""),
    "model_version": ("model", "version"),
    "model_version_tag": ("model", "version_tag"),
    "model_version_alias": ("model", "alias"),
    "prompt": ("prompt", ""),
    "prompt_version": ("prompt", "version"),
    "prompt_tag": ("prompt", "tag"),
    "prompt_version_tag": ("prompt", "version_tag"),
    "prompt_alias": ("prompt", "alias"),
}


def _change(
    told: _Webhook,
    subject: str,
    kind: str,
    what: str,
    *,
    to: str | None = None,
    alias: str | None = None,
) -> Announced:
    return Announced(subject, Change(ts=told.timestamp, kind=kind, what=what, to=to), alias)
