"""The JSON API: incidents, alerts, quarantine, and the stream of a run's progress."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from triagebook.core.models import IncidentType  # noqa: TC001 - FastAPI reads it at run time
from triagebook.incidents.views import (  # FastAPI reads them at run time
    IncidentState,  # noqa: TC001
    IncidentView,  # noqa: TC001
    TimelineEntry,  # noqa: TC001
)
from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.events import follow
from triagebook.web.line import with_places
from triagebook.web.schemas import (
    AlertList,
    ChangeList,
    IncidentDetail,
    IncidentList,
    IncidentListed,
    Links,
    Problem,
    QuarantineList,
)

router = APIRouter(prefix="/api", tags=["api"])

Limit = Annotated[int, Query(ge=1, le=1_000, description="how many at the most")]
_MISSING: dict[int | str, dict[str, object]] = {404: {"model": Problem}}


@router.get("/incidents")
def incidents(
    here: Here,
    state: IncidentState | None = None,
    incident_type: IncidentType | None = None,
    service: Annotated[str | None, Query(max_length=128)] = None,
    text: Annotated[str | None, Query(max_length=200, description="part of the title")] = None,
    limit: Limit = 100,
) -> IncidentList:
    """List incidents, newest first."""
    found = here.store.incidents(
        state=state, incident_type=incident_type, service=service, text=text, limit=limit
    )
    return IncidentList(
        incidents=with_places(here, found), count=len(found), sizes=here.store.line.sizes()
    )


@router.get("/incidents/{incident_id}", responses=_MISSING)
def incident(incident_id: str, here: Here) -> IncidentDetail:
    """Return an incident: alerts, diagnosis, timeline, progress, links."""
    return detail(here, here.incident(incident_id))


@router.get("/alerts")
def alerts(here: Here, limit: Limit = 100) -> AlertList:
    """List the alerts that came in, newest first."""
    found = here.store.alerts(limit=limit)
    return AlertList(alerts=found, count=len(found))


@router.get("/changes")
def changes(
    here: Here,
    subject: Annotated[
        str | None,
        Query(
            max_length=256, pattern="^[^\\x00]*$", description="what was changed: a model's name"
        ),
    ] = None,
    limit: Limit = 100,
) -> ChangeList:
    """List the changes that were posted, by whomever and about whatever, newest first."""
    found = here.store.changes.latest(limit=limit, subject=subject)
    return ChangeList(changes=found, count=len(found))


@router.get("/quarantine")
def quarantine(here: Here, limit: Limit = 100) -> QuarantineList:
    """List deliveries that were authenticated but not understood, newest first."""
    found = here.store.quarantined(limit=limit)
    return QuarantineList(deliveries=found, count=len(found))


@router.get(
    "/incidents/{incident_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **_MISSING},
)
def events(
    incident_id: str, here: Here, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Follow a run: `progress` events cell by cell, `state` when it changes, `end` at the end."""
    here.incident(incident_id)
    return StreamingResponse(
        follow(here, incident_id, last_event_id),
        media_type="text/event-stream",
        # Proxies would otherwise gather the events and hand them on at the end.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def detail(here: Context, found: IncidentView) -> IncidentDetail:
    """Gather all that is known of an incident."""
    folder = here.folder(found)
    answer = folder.answer()
    timeline = here.store.timeline(found.id)
    page = f"/incidents/{found.id}"
    names = folder.files()
    [listed] = with_places(here, [found])
    return IncidentDetail(
        **{name: getattr(listed, name) for name in IncidentListed.model_fields},
        sizes=here.store.line.sizes(),
        received_at=found.opened_at,
        started_at=_last(timeline, "started"),
        published_at=_last(timeline, "published"),
        alerts=here.store.alerts(incident_id=found.id, limit=1_000),
        episodes=here.store.episodes(found.id),
        diagnosis=answer.diagnosis,
        early=answer.early,
        trouble=answer.trouble,
        timeline=timeline,
        progress=folder.progress(),
        kernel_stays=folder.kernel_stays(),
        links=Links(
            page=page,
            events=f"/api{page}/events",
            report=f"{page}/report" if "report.html" in names else None,
            lab=f"{page}/lab" if folder.in_lab() else None,
            files={name: f"{page}/files/{name}" for name in names},
        ),
    )


def _last(timeline: list[TimelineEntry], kind: str) -> object:
    return next((entry.ts for entry in reversed(timeline) if entry.kind == kind), None)
