"""Numenta Anomaly Benchmark: the detector's alarms on its series, scored by its standard profile."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.detect import detect

if TYPE_CHECKING:
    from pathlib import Path

_FALSE_ALARM = 0.11


def run(folder: Path) -> dict[str, Any]:
    """Run the detector over every series of a folder.

    Parameters
    ----------
    folder : Path
        GROUP/FILE.csv with the columns timestamp and value; labels/combined_windows.json may be
        missing.

    Returns
    -------
    dict
        {"benchmark", "score", "cases"}; score is {"score": float in (-inf, 100]}, or None without
        labels.
    """
    files = {f"{path.parent.name}/{path.name}": path for path in sorted(folder.glob("*/*.csv"))}
    truth = folder / "labels" / "combined_windows.json"
    windows = json.loads(truth.read_text(encoding="utf-8")) if truth.is_file() else None
    cases, raw, most = [], 0.0, 0
    for name, path in files.items():
        table = pd.read_csv(path)
        times = pd.to_datetime(table["timestamp"])
        found = detect(
            times.to_numpy("datetime64[ns]").astype(np.int64), table["value"].to_numpy(dtype=float)
        )
        rows = [one.row for one in found]
        cases.append({"case": name, "detections": table["timestamp"].iloc[rows].tolist()})
        if windows is not None and name in windows:
            points, count = score_file(times, rows, windows[name])
            raw, most = raw + points, most + count
    # A detector that never says a word has -1 a window, a perfect one +1.
    score = {"score": 100 * (raw + most) / (2 * most)} if most else None
    return {"benchmark": "nab", "score": score, "cases": cases}


def score_file(
    times: pd.Series[pd.Timestamp], rows: list[int], windows: list[list[str]]
) -> tuple[float, int]:
    """Score one series by the benchmark's standard profile.

    Parameters
    ----------
    times : Series of Timestamp, shape (n,)
    rows : list of int
        Rows with a detection.
    windows : list of [first time, last time]
        In time order.

    Returns
    -------
    (points, windows)
        Points before the scaling to 0–100, and the number of windows that could be found.

    References
    ----------
    Lavin and Ahmad (2015), Evaluating real-time anomaly detection algorithms, section III.
    """
    ignored = min(math.floor(0.15 * len(times)), 750)
    spans = [
        (
            int((times < pd.Timestamp(first)).to_numpy().argmin()),
            int(np.flatnonzero((times <= pd.Timestamp(last)).to_numpy())[-1]),
        )
        for first, last in windows
    ]
    spans = [span for span in spans if span[1] >= ignored]
    best = dict.fromkeys(spans, -1.0)
    alarms = 0.0
    for row in rows:
        if row < ignored:
            continue
        inside = next((span for span in spans if span[0] <= row <= span[1]), None)
        if inside is not None:
            first, last = inside
            place = -(last - row + 1) / (last - first + 1)
            best[inside] = max(best[inside], _sigmoid(place) / _sigmoid(-1))
            continue
        before = [span for span in spans if span[1] < row]
        place = (row - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else 3.0
        alarms += _FALSE_ALARM * _sigmoid(place)
    return sum(best.values()) + alarms, len(spans)


def _sigmoid(place: float) -> float:
    """Worth of a detection: 0.99 at a window's left edge (-1), 0 at its right edge, -1 far past it."""
    return -1.0 if place >= 3 else 2 / (1 + math.exp(5 * place)) - 1
