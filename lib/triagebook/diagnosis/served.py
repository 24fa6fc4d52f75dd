"""The rows that were served, with inputs, scores, decisions, versions and the labels that came of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.behaviour import Behaviour, behaviour
from triagebook.analysis.blocks import DAY
from triagebook.analysis.calibration import Calibration, auc
from triagebook.analysis.outcomes import (
    Maturity,
    Task,
    Truth,
    keys_of,
    locate,
    mature,
    read_truth,
)
from triagebook.analysis.segments import Coded, coded
from triagebook.diagnosis.context import nanoseconds

if TYPE_CHECKING:
    from triagebook.core.models import TableSpec
    from triagebook.diagnosis.context import Context, View
    from triagebook.evidence.bundle import Table

_ROWS = 12_000
"""Rows of each window that are looked at; more of them sharpen nothing that a person would act on."""
_FIDELITY = 0.5
"""A stand-in that explains less of the scores cannot say which of them no longer follow the inputs."""


@dataclass
class Served:
    """Rows of the predictions in time order, those of both windows.

    Attributes
    ----------
    view : View
    frame : DataFrame, shape (n, …)
        At most 12,000 rows of each window, drawn evenly.
    times : int64 array, shape (n,), nanoseconds
        Made up, evenly over each window, where rows have none (`timed` is False).
    late : bool array, shape (n,)
        Rows of the current window.
    score : float array, shape (n,), or None
    version : object array, shape (n,), or None
    """

    view: View
    frame: pd.DataFrame
    times: np.ndarray
    late: np.ndarray
    timed: bool
    window: tuple[int, int]
    features: list[str]
    spec: TableSpec
    extra: pd.DataFrame
    """Columns of other tables, by key, for the search for segments only."""
    labels: Labels | None = None
    why_no_labels: str = ""

    @cached_property
    def score(self) -> np.ndarray | None:
        """What the model said: the score, else a prediction that is a number."""
        for name in (self.spec.score, self.spec.prediction):
            if name and name in self.frame:
                column = self.frame[name]
                if pd.api.types.is_bool_dtype(column):
                    return column.to_numpy("float64", na_value=np.nan)
                if pd.api.types.is_numeric_dtype(column):
                    return column.to_numpy("float64", na_value=np.nan)
        return None

    @cached_property
    def decision(self) -> np.ndarray | None:
        """The decision as a number: 0 or 1 by the order of its two values; None if it is not that."""
        name = self.spec.prediction
        if not name or name not in self.frame or self.view.reference[name].nunique() != 2:
            return None
        truth = read_truth(self.view.reference[name])
        return truth.numbers(self.frame[name]) if truth is not None else None

    @cached_property
    def version(self) -> np.ndarray | None:
        """The version that served each row, as text."""
        name = self.spec.model_version
        if not name or name not in self.frame:
            return None
        return self.frame[name].astype("object").map(str, na_action="ignore").to_numpy()

    @cached_property
    def fresh(self) -> list[str]:
        """Versions that the reference's first two thirds do not have, in the order they came."""
        if self.version is None:
            return []
        old = self.times[~self.late]
        if not len(old):
            return []
        cut = int(old[0] + (self.window[0] - old[0]) * 2 / 3)
        early = set(pd.Series(self.version[self.times < cut]).dropna())
        later = pd.Series(self.version[self.times >= cut]).dropna()
        return [v for v in dict.fromkeys(later) if v not in early]

    @cached_property
    def columns(self) -> list[Coded]:
        """Every column by which rows can be told apart, as groups."""
        skip = {
            self.spec.score,
            self.spec.prediction,
            self.spec.label,
            self.spec.model_version,
            self.spec.time_column,
            self.spec.local_time_column,
            self.spec.label_time_column,
            *self.spec.key_columns,
        }
        out = []
        for frame in (self.frame, self.extra):
            for name in frame:
                if name not in skip:
                    found = coded(str(name), frame[name], ~self.late)
                    if found is not None:
                        out.append(found)
        return out

    @cached_property
    def behaviour(self) -> Behaviour | None:
        """What the model was expected to say of each row; None where that cannot be learned."""
        present = [name for name in self.features if name in self.frame]
        if self.score is None or not present:
            return None
        old = ~self.late
        if self.version is not None and self.fresh:
            # A version that came with the trouble must not teach what was usual.
            kept = old & ~pd.Series(self.version).isin(self.fresh).to_numpy()
            old = kept if kept.sum() >= 300 else old
        return behaviour(self.frame[present], self.score, old, self.times // DAY)

    @property
    def follows(self) -> Behaviour | None:
        """The same, where it is good enough to judge by."""
        found = self.behaviour
        return found if found is not None and found.fidelity >= _FIDELITY else None


@dataclass
class Labels:
    """What came of the served rows.

    Attributes
    ----------
    table : str
    truth : Truth
    y : float array, shape (n,)
        Label of each row as a number; NaN where none came, or one that was never seen before.
    here : bool array, shape (n,)
        Whether a label came, readable or not.
    arrived : int64 array, shape (n,), or None
        When it came, nanoseconds.
    maturity : Maturity
    """

    table: str
    truth: Truth
    y: np.ndarray
    here: np.ndarray
    arrived: np.ndarray | None
    maturity: Maturity
    expected: np.ndarray
    """Label to expect of each row's score, by the reference; NaN without a score."""
    right: bool
    """Whether `y` says that the decision was right, for classes of which there are many."""
    calibration: Calibration

    def meant(self, score: np.ndarray) -> np.ndarray:
        """Return the label to expect of other scores, shape (n,), by the reference."""
        base = score if self.task == "number" else np.zeros(len(score))
        return np.where(np.isfinite(score), base + self.calibration.expected(score), np.nan)

    @property
    def task(self) -> Task:
        """`binary`, `number` or `class`."""
        return self.truth.task

    def relearned(self, score: np.ndarray, label: np.ndarray) -> Calibration | None:
        """Learn anew what scores mean, from other rows."""
        ok = np.isfinite(score) & np.isfinite(label)
        base = score if self.task == "number" else np.zeros(len(score))
        return Calibration.fit(score[ok], (label - base)[ok])


def served(ctx: Context) -> Served | None:
    """Return the served rows, joined once and kept; None without predictions in both windows."""
    if "served" not in ctx.results:
        ctx.results["served"] = _served(ctx)
    found: Served | None = ctx.results["served"]
    return found


def _served(ctx: Context) -> Served | None:
    view = ctx.role("predictions")
    if view is None or len(view.reference) < 50 or len(view.current) < 20:
        return None
    rng = np.random.default_rng(0)
    parts, times, late = [], [], []
    start, end = (nanoseconds(t) for t in ctx.bundle.windows.current)
    first = nanoseconds(ctx.bundle.windows.reference[0])
    for frame, when, span, now in (
        (view.reference, view.reference_times, (first, start), False),
        (view.current, view.current_times, (start, end), True),
    ):
        n = len(frame)
        kept = np.sort(rng.choice(n, _ROWS, replace=False)) if n > _ROWS else np.arange(n)
        parts.append(frame.iloc[kept])
        if not view.timed:
            when = np.linspace(span[0], span[1] - 1, n).astype(np.int64)  # noqa: PLW2901
        times.append(when[kept])
        late.append(np.full(len(kept), now))
    frame = pd.concat(parts, ignore_index=True)
    moments = np.concatenate(times)
    # Windows are cut by time, so that this is in order already, apart from clocks that disagree.
    order = np.argsort(moments, kind="stable")
    frame = frame.iloc[order].reset_index(drop=True)
    out = Served(
        view=view,
        frame=frame,
        times=moments[order],
        late=np.concatenate(late)[order],
        timed=view.timed,
        window=(start, end),
        features=list(ctx.features),
        spec=view.spec,
        extra=pd.DataFrame(index=frame.index),
    )
    _add_columns(ctx, out)
    out.labels, out.why_no_labels = _labels(ctx, out)
    return out


def _add_columns(ctx: Context, out: Served) -> None:
    """Bring features that the predictions do not carry, and categories of tables upstream, by key."""
    keys = [k for k in out.spec.key_columns if k in out.frame]
    if not keys:
        return
    mine = keys_of(out.frame, keys)
    extra: dict[str, pd.Series] = {}
    for table in ctx.tables.values():
        if table.spec.role not in ("features", "raw", None) or table.spec.label is not None:
            continue
        theirs = [k for k in table.spec.key_columns if k != table.spec.time_column] or keys
        frames = [f for f in (table.reference, table.current) if f is not None]
        if (
            len(theirs) != len(keys)
            or not frames
            or any(not set(theirs) <= set(f.columns) for f in frames)
        ):
            continue
        skip = {table.spec.time_column, table.spec.local_time_column, *theirs, *out.frame, *extra}
        wanted = [str(c) for c in frames[-1] if c not in skip and c in frames[0]]
        as_feature = table.spec.role == "features" and not any(f in out.frame for f in out.features)
        if not as_feature:
            wanted = [c for c in wanted if _category(frames[0][c])]
        if not wanted:
            continue
        both = pd.concat([f[[*theirs, *wanted]] for f in frames], ignore_index=True)
        at = locate(mine, keys_of(both, theirs))
        if (at >= 0).mean() < 0.5:
            continue
        for name in wanted:
            column = both[name].iloc[np.maximum(at, 0)].reset_index(drop=True)
            extra[name] = column.where(pd.Series(at >= 0))
        if as_feature:
            named = [c for c in table.spec.feature_columns if c in extra]
            out.features = named or [
                c for c in wanted if not pd.api.types.is_datetime64_any_dtype(extra[c])
            ]
            for name in out.features:
                out.frame[name] = extra.pop(name)
    out.extra = pd.DataFrame(extra, index=out.frame.index)


def _category(column: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column):
        return False
    head = column.dropna().iloc[:2_000]
    return 2 <= head.nunique() <= 40


def _labels(ctx: Context, out: Served) -> tuple[Labels | None, str]:
    """Join labels to the rows; the reason where that cannot be."""
    table = next((t for t in ctx.tables.values() if t.spec.role == "labels"), None)
    own = out.spec.label
    if own and own in out.frame:
        values, name, arrived = out.frame[own], out.view.name, None
        when = out.spec.label_time_column
        if when and when in out.frame and pd.api.types.is_datetime64_any_dtype(out.frame[when]):
            arrived = out.frame[when].to_numpy("datetime64[ns]").astype(np.int64)
        here = values.notna().to_numpy()
    elif table is None:
        return None, "no table of labels"
    else:
        joined = _from_table(table, out)
        if isinstance(joined, str):
            return None, joined
        values, here, arrived = joined
        name = table.name
    truth = read_truth(values[~out.late & here])
    if truth is None:
        # With long delays the reference's labels may be few; the table itself knows more.
        return None, "the reference has no labels to compare with, or all of one value"
    y = truth.numbers(values)
    maturity = mature(out.times, arrived, here, *out.window)
    right = False
    if truth.task == "class":
        prediction = out.spec.prediction
        if not prediction or prediction not in out.frame:
            return None, "labels are of many classes, and no prediction to hold them against"
        said = truth.numbers(out.frame[prediction])
        y = np.where(np.isfinite(y) & np.isfinite(said), (y == said).astype(float), np.nan)
        right = True
    use = maturity.use & np.isfinite(y)
    old = use & (out.times < maturity.start)
    score = out.score if out.score is not None else np.zeros(len(y))
    if truth.task == "binary" and out.score is not None:
        able = old & np.isfinite(score)
        if auc(score[able], y[able]) < 0.4 and not all(_numeric(v) for v in truth.names):
            # Two names say not which is positive: the one that scores speak for.
            truth = Truth("binary", {v: 1.0 - k for v, k in truth.names.items()})
            y = 1.0 - y
    able = old & np.isfinite(score)
    # A quantity is expected near its prediction, a class as often as its score once meant.
    base = score if truth.task == "number" else np.zeros(len(y))
    calibration = Calibration.fit(score[able], (y - base)[able])
    if calibration is None:
        return None, f"only {int(able.sum())} earlier predictions have labels"
    expected = np.where(np.isfinite(score), base + calibration.expected(score), np.nan)
    return Labels(name, truth, y, here, arrived, maturity, expected, right, calibration), ""


def _numeric(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _from_table(table: Table, out: Served) -> tuple[pd.Series, np.ndarray, np.ndarray | None] | str:
    spec = table.spec
    frames = [f for f in (table.reference, table.current) if f is not None and len(f)]
    if table.reference is None:
        return "the labels of the reference are not there"
    if not frames or not spec.label or any(spec.label not in f for f in frames):
        return "the labels' table has no rows, or not the column of the label"
    mine = [k for k in out.spec.key_columns if k in out.frame]
    theirs = spec.key_columns or mine
    if not mine or len(mine) != len(theirs) or any(not set(theirs) <= set(f) for f in frames):
        return "labels and predictions have no key in common"
    when = spec.label_time_column
    timed = bool(when) and all(
        when in f and pd.api.types.is_datetime64_any_dtype(f[when]) for f in frames
    )
    kept = [*theirs, spec.label, *([when] if timed and when else [])]
    both = pd.concat([f[kept] for f in frames], ignore_index=True)
    both = both[both[spec.label].notna()].reset_index(drop=True)
    at = locate(keys_of(out.frame, mine), keys_of(both, theirs))
    here = at >= 0
    if not here.any():
        return "no label has the key of a prediction"
    at = np.maximum(at, 0)
    values = both[spec.label].iloc[at].reset_index(drop=True).where(pd.Series(here))
    arrived = None
    if timed and when:
        arrived = both[when].to_numpy("datetime64[ns]").astype(np.int64)[at]
        arrived = np.where(here, arrived, out.window[1])
    return values, here, arrived
