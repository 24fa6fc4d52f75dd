"""Type what a source gave: times to UTC, labels to JSON with sorted keys, values to float."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.core.errors import SourceDataError

if TYPE_CHECKING:
    from collections.abc import Callable

METRIC_COLUMNS = ("ts", "name", "labels", "value")
LOG_COLUMNS = ("ts", "severity", "source", "message", "attributes")
SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")

_SEVERITY_NAMES = {
    "WARNING": "WARN",
    "ERR": "ERROR",
    "CRITICAL": "FATAL",
    "CRIT": "FATAL",
    "EMERG": "FATAL",
    "ALERT": "FATAL",
    "PANIC": "FATAL",
    "NOTICE": "INFO",
    "INFORMATION": "INFO",
    "VERBOSE": "TRACE",
}


def epoch_unit(magnitude: float) -> str:
    """Tell the unit of a Unix time by its size: s, ms, us or ns.

    The limits lie far from any real time: 1e11 is the year 5138 in seconds, and March 1973 in
    milliseconds; each further unit is a thousand times that.
    """
    for unit, limit in (("s", 1e11), ("ms", 1e14), ("us", 1e17)):
        if abs(magnitude) < limit:
            return unit
    return "ns"


def utc_times(values: pd.Series[Any], what: str) -> pd.Series[Any]:
    """Turn a column of times into aware UTC times of microseconds.

    Parameters
    ----------
    values : Series, shape (n,)
        Datetimes with or without zone (without is UTC), dates, ISO 8601 text, or Unix times in
        s, ms, us or ns.
    what : str
        The file and column, for messages.

    Returns
    -------
    Series of datetime64[us, UTC], shape (n,)
        A value that is no time is NaT.

    Raises
    ------
    SourceDataError
        Where there are values, and none of them is a time.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return pd.Series(values.dt.tz_convert("UTC").dt.as_unit("us"))
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return pd.Series(values.dt.tz_localize("UTC").dt.as_unit("us"))
    given = int(values.notna().sum())
    if pd.api.types.is_bool_dtype(values.dtype):
        times = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    else:
        numbers = pd.to_numeric(values.astype("object"), errors="coerce").astype("float64")
        if given and int(np.isfinite(numbers).sum()) == given:
            times = _from_epoch(values, numbers)
        else:
            texts = values.astype("object").map(_as_text, na_action="ignore")
            times = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
            times = times.astype("datetime64[us, UTC]")
    if given and not times.notna().any():
        example = values.dropna().iloc[0]
        raise SourceDataError(
            f"{what} holds no times: the first value is {str(example)[:60]!r}",
            "name the column that holds ISO 8601 text, a timestamp, or a Unix time",
        )
    return times


def _as_text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _from_epoch(values: pd.Series[Any], numbers: pd.Series[float]) -> pd.Series[Any]:
    unit = epoch_unit(float(numbers.abs().median()))
    # Through whole microseconds: a float of nanoseconds would be off by some hundred of them.
    if pd.api.types.is_integer_dtype(values.dtype):
        whole = values.astype("Int64")
        micros = (
            whole // 1_000 if unit == "ns" else whole * {"s": 10**6, "ms": 10**3, "us": 1}[unit]
        )
    else:
        per_us = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[unit]
        micros = (numbers * per_us).round().astype("Int64")
    return pd.Series(pd.to_datetime(micros, unit="us", utc=True)).astype("datetime64[us, UTC]")


