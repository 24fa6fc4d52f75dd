"""The pages: the list of incidents, one incident, and what could not be understood."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from triagebook.incidents.line import OVER
from triagebook.incidents.views import IncidentState  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web import answer
from triagebook.web.api import detail
from triagebook.web.context import Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.line import with_places
from triagebook.web.progress import advance
from triagebook.web.render import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_UNFINISHED = {"queued", "running"}


@router.get("/")
def incident_list(
    request: Request,
    here: Here,
    state: IncidentState | None = None,
    text: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> HTMLResponse:
    """Show the incidents, newest first."""
    found = here.store.incidents(state=state, text=text or None, limit=limit)
    base = (here.settings.server.public_url or str(request.base_url)).rstrip("/")
    return page(
        "list.html.j2",
        incidents=with_places(here, found),
        sizes=here.store.line.sizes(),
        state=state,
        text=text,
        limit=limit,
        quarantined=here.store.deliveries.count("quarantined"),
        intake=f"{base}/intake/alertmanager",
        guarded="alertmanager" in here.settings.intake,
        active=any(incident.run_state in _UNFINISHED for incident in found),
    )


@router.get("/incidents/{incident_id}")
def incident(incident_id: str, here: Here) -> HTMLResponse:
    """Show one incident, the answer first."""
    found = here.incident(incident_id)
    known = detail(here, found)
    waits_for_an_end = known.run_state == "held" and known.state not in OVER
    diagnosis = known.diagnosis
    return page(
        "incident.html.j2",
        incident=known,
        diagnosis=diagnosis,
        lead=answer.lead(diagnosis) if diagnosis else None,
        facts=answer.facts(diagnosis) if diagnosis else [],
        rows=answer.reasons(diagnosis) if diagnosis else [],
        chips=answer.chips(diagnosis.ledger, diagnosis.findings) if diagnosis else [],
        chart=answer.chart(diagnosis, here.folder(found).pictures()) if diagnosis else None,
        advance=advance(known.progress),
        active=known.run_state in _UNFINISHED or waits_for_an_end,
        never_run=known.run_state == "held" and not waits_for_an_end,
    )


@router.get("/quarantine")
def quarantine(here: Here) -> HTMLResponse:
    """Show the deliveries that were authenticated but not understood."""
    return page("quarantine.html.j2", deliveries=here.store.quarantined(limit=100))
