"""What lies in a run's folder, over HTTP: the report for a frame, everything else to download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from triagebook.core.errors import ForbiddenError, NotFoundError
from triagebook.running.live.jupyter import Jupyter
from triagebook.running.live.server import lab_file
from triagebook.web.context import Here  # noqa: TC001 - FastAPI reads it at run time
from triagebook.web.folder import EVIDENCE, FILES
from triagebook.web.peer import is_ours
from triagebook.web.security import FILE_POLICY, REPORT_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

router = APIRouter(tags=["files"])


@router.get("/incidents/{incident_id}/report", response_class=Response)
def report(incident_id: str, here: Here) -> Response:
    """Return the report, under a policy that lets nothing in it run or load."""
    path = here.folder(here.incident(incident_id)).file("report.html")
    if path is None:
        raise NotFoundError(
            f"there is no report of {incident_id} yet", "it appears when the notebook is finished"
        )
    headers = {"Content-Security-Policy": REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return FileResponse(path, media_type=FILES["report.html"], headers=headers)


@router.get("/incidents/{incident_id}/lab", response_class=RedirectResponse, status_code=303)
def lab(incident_id: str, here: Here, request: Request) -> RedirectResponse:
    """Open the notebook in JupyterLab, in the kernel that executed it while that is there.

    The address carries JupyterLab's token, and who has it can run any code: it is given to nobody
    but a browser of our own user on this machine.
    """
    folder = here.folder(here.incident(incident_id))
    if not folder.in_lab():
        raise NotFoundError(
            f"{incident_id} cannot be opened in JupyterLab",
            "its notebook is not published yet, or the service was started without --lab",
        )
    server = request.scope.get("server") or ("", 0)
    near = request.client is not None and is_ours(
        (request.client.host, request.client.port), server[1]
    )
    if not near or here.settings.server.public_url is not None:
        raise ForbiddenError(
            "JupyterLab is opened only by the service's own user, on the machine that it runs on",
            f"there: triagebook open {incident_id}; from elsewhere through a tunnel (ssh -L)",
        )
    jupyter = Jupyter.read(lab_file(here.home))
    path = jupyter.path_of(folder.published / "investigation.ipynb")
    answer = RedirectResponse(jupyter.link(path, with_token=True), status_code=303)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@router.get("/incidents/{incident_id}/figures/{name}", response_class=Response)
def figure(incident_id: str, name: str, here: Here) -> Response:
    """Return a figure of the run."""
    path = here.folder(here.incident(incident_id)).picture(name)
    if path is None:
        raise NotFoundError(f"there is no such figure of {incident_id}", "the report has them all")
    return FileResponse(
        path, media_type="image/png", headers={"Content-Security-Policy": FILE_POLICY}
    )


@router.get("/incidents/{incident_id}/files/{name}", response_class=Response)
def file(incident_id: str, name: str, here: Here) -> Response:
    """Download a file of the run: the notebook, the report, the diagnosis, the evidence."""
    folder = here.folder(here.incident(incident_id))
    headers = {"Content-Security-Policy": FILE_POLICY}
    if name == EVIDENCE and EVIDENCE in folder.files():
        archive = folder.evidence_zip()
        headers["Content-Disposition"] = f'attachment; filename="{incident_id}-{EVIDENCE}"'
        return StreamingResponse(
            _chunks(archive),
            media_type="application/zip",
            headers=headers,
            background=BackgroundTask(archive.close),
        )
    path = folder.file(name)
    if path is None:
        known = ", ".join([*FILES, EVIDENCE])
        raise NotFoundError(f"there is no such file of {incident_id}", f"there can be: {known}")
    return FileResponse(
        path, media_type=FILES[name], filename=f"{incident_id}-{name}", headers=headers
    )


def _chunks(stream: IO[bytes], size: int = 262_144) -> Iterator[bytes]:
    while chunk := stream.read(size):
        yield chunk
