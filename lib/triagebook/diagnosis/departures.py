"""Where labels left the scores and scores left the inputs: found once, used by several checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import DAY, past_windows
from triagebook.analysis.labels import FAULTS, Fit, fits
from triagebook.analysis.outcomes import keys_of, locate
from triagebook.analysis.segments import Slice, chosen, search
from triagebook.analysis.skew import Skew, skew
from triagebook.analysis.slice_sums import Field
from triagebook.analysis.steps import Step, step
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.measured import measured_of
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.analysis.behaviour import Behaviour
    from triagebook.analysis.segments import Coded
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.served import Labels, Served

LEAST_GAIN = 6.0
"""Nats that a movement must explain, all slices looked at paid for, to be one."""
LEAST_LABELLED = 100
"""With fewer late labels nothing is said for or against."""
LEAST_SHIFT = 0.06
"""Labels: a smaller change of the positive share (or of a quantity, in spreads of its error) is none."""
LEAST_SCORE_SHIFT = 0.2
"""Scores: one that lies less than so many spreads of the score off has not strayed. A retrained equal
model moves its scores by less."""
STRUCTURED = 9.0
"""Nats that a slice must explain of what a way common to all rows leaves over, to contradict it."""
LEAST_STRAYED = 0.25
"""A slice in which fewer more rows than this strayed is none."""


@dataclass(frozen=True)
class Departure:
    """Rows that left what was expected of them.

    Attributes
    ----------
    found : Slice or None
        The slice to name; None where nothing left.
    rows : int array
        Positions among the served rows that `found` and `inside` speak of.
    late_rows : int
        Rows of now that could be judged.
    step : Step or None
        When, by the time of the predictions.
    arrival_nats : float
        Labels only: nats by which the time of arrival explains the step better than the time of the
        prediction; 0 where it cannot be told.
    arrival : Step or None
    """

    found: Slice | None
    rows: np.ndarray
    late_rows: int
    step: Step | None = None
    arrival: Step | None = None
    arrival_nats: float = 0.0
    began: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool), repr=False)
    """By row: whether it lies after the step, or after the start of what was measured."""

    @property
    def segment(self) -> str:
        """`segment:COLUMN=VALUE`, or `segment:*`."""
        return f"segment:{self.found.name if self.found else '*'}"

    @property
    def since(self) -> pd.Timestamp | None:
        """When it began."""
        return moment(self.step.at) if self.step is not None else None

    @property
    def inside(self) -> np.ndarray:
        """Positions of the rows that left: of the slice, since its start."""
        if self.found is None:
            return self.rows[:0]
        return np.asarray(self.rows[self.found.inside & self.began])


def _kept(ctx: Context, name: str, make: Callable[[], object]) -> object:
    if name not in ctx.results:
        ctx.results[name] = make()
    return ctx.results[name]


def label_departure(ctx: Context) -> Departure | None:
    """Tell where labels no longer follow the scores; None where there are too few labels to tell."""
    found = _kept(ctx, "label_departure", lambda: _label_departure(ctx, served(ctx)))
    return found if isinstance(found, Departure) else None


def score_departure(ctx: Context) -> Departure | None:
    """Tell where scores no longer follow the inputs; None where that cannot be learned."""
    found = _kept(ctx, "score_departure", lambda: _score_departure(served(ctx)))
    return found if isinstance(found, Departure) else None


def _label_departure(ctx: Context, out: Served | None) -> Departure | None:
    if out is None or out.labels is None:
        return None
    labels = out.labels
    usable = labels.maturity.use & np.isfinite(labels.y) & np.isfinite(labels.expected)
    rows = np.flatnonzero(usable)
    late = out.times[rows] >= labels.maturity.start
    if late.sum() < LEAST_LABELLED or (~late).sum() < LEAST_LABELLED:
        return None
    values = statistics(labels, rows, late)
    least = np.full(2, LEAST_SHIFT if labels.task != "number" else 0.2)
    binary = labels.task == "binary" and out.score is not None
    figure = measured_of(ctx)
    return _searched(
        out,
        rows,
        late,
        values,
        least,
        labels if binary or labels.arrived is not None else None,
        worse=figure is not None and figure.bad,
    )


def statistics(labels: Labels, rows: np.ndarray, late: np.ndarray) -> np.ndarray:
    """Return what labels are above expectation, and the same by the score's side; shape (n, 2).

    The second falls where scores rank worse, though as many labels are positive as before.
    """
    r = labels.y[rows] - labels.expected[rows]
    old = ~late
    if labels.task == "number":
        r /= max(float(np.std(r[old])), 1e-12)
        r = np.clip(r, -8, 8)
    centre, spread = labels.expected[rows][old].mean(), labels.expected[rows][old].std()
    side = np.clip((labels.expected[rows] - centre) / max(float(spread), 1e-12), -3, 3)
    if spread < 1e-9:
        side = np.zeros(len(rows))
    return np.column_stack([r, r * side])


def _score_departure(out: Served | None) -> Departure | None:
    if out is None or out.follows is None:
        return None
    model = out.follows
    rows = np.flatnonzero(np.isfinite(model.residual))
    if out.version is not None and out.fresh:
        new = pd.Series(out.version).isin(out.fresh).to_numpy()
        own = rows[~out.late[rows] | new[rows]]
        # Rows that the old version scores meanwhile would water down what the new one does.
        if 50 <= out.late[own].sum() < 0.95 * out.late[rows].sum():
            found = _strayed(out, model, own)
            if found is not None and found.found is not None:
                return found
    return _strayed(out, model, rows)


def _strayed(out: Served, model: Behaviour, rows: np.ndarray) -> Departure | None:
    late = out.late[rows]
    if late.sum() < 50 or (~late).sum() < 200:
        return None
    far = reach(model, rows)
    # To one side: by as much as a retrained equal model does not; or in more rows than usual.
    least = np.array(
        [
            max(LEAST_SCORE_SHIFT * model.score_spread / float(np.median(far)), LEAST_STRAYED),
            LEAST_STRAYED,
        ]
    )
    e = model.residual[rows]
    # Both are bounded: a slice where every row strays a little must not lose to a part of it where
    # rows stray far.
    values = np.column_stack([np.clip(e / far, -1, 1), np.abs(e) > far]).astype(float)
    return _searched(out, rows, late, values, least, None)


def reach(model: Behaviour, rows: np.ndarray) -> np.ndarray:
    """Return how far off the score of each row must lie to have strayed, score units, shape (n,)."""
    usual = np.maximum(model.usual[rows], LEAST_SCORE_SHIFT * model.score_spread)
    return np.asarray(usual)


def _searched(
    out: Served,
    rows: np.ndarray,
    late: np.ndarray,
    values: np.ndarray,
    least: np.ndarray,
    labels: Labels | None,
    *,
    worse: bool = False,
) -> Departure:
    """Search for rows that left; `worse`: the model is measured to be worse than in any window before."""
    times = out.times[rows]
    columns = [c.only(rows) for c in out.columns]
    # Labels of a slice may all be alike by chance; that scores follow exactly is no surer than nearly.
    floor = np.maximum(0.25 * values[~late].var(axis=0), 0.0 if labels is not None else 0.1)
    found = search(Field(values, times, ~late, late, floor), columns, least)
    best = chosen([s for s in found if s.gain >= LEAST_GAIN])
    if best is None:
        return Departure(None, rows, int(late.sum()))
    beyond = _BEYOND_ALL if best.everything else _BEYOND
    # That the model is worse than ever says itself that the day is not one of the bad ones.
    known = best.everything and worse
    if not known and best.gain <= beyond * _before(
        values, times, late, columns, floor, least, best, beyond
    ):
        return Departure(None, rows, int(late.sum()))
    if labels is not None and labels.task == "binary" and not best.everything:
        best = _or_everything(labels, rows, late, values, best)
    # The step may lie before the window: a window's length before it is looked at as well.
    length = out.window[1] - out.window[0]
    start = int(times[np.argmax(late)]) - length
    part = best.inside & (times >= start)
    spread = np.maximum(values[best.inside & ~late].std(axis=0), 1e-9)
    mean = best.after
    when = step(values[part], times[part], best.before, mean, spread)
    by_arrival, nats = None, 0.0
    if labels is not None and labels.arrived is not None and when is not None:
        came = labels.arrived[rows][part]
        order = np.argsort(came, kind="stable")
        by_arrival = step(values[part][order], came[order], best.before, mean, spread)
        nats = by_arrival.nats - when.nats if by_arrival is not None else 0.0
    began = np.arange(len(rows)) >= best.start if when is None else times >= when.at
    timed = when if out.timed else None
    return Departure(best, rows, int(late.sum()), timed, by_arrival, nats, began)


_BEYOND = 1.25
"""A slice has to explain so many times what it does in the worst of the earlier windows."""
_BEYOND_ALL = 2.5
"""The same of all rows at once: a day that is bad for all is no rarer than the handful of windows seen."""


def _before(
    values: np.ndarray,
    times: np.ndarray,
    late: np.ndarray,
    columns: list[Coded],
    floor: np.ndarray,
    least: np.ndarray,
    best: Slice,
    beyond: float = _BEYOND,
) -> float:
    """Search earlier windows alike: the most nats that one of them gives; what happens anyway is no news.

    All rows are held against all rows, a slice against slices. Stops at the first that explains enough.
    """
    old = np.flatnonzero(~late)
    most = 0.0
    windows = past_windows(times[old], int(times[np.argmax(late)]), int(times[-1]))
    for window in windows[::2] if len(windows) > 8 else windows:
        # Rows after the window are of the reference as well; time has to end with the window.
        part, rest = old[: window[-1] + 1], old[window[-1] + 1 :]
        # Whole days, so that the hours of the day stay what they are.
        back = ((times[old[-1]] - times[old[0]]) // DAY + 1) * DAY
        rows = np.concatenate([rest, part])
        now = np.isin(rows, old[window])
        field_ = Field(
            values[rows], np.concatenate([times[rest] - back, times[part]]), ~now, now, floor
        )
        found = search(field_, [c.only(rows) for c in columns], least)
        alike = [s for s in found if s.everything == best.everything]
        most = max([most, *(s.gain for s in alike)])
        if beyond * most >= best.gain:
            break
    return most


def _or_everything(
    labels: Labels, rows: np.ndarray, late: np.ndarray, values: np.ndarray, best: Slice
) -> Slice:
    """Prefer all rows where one way in which all labels moved explains more than the slice alone does.

    Turned labels move most where scores were surest: the best slice is then only where it shows most.
    """
    since = late & (np.arange(len(rows)) >= best.start)
    m, y = labels.expected[rows], labels.y[rows]
    base = float(y[~late].mean())
    inside = since & best.inside
    if inside.sum() < 20:
        return best
    # The slice was picked among hundreds: what luck of the draw gives is taken off.
    of_slice = fits(m[inside], y[inside], base)[0].nats - LEAST_GAIN
    of_all = fits(m[since], y[since], base)[0].nats
    if of_all < of_slice:
        return best
    return Slice(
        "*",
        ("*",),
        of_all,
        values[~late].mean(axis=0),
        values[since].mean(axis=0),
        int((~late).sum()),
        int(since.sum()),
        best.start,
        np.ones(len(rows), dtype=bool),
    )


@dataclass(frozen=True)
class Manner:
    """How labels left the scores: which one-parameter way fits best, and what it leaves over.

    Attributes
    ----------
    fault, world : Fit
        The best of what a fault of labels does, and of what the world does.
    prior : Fit
        Another base rate alone.
    hit : int array
        Positions among the served rows of those since it began.
    structured : float
        Nats of the best slice that is left once the better of them is allowed for.
    """

    fault: Fit
    world: Fit
    prior: Fit
    hit: np.ndarray
    structured: float

    def only_rate(self, structured: float = STRUCTURED) -> bool:
        """Whether another base rate explains all rows alike, nearly as well as anything.

        Parameters
        ----------
        structured : float
            Nats that a slice may explain beyond it.
        """
        best = max(self.fault.nats, self.world.nats)
        return self.structured <= structured and self.prior.nats >= best - 4

    @property
    def lead(self) -> float:
        """Nats by which the fault fits better than the world."""
        return self.fault.nats - self.world.nats


def manner(ctx: Context) -> Manner | None:
    """Say how binary labels left the scores; None where they did not, or are not binary."""
    found = _kept(ctx, "manner", lambda: _manner(ctx))
    return found if isinstance(found, Manner) else None


def _manner(ctx: Context) -> Manner | None:
    out, left = served(ctx), label_departure(ctx)
    if out is None or out.labels is None or left is None or left.found is None:
        return None
    labels, rows = out.labels, left.rows
    if labels.task != "binary" or out.score is None:
        return None
    times = out.times[rows]
    late = times >= labels.maturity.start
    # By the moment it began on the clock that explains it better.
    began = np.arange(len(rows)) >= left.found.start
    if left.arrival is not None and left.arrival_nats > 4 and labels.arrived is not None:
        hit = labels.arrived[rows] >= left.arrival.at
    elif left.step is not None:
        hit = times >= left.step.at
    else:
        hit = late & began
    if hit.sum() < 50:
        return None
    m, y = labels.expected[rows][hit], labels.y[rows][hit]
    base = float(labels.y[rows][~late].mean())
    ways = fits(m, y, base)
    fault = next(f for f in ways if f.way in FAULTS)
    world = next(f for f in ways if f.way in ("prior", "slope"))
    # What the better way leaves: a fault hits every row alike, the world has its places.
    better = fault if fault.nats >= world.nats else world
    expected = labels.expected[rows].copy()
    expected[hit] = better.chance
    r = labels.y[rows] - expected
    side = labels.expected[rows] - labels.expected[rows][~late].mean()
    side = side / max(float(side[~late].std()), 1e-9)
    left_over = np.column_stack([r, r * np.clip(side, -3, 3)])
    rest = search(
        Field(left_over, times, ~late, hit, 0.25 * left_over[~late].var(axis=0)),
        [c.only(rows) for c in out.columns],
        np.full(2, LEAST_SHIFT),
    )
    prior = next(f for f in ways if f.way == "prior")
    structured = max((s.gain for s in rest if not s.everything), default=0.0)
    return Manner(fault, world, prior, rows[hit], structured)


def skews(ctx: Context) -> list[Skew] | None:
    """Compare served features with the same computed offline; None where that cannot be."""
    found = _kept(ctx, "skews", lambda: _skews(ctx))
    return found if isinstance(found, list) else None


def _skews(ctx: Context) -> list[Skew] | str:
    out = served(ctx)
    if out is None:
        return "no predictions"
    table = next((t for t in ctx.tables.values() if t.spec.role == "features"), None)
    frames = [f for f in (table.reference, table.current) if f is not None] if table else []
    if table is None or not frames:
        return "no table of the features as computed offline"
    mine = [k for k in out.spec.key_columns if k in out.frame]
    theirs = list(table.spec.key_columns) or mine
    if not mine or len(mine) != len(theirs) or any(not set(theirs) <= set(f) for f in frames):
        return "predictions and offline features have no key in common"
    logged = set(out.view.reference) & set(out.view.current)
    names = [f for f in ctx.features if f in logged and all(f in part for part in frames)]
    names = [f for f in names if f not in theirs]
    if not names:
        return "predictions carry none of the offline features"
    both = pd.concat([f[[*theirs, *names]] for f in frames], ignore_index=True)
    # A key that repeats (a fan-out, a double delivery) names no one row to compare with.
    both = both[~both.duplicated(theirs, keep=False)].reset_index(drop=True)
    if both.empty:
        return "every key of the offline features repeats"
    at = locate(keys_of(out.frame, mine), keys_of(both, theirs))
    here = at >= 0
    at = np.maximum(at, 0)
    compared = []
    for name in names:
        offline = both[name].iloc[at].reset_index(drop=True)
        found = skew(name, out.frame[name], offline, here, out.late, out.times)
        if found is not None:
            compared.append(found)
    return compared or "too few keys are in both tables"


def why_no_skew(ctx: Context) -> str:
    """Say why served and offline features could not be compared."""
    skews(ctx)
    found = ctx.results["skews"]
    return found if isinstance(found, str) else ""


def differing(ctx: Context) -> list[Skew]:
    """Features that differ more than they did before, the surest first."""
    found = [s for s in skews(ctx) or [] if is_skewed(s)]
    return sorted(found, key=lambda s: (-s.share_now, s.feature))


SKEWED_SHARE = 0.01
"""Fewer rows that differ than this, above what differs anyway, are no skew."""


def is_skewed(found: Skew) -> bool:
    """Whether clearly more rows differ than before, and than on the reference's worse days."""
    rise = found.share_now - max(found.share_before, min(found.natural, 0.9))
    return rise >= SKEWED_SHARE and found.z >= 4


def moved_inputs(ctx: Context, near: pd.Timestamp | None = None) -> list[str]:
    """Name inputs that matter to the model and left their natural movement, near a moment if one is given."""
    importance = ctx.importance
    length = ctx.bundle.windows.current[1] - ctx.bundle.windows.current[0]
    out = []
    for column in ctx.roots:
        if not column.movement.beyond_natural:
            continue
        if importance and importance.get(column.name, 0.0) < 0.02:
            continue
        if not importance and ctx.features and column.name not in ctx.features:
            continue
        if near is not None and column.since is not None:
            apart = abs((column.since - near).total_seconds())
            if apart > 0.25 * length.total_seconds():
                continue
        out.append(column.name)
    return out
