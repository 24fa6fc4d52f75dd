"""Microsoft's cloud monitoring dataset: the detector's alarms on its series, scored by events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.analysis.detect import detect
from triagebook.analysis.series import quantity_of

if TYPE_CHECKING:
    from pathlib import Path

# A detection so many rows after an event still belongs to it; false ones so near are one.
_NEAR = 5
# A merged run of false detections costs one for each started so many rows.
_RUN = 10


def run(folder: Path) -> dict[str, Any]:
    """Run the detector over every series of a folder.

    Parameters
    ----------
    folder : Path
        DOMAIN/FILE.csv: time and value come first; a column Label (0, 1) may be missing.

    Returns
    -------
    dict
        {"benchmark", "score", "cases"}; score holds latency_f1 (domains whose name says that they
        measure a latency; None where none does), all_f1 and mean_domain_f1, or is None without
        labels. A domain without events and without alarms has no F1 and is left out of the mean.
    """
    cases: list[dict[str, Any]] = []
    counts: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*/*.csv")):
        domain = path.parent.name
        table = pd.read_csv(path)
        times = pd.to_datetime(table.iloc[:, 0], utc=True).dt.tz_localize(None)
        found = detect(
            times.to_numpy("datetime64[ns]").astype(np.int64),
            pd.to_numeric(table.iloc[:, 1], errors="coerce").to_numpy(dtype=float),
        )
        rows = [one.row for one in found]
        cases.append({"case": f"{domain}/{path.name}", "detections": rows})
        if "Label" in table:
            one = np.array(score_file(table["Label"].to_numpy(), rows))
            counts[domain] = counts.get(domain, np.zeros(3, dtype=int)) + one
    return {"benchmark": "mscloud", "score": _summary(counts), "cases": cases}


def score_file(labels: np.ndarray, rows: list[int]) -> tuple[int, int, int]:
    """Count found events, false alarms and missed events of one series.

    Parameters
    ----------
    labels : int array, shape (n,)
        1 in an event; each maximal run of 1 is one.
    rows : list of int, ascending
        Rows with a detection.

    Returns
    -------
    (found, false alarms, missed)
    """
    edges = np.diff(np.r_[0, labels == 1, 0])
    events = list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True))
    found = sum(any(a <= row <= b + _NEAR for row in rows) for a, b in events)
    false = [row for row in rows if not any(a <= row <= b + _NEAR for a, b in events)]
    alarms = 0
    if false:
        for run_ in np.split(false, np.flatnonzero(np.diff(false) > _NEAR) + 1):
            alarms += -(-int(run_[-1] - run_[0] + 1) // _RUN)
    return found, alarms, len(events) - found


def _f1(counts: np.ndarray) -> float | None:
    found, false, missed = (int(count) for count in counts)
    whole = 2 * found + false + missed
    return 2 * found / whole if whole else None


def _summary(counts: dict[str, np.ndarray]) -> dict[str, float | None] | None:
    if not counts:
        return None
    latency = [one for domain, one in counts.items() if quantity_of(domain) == "latency"]
    domains = [f1 for f1 in map(_f1, counts.values()) if f1 is not None]
    return {
        "latency_f1": _f1(np.sum(latency, axis=0)) if latency else None,
        "all_f1": _f1(np.sum(list(counts.values()), axis=0)),
        "mean_domain_f1": sum(domains) / len(domains) if domains else None,
    }
