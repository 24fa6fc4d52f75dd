"""The line of runs: `/queue`, `/api/queue`, and a person's word that a run goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import HTMLResponse

from triagebook.incidents.views import IncidentView
from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.render import page
from triagebook.web.schemas import IncidentListed, Problem, QueueList, RunHastened
from triagebook.web.security import no_foreign_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

router = APIRouter(tags=["api"])

Limit = Annotated[int, Query(ge=1, le=1_000, description="how many of each at the most")]
_REFUSALS: dict[int | str, dict[str, object]] = {
    403: {"model": Problem, "description": "asked by a web page of another origin"},
    404: {"model": Problem},
    409: {"model": Problem, "description": "it runs already, or is done"},
    415: {"model": Problem, "description": "not declared as application/json"},
}


@router.get("/api/queue")
def queue(here: Here, limit: Limit = 100) -> QueueList:
    """List what runs, what waits, the next first, and what a maintenance window holds back."""
    return line(here, limit)


@router.post(
    "/api/incidents/{incident_id}/run",
    status_code=202,
    dependencies=[Depends(no_foreign_page)],
    responses=_REFUSALS,
)
def run_now(incident_id: str, here: Here) -> RunHastened:
    """Let an incident's run start before all others, also in a maintenance window."""
    here.incident(incident_id)
    state = here.store.line.hasten(incident_id)
    if state != "queued":
        raise HTTPException(
            409, f"the run of {incident_id} is {state}; only one that waits can go first"
        )
    here.queue.enqueue(incident_id)
    return RunHastened(incident_id=incident_id, place=here.store.line.place(incident_id))


@router.get("/queue", include_in_schema=False, response_class=HTMLResponse)
def queue_page(here: Here, limit: Limit = 100) -> HTMLResponse:
    """Show what runs, what waits and what is held back."""
    return page("queue.html.j2", line=line(here, limit), limit=limit)


def line(here: Context, limit: int) -> QueueList:
    """Gather the line of runs, at most so many of each."""
    now = here.store.line.standing(limit)
    server = here.settings.server
    return QueueList(
        sizes=now.sizes,
        concurrency=server.concurrency,
        runs_per_minute=server.runs_per_minute,
        running=with_places(here, now.running, places={}),
        waiting=with_places(
            here, now.waiting, places={one.id: place for place, one in enumerate(now.waiting, 1)}
        ),
        held=with_places(here, now.held, places={}),
    )


def with_places(
    here: Context, found: Sequence[IncidentView], places: dict[str, int] | None = None
) -> list[IncidentListed]:
    """Say of each incident at which place its run waits, and whether it is silenced."""
    if places is None:
        places = here.store.line.places(_waiting(found))
    silenced = here.store.silenced(one.id for one in found)
    return [
        # What the store gave out was checked there.
        IncidentListed.model_construct(
            **{name: getattr(one, name) for name in IncidentView.model_fields},
            place=places.get(one.id),
            silenced=one.id in silenced,
        )
        for one in found
    ]


def _waiting(found: Iterable[IncidentView]) -> list[str]:
    return [one.id for one in found if one.run_state == "queued"]
