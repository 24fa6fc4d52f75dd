"""What the model gives out: its decisions, its measured performance, its version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.words import clock, count, number, share, span
from triagebook.diagnosis.answer import Answer, Signal, check
from triagebook.diagnosis.checks.changes import onset_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triagebook.core.models import TableSpec
    from triagebook.diagnosis.context import Column, Context


def _service(ctx: Context) -> str:
    return f"service:{ctx.bundle.service.name}"


@check("model.output_moved", "Did the model's own output move?", opposes=("none",))
def output_moved(ctx: Context) -> Iterable[Answer]:
    """Compare scores and decisions with the same hours of the reference."""
    view = ctx.role("predictions")
    if view is None:
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement="The model's output was not seen: "
            + (ctx.why_missing("tables") or "no table of predictions"),
            evidence=ctx.cite("tables"),
        )
        return
    outputs = [
        c
        for c in ctx.columns
        if c.table == view.name and c.name in (view.spec.score, view.spec.prediction)
    ]
    for column in outputs:
        moved = column.movement.beyond_natural
        yield Answer(
            locus=column.locus,
            verdict="bad" if moved else "ok",
            statement=_said(ctx, column, moved=moved),
            value=round(column.movement.effect, 4),
            unit="distance (0 to 1)",
            threshold=round(1.25 * max(column.movement.natural, column.movement.noise, 0.01), 4),
            effect=round(column.movement.ratio, 3),
            since=column.since if moved else None,
            evidence=ctx.cite("tables", view.name),
            signals=(Signal("none", "*", -1.0 if moved else 0.7),),
        )


def _said(ctx: Context, column: Column, *, moved: bool) -> str:
    after, before = ctx.after(column)[column.name], ctx.before(column)[column.name]
    numbers = [pd.to_numeric(part.dropna(), errors="coerce").mean() for part in (after, before)]
    word = f"{column.movement.ratio:.1f} times its natural movement"
    if all(np.isfinite(n) for n in numbers):
        return (
            f"{column.name}: mean {number(numbers[0])}, was {number(numbers[1])}"
            f" ({word}{'' if moved else ', as usual'})"
        )
    return f"{column.name} {'moved' if moved else 'is as usual'} ({word})"


@check(
    "model.measured_performance",
    "Is the model right as often as before, as far as labels are in?",
    finds=("drift.label_shift",),
    opposes=("none",),
)
def measured(ctx: Context) -> Iterable[Answer]:
    """Join labels to predictions and compare the share of right decisions."""
    predictions = next((t for t in ctx.tables.values() if t.spec.role == "predictions"), None)
    labels = next((t for t in ctx.tables.values() if t.spec.role == "labels"), None)
    if (
        predictions is None
        or labels is None
        or labels.reference is None
        or predictions.reference is None
    ):
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement="Measured performance is unknown: no "
            + ("labels" if labels is None or labels.reference is None else "predictions"),
            evidence=ctx.cite("tables"),
        )
        return
    old = _joined(
        predictions.reference,
        labels.reference,
        predictions.spec.key_columns,
        predictions.spec.prediction,
        labels.spec,
    )
    if labels.current is None or predictions.current is None or labels.current.empty:
        new = None
    else:
        everything = pd.concat([predictions.reference, predictions.current])
        new = _joined(
            everything,
            labels.current,
            predictions.spec.key_columns,
            predictions.spec.prediction,
            labels.spec,
        )
    cited = ctx.cite("tables", labels.name)
    if old is None or new is None or len(new) < 30:
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement="Measured performance is unknown: labels of the current window are not in",
            evidence=cited,
        )
        return
    was, now = float((old["p"] == old["y"]).mean()), float((new["p"] == new["y"]).mean())
    days = _by_day(old)
    low = float(np.quantile(days, 0.05)) if len(days) >= 10 else was - 0.05
    bad = now < low
    newest = predictions.spec.time_column
    upto = new[newest].max() if newest and newest in new else None
    yield Answer(
        locus=_service(ctx),
        verdict="bad" if bad else "ok",
        statement=(
            f"{share(now)} of {count(len(new))} decisions with labels are right, were {share(was)}; "
            f"the worst days before had {share(low)}. "
            f"Newest labelled decision: {clock(upto) if upto is not None else 'unknown'}"
        ),
        value=round(now, 4),
        unit="share right",
        threshold=round(low, 4),
        effect=round(now - was, 4),
        evidence=cited,
        signals=(Signal("none", "*", -1.5 if bad else 0.3),),
    )
    onset = onset_of(ctx)
    if onset is not None and upto is not None and upto < onset:
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement=(
                f"Labels of decisions since the onset are not in: the newest labelled decision is of "
                f"{clock(upto)}{_delay(old, newest)}"
            ),
            evidence=cited,
        )
    base_was, base_now = old["y"].astype(float).mean(), new["y"].astype(float).mean()
    if np.isfinite(base_was) and np.isfinite(base_now):
        daily = old.groupby(old["_day"])["y"].apply(lambda y: y.astype(float).mean())
        low_b, high_b = (
            (float(np.quantile(daily, q)) for q in (0.02, 0.98)) if len(daily) >= 10 else (0.0, 1.0)
        )
        out = not low_b <= base_now <= high_b
        yield Answer(
            locus=f"table:{labels.name}",
            verdict="bad" if out else "ok",
            statement=(
                f"The base rate is {share(base_now)}, was {share(base_was)} "
                f"(days before: {share(low_b)} to {share(high_b)})"
            ),
            value=round(float(base_now), 4),
            unit="share positive",
            threshold=round(high_b if base_now > base_was else low_b, 4),
            effect=round(float(base_now - base_was), 4),
            evidence=cited,
            signals=(
                Signal(
                    "drift.label_shift",
                    f"table:{labels.name}",
                    1.5 if out else -2.0,
                    headline=f"The base rate went from {share(base_was)} to {share(base_now)}.",
                    mechanism="The world itself has more (or fewer) positive cases.",
                ),
            ),
        )


def _delay(joined: pd.DataFrame, time_column: str | None) -> str:
    """Say how long labels usually take, where both times are known."""
    if time_column is None or time_column not in joined or "_labelled" not in joined:
        return ""
    late_s = (joined["_labelled"] - joined[time_column]).dt.total_seconds().median()
    return "" if np.isnan(late_s) else f"; labels come about {span(late_s)} later"


def _joined(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    keys: list[str],
    prediction: str | None,
    spec: TableSpec,
) -> pd.DataFrame | None:
    label, arrived = spec.label, spec.label_time_column
    if not keys or prediction is None or label is None:
        return None
    if (
        prediction not in predictions
        or label not in labels
        or not set(keys) <= set(labels) & set(predictions)
    ):
        return None
    kept = labels[[*keys, label]].dropna().drop_duplicates(keys)
    if arrived and arrived in labels and pd.api.types.is_datetime64_any_dtype(labels[arrived]):
        kept = kept.assign(_labelled=labels.loc[kept.index, arrived])
    both = predictions.merge(kept, on=keys, how="inner", suffixes=("", "_label"))
    if both.empty:
        return None
    y = both[label if label not in predictions else f"{label}_label"]
    times = next((both[c] for c in both if pd.api.types.is_datetime64_any_dtype(both[c])), None)
    return both.assign(
        p=both[prediction].astype(float)
        if pd.api.types.is_numeric_dtype(both[prediction])
        else both[prediction],
        y=y.astype(float) if pd.api.types.is_numeric_dtype(y) else y,
        _day=times.dt.floor("D") if times is not None else 0,
    )


def _by_day(joined: pd.DataFrame) -> np.ndarray:
    right = (joined["p"] == joined["y"]).groupby(joined["_day"]).agg(["mean", "size"])
    return right.loc[right["size"] >= 20, "mean"].to_numpy()


@check("model.version", "Did the model version change?", finds=("model.bad_version",))
def version(ctx: Context) -> Iterable[Answer]:
    """Compare the versions that served in both windows."""
    view = ctx.role("predictions")
    if view is None or not view.spec.model_version or view.spec.model_version not in view.current:
        yield Answer(
            locus=_service(ctx),
            verdict="unknown",
            statement="Which model version served is not logged with the predictions",
            evidence=ctx.cite("tables"),
        )
        return
    column = view.spec.model_version
    old = set(view.reference[column].dropna().astype(str))
    new = view.current[column].dropna().astype(str)
    fresh = sorted(set(new) - old)
    name = (ctx.bundle.service.model.name if ctx.bundle.service.model else None) or "model"
    if not fresh:
        yield Answer(
            locus=_service(ctx),
            verdict="ok",
            statement=f"The same model version serves as before ({', '.join(sorted(set(new))) or 'none'})",
            evidence=ctx.cite("tables", view.name),
            signals=(Signal("model.bad_version", "*", -3.0),),
        )
        return
    first = int(np.argmax(new.isin(fresh).to_numpy()))
    since = None
    if view.timed:
        since = pd.Timestamp(int(view.current_times[new.index[first]]), unit="ns", tz="UTC")
    moved = any(
        c.movement.beyond_natural
        for c in ctx.columns
        if c.table == view.name and c.name in ctx.outputs(view) and c.name != column
    )
    inputs = any(c.movement.beyond_natural for c in ctx.roots)
    yield Answer(
        locus=f"model:{name}/{fresh[-1]}",
        verdict="bad" if moved else "ok",
        since=since,
        statement=f"Version {fresh[-1]} serves since {clock(since)}; "
        + ("the output moved" if moved else "the output did not move")
        + (", inputs moved as well" if inputs else ", inputs did not"),
        evidence=ctx.cite("tables", view.name),
        signals=(
            Signal(
                "model.bad_version",
                f"model:{name}/{fresh[-1]}",
                (2.5 if not inputs else 0.5) if moved else -1.0,
                headline=f"Model version {fresh[-1]} behaves differently.",
                mechanism="The output changed at a change of model while the inputs stayed.",
            ),
        ),
    )
