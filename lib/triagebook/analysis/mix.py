"""Whether the mix of rows changed: one segment's share moved while each segment stayed as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from triagebook.analysis.blocks import past_windows
from triagebook.analysis.units import ks


@dataclass(frozen=True)
class MixChange:
    """A movement of `column` that re-weighting by `by` takes away.

    Attributes
    ----------
    before, after : float
        Kolmogorov-Smirnov distance as it stands, and with the reference re-weighted to the current
        shares of `by`; [0, 1].
    segment : str
        The value of `by` whose share moved most.
    """

    column: str
    by: str
    segment: str
    share_reference: float
    share_current: float
    before: float
    after: float
    chance: float = 0.0
    """Distance that two samples of one distribution and of these sizes have on average."""

    @property
    def explained(self) -> float:
        """Share of the movement beyond chance that the mix accounts for, at most 1."""
        beyond = self.before - self.chance
        return 1 - max(self.after - self.chance, 0.0) / beyond if beyond > 0 else 0.0


def segment_shift(reference: pd.Series, current: pd.Series) -> tuple[str, float, float] | None:
    """Return (value, share before, share now) of the category whose share moved most, or None."""
    old = reference.dropna().astype(str).value_counts(normalize=True)
    new = current.dropna().astype(str).value_counts(normalize=True)
    if old.empty or new.empty:
        return None
    every = old.index.union(new.index)
    gap = new.reindex(every).fillna(0.0) - old.reindex(every).fillna(0.0)
    value = str(gap.abs().idxmax())
    return value, float(old.get(value, 0.0)), float(new.get(value, 0.0))


def lost_rows(
    reference: pd.Series, reference_times: np.ndarray, current: pd.Series, current_times: np.ndarray
) -> tuple[str, float, float] | None:
    """Find one value whose rows stay away, while the others' come as they do at these hours.

    Parameters
    ----------
    reference, current : Series, shape (n,), (m,)
        A category, in time order. Rows without a value came as well: they count among the others.
    reference_times, current_times : int64 arrays, nanoseconds

    Returns
    -------
    (value, rows now, rows to expect) or None
        None unless at least seven tenths of at least 30 rows are lost, and the other values' rows lie
        within a quarter of what the same hours of other days have.
    """
    if len(current_times) < 2 or not len(reference_times):
        return None
    blocks = past_windows(reference_times, int(current_times[0]), int(current_times[-1]) + 1)
    if len(blocks) < 4:
        return None
    old = _words(reference).to_numpy()
    now = _words(current).value_counts()
    past = [pd.Series(old[block]).value_counts() for block in blocks]
    every = pd.concat(past, axis=1).fillna(0.0)
    usual = every.median(axis=1)
    gone = (usual - now.reindex(usual.index).fillna(0.0)).sort_values(ascending=False)
    gone = gone.drop(_NO_VALUE, errors="ignore")
    if gone.empty:
        return None
    value = str(gone.index[0])
    due, came = float(usual[value]), float(now.get(value, 0.0))
    # Rows under a new name would make up for those that are lost, as if renamed: they do not count.
    others = float(usual.drop(value).sum())
    known = usual.index.drop(value).union([_NO_VALUE])
    rest = float(now.reindex(known).fillna(0.0).sum())
    if due < 30 or came > 0.3 * due or came >= 0.75 * float(every.min(axis=1)[value]):
        return None
    if others <= 0 or not 0.75 <= rest / others <= 1.33:
        return None
    return value, came, due


_NO_VALUE = "\x1fnone"


def _words(values: pd.Series) -> pd.Series:
    """Return values as text, and a text that no value has for none."""
    words: pd.Series = values.astype("object").where(values.notna(), _NO_VALUE).astype(str)
    return words


def mix_change(
    reference: pd.DataFrame, current: pd.DataFrame, column: str, by: str, seed: int = 0
) -> MixChange | None:
    """Re-weight the reference to the current shares of `by` and measure what movement is left.

    Parameters
    ----------
    reference, current : DataFrame
        Rows before and after, with a numeric `column` and a categorical `by`.
    seed : int
        The reference is resampled (at most 20,000 rows) with this seed.

    Returns
    -------
    MixChange or None
        None where `by` has a value now that the reference never had for a tenth of the rows, or
        nothing can be compared.
    """
    old = reference[[by, column]].dropna()
    new = current[[by, column]].dropna()
    moved = segment_shift(old[by], new[by])
    if moved is None or len(old) < 50 or len(new) < 30:
        return None
    shares = new[by].astype(str).value_counts(normalize=True)
    labels = old[by].astype(str)
    weight = (shares / labels.value_counts(normalize=True)).reindex(labels).fillna(0.0).to_numpy()
    unknown = float(shares[~shares.index.isin(labels.unique())].sum())
    if unknown > 0.1 or weight.sum() <= 0:
        return None
    rng = np.random.default_rng(seed)
    size = min(len(old), 20_000)
    values = old[column].to_numpy(dtype=float)
    again = rng.choice(values, size=size, p=weight / weight.sum())
    now = new[column].to_numpy(dtype=float)
    # The mean of Kolmogorov's distribution is 0.8687.
    chance = 0.8687 * float(np.sqrt((size + len(now)) / (size * len(now))))
    before, after = ks(values, now), ks(again, now)
    return MixChange(column, by, moved[0], moved[1], moved[2], before, after, chance)
