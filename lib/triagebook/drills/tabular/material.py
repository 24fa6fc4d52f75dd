"""What a world hands over to be played: its rows, further rows like them, and the side table's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Y, LOGIT = "_outcome", "_logit"
"""Internal columns of rows: the outcome (0 or 1), and what drives it where the world knows."""


class Source(Protocol):
    """Rows of a world, with all well."""

    def rows(self, ts: pd.Series[pd.Timestamp], rng: np.random.Generator) -> pd.DataFrame:
        """Make one row for each time: key, side key, ts, local time, columns, and `_outcome`."""


@dataclass
class Material:
    """All rows of a play before any fault.

    Attributes
    ----------
    train : DataFrame
        Rows before the reference.
    main : DataFrame
        Rows from `Setting.start` to `Setting.now`, by time.
    side : DataFrame
        A snapshot of every entity each day: side key, loaded, a number, a category.
    source : Source
        For further rows.
    """

    train: pd.DataFrame
    main: pd.DataFrame
    side: pd.DataFrame
    source: Source
