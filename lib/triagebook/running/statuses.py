"""What became of each cell, in the notebook's own metadata: never better than the truth.

A cell's `metadata.papermill.status` uses papermill's words: `completed`, `failed` (with
`exception: true`), `running`, `pending`. A cell that never ran stays `pending`; papermill's own
engine calls it `completed`. What papermill has no word for is in `metadata.triagebook.status`:
`failed`, `timed_out` or `not_run`. The notebook's `metadata.triagebook` sums it up.

Everything here works on plain dicts, so the service needs no notebook library to mark a notebook
whose runner it had to end.
"""

from __future__ import annotations

from typing import Any, Literal

from triagebook.core.times import iso, now_utc

CellStatus = Literal["failed", "timed_out", "not_run"]
RunStatus = Literal["complete", "partial"]


def is_runnable(cell: dict[str, Any]) -> bool:
    """Tell whether executing the cell does anything: code, not empty, not tagged to be skipped."""
    source = cell.get("source") or ""
    text = "".join(source) if isinstance(source, list) else str(source)
    tags = cell.get("metadata", {}).get("tags") or []
    return cell.get("cell_type") == "code" and bool(text.strip()) and "skip-execution" not in tags


def mark_cell(cell: dict[str, Any], status: CellStatus, why: str | None = None) -> None:
    """Record that a cell failed, ran out of time or never ran; `why` is for people."""
    papermill = _papermill(cell)
    if status == "not_run":
        papermill.update(status="pending", exception=None)
    else:
        papermill.update(status="failed", exception=True)
    own = cell["metadata"].setdefault("triagebook", {})
    own["status"] = status
    if why:
        own["why"] = why


def sum_up(notebook: dict[str, Any], why: str | None = None) -> dict[str, Any]:
    """Write the notebook's `metadata.triagebook` from its cells, and return it.

    Parameters
    ----------
    notebook : dict
        A notebook whose cells carry their final statuses.
    why : str or None
        What ended the run early, where something did.

    Returns
    -------
    dict
        `status`: "complete" (every cell ran; some may have failed) or "partial" (some never ran);
        `failed_cells`, `timed_out_cells`, `not_run_cells`: cell ids; `cells`: how many there were
        to run; `why`.
    """
    found: dict[str, list[str]] = {"failed": [], "timed_out": [], "not_run": []}
    total = 0
    for position, cell in enumerate(notebook.get("cells", [])):
        if not is_runnable(cell):
            continue
        total += 1
        status = cell.get("metadata", {}).get("triagebook", {}).get("status")
        if status in found:
            found[status].append(str(cell.get("id") or position))
    metadata = notebook.setdefault("metadata", {})
    own: dict[str, Any] = metadata.setdefault("triagebook", {})
    own.update(
        status="partial" if found["not_run"] else "complete",
        cells=total,
        failed_cells=found["failed"],
        timed_out_cells=found["timed_out"],
        not_run_cells=found["not_run"],
    )
    if why:
        own["why"] = why
    if found["failed"] or found["timed_out"]:
        metadata.setdefault("papermill", {})["exception"] = True
    return own


def close_ended(
    notebook: dict[str, Any], status: CellStatus, why: str, running: set[str]
) -> dict[str, Any]:
    """Mark a notebook whose execution was ended from outside, as its last save left it.

    The cell that was running gets `status` and an error output; those after it are `not_run`.

    Parameters
    ----------
    notebook : dict
        Changed in place.
    status : CellStatus
        What became of the cell that was running.
    why : str
        What ended the run, for people.
    running : set of str
        Ids of cells that progress says were running: a cell's start may not have been saved yet.

    Returns
    -------
    dict
        As `sum_up`.
    """
    now = iso(now_utc())
    for cell in notebook.get("cells", []):
        if not is_runnable(cell):
            continue
        state = _papermill(cell).get("status")
        if state == "running" or (state == "pending" and cell.get("id") in running):
            mark_cell(cell, status, why)
            cell["metadata"]["papermill"]["end_time"] = now
            cell.setdefault("outputs", []).append(
                {
                    "output_type": "error",
                    "ename": "RunEnded",
                    "evalue": why,
                    "traceback": [f"RunEnded: {why}"],
                }
            )
        elif state not in ("completed", "failed"):
            mark_cell(cell, "not_run", why)
    papermill = notebook.setdefault("metadata", {}).setdefault("papermill", {})
    papermill["end_time"] = papermill.get("end_time") or now
    return sum_up(notebook, why)


def _papermill(cell: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = cell.setdefault("metadata", {})
    own: dict[str, Any] = metadata.setdefault("papermill", {})
    return own
