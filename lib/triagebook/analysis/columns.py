"""What kind of values a column holds, decided from the values of both windows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal["number", "category", "time", "identifier", "empty"]

_FEW_INTEGERS = 12
"""Whole numbers with at most so many distinct values are compared as categories (weekday, stars)."""


def kind_of(*parts: pd.Series) -> Kind:
    """Decide how a column is to be compared.

    Parameters
    ----------
    *parts : Series
        The column in each window; windows where it is absent are left out by the caller.

    Returns
    -------
    Kind
        `number`: compared by distribution; `category`: by shares; `time`: by its clock profile;
        `identifier`: nearly every value differs, so only presence and format are compared;
        `empty`: no value at all.
    """
    filled = [part.dropna() for part in parts]
    filled = [part for part in filled if len(part)]
    if not filled:
        return "empty"
    if all(pd.api.types.is_datetime64_any_dtype(part) for part in filled):
        return "time"
    if all(pd.api.types.is_bool_dtype(part) for part in filled):
        return "category"
    if all(pd.api.types.is_numeric_dtype(part) for part in filled):
        whole = all(
            pd.api.types.is_integer_dtype(part)
            or bool(np.all(np.isfinite(part) & (part == np.floor(part))))
            for part in filled
        )
        # Counting what differs costs more than all else here, and fractions need no count.
        few = whole and max(part.nunique() for part in filled) <= _FEW_INTEGERS
        return "category" if few else "number"
    first = filled[0]
    distinct = first.astype(str).nunique()
    if len(first) >= 50 and distinct > 0.5 * len(first):
        return "identifier"
    return "category"


def is_tag(reference: pd.Series, current: pd.Series) -> bool:
    """Tell whether a column only says which window a row is of: one value before, another one now.

    A year, a batch, a release: that it changed is no movement, and it tells rows apart by nothing.
    """
    old, new = reference.dropna(), current.dropna()
    if not len(old) or not len(new):
        return False
    # As text: a cell may hold a list, which compares by its elements.
    before, now = str(old.iloc[0]), str(new.iloc[0])
    return (
        before != now
        and all(str(value) == before for value in old)
        and all(str(value) == now for value in new)
    )


def numbers_of(values: pd.Series) -> np.ndarray:
    """Return a column as float64, shape (n,), NaN where it is no number."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu":
        return values.to_numpy(dtype="float64")
    numbers = pd.to_numeric(values, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype="float64", na_value=np.nan))


def as_numbers(values: pd.Series) -> np.ndarray:
    """Return the finite numbers of a column as float64, shape (n_finite,)."""
    numbers = numbers_of(values)
    finite: np.ndarray = numbers[np.isfinite(numbers)]
    return finite


def looks_like(left: pd.Series, right: pd.Series) -> bool:
    """Tell whether two columns hold values of comparable type: numbers, texts or times."""
    families = []
    for part in (left, right):
        if pd.api.types.is_datetime64_any_dtype(part):
            families.append("time")
        elif pd.api.types.is_numeric_dtype(part):
            families.append("number")
        else:
            families.append("text")
    return families[0] == families[1]
