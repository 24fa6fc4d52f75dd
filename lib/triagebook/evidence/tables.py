"""A table of a bundle: its rows in both windows, what is known of it, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from triagebook.core.errors import SourceDataError
from triagebook.core.models import TableSpec
from triagebook.evidence.layout import SIDES, Side
from triagebook.evidence.lenient import load_json, model_from
from triagebook.sources.frames import utc_times

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Table:
    """A table as evidence.

    Parameters
    ----------
    name : str
        The table's name.
    spec : TableSpec
        What is known of it; empty where nothing is.
    reference, current : DataFrame or None
        Rows as they were, in the order stored; None where that window is not there or cannot be
        read. Columns of times are aware UTC, apart from the local time column.
    problems : list of str
        What is wrong, each naming the file.
    """

    name: str
    spec: TableSpec = field(default_factory=TableSpec)
    reference: pd.DataFrame | None = None
    current: pd.DataFrame | None = None
    problems: list[str] = field(default_factory=list)


def read_table(folder: Path) -> Table:
    """Read a table's folder; a part that cannot be read becomes a problem that names the file."""
    table = Table(name=folder.name)
    if (folder / "table.json").is_file():
        data = load_json(folder / "table.json", table.problems)
        if data is not None:
            found = model_from(TableSpec, data, "table.json", table.problems)
            table.spec = found or table.spec
    table.reference = _side(folder, "reference", table)
    table.current = _side(folder, "current", table)
    if all(not (folder / f"{side}.parquet").is_file() for side in SIDES):
        table.problems.append("neither reference.parquet nor current.parquet is there")
    table.problems = [f"table {table.name}: {problem}" for problem in table.problems]
    return table


def _side(folder: Path, side: Side, table: Table) -> pd.DataFrame | None:
    path = folder / f"{side}.parquet"
    if not path.is_file():
        return None
    frame = read_parquet(path, table.problems)
    return None if frame is None else _typed_times(frame, table, path.name)


def read_parquet(path: Path, problems: list[str]) -> pd.DataFrame | None:
    """Read a Parquet file; None, and a problem that names it, where that fails."""
    try:
        # By file, not by path: pandas and Arrow would read `a=b` in a folder's name as a column.
        with pq.ParquetFile(path) as file:
            return pd.DataFrame(file.read().to_pandas())
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        problems.append(f"{path.name} cannot be read ({path.stat().st_size} bytes): {reason}")
        return None


def _typed_times(frame: pd.DataFrame, table: Table, file: str) -> pd.DataFrame:
    """Give every column of times its zone, and turn the time columns of the spec into times."""
    spec = table.spec
    frame = frame.copy(deep=False)
    for name in frame.columns:
        dtype = frame[name].dtype
        if name != spec.local_time_column and pd.api.types.is_datetime64_dtype(dtype):
            frame[name] = frame[name].dt.tz_localize("UTC")
        elif isinstance(dtype, pd.DatetimeTZDtype) and name != spec.local_time_column:
            frame[name] = frame[name].dt.tz_convert("UTC")
    timed = (spec.time_column, spec.label_time_column)
    for name in dict.fromkeys(column for column in timed if column is not None):
        if name not in frame.columns:
            there = ", ".join(map(str, frame.columns[:20])) or "none"
            table.problems.append(f"{file} has no column {name!r} (times); its columns: {there}")
        elif not isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            try:
                frame[name] = utc_times(frame[name], f"{file}, column {name!r}")
            except SourceDataError as error:
                table.problems.append(error.message)
    return frame
