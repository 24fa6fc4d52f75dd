"""Power, false alarms and naming on shifts of moderate size, at 1,000 rows a window."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression

from tests.benchmarks.windows import ask
from triagebook.core.models import ModelInfo, Service, TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from triagebook.core.models import Diagnosis

ROWS = 1_000
KINDS = ("values", "spread", "codes", "missing", "mix")


def made_up(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """A table of correlated numbers and categories; names and shapes differ with the seed."""
    numbers = int(rng.integers(3, 8))
    base = rng.normal(size=(rows, numbers)) @ (
        np.eye(numbers) + rng.uniform(-0.4, 0.4, (numbers, numbers))
    )
    out: dict[str, Any] = {}
    names = rng.permutation([a + b + c for a in "bdfg" for b in "aeiou" for c in "klmnr"])
    names = iter([str(n) for n in names])
    for column in range(numbers):
        x = base[:, column]
        shape = rng.integers(0, 4)
        if shape == 1:
            x = np.exp(0.8 * x)
        if shape == 2:
            x = np.round(20 + 6 * x)
        if shape == 3:
            x = np.maximum(x, 0)
        out[next(names)] = x
    for _ in range(int(rng.integers(2, 5))):
        labels = int(rng.integers(2, 8))
        shares = rng.dirichlet(np.full(labels, 3.0))
        tied = base[:, 0] * rng.uniform(0, 0.7) + rng.normal(size=rows)
        cuts = np.quantile(tied, np.cumsum(shares)[:-1])
        out[next(names)] = np.array([f"v{n}" for n in rng.permutation(labels)])[
            np.searchsorted(cuts, tied)
        ]
    frame = pd.DataFrame(out)
    for name in frame.columns[: int(rng.integers(0, 3))]:
        frame.loc[rng.random(rows) < rng.choice([0.02, 0.1, 0.2]), name] = np.nan
    return frame


def shipped(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Real rows shipped with scikit-learn, drawn with replacement, a category cut from one column."""
    source = rng.choice(["wine", "digits"])
    x = (load_wine if source == "wine" else load_digits)(as_frame=True).data
    x = x.loc[:, x.nunique() > 12]
    x = x[rng.choice(x.columns, 8, replace=False)]
    x = x.iloc[rng.integers(0, len(x), rows)].reset_index(drop=True)
    # Drawn with replacement: the same row again is no continuous value again.
    for name in x.columns[:4]:
        x[name] = x[name] + rng.normal(0, 0.05 * x[name].std(), rows)
    # Ties are broken by lot: by place they would make the order of rows carry a trend.
    last = x.iloc[:, -1] + rng.normal(0, 0.5 * x.iloc[:, -1].std(), rows)
    band = pd.qcut(last, [0, 0.35, 0.65, 0.85, 1], labels=False)
    x["band"] = pd.Series(band).map(dict(enumerate("qrst"))).to_numpy()
    x["side"] = np.where(rng.random(rows) < 0.3, "left", "right")
    return x


def _numbers(frame: pd.DataFrame) -> list[str]:
    return [c for c in frame if pd.api.types.is_numeric_dtype(frame[c]) and frame[c].nunique() > 12]


def _texts(frame: pd.DataFrame) -> list[str]:
    return [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]


