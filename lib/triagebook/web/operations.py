"""For those who run the service: /healthz, /readyz, /metrics."""

from __future__ import annotations

import os

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.schemas import Problem, Ready

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """Say that the process answers; nothing else is asked."""
    return "ok\n"


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
def readyz(here: Here) -> JSONResponse:
    """Say whether alerts can be stored and notebooks executed, and if not, why."""
    checks = {
        "store": _store(here),
        "queue": here.queue.trouble or "ok",
        "runs": _runs(here),
        "service": _service(here),
    }
    ready = all(text == "ok" for text in checks.values())
    answer = Ready(ready=ready, checks=checks, warm=here.queue.warm)
    return JSONResponse(answer.model_dump(), status_code=200 if answer.ready else 503)


@router.get("/metrics", response_class=PlainTextResponse, responses={503: {"model": Problem}})
def metrics(here: Here) -> Response:
    """Return metrics in Prometheus' text format."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _store(here: Context) -> str:
    try:
        here.store.counts()
    except Exception as error:  # noqa: BLE001 - the answer is to say what is wrong
        return f"the incident store does not answer: {type(error).__name__}"
    return "ok"


def _runs(here: Context) -> str:
    try:
        folder = here.home.runs
    except OSError as error:
        return f"the folder of the runs cannot be made: {error.strerror}"
    return "ok" if os.access(folder, os.W_OK) else "the folder of the runs cannot be written to"


def _service(here: Context) -> str:
    return "stopping" if here.stopping.is_set() else "ok"
