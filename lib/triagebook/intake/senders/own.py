"""What triagebook itself raises: alerts about the alerting, taken from inside only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from triagebook.core.errors import NotAuthenticatedError
from triagebook.core.models import Alert
from triagebook.incidents.correlation import OWN_SENDER
from triagebook.intake.body import read_json
from triagebook.intake.sender import SENDERS, Unnamed
from triagebook.intake.shapes import Shape, Texts, Time, read_shape

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.settings import IntakeSettings
    from triagebook.intake.sender import Delivery

NAME = OWN_SENDER


class _Own(Shape):
    fingerprint: str
    status: str
    title: str
    description: str
    labels: Texts
    at: Time


@SENDERS.register(NAME)
class Own(Unnamed):
    """Triagebook."""

    inside_only: ClassVar[bool] = True
    """Nobody may post as this sender."""

    def authenticate(self, delivery: Delivery, settings: IntakeSettings, root: Path) -> None:
        """Refuse: what triagebook raises does not come in by the door."""
        del delivery, settings, root
        raise NotAuthenticatedError("only triagebook itself speaks as this sender")

    def parse(self, body: bytes, settings: IntakeSettings) -> list[Alert]:
        """Return the one alert."""
        del settings
        told = read_shape(_Own, read_json(body), "alert of triagebook's own")
        over = told.status == "resolved"
        return [
            Alert(
                sender=NAME,
                fingerprint=told.fingerprint,
                status="resolved" if over else "firing",
                title=told.title,
                description=told.description,
                labels=told.labels,
                starts_at=None if over else told.at,
                ends_at=told.at if over else None,
            )
        ]
