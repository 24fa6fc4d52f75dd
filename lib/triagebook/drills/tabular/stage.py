"""The state of one play, which faults and red herrings register their deeds on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from triagebook.core.errors import ScenarioError
from triagebook.core.models import Change
from triagebook.drills.scenario import Planted

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from triagebook.drills.scenario import Fault, Scenario
    from triagebook.drills.tabular.company import Column, Company
    from triagebook.drills.tabular.material import Material
    from triagebook.drills.tabular.model import Scorer
    from triagebook.drills.tabular.setting import Setting

Phase = Literal["world", "raw", "features", "models", "serve", "scores", "decisions", "labels"]
"""In this order: the world itself, its raw tables, what is built of them, and so on."""


@dataclass
class RunEdit:
    """What happens to the runs of one task from some time on.

    Attributes
    ----------
    task : str
        Our own word for it.
    since, until : Timestamp
        Of the time a run is due.
    kind : "failed", "slow", "skipped", "retried"
        Failed runs have failed all their tries, and nothing downstream ran; retried ones succeeded
        at the second; skipped ones never started; slow ones took `factor` times as long.
    error : callable
        Gives the error text of one run.
    share : float
        Of the runs in that time.
    lines : callable
        Gives (severity, message, attributes) of what such a run logs besides.
    """

    task: str
    since: pd.Timestamp
    kind: Literal["failed", "slow", "skipped", "retried"]
    until: pd.Timestamp | None = None
    error: Callable[[], str] = lambda: ""
    share: float = 1.0
    factor: float = 1.0
    lines: Callable[[], list[tuple[str, str, dict[str, Any]]]] = list


@dataclass
class Line:
    """A line of a log that no run of a task would say."""

    ts: pd.Timestamp
    severity: str
    source: str
    message: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Stage:
    """Everything of one play.

    Attributes
    ----------
    main, side, features, predictions, labels : DataFrame
        The tables by our own words, both windows in one frame until the end.
    models, cutoffs
        Versions and decision thresholds, each with the time it serves from.
    edits, changes, lines
        What deeds add to runs, change log and logs.
    answers, onsets
        The truth, one for each fault.
    touched : list of str
        Names of columns that moved, for the alert to speak of.
    outputs : list of callable
        Table's word, window and frame in, frame out: the last touch before a table is written.
    facts : dict
        What one part of the play tells another.
    """

    scenario: Scenario
    setting: Setting
    company: Company
    rng: np.random.Generator
    material: Material = field(init=False)
    main: pd.DataFrame = field(init=False)
    side: pd.DataFrame = field(init=False)
    features: pd.DataFrame = field(default_factory=pd.DataFrame)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    models: list[tuple[pd.Timestamp, Scorer]] = field(default_factory=list)
    cutoffs: list[tuple[pd.Timestamp, float]] = field(default_factory=list)
    edits: list[RunEdit] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    answers: list[Planted] = field(default_factory=list)
    onsets: list[pd.Timestamp | None] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    deeds: dict[str, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    outputs: list[Callable[[str, str, pd.DataFrame], pd.DataFrame]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def fill(self, material: Material) -> None:
        """Bring the world's rows on."""
        self.material, self.main, self.side = material, material.main, material.side

    def on(self, phase: Phase, deed: Callable[[], None]) -> None:
        """Keep a deed for a phase."""
        self.deeds[phase].append(deed)

    def play(self, phase: Phase) -> None:
        """Do the deeds of a phase, in the order they were kept."""
        for deed in self.deeds[phase]:
            deed()

    # --- words for truths ------------------------------------------------------------------------

    def seen(self, *tables: str) -> list[str]:
        """Return those of our tables that the evidence will hold."""
        return [table for table in tables if f"tables:{table}" not in self.scenario.missing]

    def answer(self, cause: str, *loci: str, onset: pd.Timestamp | None) -> None:
        """Note a right answer."""
        self.answers.append(Planted(cause, tuple(dict.fromkeys(loci))))
        self.onsets.append(onset)

    def column_locus(self, entered: str, column: str) -> str:
        """Return the locus of a column fault: the table furthest upstream that shows it."""
        order = (
            ["main", "features", "predictions"] if entered == "main" else [entered, "predictions"]
        )
        shown = self.seen(*order) or order
        return f"column:{self.company.table[shown[0]]}.{column}"

    def changed(
        self, ts: pd.Timestamp, kind: str, what: str, old: str, new: str, by: str = ""
    ) -> None:
        """Note a change."""
        self.changes.append(
            Change.model_validate(
                {
                    "ts": ts.to_pydatetime(warn=False), "kind": kind, "what": what, "from": old,
                    "to": new, "by": by or self.company.teams[len(self.changes) % 4],
                }
            )
        )  # fmt: skip

    def before(self, onset: pd.Timestamp, most_minutes: int = 40) -> pd.Timestamp:
        """Return a moment shortly before an onset."""
        return onset - pd.Timedelta(minutes=int(self.rng.integers(2, most_minutes)))

    # --- what a fault aims at --------------------------------------------------------------------

    def pick(self, fault: Fault, kind: str | None = None, *, used: bool = True) -> Column:
        """Return the column a fault's target names, or one by seed.

        Raises
        ------
        ScenarioError
            The company has no such column, or it is of another kind.
        """
        word = fault.target.rpartition(":")[2]
        columns = [c for c in self.company.columns if kind in (None, c.kind)]
        if word:
            for column in columns:
                if column.slot == word:
                    return column
            known = ", ".join(column.slot for column in columns)
            raise ScenarioError(
                f"{self.scenario.name}: {fault.cause} has no target {word!r}", f"known: {known}"
            )
        choices = [column for column in columns if column.used == used and column.slot != "weak"]
        return choices[int(self.rng.integers(len(choices)))]

    def enters(self, fault: Fault) -> str:
        """Return where a column fault enters: as the target says ("features:amount"), or by seed."""
        where = fault.target.partition(":")[0] if ":" in fault.target else ""
        if where in ("main", "features"):
            return where
        return "main" if self.rng.random() < 0.75 else "features"

    def frame(self, table: str) -> pd.DataFrame:
        """Return a table by our word for it."""
        found: pd.DataFrame = getattr(self, table)
        return found
