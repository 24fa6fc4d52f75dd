"""POST /intake/{sender}: an alert comes in; 202 once it is durably stored, and never a 500."""

from __future__ import annotations

import re
import time

import structlog
from anyio import move_on_after, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from triagebook.core.errors import (
    IntakeUnavailableError,
    NotAuthenticatedError,
    TooLargeError,
    UnknownSenderError,
)
from triagebook.incidents.deliveries import Waiting
from triagebook.intake.receive import Receipt
from triagebook.intake.sender import SENDERS
from triagebook.web.context import Context, Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.limits import TooSlowError, read_body
from triagebook.web.schemas import Problem
from triagebook.web.security import of_another_origin

router = APIRouter(tags=["intake"])
_log = structlog.get_logger(__name__)

ANSWER_WITHIN_S = 8.0
"""How long a sender waits at the most for an answer, from the moment its body is here, in seconds.

A database that hangs would else hold it until it gives up by itself, not knowing what became of it.
"""
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\b", re.IGNORECASE)
_RETRY_AFTER_S = 5
_CHALLENGE = 'Bearer realm="triagebook", Basic realm="triagebook", charset="UTF-8"'
_REFUSALS = {
    401: "not authenticated",
    403: "sent by a web page of another origin",
    404: "no such sender",
    408: "the body did not arrive in time",
    413: "the body is too large",
    503: "not stored; send it again",
}


@router.post(
    "/intake/{sender}",
    status_code=202,
    response_model=Receipt,
    responses={code: {"model": Problem, "description": text} for code, text in _REFUSALS.items()},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}
    },
)
async def receive(sender: str, request: Request, here: Here) -> JSONResponse:
    """Take an alert from a sender such as `alertmanager`.

    The body is stored as it is before it is read. A body that is not understood is kept in
    quarantine and answered 202 as well: sending it again would change nothing. With the header
    `Prefer: wait=N` (RFC 7240) the answer says what came of the body, where it is read within N
    seconds, at the most 8; else it says `stored`.
    """
    started = time.perf_counter()
    answer, label = await _receive(sender, request, here)
    # A made-up sender must not become a label: the number of labels has to stay small.
    known = sender if sender in SENDERS else "unknown"
    here.metrics.delivered(known, label, time.perf_counter() - started)
    return answer


async def _receive(sender: str, request: Request, here: Context) -> tuple[JSONResponse, str]:
    if of_another_origin(request.headers):
        # A page out there must not raise our alarms.
        return _refuse(403, "a web page of another origin cannot post alerts"), "refused"
    try:
        body = await read_body(request, here.settings.server.max_body_bytes)
        waiting = Waiting()
        receipt = None
        with move_on_after(ANSWER_WITHIN_S):
            receipt = await to_thread.run_sync(
                here.intake.accept,
                sender,
                dict(request.headers),
                body,
                dict(request.query_params),
                waiting,
                _patience(request.headers.get("prefer", "")),
                limiter=here.door,
                abandon_on_cancel=True,
            )
        if receipt is None:
            receipt = _so_far(sender, waiting.leave())
    except TooLargeError as error:
        return _refuse(413, error.message, error.hint, {"Connection": "close"}), "too_large"
    except TooSlowError as error:
        return _refuse(408, error.message, error.hint, {"Connection": "close"}), "too_slow"
    except NotAuthenticatedError as error:
        headers = {"WWW-Authenticate": _CHALLENGE}
        return _refuse(401, error.message, error.hint, headers), "not_authenticated"
    except UnknownSenderError as error:
        return _refuse(404, error.message, error.hint), "unknown_sender"
    except Exception as error:  # noqa: BLE001 - whatever it is, the sender must try again
        _log.error(
            "delivery_not_kept",
            sender=sender,
            error=getattr(error, "message", "") or type(error).__name__,
            # While the database is away there is one a post, and each says the same.
            exc_info=not isinstance(error, IntakeUnavailableError),
        )
        headers = {"Retry-After": str(_RETRY_AFTER_S)}
        message = getattr(error, "message", "the delivery could not be kept")
        hint = getattr(error, "hint", "") or "send it again; the service's log says what is wrong"
        return _refuse(503, message, hint, headers), "not_kept"
    return JSONResponse(receipt.as_json(), status_code=202), receipt.status


def _patience(prefer: str) -> float:
    """Read how many seconds the sender wants to wait for what comes of the body; 0 unless it says so."""
    found = _WAIT.search(prefer)
    return 0.0 if found is None else min(float(found[1]), ANSWER_WITHIN_S)


def _so_far(sender: str, delivery: str | None) -> Receipt:
    """Answer who waited long enough: kept, at least, or to be sent again."""
    if delivery is None:
        raise IntakeUnavailableError(
            f"the delivery could not be kept within {ANSWER_WITHIN_S:g} s",
            "send it again; the database does not answer, or too many wait for it",
        )
    _log.warning("delivery_answered_before_it_was_read", sender=sender, delivery=delivery)
    return Receipt(delivery_id=delivery, status="stored")


def _refuse(
    status: int, message: str, hint: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    problem = Problem(error=message, hint=hint or None)
    return JSONResponse(problem.model_dump(mode="json"), status_code=status, headers=headers)
