"""Plant faults of the model and its labels: versions, concepts, slices, labels, skew, age, thresholds.

Size 1: a version trained on half nonsense, a concept that turned for six in ten rows of its segment,
labels that are six days late or four in ten wrong, a served feature off by its own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from triagebook.drills.tabular.deeds import plants
from triagebook.drills.tabular.flow import categories_of, newest
from triagebook.drills.tabular.material import Y
from triagebook.drills.tabular.model import fit
from triagebook.drills.tabular.setting import DAY
from triagebook.drills.tabular.stage import RunEdit

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd
    from numpy.typing import NDArray

    from triagebook.drills.scenario import Fault
    from triagebook.drills.tabular.stage import Stage


def segment(stage: Stage, fault: Fault) -> tuple[str, Any]:
    """Return the column of a segment, and a function that gives its value: near the fault's share."""
    column = stage.pick(fault, "category")

    def value() -> str:
        shares = stage.main[column.name].value_counts(normalize=True).sort_index()
        return str((shares - fault.share).abs().idxmin())

    return column.name, value


@plants("model.bad_version")
def bad_version(stage: Stage, fault: Fault) -> None:
    """Serve a version that was trained on rows whose outcomes or inputs were mixed up."""
    company, rng = stage.company, stage.rng
    onset = stage.setting.at(fault.onset_h)
    style = fault.target or ("shuffled", "tiny", "columns")[int(rng.integers(3))]

    def deed() -> None:
        x, outcome, trees = stage.facts["train"]
        x, outcome = x.copy(), outcome.copy()
        wrong = np.flatnonzero(rng.random(len(x)) < min(0.75 * fault.size, 0.95))
        if style == "shuffled":
            outcome[wrong] = outcome[rng.permutation(wrong)]
        elif style == "columns":
            named = newest(stage).importance
            best = [n for n in sorted(named, key=named.__getitem__) if n in newest(stage).numbers]
            for name in best[-3:]:
                x.loc[wrong, name] = x.loc[rng.permutation(wrong), name].to_numpy()
        else:
            few = rng.permutation(len(x))[: max(60, int(160 / fault.size))]
            x, outcome = x.iloc[few].reset_index(drop=True), outcome[few]
        old = newest(stage)
        number = stage.facts["number"] = stage.facts["number"] + 1
        version = stage.facts["version"](number)
        bad = fit(
            x, outcome, categories_of(company), version, trees=trees, rng=rng, threshold=old.threshold
        )  # fmt: skip
        stage.models.append((onset, bad))
        stage.facts["released"] = (onset, version)
        names = (stage.company.model, stage.company.service)
        stage.answer(fault.cause, *(f"model:{name}/{version}" for name in names), onset=onset)
        stage.changed(
            stage.before(onset, 25), "model", f"{company.model} promoted", old.version, version
        )

    stage.on("models", deed)