def json_text(value: object) -> str:
    """Write labels or attributes as a JSON object with sorted keys; null and "" are `{}`."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "{}"
    if isinstance(value, str):
        if not value.strip():
            return "{}"
        try:
            value = json.loads(value)
        except ValueError:
            value = {"text": value}
    if isinstance(value, list) and all(isinstance(i, tuple) and len(i) == 2 for i in value):
        value = dict(value)  # how Arrow hands out a map
    if isinstance(value, dict):
        # Arrow gives every key of a struct to every row; a null says that this row has none.
        value = {str(k): v for k, v in value.items() if v is not None}
    else:
        value = {"value": value}
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _json_column(values: pd.Series[Any]) -> pd.Series[Any]:
    if isinstance(values.dtype, pd.StringDtype):
        return _by_value(values, json_text, "{}")
    return values.astype("object").map(json_text).astype("str")


def _by_value(values: pd.Series[Any], one: Callable[[object], str], default: str) -> pd.Series[Any]:
    """Compute once for each distinct value: few label sets stand in many rows."""
    codes, distinct = pd.factorize(values)
    known = np.array([*(one(value) for value in distinct), default], dtype="object")
    return pd.Series(known[codes], index=values.index, dtype="str")  # code -1, missing: the last


def _floats(values: pd.Series[Any]) -> pd.Series[float]:
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64")
    # Prometheus writes "+Inf" and "NaN" as text; Decimal and bool come from databases.
    return pd.to_numeric(values.astype("object"), errors="coerce").astype("float64")


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    if not isinstance(values.dtype, pd.StringDtype):
        values = values.astype("object").map(str, na_action="ignore")
    return values.astype("str").fillna("")


def _require(frame: object, needed: tuple[str, ...], what: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise SourceDataError(
            f"{what} gave a {type(frame).__name__}, expected a table with {', '.join(needed)}",
            "report it to who wrote the source",
        )
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        there = ", ".join(map(str, list(frame.columns)[:20])) or "none"
        raise SourceDataError(
            f"{what} has no column {', '.join(map(repr, missing))}; its columns: {there}",
            "name the right columns in triagebook.toml",
        )
    return frame


def as_metrics(frame: object, what: str) -> pd.DataFrame:
    """Type a frame of metrics.

    Parameters
    ----------
    frame : DataFrame
        With ts, name, value, and perhaps labels (JSON text, a map, or nothing).
    what : str
        The file or system, for messages.

    Returns
    -------
    DataFrame
        ts (datetime64[us, UTC]), name, labels (JSON object, keys sorted), value (float; NaN and
        infinities kept), sorted by name, labels, ts. Rows without a time are left out.

    Raises
    ------
    SourceDataError
        No frame, a column is missing, or `ts` holds no times.
    """
    got = _require(frame, ("ts", "name", "value"), what)
    labels = got["labels"] if "labels" in got.columns else pd.Series(None, index=got.index)
    typed = pd.DataFrame(
        {
            "ts": utc_times(got["ts"], f"{what}, column 'ts'"),
            "name": _texts(got["name"]),
            "labels": _json_column(labels),
            "value": _floats(got["value"]),
        }
    )
    typed = typed[typed["ts"].notna()]
    return typed.sort_values(["name", "labels", "ts"], kind="stable", ignore_index=True)


def as_logs(frame: object, what: str) -> pd.DataFrame:
    """Type a frame of logs.

    Parameters
    ----------
    frame : DataFrame
        With ts and message, and perhaps severity, source, attributes.
    what : str
        The file or system, for messages.

    Returns
    -------
    DataFrame
        ts (datetime64[us, UTC]), severity (TRACE to FATAL, INFO where unknown), source, message,
        attributes (JSON object), sorted by ts. Rows without a time are left out.

    Raises
    ------
    SourceDataError
        No frame, a column is missing, or `ts` holds no times.
    """
    got = _require(frame, ("ts", "message"), what)
    none = pd.Series(None, index=got.index, dtype="object")
    typed = pd.DataFrame(
        {
            "ts": utc_times(got["ts"], f"{what}, column 'ts'"),
            "severity": _severities(got.get("severity", none)),
            "source": _texts(got.get("source", none)),
            "message": _texts(got["message"]),
            "attributes": _json_column(got.get("attributes", none)),
        }
    )
    typed = typed[typed["ts"].notna()]
    return typed.sort_values("ts", kind="stable", ignore_index=True)


def _severities(values: pd.Series[Any]) -> pd.Series[Any]:
    def one(value: object) -> str:
        name = str(value).strip().upper()
        name = _SEVERITY_NAMES.get(name, name)
        return name if name in SEVERITIES else "INFO"

    return _by_value(values, one, "INFO")
