"""Where things lie: notebooks and templates that ship with the package, and a home's folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triagebook.core.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parents[1]


def _shipped(name: str) -> Path:
    # A wheel carries the folder inside the package; an editable install leaves it in the checkout.
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise NotFoundError(
        f"the {name} folder of triagebook is missing beside {_PACKAGE}",
        "install the package again: pip install --force-reinstall triagebook",
    )


def notebooks_dir() -> Path:
    """Return the folder of the runbooks that ship with triagebook."""
    return _shipped("notebooks")


def templates_dir() -> Path:
    """Return the folder of the templates that ship with triagebook."""
    return _shipped("templates")


def runbook_path(name: str, own: Path | None = None) -> Path | None:
    """Find a runbook by name: in a team's own folder first, then among those that ship."""
    for folder in (own, notebooks_dir()):
        if folder is not None and (folder / f"{name}.ipynb").is_file():
            return folder / f"{name}.ipynb"
    return None


@dataclass(frozen=True)
class Home:
    """A home folder: triagebook.toml, `state/` (databases) and `runs/` (one folder an incident).

    `shared` is where the runs lie, if not in the home: a folder that several hosts see.
    """

    root: Path
    shared: Path | None = None

    @property
    def config(self) -> Path:
        """triagebook.toml."""
        return self.root / "triagebook.toml"

    @property
    def state(self) -> Path:
        """Databases and locks; made on first use."""
        folder = self.root / "state"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def runs(self) -> Path:
        """Published investigations; made on first use."""
        folder = self.shared or self.root / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run_dir(self, incident_id: str) -> Path:
        """Return the folder of one incident (not made here)."""
        return self.runs / incident_id

    def attempt_dir(self, incident_id: str, attempt: int) -> Path:
        """Return the folder of one execution (not made here)."""
        return self.run_dir(incident_id) / "attempts" / str(attempt)
