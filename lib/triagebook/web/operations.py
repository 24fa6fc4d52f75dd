"""For those who run the service: /healthz, /readyz, /metrics."""

from __future__ import annotations

import os
from shutil import disk_usage

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.schemas import Problem, Ready

LEAST_ROOM_BYTES = 16_777_216
"""With less room than this alerts may not be stored, and a notebook not be saved."""

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
        "disk": _disk(here),
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


def _disk(here: Context) -> str:
    """Look at the room for what is kept, and for what notebooks write."""
    try:
        left = min(disk_usage(folder).free for folder in (here.home.state, here.home.runs))
    except OSError as error:
        return f"the room on the disk cannot be asked for: {error.strerror}"
    if left < LEAST_ROOM_BYTES:
        return f"the disk is full: {left / 1_048_576:.1f} MiB left"
    return "ok"


def _service(here: Context) -> str:
    return "stopping" if here.stopping.is_set() else "ok"
