"""Samples of several series, gathered piece by piece, as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.sources.frames import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Samples:
    """The series of one name, by their labels."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def __bool__(self) -> bool:
        """Whether there is any series."""
        return bool(self._parts)

    def add(self, labels: Mapping[str, object], times: np.ndarray, values: np.ndarray) -> None:
        """Add a piece of a series: Unix times in seconds, and as many values."""
        self._parts.setdefault(json_text(dict(labels)), []).append((times, values))

    def keep_highest(self, most: int) -> str | None:
        """Leave out the series of the lowest values, above a number of series; say so."""
        every = len(self._parts)
        if every <= most:
            return None
        kept = sorted(self._parts, key=lambda key: -_height(self._parts[key]))[:most]
        self._parts = {key: self._parts[key] for key in kept}
        return f"the {most} highest of {every} series"

    def frame(self, name: str) -> pd.DataFrame:
        """Return the columns ts, name, labels and value."""
        rows = [
            (labels, times, values) for labels, of in self._parts.items() for times, values in of
        ]
        times = np.concatenate([row[1] for row in rows] or [np.empty(0)])
        labels = np.array([row[0] for row in rows], dtype=object)
        return pd.DataFrame(
            {
                "ts": pd.to_datetime((times * 1e3).round().astype("int64"), unit="ms", utc=True),
                "name": pd.Series(np.full(len(times), name, dtype=object), dtype="str"),
                "labels": pd.Series(np.repeat(labels, [len(row[1]) for row in rows]), dtype="str"),
                "value": np.concatenate([row[2] for row in rows] or [np.empty(0)]),
            }
        )


def _height(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    values = np.concatenate([values for _, values in parts])
    values = values[np.isfinite(values)]
    return float(np.abs(values).mean()) if len(values) else 0.0
