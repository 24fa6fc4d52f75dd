"""Series read from log lines, for want of metrics: how many requests, and how long each took."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_REQUEST = re.compile(
    r'"?(GET|POST|PUT|PATCH|DELETE|HEAD) +/|"(method|http_method|verb)" *: *"(GET|POST|PUT|PATCH|DELETE)'
    r"|\bmethod=(GET|POST|PUT|PATCH|DELETE)|\b(grpc|rpc)[._](method|service)\b"
)
"""Lines that tell of one request each, as access logs write them."""
_TOOK = re.compile(
    r"(?P<name>(?<![A-Za-z])(?:rt|urt|request_time|response_time|duration|elapsed|latency|took|time_taken|upstream_response_time))"
    r"(?P<in>_ms|_us|_s|_seconds|_millis|_milliseconds|Ms)?[\"']?(?P<sign>\s*[=:]\s*|\s+)[\"']?"
    r"(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>ms|us|µs|s|sec|seconds|milliseconds)?(?![\w.])",
    re.IGNORECASE,
)
_SECONDS = {
    "ms": 1e-3,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
}
BINS = 60
"""So many stretches the time with lines is cut into: a dozen lines each, of a thousand."""
LEAST = 200
"""With fewer request lines than this nothing is read from them."""


def seconds_of(message: str) -> float | None:
    """Return how long a request took by its line, seconds; None where it does not say."""
    found = _TOOK.search(message)
    if found is None:
        return None
    if not found.group("sign").strip() and not found.group("unit"):
        return None  # "took 12 items" tells no time
    unit = (found.group("unit") or (found.group("in") or "").lstrip("_")).lower()
    return float(found.group("value")) * _SECONDS.get(unit, 1.0)


def is_request(message: str) -> bool:
    """Whether a line tells of one request, as a line of an access log does."""
    return _REQUEST.search(message) is not None


def request_series(logs: pd.DataFrame, component_of: Callable[[str], str | None]) -> list[Series]:
    """Count request lines, and average what they took, over even stretches of time.

    Parameters
    ----------
    logs : DataFrame
        Columns ts (UTC), source, message.
    component_of : callable
        Source to the component it belongs to, or None.

    Returns
    -------
    list of Series
        `requests in logs` (1/s) and `duration in logs mean` (s) for each component with request lines enough,
        by name; none where the lines are too few. Sampled logs give shares of the requests: only how
        they change tells something.
    """
    if logs.empty:
        return []
    lines = logs[logs["message"].astype(str).map(is_request)]
    if len(lines) < LEAST:
        return []
    whose = lines["source"].astype(str).map(component_of)
    out: list[Series] = []
    for component in sorted({str(c) for c in whose.dropna()}):
        mine = lines[whose == component]
        if len(mine) < LEAST:
            continue
        times = mine["ts"].dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64)
        step = max(int(times[-1] - times[0]) // BINS, 60_000_000_000)
        place = ((times - times[0]) // step).astype(np.int64)
        seen = np.bincount(place)
        # The last stretch is not over.
        middle = (times[0] + (np.arange(len(seen)) + 0.5) * step).astype(np.int64)[:-1]
        labels = {"service": component}
        rate = seen[:-1] / (step / 1e9)
        out.append(Series("requests in logs", labels, "traffic", "1/s", middle, rate))
        took = mine["message"].astype(str).map(seconds_of).to_numpy(dtype=float)
        known = np.isfinite(took)
        if known.sum() >= LEAST:
            total = np.bincount(place[known], took[known], len(seen))[:-1]
            count = np.bincount(place[known], minlength=len(seen))[:-1]
            full = count >= 3
            out.append(
                Series(
                    "duration in logs mean",
                    labels,
                    "latency",
                    "s",
                    middle[full],
                    total[full] / count[full],
                )
            )
    return out
