"""The shapes that the API answers with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from triagebook.core.models import Diagnosis, Progress  # noqa: TC001 - pydantic needs them
from triagebook.core.times import Utc  # noqa: TC001 - pydantic needs it at run time
from triagebook.incidents.line import Sizes
from triagebook.incidents.views import (
    AlertView,
    ChangeView,
    DeliveryView,
    EpisodeView,
    IncidentView,
    TimelineEntry,
)


class Problem(BaseModel):
    """What went wrong, and what to do next."""

    error: str
    hint: str | None = None


class Links(BaseModel):
    """Where to look; null where it is not there yet."""

    page: str
    events: str
    report: str | None = None
    lab: str | None = None
    files: dict[str, str] = Field(default_factory=dict)


class IncidentListed(IncidentView):
    """An incident; `place` in line is 1 for the run that starts next, null where none waits.

    `silenced`: all its alerts that fire are silenced in Alertmanager.
    """

    place: int | None = None
    silenced: bool = False


class IncidentList(BaseModel):
    """Incidents, newest first; `sizes` counts the runs of all incidents, not of these alone."""

    incidents: list[IncidentListed]
    count: int
    sizes: Sizes


class QueueList(BaseModel):
    """What runs, what waits, the next first, and what a maintenance window holds back."""

    sizes: Sizes
    concurrency: int
    runs_per_minute: float | None
    running: list[IncidentListed]
    waiting: list[IncidentListed]
    held: list[IncidentListed]


class RunHastened(BaseModel):
    """A run that is to go before all others; `place` is null where it has begun already."""

    incident_id: str
    place: int | None


class RunAsked(BaseModel):
    """What a run that is asked for gets: parameters that its runbook declares.

    They are kept for later runs of the incident, on top of what it has.
    """

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class RunTaken(BaseModel):
    """A run that is asked for: `attempt` is its number; it `waits` where another is under way."""

    incident_id: str
    attempt: int
    waits: bool


class IncidentDetail(IncidentListed):
    """An incident with all that is known of it.

    `episodes` are its alerts, each from its firing to its end, oldest first; `alerts` are the
    messages that told of them, newest first, at most 1,000.

    `diagnosis` has the shape `triagebook/diagnosis/1`; it is there before the run is published, as
    soon as the notebook has written it, and then `early` is true. `kernel_stays` is true while the
    kernel that executed the notebook is there to go on in.
    """

    sizes: Sizes
    received_at: Utc | None = None
    started_at: Utc | None = None
    published_at: Utc | None = None
    alerts: list[AlertView]
    episodes: list[EpisodeView]
    diagnosis: Diagnosis | None = None
    early: bool = False
    trouble: str | None = None
    timeline: list[TimelineEntry]
    progress: list[Progress]
    kernel_stays: bool = False
    links: Links


class AlertList(BaseModel):
    """Alerts, newest first."""

    alerts: list[AlertView]
    count: int


class ChangeList(BaseModel):
    """Changes that were posted, newest first."""

    changes: list[ChangeView]
    count: int


class QuarantineList(BaseModel):
    """Deliveries that were authenticated but not understood, newest first."""

    deliveries: list[DeliveryView]
    count: int


class Ready(BaseModel):
    """Whether the service can take and execute work; `checks` says of each part ok or why not."""

    ready: bool
    checks: dict[str, str]
    warm: str = Field(description="whether runs start warm by now: off, starting or ready")
