"""Whether tables still join: keys that fan out, rows without a match, columns that are null together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from triagebook.analysis.novelty import natural_of

_LEAST = 0.02
"""Share of unmatched rows, beyond the usual, from which a join is called broken."""
_TOGETHER = 0.95


@dataclass(frozen=True)
class Unmatched:
    """Rows of one table without a partner in another.

    Attributes
    ----------
    share, usual : float
        Share of the current rows without a partner, and what the reference shows; [0, 1].
    rows : bool array, shape (n_cur,)
    example : str
        A key without a partner.
    """

    share: float
    usual: float
    rows: np.ndarray
    example: str


def fans_out(frame: pd.DataFrame, keys: list[str]) -> float:
    """Share of the repeated keys whose rows differ in another column, [0, 1]; 0 where no key repeats.

    Rows that are there twice are alike; rows that a join multiplied carry different partners.
    """
    rows = frame[frame.duplicated(keys, keep=False)]
    # A row that came twice may say when it came; only what it says of its subject tells it apart.
    others = [
        c for c in frame if c not in keys and not pd.api.types.is_datetime64_any_dtype(frame[c])
    ]
    if rows.empty or not others:
        return 0.0
    counts = rows.astype("object").groupby(keys, observed=True, dropna=False)[others].nunique()
    return float((counts > 1).any(axis=1).mean())


def unmatched(
    reference: pd.Series, current: pd.Series, known_before: pd.Series, known_now: pd.Series
) -> Unmatched | None:
    """Find rows whose key the other table does not have.

    Parameters
    ----------
    reference, current : Series
        The key of this table's rows.
    known_before, known_now : Series
        The key of the other table's rows; a partner may be of either window.

    Returns
    -------
    Unmatched or None
        None where the keys never matched (fewer than half of the reference's rows), or where no more
        rows are alone than the reference and chance allow.
    """
    known = set(known_before.dropna().astype(str)) | set(known_now.dropna().astype(str))
    alone_before = ~reference.dropna().astype(str).isin(known).to_numpy()
    now = current.astype("object").where(current.notna(), None)
    alone_now = np.array([v is None or str(v) not in known for v in now], dtype=bool)
    if len(alone_before) < 40 or len(alone_now) < 20 or alone_before.mean() > 0.5:
        return None
    natural = natural_of(alone_before)
    broken = int(alone_now.sum())
    if not natural.exceeded(broken, len(alone_now), times=1.0):
        return None
    share = float(alone_now.mean())
    if share - natural.share < _LEAST:
        return None
    return Unmatched(
        share, natural.share, alone_now, str(current.iloc[int(np.flatnonzero(alone_now)[0])])
    )


def null_together(frame: pd.DataFrame, rows: np.ndarray, names: list[str]) -> list[str]:
    """List the columns that are null on just those rows, as after a join that found no partner.

    Parameters
    ----------
    frame : DataFrame
    rows : bool array, shape (len(frame),)
    names : columns to look at
    """
    out = []
    for name in names:
        nulls = frame[name].isna().to_numpy()
        both = int((nulls & rows).sum())
        if both and both >= _TOGETHER * max(int(rows.sum()), int(nulls.sum())):
            out.append(name)
    return out
