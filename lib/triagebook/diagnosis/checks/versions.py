"""Whether a new model version behaves worse than the one before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.analysis.encompass import encompassing
from triagebook.core.models import IncidentType
from triagebook.core.words import clock, count, number, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.performance import service_of
from triagebook.diagnosis.context import moment
from triagebook.diagnosis.departures import LEAST_SCORE_SHIFT, score_departure
from triagebook.diagnosis.measured import usable
from triagebook.diagnosis.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.analysis.encompass import Encompassing
    from triagebook.core.models import Change, FindingVerdict
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.served import Served

NEAR_S = 2 * 3_600.0
_FIGURE = re.compile(
    r"(^|[^a-z])(auc|accuracy|acc|f1|precision|recall|log_?loss|brier|rmse|mae|mape|mse|r2|ndcg|hit_?rate)([^a-z]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NewModel:
    """A model that began to serve.

    Attributes
    ----------
    locus : str
        `model:NAME/VERSION`.
    at : Timestamp or None
    new : bool array, shape (n,), or None
        Served rows that it scored; None where rows do not say.
    change : Change or None
    """

    locus: str
    version: str
    at: pd.Timestamp | None
    new: np.ndarray | None
    change: Change | None


def model_name(ctx: Context) -> str:
    """Return the model's name; `model` where none is given."""
    return (ctx.bundle.service.model.name if ctx.bundle.service.model else None) or "model"


def new_models(ctx: Context) -> list[NewModel]:
    """Return the models that began to serve lately: by the rows' versions, else by the change log."""
    out, found = served(ctx), []
    name = model_name(ctx)
    cuts = model_changes(ctx)
    if out is not None and out.version is not None:
        for version in out.fresh:
            new = out.version == version
            at = moment(int(out.times[np.argmax(new)])) if out.timed else None
            change = _nearest(cuts, at) if at is not None else None
            found.append(NewModel(f"model:{name}/{version}", version, at, new, change))
        return [m for m in found if m.new is not None and m.new[out.late].any()]
    for change in cuts:
        at = pd.Timestamp(change.ts)
        if at < pd.Timestamp(ctx.bundle.windows.current[0]) - (
            pd.Timestamp(ctx.bundle.windows.current[1])
            - pd.Timestamp(ctx.bundle.windows.current[0])
        ):
            continue
        version = (change.to or "unknown").rpartition("/")[2].removeprefix(f"{name}:")
        new = out.times >= at.value if out is not None and out.timed else None
        found.append(NewModel(f"model:{name}/{version}", version, at, new, change))
    return found


def model_changes(ctx: Context) -> list[Change]:
    """Return the logged changes of model up to now."""
    end = ctx.bundle.windows.current[1]
    return [c for c in ctx.changes if c.kind == "model" and c.ts <= end]


def _nearest(changes: list[Change], at: pd.Timestamp) -> Change | None:
    """Find the change that a new version's first row belongs to, if one is near enough."""
    near = sorted((_apart(c, at), i) for i, c in enumerate(changes))
    return changes[near[0][1]] if near and near[0][0] <= 12 * NEAR_S else None


def _apart(change: Change, at: pd.Timestamp) -> float:
    return abs((pd.Timestamp(change.ts) - at).total_seconds())


@check(
    "model.version",
    "Did the model change, and does the new one do worse?",
    finds=("model.bad_version",),
    opposes=(
        "model.bad_version",
        "model.stale",
        "model.segment_regression",
        "drift.feature_shift",
    ),
)
def version(ctx: Context) -> Iterable[Answer]:
    """Hold the rows of a new version against what the old one said, and used to get right."""
    out, models = served(ctx), new_models(ctx)
    known = out is not None and out.version is not None
    logged = ctx.bundle.changes is not None
    if not models:
        if not known and not logged:
            yield Answer(
                locus=service_of(ctx),
                verdict="unknown",
                statement="Which model version served is not logged with the predictions, nor changes",
                evidence=ctx.cite("tables") + ctx.cite("changes"),
            )
            return
        there = (
            sorted(set(pd.Series(out.version[out.late]).dropna()))
            if out is not None and out.version is not None
            else []
        )
        yield Answer(
            locus=service_of(ctx),
            verdict="ok",
            statement=f"The same model version serves as before ({', '.join(there) or 'no change logged'})",
            evidence=ctx.cite("tables", out.view.name) if out is not None else ctx.cite("changes"),
            signals=(Signal("model.bad_version", "*", -3.5 if known else -2.0),),
        )
        return
    for model in models[-3:]:
        yield _judged(ctx, out, model)


