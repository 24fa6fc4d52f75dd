"""POST /api/incidents/{id}/runs: execute an incident's notebook again, with other parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from triagebook.core.errors import RunError, TooLargeError
from triagebook.running.parameters import check_declared
from triagebook.running.runbook import own_runbooks
from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.limits import TooSlowError, read_body
from triagebook.web.schemas import Problem, RunAsked, RunTaken
from triagebook.web.security import no_foreign_page

router = APIRouter(prefix="/api", tags=["api"])

MAX_BODY_BYTES = 262_144
_REFUSALS = {
    403: "sent by a web page of another origin",
    404: "no such incident",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "the body is not declared as application/json",
    422: "not what is expected, or a parameter that the runbook does not declare",
}


async def _asked(request: Request) -> RunAsked:
    try:
        body = await read_body(request, MAX_BODY_BYTES)
        return RunAsked.model_validate_json(body or b"{}")
    except TooLargeError as error:
        raise HTTPException(413, error.message) from error
    except TooSlowError as error:
        raise HTTPException(408, error.message) from error
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error


@router.post(
    "/incidents/{incident_id}/runs",
    status_code=202,
    dependencies=[Depends(no_foreign_page)],
    responses={code: {"model": Problem, "description": text} for code, text in _REFUSALS.items()},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": RunAsked.model_json_schema()}},
        }
    },
)
async def run_again(
    incident_id: str, here: Here, asked: Annotated[RunAsked, Depends(_asked)]
) -> RunTaken:
    """Ask for a further run of an incident's notebook; right after the one that is under way.

    What is published stays to be read until the new one is.
    """
    return await run_in_threadpool(_ask, here, incident_id, asked)


def _ask(here: Context, incident_id: str, asked: RunAsked) -> RunTaken:
    incident = here.incident(incident_id)
    try:
        check_declared(incident.runbook, asked.parameters, own_runbooks(here.home, here.settings))
    except RunError as error:
        raise HTTPException(422, f"{error.message}; {error.hint}") from error
    planned = here.store.refreshes.ask(incident_id, asked.parameters)
    # At once, so that whoever looks right after this sees it queued.
    attempt = here.refresher.start(incident_id)
    return RunTaken(incident_id=incident_id, attempt=attempt or planned, waits=attempt is None)