def shift(kind: str, frame: pd.DataFrame, spare: pd.DataFrame, rng: np.random.Generator) -> tuple:
    """Return the shifted frame and the column that was shifted."""
    out = frame.copy()
    if kind == "values":
        name = str(rng.choice(_numbers(frame)))
        size = rng.uniform(0.25, 0.5) * rng.choice([-1, 1])
        out[name] = out[name] + size * out[name].std()
        return out, name
    if kind == "spread":
        name = str(rng.choice(_numbers(frame)))
        out[name] = out[name] + rng.normal(0, rng.uniform(0.6, 1.0), len(out)) * out[name].std()
        return out, name
    if kind == "codes":
        name = str(rng.choice(_texts(frame)))
        labels = out[name].value_counts().index
        chosen = labels if rng.random() < 0.5 else labels[: max(1, len(labels) // 2)]
        out[name] = out[name].map(lambda v: f"x_{v}" if v in set(chosen) else v)
        return out, name
    if kind == "missing":
        name = str(rng.choice(frame.columns))
        out[name] = out[name].mask(rng.random(len(out)) < 0.05)
        return out, name
    # A new mix of rows: one label of one column takes 5 to 10 points more of the rows, others with it.
    name = str(rng.choice(_texts(frame)))
    labels = frame[name].value_counts(normalize=True)
    label = rng.choice(labels.index[:3])
    grow = rng.uniform(0.05, 0.10)
    now = min(labels[label] + grow, 0.97)
    both = pd.concat([frame, spare], ignore_index=True)
    weight = np.where(both[name] == label, now / labels[label], (1 - now) / (1 - labels[label]))
    rows = rng.choice(len(both), ROWS, replace=False, p=weight / weight.sum())
    return both.iloc[rows].reset_index(drop=True), name


def scored(frames: list[pd.DataFrame], rng: np.random.Generator) -> list[pd.DataFrame]:
    """Add the score and decision of a model fitted on the first frame."""
    inputs = [pd.get_dummies(f, dtype=float).fillna(0.0) for f in frames]
    columns = inputs[0].columns
    first = inputs[0]
    centre, spread = first.mean(), first.std().replace(0, 1)
    latent = ((first - centre) / spread).to_numpy() @ rng.normal(size=len(columns))
    y = latent + rng.normal(0, latent.std(), len(latent)) > np.quantile(latent, 0.6)
    model = LogisticRegression(C=0.3).fit(((first - centre) / spread).to_numpy(), y)
    out = []
    for frame, x in zip(frames, inputs, strict=True):
        z = ((x.reindex(columns=columns, fill_value=0.0) - centre) / spread).to_numpy()
        p = model.predict_proba(z)[:, 1]
        out.append(frame.assign(p=p, yes=p >= 0.5))
    return out


def case(seed: int, kind: str | None) -> tuple[Diagnosis, str | None]:
    """Diagnose one draw, shifted or not."""
    rng = np.random.default_rng(seed)
    make: Callable[..., pd.DataFrame] = made_up if seed % 2 else shipped
    pool = make(rng, 4 * ROWS)
    reference, current = pool.iloc[:ROWS], pool.iloc[ROWS : 2 * ROWS].reset_index(drop=True)
    spare = pool.iloc[2 * ROWS :]
    name = None
    if kind is not None:
        current, name = shift("mix" if kind == "label mix" else kind, current, spare, rng)
    setup = seed // 2 % 3
    frames = [reference.reset_index(drop=True), current]
    spec = TableSpec()
    service = Service(name="s")
    if setup == 1:
        frames = scored(frames, rng)
        spec = TableSpec(
            role="predictions", score="p", prediction="yes", feature_columns=list(pool.columns)
        )
        service = Service(name="s", kind="model", model=ModelInfo(name="m", version="1"))
    if setup == 2:
        spec = TableSpec(role="features", time_column="at")
        end = pd.Timestamp("2026-03-18T18:00Z")
        spans = (
            (end - pd.Timedelta("16D"), end - pd.Timedelta("2D")),
            (end - pd.Timedelta("2D"), end),
        )
        frames = [
            f.assign(at=low + (high - low) * np.sort(rng.random(len(f))))
            for f, (low, high) in zip(frames, spans, strict=True)
        ]
    return ask({"t": (spec, *frames)}, "drift", service), name


def run(folder: Path | None = None, cases: int = 30) -> dict[str, Any]:
    """Return power, false alarms and how often the shifted column comes first; `folder` is not used."""
    del folder
    rows: list[dict[str, Any]] = []
    for kind in (None, *KINDS):
        for seed in range(cases if kind else 2 * cases):
            found, column = case(1_000 + seed, kind)
            first = found.hypotheses[0] if found.hypotheses else None
            rows.append(
                {
                    "case": f"{kind or 'none'}/{seed}",
                    "verdict": found.verdict,
                    "alarm": found.verdict != "healthy",
                    "column": column,
                    "first": f"{first.cause} {first.locus}" if first else None,
                    "named": column is not None
                    and first is not None
                    and _about(first.locus, column),
                }
            )
    by: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by[row["case"].partition("/")[0]].append(row)
    score = {}
    for kind, got in by.items():
        alarms = [g for g in got if g["alarm"]]
        score[kind] = {
            "alarms": round(len(alarms) / len(got), 3),
            "named": round(sum(g["named"] for g in alarms) / max(len(alarms), 1), 3),
        }
    return {"benchmark": "drift", "score": score, "cases": rows}


def _about(locus: str, column: str) -> bool:
    kind, _, name = locus.partition(":")
    if kind == "segment":
        return name.partition("=")[0] == column
    return kind in ("feature", "column") and name.rpartition(".")[2] == column
