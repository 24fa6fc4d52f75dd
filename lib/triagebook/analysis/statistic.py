"""Which statistic of many calls a series or a text speaks of: their mean, or one of their quantiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUANTILE = re.compile(r"(?<![a-z0-9])p(?:ct)?(\d\d(?:\.?\d+)?)(?!\d)|^0?\.(\d+)$", re.IGNORECASE)
_MIDDLE = frozenset({"mean", "avg", "average"})


def statistic_of(name: str, labels: Mapping[str, str] | None = None) -> str:
    """Tell a statistic by the words of a name and the values of labels.

    Parameters
    ----------
    name : str
        A metric's name, or any text such as an alert's title.
    labels : mapping
        Values such as "0.99", "p95", "Average" tell as well.

    Returns
    -------
    str
        "mean", or "p50", "p99", "p999"; "" where nothing says.
    """
    words = re.split(r"[._ /]", name.lower())[::-1]
    words += [str(value).lower() for _, value in sorted((labels or {}).items())]
    for word in words:
        if word in _MIDDLE:
            return "mean"
        found = _QUANTILE.search(word)
        if found:
            digits = (found.group(1) or found.group(2)).replace(".", "")
            return f"p{digits:0<2}"
    return ""