def _judged(ctx: Context, out: Served | None, model: NewModel) -> Answer:
    name = model.version
    words: list[str] = []
    weight, bad = 0.0, False
    if out is not None and model.new is not None:
        weight, words, bad = _by_rows(ctx, out, model)
    metric = _by_metrics(ctx, model)
    if metric is not None:
        moved, text = metric
        words.append(text)
        if moved:
            weight += 2.5 if out is None or model.new is None else 0.7
            bad = True
        elif out is None or model.new is None:
            weight -= 1.5
    if not words:
        words.append("neither rows nor metrics say how it does")
    cited = ctx.cite("tables", out.view.name) if out is not None else ctx.cite("metrics")
    if model.change is not None:
        cited = cited + ctx.cite("changes")
    old = _share_of_old(out, model)
    if old is not None and old > 0.05:
        words.append(f"{share(old)} of rows since then still went to an older version")
    signals = [
        Signal(
            "model.bad_version",
            model.locus,
            weight,
            headline=f"Model version {name} does worse than the one before.",
            mechanism="What the model says changed with its version, while inputs stayed as they were.",
        ),
        Signal("model.stale", "*", -2.0),
    ]
    if bad and weight > 0 and ctx.incident_type is not IncidentType.DRIFT:
        # An input that moved does not change what the model says of such an input.
        signals.append(Signal("drift.feature_shift", "*", -1.5))
    judged: FindingVerdict = "bad" if bad else ("ok" if weight < 0 else "unknown")
    return Answer(
        locus=model.locus,
        verdict=judged,
        since=model.at,
        statement=f"Version {name} serves since {clock(model.at)}; " + ", ".join(words),
        evidence=cited,
        signals=tuple(signals),
    )


def _share_of_old(out: Served | None, model: NewModel) -> float | None:
    if out is None or out.version is None or model.at is None or model.new is None:
        return None
    since = out.times >= model.at.value
    return float((~model.new[since]).mean()) if since.any() else None


def _by_rows(ctx: Context, out: Served, model: NewModel) -> tuple[float, list[str], bool]:
    """Weigh what rows say: of the scores given the inputs, and of the labels given the version."""
    new = model.new
    if new is None or out.score is None:
        return 0.0, ["predictions carry no scores"], False
    weight, words = 0.0, []
    follows = out.follows
    strayed, far = False, 0.0
    if follows is not None:
        known = np.isfinite(follows.residual)
        own, usual = new & known, known & ~out.late & ~_fresh(out)
        if own.sum() >= 25 and usual.sum() >= 200:
            off = np.abs(follows.residual) / follows.score_spread
            rise = float(off[own].mean() - off[usual].mean())
            bias = float(follows.residual[own].mean() / follows.score_spread)
            far = max(rise, abs(bias))
            strayed = far > LEAST_SCORE_SHIFT
            text = (
                f"its scores lie {number(float(off[own].mean()))} spreads off what the old one said of "
                f"such inputs, {number(float(off[usual].mean()))} before"
            )
            # Rows that an older version scored meanwhile: the same traffic, the same time.
            beside = ~new & known & (out.times >= out.times[np.argmax(new)])
            if beside.sum() >= 25 and strayed:
                there = float(off[beside].mean() - off[usual].mean())
                if there < 0.4 * rise:
                    text += "; the old version beside it scores as ever"
                    weight += 0.7
                else:
                    text += "; the old version beside it strays as well"
                    weight -= 2.0
            words.append(text)
            weight += 2.0 + min(1.5 * far, 1.5) if strayed else -2.5
            found = score_departure(ctx)
            if (
                strayed
                and found is not None
                and found.found is not None
                and not found.found.elsewhere
            ):
                words.append(f"but only where {found.found.name}")
                weight -= 1.5
            if strayed and found is not None and found.step is not None and model.at is not None:
                gap = abs(found.step.at - model.at.value) / 1e9
                edge = max((found.step.high - found.step.low) / 1e9, NEAR_S)
                if gap > edge and out.version is None:
                    words.append(f"they left {span(gap)} from the change")
                    weight -= 2.5
    else:
        moved = any(
            c.movement.beyond_natural
            for c in ctx.columns
            if c.table == out.view.name and c.name in (out.spec.score, out.spec.prediction)
        )
        inputs = any(c.movement.beyond_natural for c in ctx.roots)
        words.append("the output moved" if moved else "the output did not move")
        words.append("inputs moved as well" if inputs else "inputs did not")
        weight += (2.0 if not inputs else 0.3) if moved else -1.0
        strayed = moved
    verdict = _by_labels(out, new)
    if verdict is not None:
        words.append(verdict.text)
        if verdict.worse:
            weight += verdict.weight if strayed or follows is None else 0.5
            return weight, words, True
        if verdict.alike:
            # Scores that lie far off where they were are no equal model, even if labels cannot tell yet.
            weight -= 1.5 if far > 0.3 else 3.0
            return weight, words, far > 0.3
    return weight, words, strayed


