"""Keep fewer samples of every series, evenly, so that rates and shapes stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def thinned(frame: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, list[str]]:
    """Keep every k-th sample of each series, and its last: counters keep their rates that way.

    Parameters
    ----------
    frame : DataFrame
        As `frames.as_metrics` gives it.
    limit : int
        About so many samples are kept.

    Returns
    -------
    (DataFrame, list of str)
        The frame, and what to say of it: nothing where all was kept.
    """
    if len(frame) <= limit:
        return frame, []
    step = -(-len(frame) // limit)
    series = frame.groupby(["name", "labels"], sort=False)
    kept = frame[(series.cumcount(ascending=False) % step == 0).to_numpy()]
    note = f"each series thinned to every {step}th sample: {len(kept)} of {len(frame)}"
    return kept.reset_index(drop=True), [note]
