"""Made-up tables for the speed benchmark: twenty columns of mixed kinds, and a hundred million rows in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Alert, LedgerEntry, Service, TableSpec, Windows
from triagebook.evidence.bundle import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS, COUNTS, CATEGORIES = 12, 2, 6
END = pd.Timestamp("2026-03-31T00:00Z")
WINDOWS = Windows(
    reference=(END - pd.Timedelta("30D"), END - pd.Timedelta("2D")),
    current=(END - pd.Timedelta("2D"), END),
)


def rows(count: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Make a table: 12 columns of fractions, 2 of counts, 6 of categories (5 to 30 values).

    Parameters
    ----------
    shift : float
        Added to the first column, whose standard deviation is 1.
    """
    rng = np.random.default_rng(seed)
    draws = (
        lambda: rng.normal(size=count),
        lambda: rng.gamma(2.0, 2.0, count),
        lambda: rng.lognormal(size=count),
    )
    made: dict[str, object] = {f"n{i:02d}": draws[i % 3]() for i in range(NUMBERS)}
    made.update({f"k{i:02d}": rng.poisson(20, count) for i in range(COUNTS)})
    for i in range(CATEGORIES):
        values = np.array([f"value {j:02d}" for j in range(5 * (i + 1))], dtype=object)
        made[f"c{i:02d}"] = values[rng.integers(0, len(values), count)]
    frame = pd.DataFrame(made)
    frame["n00"] += shift
    return frame


def bundle(into: Path, count: int, *, timed: bool) -> Path:
    """Write a bundle of one table with `count` rows a window; the first column moved by 0.3.

    Parameters
    ----------
    timed : bool
        Whether rows have a time (a twenty-first column), so that onset and hours of the day are asked about.
    """
    sides = []
    for seed, (window, shift) in enumerate(((WINDOWS.reference, 0.0), (WINDOWS.current, 0.3))):
        frame = rows(count, seed, shift)
        if timed:
            frame.insert(0, "at", pd.date_range(*window, periods=count + 1)[:-1])
        sides.append(frame)
    spec = TableSpec(role="features", time_column="at" if timed else None)
    entry = LedgerEntry(id="L01", source="tables:rows", kind="tables", status="ok")
    return write_bundle(
        into,
        alert=Alert(incident_type="data_quality", starts_at=END),
        service=Service(name="s"),
        windows=WINDOWS,
        ledger=[entry],
        tables={"rows": (spec, sides[0], sides[1])},
    )


def big_file(into: Path, count: int) -> None:
    """Write a Parquet file of `count` rows of five columns over the thirty days, without holding them."""
    import duckdb  # noqa: PLC0415 - only for the part that needs it

    day_ms = 86_400_000
    start = WINDOWS.reference[0].strftime("%Y-%m-%d")
    with duckdb.connect(
        config={"threads": 2, "memory_limit": "1GB", "temp_directory": str(into.parent / "spill")}
    ) as con:
        con.execute(
            f"""COPY (
                SELECT TIMESTAMP '{start}' + to_milliseconds(i * {30 * day_ms} // {count}) AS at,
                    i AS id,
                    (hash(i) % 1000000) / 1e6 * (hash(i + {count}) % 1000000) / 1e4 AS amount,
                    (hash(i, 7) % 1000) / 10.0 AS speed,
                    'c' || (hash(i, 3) % 40) AS code
                FROM range({int(count)}) t(i)
            ) TO '{into}' (FORMAT parquet, COMPRESSION zstd)"""  # noqa: S608 - numbers and our own path
        )
