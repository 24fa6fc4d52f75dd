"""Read a run's folder: which files there are, the answer, the progress; nothing outside it."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from triagebook.core.models import Diagnosis, Progress
from triagebook.running.attempt import LIVE_FILE, read_json
from triagebook.running.live.server import lab_file
from triagebook.running.processes import Identity, is_alive
from triagebook.running.progress import read_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.core.paths import Home

FILES = {
    "investigation.ipynb": "application/x-ipynb+json",
    "report.html": "text/html; charset=utf-8",
    "diagnosis.json": "application/json",
    "evidently.html": "text/html; charset=utf-8",
}
"""What may be downloaded from a run's folder, and as which media type."""

EVIDENCE = "evidence.zip"


@dataclass(frozen=True)
class Answer:
    """The diagnosis of a run as far as there is one.

    `early` is true while the notebook still runs; `trouble` says why a diagnosis that is there
    cannot be shown.
    """

    diagnosis: Diagnosis | None = None
    early: bool = False
    trouble: str | None = None


@dataclass(frozen=True)
class RunFolder:
    """`runs/<incident>/`, and `attempts/<n>/` in it while a run has not been published."""

    home: Home
    incident_id: str
    attempt: int

    @property
    def published(self) -> Path:
        """The folder of the published files."""
        return self.home.run_dir(self.incident_id)

    @property
    def running(self) -> Path:
        """The folder of the latest execution."""
        return self.home.attempt_dir(self.incident_id, self.attempt)

    def file(self, name: str) -> Path | None:
        """Return a published file that may be downloaded; None where it is not there or not listed."""
        path = self.published / name
        if name not in FILES or path.is_symlink() or not path.is_file():
            return None
        return path

    def files(self) -> list[str]:
        """List what can be downloaded now."""
        names = [name for name in FILES if self.file(name) is not None]
        return [*names, EVIDENCE] if any(self._evidence()) else names

    def in_lab(self) -> bool:
        """Whether the published notebook can be opened in the JupyterLab of this service."""
        return self.file("investigation.ipynb") is not None and lab_file(self.home).is_file()

    def kernel_stays(self) -> bool:
        """Whether the kernel that executed it is still there."""
        noted = read_json(self.published / LIVE_FILE)
        if noted is None:
            return False
        return is_alive(Identity(int(noted["pid"]), str(noted["started"])))

    def pictures(self) -> list[str]:
        """List the published figures."""
        folder = self.published / "figures"
        if folder.is_symlink() or not folder.is_dir():
            return []
        return sorted(
            path.name
            for path in folder.glob("*.png")
            if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        )

    def picture(self, name: str) -> Path | None:
        """Return a published figure; None where there is none of that name."""
        return self.published / "figures" / name if name in self.pictures() else None

    def answer(self) -> Answer:
        """Read diagnosis.json: the published one, else that of the notebook which still runs."""
        for folder, early in ((self.published, False), (self.running, True)):
            try:
                text = (folder / "diagnosis.json").read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                return Answer(early=early, trouble=f"diagnosis.json cannot be read: {error}")
            try:
                return Answer(Diagnosis.model_validate_json(text), early=early)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                place = ".".join(str(part) for part in first["loc"]) or "the file"
                trouble = f"diagnosis.json is not of the known shape: {place}: {first['msg']}"
                return Answer(early=early, trouble=trouble)
        return Answer()

    def progress(self) -> list[Progress]:
        """Return the lines of the latest execution's progress so far; none before it starts."""
        path = self.running / "progress.jsonl"
        return read_progress(path) if path.is_file() else []

    def evidence_zip(self) -> IO[bytes]:
        """Return the evidence as one zip file, open at its start; the caller closes it."""
        # Parquet is compressed already; storing keeps the download quick.
        target = tempfile.TemporaryFile(prefix="triagebook-evidence-")  # noqa: SIM115 - returned open
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
                for path in self._evidence():
                    archive.write(path, path.relative_to(self.published))
        except BaseException:
            target.close()
            raise
        target.seek(0)
        return target

    def _evidence(self) -> Iterator[Path]:
        root = self.published / "evidence"
        if root.is_symlink():
            return
        # os.walk does not follow links to folders; links to files are left out as well.
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = root.__class__(folder) / name
                if path.is_file() and not path.is_symlink():
                    yield path
