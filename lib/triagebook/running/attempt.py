"""An attempt's folder: what lies in it, how it is prepared, cleaned and read."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from triagebook.core.errors import RunbookNotFoundError, RunError
from triagebook.core.models import RunRequest, to_json
from triagebook.core.paths import notebooks_dir, runbook_path
from triagebook.running.atomic import write_whole
from triagebook.running.processes import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

RunStatus = Literal["executed", "failed", "stopped"]

LIVE_FILE = ".live.json"
"""In a run's folder: the process of the kernel that stayed."""


@dataclass(frozen=True)
class RunResult:
    """What came of one execution.

    `status` is "executed" where there is a notebook to publish (cells in it may have failed or
    never run: see the lists of cell ids), "failed" where there is none, "stopped" where the
    service was told to end.
    """

    status: RunStatus
    message: str = ""
    cells: int = 0
    failed_cells: list[str] = field(default_factory=list)
    timed_out_cells: list[str] = field(default_factory=list)
    not_run_cells: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @classmethod
    def of_notebook(cls, summary: dict[str, Any], took_s: float, message: str = "") -> RunResult:
        """Make a result from the `metadata.triagebook` of an executed notebook."""
        not_run = list(summary["not_run_cells"])
        nothing_ran = len(not_run) == summary["cells"] > 0
        return cls(
            status="failed" if nothing_ran else "executed",
            message=message or str(summary.get("why") or ""),
            cells=summary["cells"],
            failed_cells=list(summary["failed_cells"]),
            timed_out_cells=list(summary["timed_out_cells"]),
            not_run_cells=not_run,
            took_s=round(took_s, 3),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Attempt:
    """One execution's folder: `runs/<incident>/attempts/<n>/`."""

    folder: Path

    @property
    def request_file(self) -> Path:
        """What the service asks: `core.models.RunRequest`."""
        return self.folder / "request.json"

    @property
    def runbook(self) -> Path:
        """The runbook as it was when the attempt began."""
        return self.folder / "runbook.ipynb"

    @property
    def notebook(self) -> Path:
        """The notebook as it is executed."""
        return self.folder / "investigation.ipynb"

    @property
    def result_file(self) -> Path:
        """What came of it; there once the runner is done with the notebook."""
        return self.folder / "result.json"

    @property
    def kernel_log(self) -> Path:
        """What the kernel's process wrote outside cells."""
        return self.folder / "kernel.log"

    @property
    def runner_log(self) -> Path:
        """What the runner's process wrote."""
        return self.folder / "runner.log"

    def prepare(
        self, request: RunRequest, *, notebooks: Path | None = None, bundle: Path | None = None
    ) -> None:
        """Make the folder, copy the runbook (and a given evidence bundle), write the request last.

        Raises
        ------
        RunbookNotFoundError
            Naming the folders looked in.
        RunError
            The bundle is no folder.
        """
        source = runbook_path(request.runbook, notebooks)
        if source is None or Path(request.runbook).name != request.runbook:
            looked = [str(f) for f in (notebooks, notebooks_dir()) if f is not None]
            raise RunbookNotFoundError(
                f"no runbook is called {request.runbook!r} in {' or '.join(looked)}",
                "name one of the .ipynb files there, without its ending",
                runbook=request.runbook,
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.runbook, source.read_bytes())
        if bundle is not None:
            if not bundle.is_dir():
                raise RunError(f"{bundle} is no evidence folder", "name a folder with bundle.json")
            shutil.copytree(bundle, self.folder / "evidence", dirs_exist_ok=True)
        write_whole(self.request_file, to_json(request), durable=True)

    def request(self) -> RunRequest:
        """Read what was asked."""
        return RunRequest.model_validate_json(self.request_file.read_bytes())

    def clean(self) -> None:
        """Remove what an execution that was cut short left; keep what `prepare` made.

        Where none has begun, a given evidence bundle is kept as well.
        """
        if not (self.folder / ".runner.json").exists():
            return
        for path in self.folder.iterdir():
            if path in (self.request_file, self.runbook):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def write_result(self, result: RunResult) -> None:
        """Write result.json by rename."""
        write_whole(self.result_file, json.dumps(result.as_json(), indent=2), durable=True)

    def result(self) -> RunResult | None:
        """Read result.json; None where the runner has not written it."""
        content = read_json(self.result_file)
        return None if content is None else RunResult(**content)

    def note_process(self, role: str, who: Identity, sockets: Path | None = None) -> None:
        """Note a process, so that a service started later can find and end it."""
        content = {"pid": who.pid, "started": who.started, "sockets": str(sockets or "")}
        write_whole(self.folder / f".{role}.json", json.dumps(content))

    def keep_kernel(self) -> None:
        """Let the kernel outlive the run: it is noted in the run's folder, and no longer ours to end."""
        note = self.folder / ".kernel.json"
        content = json.loads(note.read_bytes()) | {"attempt": int(self.folder.name)}
        write_whole(self._live_file, json.dumps(content))
        note.unlink()

    def keeps_kernel(self) -> bool:
        """Tell whether this attempt's kernel outlives it."""
        noted = read_json(self._live_file)
        return noted is not None and noted.get("attempt") == int(self.folder.name)

    @property
    def _live_file(self) -> Path:
        return self.folder.parents[1] / LIVE_FILE

    def processes(self) -> Iterator[tuple[Identity, Path | None]]:
        """List the processes noted, with their sockets' folders."""
        for role in ("runner", "kernel"):
            content = read_json(self.folder / f".{role}.json")
            if content is not None:
                sockets = content.get("sockets")
                who = Identity(int(content["pid"]), str(content["started"]))
                yield who, Path(sockets) if sockets else None


def attempts(run_dir: Path) -> list[int]:
    """List the numbers of a run's attempts, ascending."""
    folder = run_dir / "attempts"
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object that was written by rename; None where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return content if isinstance(content, dict) else None
