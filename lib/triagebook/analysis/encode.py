"""Columns of any kind turned into numbers that a boosted tree reads, the same way for every table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Boosted trees of scikit-learn hold 255 bins; rarer values become missing ones.
_MOST_LEVELS = 200


@dataclass(frozen=True)
class Encoder:
    """Numbers as they are, categories as the rank of their frequency in the reference.

    Attributes
    ----------
    columns : tuple of str
    levels : dict
        Column to its values, most frequent first; numeric columns are not in it.
    """

    columns: tuple[str, ...]
    levels: dict[str, pd.Index[str]]

    @classmethod
    def of(cls, reference: pd.DataFrame) -> Encoder:
        """Learn the categories.

        Parameters
        ----------
        reference : DataFrame, shape (n, k)
        """
        levels = {
            str(name): pd.Index(
                reference[name].dropna().astype(str).value_counts().index[:_MOST_LEVELS]
            )
            for name in reference
            if not pd.api.types.is_numeric_dtype(reference[name])
        }
        return cls(tuple(map(str, reference.columns)), levels)

    @property
    def categorical(self) -> list[bool]:
        """Which columns hold categories, in their order."""
        return [name in self.levels for name in self.columns]

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """Return a float array of shape (n, k); NaN for nulls and values the reference did not have.

        Raises
        ------
        KeyError
            Where a column of the reference is missing.
        """
        out = np.full((len(table), len(self.columns)), np.nan)
        for place, name in enumerate(self.columns):
            column = table[name]
            if name in self.levels:
                known = column.notna().to_numpy()
                values = pd.Index(column[known].astype(str))
                codes = self.levels[name].get_indexer(values).astype(float)
                codes[codes < 0] = np.nan
                out[known, place] = codes
            else:
                out[:, place] = pd.to_numeric(column, errors="coerce").to_numpy(
                    "float64", na_value=np.nan
                )
        return out
