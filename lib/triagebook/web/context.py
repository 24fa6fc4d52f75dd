"""What every route works with: one object on the application, opened and closed by its lifespan."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

from anyio import CapacityLimiter
from fastapi import Depends, Request

from triagebook.core.errors import NotFoundError
from triagebook.web.folder import RunFolder

if TYPE_CHECKING:
    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import IncidentView
    from triagebook.intake.receive import Intake
    from triagebook.running.archive import Archive
    from triagebook.running.refresh import Refresher
    from triagebook.web.metrics import Metrics


class Queue(Protocol):
    """What the web needs of the run queue."""

    def launch(self) -> None:
        """Start working; runs that were waiting or cut off are taken up again."""

    def enqueue(self, incident_id: str) -> object:
        """Ask for a run; asking twice is one run."""

    def forget(self, incidents: list[str]) -> None:
        """Forget the runs of incidents that were archived."""

    def close(self) -> None:
        """Stop working; what is unfinished is taken up at the next launch."""

    @property
    def trouble(self) -> str:
        """What keeps this process from working just now; empty where nothing does."""

    @property
    def warm(self) -> str:
        """Whether runs start warm by now: off, starting or ready."""


@dataclass
class Context:
    """The service's parts."""

    home: Home
    settings: Settings
    store: Store
    intake: Intake
    queue: Queue
    metrics: Metrics
    refresher: Refresher
    archive: Archive
    stopping: threading.Event = field(default_factory=threading.Event)
    # Deliveries have threads of their own: a storm of them would else hold all that pages are
    # answered by. Most of the time they wait: for the disk, and for the one thread that reads.
    door: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(16))

    def incident(self, incident_id: str) -> IncidentView:
        """Return an incident; NotFoundError where there is none."""
        found = self.store.incident(incident_id)
        if found is None and self.archive.find(incident_id) is not None:
            raise NotFoundError(
                f"{incident_id} is archived",
                f"bring it back with all its files: triagebook unarchive {incident_id}",
            )
        if found is None:
            raise NotFoundError(
                f"there is no incident {incident_id!r}", "the list has all of them: /"
            )
        return found

    def folder(self, incident: IncidentView) -> RunFolder:
        """Return the run's folder of an incident that the store knows."""
        return RunFolder(self.home, incident.id, incident.attempt)


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Here = Annotated[Context, Depends(_context)]
"""A route's parameter: the service's parts."""
