"""What the pipeline does with rows: build features, score them, decide, collect outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.drills.tabular.material import Y
from triagebook.drills.tabular.model import Scorer, fit
from triagebook.drills.tabular.setting import DAY, HOUR

if TYPE_CHECKING:
    from triagebook.drills.tabular.company import Company
    from triagebook.drills.tabular.runs import Runs
    from triagebook.drills.tabular.stage import Stage


def build_features(company: Company, main: pd.DataFrame, side: pd.DataFrame) -> pd.DataFrame:
    """Build the model's inputs from the raw tables, as the pipeline's code would.

    The joined snapshot is the newest one loaded before the row; rows whose entity is unknown get
    nulls, an entity that stands there twice makes two rows.
    """
    used = [column.name for column in company.columns if column.used]
    found = main[[company.key, company.ts, company.side_key, company.local, *used]].copy()
    for column in company.columns:
        if column.kind == "number" and column.name in used:
            found[column.name] = pd.to_numeric(found[column.name], errors="coerce")
    found[company.hour] = found[company.local].dt.hour.astype("float64")
    snapshots = pd.DatetimeIndex(side[company.loaded].unique()).as_unit("us").sort_values()
    at = snapshots.searchsorted(pd.DatetimeIndex(found[company.ts]), side="right") - 1
    found["_loaded"] = snapshots[np.maximum(at, 0)]
    joined = side[[company.side_key, company.loaded, company.side_number, company.side_category]]
    found = found.merge(
        joined.rename(columns={company.loaded: "_loaded"}),
        how="left",
        on=[company.side_key, "_loaded"],
    )
    inputs = [*used, company.hour, company.side_number, company.side_category]
    return found[[company.key, company.ts, *inputs]]


def inputs_of(company: Company) -> list[str]:
    """Return the model's inputs, in order."""
    used = [column.name for column in company.columns if column.used]
    return [*used, company.hour, company.side_number, company.side_category]


def categories_of(company: Company) -> list[str]:
    """Return those inputs that are categories."""
    named = [c.name for c in company.columns if c.used and c.kind == "category"]
    return [*named, company.side_category]


def train_models(stage: Stage) -> None:
    """Fit the version served at the start, and the one that a scheduled retraining made meanwhile."""
    company, rng, setting = stage.company, stage.rng, stage.setting
    features = build_features(company, stage.material.train, stage.material.side)
    outcome = stage.material.train[Y].to_numpy(dtype="float64")
    x = features[inputs_of(company)]
    trees = bool(rng.random() < 0.6)
    number = int(rng.integers(3, 40))
    style = ("{n}", "v{n}", "{n}.0.{d}", "2{n:03d}")[int(rng.integers(4))]
    stage.facts["version"] = lambda n: style.format(n=n, d=n % 7)
    stage.facts["number"] = number
    stage.facts["train"] = (x, outcome, trees)
    first = fit(
        x, outcome, categories_of(company), stage.facts["version"](number), trees=trees, rng=rng,
        measure=not stage.facts.get("retrain", True),
    )  # fmt: skip
    stage.models = [(setting.start - 3650 * DAY, first)]
    stage.cutoffs = [(setting.start - 3650 * DAY, first.threshold)]
    stage.facts["retrained"] = None
    if stage.facts.get("retrain", True):
        since = (setting.start + DAY * int(rng.integers(8, 19))).floor("D") + 4 * HOUR
        again = rng.integers(0, len(x), len(x))
        second = fit(
            x.iloc[again].reset_index(drop=True), outcome[again], categories_of(company),
            stage.facts["version"](number + 1), trees=trees, rng=rng, threshold=first.threshold,
        )  # fmt: skip
        stage.models.append((since, second))
        stage.facts["number"] += 1
        stage.facts["retrained"] = since


def newest(stage: Stage) -> Scorer:
    """Return the model that serves last."""
    return stage.models[-1][1]


def score(stage: Stage, runs: Runs) -> None:
    """Score the served inputs of batches that were scored, with the version of the time, and decide."""
    company, setting = stage.company, stage.setting
    served = stage.features.drop(columns=[company.ts])
    due = setting.done(stage.features[company.ts])
    served.insert(1, company.predicted, due.map(runs.scored))
    served[company.predicted] = served[company.predicted].dt.as_unit("us")
    served["_ts"] = stage.features[company.ts]
    made = served[company.predicted].notna()
    stage.features = stage.features[made].reset_index(drop=True)
    stage.predictions = served[made].reset_index(drop=True)
    stage.play("serve")
    served = stage.predictions
    served[company.score] = np.nan
    served[company.version] = ""
    for since, model in stage.models:
        rows = (served["_ts"] >= since).to_numpy()
        served.loc[rows, company.version] = model.version
    for _, model in stage.models:
        rows = (served[company.version] == model.version).to_numpy()
        if rows.any():
            served.loc[rows, company.score] = model.scores(served.loc[rows, model.inputs])
    stage.play("scores")
    served = stage.predictions
    served[company.score] = served[company.score].clip(0, 1).round(5)
    stage.play("decisions")
    cutoff = np.zeros(len(served))
    for since, value in stage.cutoffs:
        cutoff[(served["_ts"] >= since).to_numpy()] = value
    served[company.decision] = (served[company.score].to_numpy() > cutoff).astype("int64")


def collect_labels(stage: Stage, runs: Runs) -> None:
    """Let outcomes arrive by a heavy-tailed delay, collected in runs; some never do."""
    company, setting, rng = stage.company, stage.setting, stage.rng
    main = stage.facts["events"]
    main = main[main[Y].notna()]
    delay_h = setting.label_delay_h * rng.lognormal(0, 0.7, len(main))
    known = main[company.ts] + pd.to_timedelta(delay_h, unit="h")
    due = known.dt.ceil(setting.label_every)
    # A collection that failed is made good by the next that works.
    done = pd.Series(runs.outcomes, dtype="datetime64[us, UTC]").sort_index()
    at = done.index.searchsorted(pd.DatetimeIndex(due))
    arrived = pd.Series(pd.NaT, index=main.index, dtype="datetime64[us, UTC]")
    some = at < len(done)
    arrived[some] = done.to_numpy()[at[some]]
    found = pd.DataFrame(
        {
            company.key: main[company.key],
            company.label: main[Y].to_numpy(dtype="int64"),
            company.labelled: arrived,
            "_ts": main[company.ts],
        }
    )
    unlabelled = rng.random(len(found)) < stage.facts.get("never_labelled", 0.06)
    found = found[~unlabelled & found[company.labelled].notna()]
    stage.labels = found.drop_duplicates(company.key).reset_index(drop=True)
    stage.play("labels")
    stage.labels = stage.labels.sort_values([company.labelled, company.key], ignore_index=True)


def measured(stage: Stage) -> pd.DataFrame:
    """Return scores joined with the outcomes that have arrived, by arrival: what a monitor can know."""
    company = stage.company
    right: Any = stage.labels[[company.key, company.label, company.labelled]]
    right = right[right[company.labelled] < stage.setting.now]
    left = stage.predictions[[company.key, company.score, company.decision, company.predicted]]
    return (
        left.drop_duplicates(company.key)
        .merge(right, on=company.key)
        .sort_values(company.labelled, ignore_index=True)
    )
