"""Errors over HTTP: JSON for programs, a page in the same looks for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from triagebook.core.errors import ForbiddenError, NotFoundError, TriagebookError
from triagebook.web.render import page
from triagebook.web.schemas import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_log = structlog.get_logger(__name__)

_FOR_PROGRAMS = ("/api", "/intake", "/metrics", "/readyz", "/openapi.json")


def install(app: FastAPI) -> None:
    """Register the handlers of every error that a route can end in."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(TriagebookError, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    text = str(getattr(error, "detail", "")) or "the request failed"
    headers = dict(getattr(error, "headers", None) or {})
    return _answer(request, status, text, "the list has all incidents: /", headers)


async def _not_found(request: Request, error: Exception) -> Response:
    message, hint = _words(error)
    return _answer(request, 404, message, hint)


async def _forbidden(request: Request, error: Exception) -> Response:
    message, hint = _words(error)
    return _answer(request, 403, message, hint)


async def _unavailable(request: Request, error: Exception) -> Response:
    message, hint = _words(error)
    _log.error("request_failed", path=request.url.path, error=message)
    return _answer(request, 503, message, hint, {"Retry-After": "5"})


async def _invalid(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    text = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in problems
    )
    return _answer(request, 422, text or "the request is not valid", "/openapi.json says what is")


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("request_broke", path=request.url.path, exc_info=error)
    hint = "the service's log has the details; alerts are still taken"
    return _answer(request, 500, f"this could not be shown: {type(error).__name__}", hint)


def _words(error: Exception) -> tuple[str, str]:
    if isinstance(error, TriagebookError):
        return error.message, error.hint
    return str(error), ""


def _answer(
    request: Request, status: int, message: str, hint: str, headers: dict[str, str] | None = None
) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        problem = Problem(error=message, hint=hint or None)
        return JSONResponse(problem.model_dump(), status_code=status, headers=headers)
    return page(
        "problem.html.j2", status=status, headers=headers, number=status, message=message, hint=hint
    )