def turn(
    rows: NDArray[np.bool_], rng: np.random.Generator, frame: pd.DataFrame, column: str
) -> None:
    """Let the outcomes of some rows follow nothing: exchanged among rows of about the same time."""
    at = np.flatnonzero(rows)
    values = frame[column].to_numpy(copy=True)
    for chunk in np.array_split(at, max(1, len(at) // 200)):
        values[chunk] = values[rng.permutation(chunk)]
    frame[column] = values


@plants("model.concept_drift")
def concept_drift(stage: Stage, fault: Fault) -> None:
    """Let outcomes change for the same inputs: in a segment (target), or everywhere ("*").

    By seed they turn, following nothing, or rise.
    """
    setting, company, rng = stage.setting, stage.company, stage.rng
    onset = setting.at(fault.onset_h)
    rises = bool(rng.random() < 0.5)
    everywhere = fault.target in ("*", "")
    named = None if everywhere else segment(stage, fault)
    most = min(0.6 * fault.size, 1.0)

    def deed() -> None:
        main = stage.main
        rows = rng.random(len(main)) < most * setting.strength(fault, main[company.ts])
        locus = "segment:*"
        if named is not None:
            name, slice_ = named[0], named[1]()
            rows = rows & (main[name] == slice_).to_numpy()
            locus = f"segment:{name}={slice_}"
        if rises:
            main.loc[rows & main[Y].notna() & (rng.random(len(main)) < 0.7), Y] = 1
        else:
            turn(rows, rng, main, Y)
        stage.answer(fault.cause, locus, onset=onset)

    stage.on("world", deed)


@plants("model.segment_regression")
def segment_regression(stage: Stage, fault: Fault) -> None:
    """Give one slice scores that do not follow its inputs: a fallback's constant, or another row's."""
    setting, company, rng = stage.setting, stage.company, stage.rng
    onset = setting.at(fault.onset_h)
    name, value = segment(stage, fault)
    constant = bool(rng.random() < 0.4)
    most = min(0.95 * fault.size, 1.0)

    def deed() -> None:
        served = stage.predictions
        slice_ = value()
        rows = (served[name] == slice_).to_numpy()
        rows = rows & (rng.random(len(served)) < most * setting.strength(fault, served["_ts"]))
        scores = served[company.score].to_numpy(copy=True)
        usual = np.quantile(scores, rng.uniform(0.4, 0.7))
        scores[rows] = (
            usual + rng.normal(0, 0.01, rows.sum()) if constant else rng.choice(scores, rows.sum())
        )
        served[company.score] = np.clip(scores, 0.001, 0.999)
        stage.answer(fault.cause, f"segment:{name}={slice_}", onset=onset)

    stage.on("scores", deed)
    if rng.random() < 0.7:
        number = int(rng.integers(3, 60))
        ts = stage.before(onset)
        stage.changed(ts, "deploy", company.task["score"], f"v{number}", f"v{number + 1}")


@plants("model.label_fault")
def label_fault(stage: Stage, fault: Fault) -> None:
    """Spoil labels by when they arrive: "wrong" (inverted), "default" (all negative), or "missing" ones."""
    setting, company, rng = stage.setting, stage.company, stage.rng
    onset = setting.at(fault.onset_h)
    style = fault.target or ("wrong", "default", "missing")[int(rng.integers(3))]

    def deed() -> None:
        labels = stage.labels
        touched = setting.strength(fault, labels[company.labelled]) > 0
        chance = rng.random(len(labels))
        if style == "missing":
            positive = (labels[company.label] == 1).to_numpy()
            gone = touched & positive & (chance < min(0.9 * fault.size, 0.98))
            stage.labels = labels[~gone].reset_index(drop=True)
        elif style == "default":
            labels.loc[touched & (chance < min(0.8 * fault.size, 1.0)), company.label] = 0
        else:
            rows = touched & (chance < min(0.4 * fault.size, 1.0))
            labels.loc[rows, company.label] = 1 - labels.loc[rows, company.label]

    stage.on("labels", deed)
    stage.answer(fault.cause, f"table:{company.table['labels']}", onset=onset)
    if rng.random() < 0.7:
        number = int(rng.integers(3, 60))
        ts = stage.before(onset)
        stage.changed(ts, "deploy", company.task["join_labels"], f"v{number}", f"v{number + 1}")


@plants("model.serving_skew")
def serving_skew(stage: Stage, fault: Fault) -> None:
    """Serve a number that differs from the one recomputed offline: old, scaled, or null-filled."""
    setting, company, rng = stage.setting, stage.company, stage.rng
    onset = setting.at(fault.onset_h)
    column = stage.pick(fault, "number")
    style = int(rng.integers(3))

    def deed() -> None:
        served = stage.predictions
        rows = setting.hit(fault, served["_ts"], rng)
        values = served[column.name].to_numpy(dtype="float64", copy=True)
        if style == 0:  # a cache that answers with another entity's value
            values[rows] = rng.permutation(values[rows])
        elif style == 1:  # another definition of the same feature
            values[rows] = values[rows] * (1 + 0.45 * fault.size) + 0.3 * np.nanstd(values)
        else:  # a fallback where the lookup failed
            miss = rows & (rng.random(len(values)) < min(0.7 * fault.size, 1.0))
            values[miss] = np.nanmedian(values)
        served[column.name] = np.round(values, 4)

    stage.on("serve", deed)
    stage.answer(fault.cause, f"feature:{column.name}", onset=onset)
    stage.touched.append(column.name)
    if rng.random() < 0.7:
        number = int(rng.integers(3, 60))
        ts = stage.before(onset)
        stage.changed(ts, "deploy", company.task["score"], f"v{number}", f"v{number + 1}")


@plants("model.stale")
def stale(stage: Stage, fault: Fault) -> None:
    """Let the world move away from the model through the whole reference, while retraining stopped."""
    setting, company, rng = stage.setting, stage.company, stage.rng
    stage.facts["retrain"] = False
    stage.facts["baseline"] = setting.start + 10 * DAY
    since = setting.start + DAY * 3

    def deed() -> None:
        main = stage.main
        age = ((main[company.ts] - since) / (setting.now - since)).to_numpy()
        turn(
            rng.random(len(main)) < np.clip(age, 0, 1) * min(0.7 * fault.size, 0.95),
            rng,
            main,
            Y,
        )

    def named() -> None:
        version = newest(stage).version
        names = (company.model, company.service)
        stage.answer(fault.cause, *(f"model:{name}/{version}" for name in names), onset=None)

    stage.on("world", deed)
    stage.on("models", named)
    how = ("skipped", "failed")[int(rng.integers(2))]
    error = "TrainingTimeout: no slot in queue 'train' within 6 h"
    stage.edits.append(
        RunEdit("train", since, "skipped" if how == "skipped" else "failed", error=lambda: error)
    )


@plants("model.threshold_change")
def threshold_change(stage: Stage, fault: Fault) -> None:
    """Decide by another threshold: so that twice or half as many are flagged at size 1."""
    setting, company, rng = stage.setting, stage.company, stage.rng
    onset = setting.at(fault.onset_h)
    up = bool(rng.random() < 0.5)

    def deed() -> None:
        scores = stage.predictions.loc[stage.predictions["_ts"] < setting.split, company.score]
        old = stage.cutoffs[-1][1]
        share = float((scores > old).mean())
        wanted = share * (1 + fault.size) if up else share / (1 + fault.size)
        new = round(float(np.quantile(scores, 1 - min(wanted, 0.95))), 2)
        new = new if new != old else round(old + (-0.03 if up else 0.03), 2)
        stage.cutoffs.append((onset, new))
        stage.changed(
            stage.before(onset, 20), "config", company.threshold_key, f"{old:g}", f"{new:g}"
        )

    stage.on("decisions", deed)
    unseen = "changes" in stage.scenario.missing
    stage.answer(
        fault.cause, f"config:{'unknown' if unseen else company.threshold_key}", onset=onset
    )