def _fresh(out: Served) -> np.ndarray:
    if out.version is None:
        return np.zeros(len(out.times), dtype=bool)
    return pd.Series(out.version).isin(out.fresh).to_numpy()


@dataclass(frozen=True)
class _Verdict:
    """What labels say of a new version beside the old one."""

    gap: float
    """Squared error of the new one less the old one's."""
    error: float
    follows: Encompassing | None
    """Which of the two scores of the same rows the labels follow."""
    text: str

    @property
    def worse(self) -> bool:
        lead = self.follows.z if self.follows is not None else 0.0
        return lead > 3 or (lead >= 0 and self.gap > max(0.01, 3 * self.error))

    @property
    def weight(self) -> float:
        """Nats for the version being worse, 1.5 to 3."""
        lead = self.follows.z if self.follows is not None else 0.0
        return 1.5 + 1.5 * float(np.clip((lead - 4) / 4, 0, 1))

    @property
    def alike(self) -> bool:
        lead = self.follows.z if self.follows is not None else 0.0
        return lead < 1 and self.gap + 2 * self.error < 0.02


def _by_labels(out: Served, new: np.ndarray) -> _Verdict | None:
    """Compare the loss of the new version with that of the old one on the same rows, else on earlier ones."""
    labels = out.labels
    if labels is None:
        return None
    rows = usable(labels)
    rows = rows[np.isfinite(labels.expected[rows])]
    own = rows[new[rows]]
    old = rows[~new[rows] & ~_fresh(out)[rows] & (out.times[rows] < labels.maturity.start)]
    if len(own) < 50 or len(old) < 50:
        return None
    scale = 1.0 if labels.task != "number" else max(float(np.var(labels.y[old])), 1e-12)
    loss = (labels.y - labels.expected) ** 2 / scale
    what = "than the old one had before"
    follows = None
    if out.follows is not None and not labels.right:
        usual = labels.meant(out.follows.expected)
        loss = loss - (labels.y - usual) ** 2 / scale
        own, old = (part[np.isfinite(loss[part])] for part in (own, old))
        what = "than what the old one would have said of the same rows"
        if len(own) < 50 or len(old) < 50:
            return None
        if labels.task == "binary":
            follows = encompassing(labels.y[own], usual[own], labels.expected[own])
    gap = float(loss[own].mean() - loss[old].mean())
    error = float(np.sqrt(np.var(loss[own]) / len(own) + np.var(loss[old]) / len(old)))
    word = "a larger" if gap > 0 else "a smaller"
    text = f"on {count(len(own))} labelled rows {word} squared error {what}: {gap:+.3f} ± {1.96 * error:.3f}"
    if follows is not None and abs(follows.z) > 2:
        whose = "the old one's scores" if follows.z > 0 else "its scores"
        other = "its own" if follows.z > 0 else "the old one's"
        text += (
            f"; labels follow {whose} rather than {other} ({abs(follows.z):.1f} standard errors)"
        )
    return _Verdict(gap, error, follows, text)


def _by_metrics(ctx: Context, model: NewModel) -> tuple[bool, str] | None:
    """Say whether a metric of performance stepped when the model changed."""
    if model.at is None:
        return None
    named = str(ctx.bundle.alert.metric or "")
    told = None
    for series, moved in ctx.series_movements:
        if not (_FIGURE.search(series.name) or (named and named == series.name)):
            continue
        if not moved.beyond_natural or moved.split is None:
            told = told or (False, f"{series.title} did not step with it")
            continue
        gap = abs(moved.split.time - model.at.value) / 1e9
        room = max((moved.split.time_high - moved.split.time_low) / 1e9, NEAR_S)
        if gap <= room:
            before, after = moved.mean_reference, moved.mean_current
            values = (
                f" from {number(before)} to {number(after)}"
                if before is not None and after is not None
                else ""
            )
            return True, f"{series.title} stepped{values} {span(gap)} from it"
        told = (False, f"{series.title} stepped {span(gap)} from it")
    return told
