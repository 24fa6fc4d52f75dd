"""Ask opened files: a window of time pushed down, any form of time, a fair sample above a limit."""
# ruff: noqa: S608 - every name is quoted and every value bound; see `opening.quoted`

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from triagebook.core.errors import SourceDataError
from triagebook.core.times import iso
from triagebook.sources.frames import epoch_unit
from triagebook.sources.opening import Opened, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PER_S = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_SAMPLED = 1_000
_HASHES = 2**64 - 1
_ROOM = 6.0
"""So many standard deviations more rows than are wanted are put in order to find them."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass
class Found:
    """Rows of one window.

    Parameters
    ----------
    rows : pyarrow.Table
        Sorted by time; in the order of the file where times are equal.
    total : int
        Rows in the window; more than `rows` holds where it is a sample.
    newest : datetime or None
        The latest time in the window.
    notes : list of str
        What was left out and why; an empty window says where the rows lie.
    partial : bool
        Whether a file could not be read.
    query : str
        The question in words of SQL.
    """

    rows: pa.Table
    total: int
    newest: datetime | None
    query: str
    notes: list[str] = field(default_factory=list)
    partial: bool = False


class Files(Opened):
    """The files of one pull, opened, and what they are asked."""

    def time_sql(self, name: str) -> tuple[str, str | None]:
        """Return SQL that gives a column as UTC, and its unit where it is a Unix time in numbers."""
        column = self.column(name, needed_for="times")
        kind = self.columns[name].upper()
        if kind == "TIMESTAMP WITH TIME ZONE":
            return column, None
        if kind.startswith("TIMESTAMPTZ"):  # of nanoseconds
            return f"CAST({column} AS TIMESTAMPTZ)", None
        if kind.startswith("TIMESTAMP") or kind == "DATE":
            return f"CAST(CAST({column} AS TIMESTAMP) AS TIMESTAMPTZ)", None
        if kind.removeprefix("U").startswith(_NUMBERS) and not kind.endswith("]"):
            unit = self._unit(f"CAST({column} AS DOUBLE)")
            return _from_number(column, unit), unit
        if kind in ("VARCHAR", "JSON"):
            column = f"json_extract_string({column}, '$')" if kind == "JSON" else column
            sample = self.read(
                f"SELECT count(x) AS given, count(TRY_CAST(x AS DOUBLE)) AS numbers FROM "
                f"(SELECT {column} AS x FROM {self.from_sql()} "
                f"WHERE {column} IS NOT NULL LIMIT {_SAMPLED})"
            ).to_pylist()[0]
            if sample["given"] and sample["numbers"] == sample["given"]:
                number = f"TRY_CAST({column} AS DOUBLE)"
                return _from_number(number, self._unit(number)), None
            return f"TRY_CAST({column} AS TIMESTAMPTZ)", None
        if kind == '"NULL"':
            return f"CAST({column} AS TIMESTAMPTZ)", None
        raise SourceDataError(
            f"column {name!r} of {self.given} holds {kind}, no times",
            "name the column that holds timestamps, ISO 8601 text or Unix times",
        )

    def _unit(self, number: str) -> str:
        sample = self.read(
            f"SELECT median(abs(x)) AS size FROM (SELECT {number} AS x FROM {self.from_sql()} "
            f"WHERE {number} IS NOT NULL LIMIT {_SAMPLED})"
        ).to_pylist()[0]
        return epoch_unit(sample["size"] or 0.0)

    def _window_sql(self, name: str, window: tuple[datetime, datetime]) -> tuple[str, str, dict]:  # type: ignore[type-arg]
        """Return SQL of the time, SQL of the condition in a form that Parquet's statistics serve."""
        time, unit = self.time_sql(name)
        kind = self.columns[name].upper()
        start, end = window
        column = quoted(name)
        if unit is not None:
            bounds = [_exact(moment, unit) for moment in window]
            return time, f"({column} >= $t0 AND {column} < $t1)", {"t0": bounds[0], "t1": bounds[1]}
        zoned = kind == "TIMESTAMP WITH TIME ZONE" or kind.startswith("TIMESTAMPTZ")
        if kind.startswith("TIMESTAMP") and not zoned:
            naive = {"t0": start.replace(tzinfo=None), "t1": end.replace(tzinfo=None)}
            low, high = (f"CAST(${key} AS {kind})" for key in ("t0", "t1"))
            return time, f"({column} >= {low} AND {column} < {high})", naive
        return time, f"({time} >= $t0 AND {time} < $t1)", {"t0": start, "t1": end}

    def rows(
        self,
        time_column: str,
        window: tuple[datetime, datetime],
        select: Sequence[str],
        *,
        limit: int,
        seed: int = 0,
        also: str = "",
        named: str | None = None,
    ) -> Found:
        """Return the rows of a window.

        Parameters
        ----------
        time_column : str
            The column that the window applies to.
        window : (datetime, datetime)
            Aware UTC; the end does not belong to it.
        select : sequence of str
            SQL of what to return, with names. Empty: no rows in the files at all.
        limit : int
            Above it, a uniform sample of that many rows: by a hash of file and row number, so
            that it is the same each time and does not depend on what a row holds.
        seed : int
            Another seed, another sample.
        also : str
            SQL of rows that belong to it though their time does not.
        named : str or None
            How the answer's columns are written in `query`; by default as in `select`.

        Raises
        ------
        SourceDataError
            No such column, or it holds no times.
        """
        said = [*self.notes]
        shown = named or ", ".join(select)
        bounds = [iso(moment) for moment in window]
        query = (
            f"SELECT {shown} FROM '{self.given}' "
            f"WHERE {quoted(time_column)} >= '{bounds[0]}' AND {quoted(time_column)} < '{bounds[1]}'"
        )
        if self.empty:
            return Found(pa.table({}), 0, None, query, [*said, f"{self.given} is empty"])
        time, where, params = self._window_sql(time_column, window)
        # Only where a time is: `also` must not bring in what the window already holds.
        where = f"({where} OR ({also}))" if also else where
        latest = self._latest_sql(time_column, time)
        count = self.read(
            f"SELECT count(*) AS rows, {latest} AS newest FROM {self.from_sql()} WHERE {where}",
            params,
        ).to_pylist()[0]
        if not also:
            said.extend(self._without_time(time_column, time))
        if not count["rows"]:
            said.append(self._where_they_lie(time_column, time, also=bool(also)))
        total = int(count["rows"])
        stamp = _free_name("__time", self.columns)
        source, chosen = self._sampled(where, params, total, limit, seed)
        if chosen:
            params = {**params, "edge": chosen}
            said.append(f"a sample of {limit} of {total} rows")
            query += f" -- {limit} of {total} rows, chosen by row number, seed {seed}"
        table = self.read(
            f"SELECT {', '.join(select)}, {time} AS {quoted(stamp)} FROM {source} WHERE {where}"
            + (f" AND {self._hash(seed)} <= $edge" if chosen else ""),
            params,
        )
        order = pc.sort_indices(table, sort_keys=[(stamp, "ascending")])  # stable
        table = table.take(order).drop_columns([stamp])
        newest = count["newest"]
        return Found(table, total, _aware(newest), query, said, self.partial)

    def _stamped(self, name: str) -> bool:
        return self.columns[name].upper().startswith(("TIMESTAMP", "DATE"))

    def _latest_sql(self, name: str, time: str) -> str:
        """Return SQL of the latest time. Of stamps only that one is cast: casting all takes longest."""
        if not self._stamped(name):
            return f"max({time})"
        return time.replace(quoted(name), f"max({quoted(name)})")

    def _without_time(self, name: str, time: str) -> list[str]:
        # On a Parquet file this reads statistics, not rows.
        time = quoted(name) if self._stamped(name) else time
        got = self.read(f"SELECT count(*) AS n FROM {self.from_sql()} WHERE {time} IS NULL")
        rows = got.to_pylist()[0]["n"]
        return [f"{rows} rows have no time in {name!r}"] if rows else []

    def _where_they_lie(self, name: str, time: str, *, also: bool) -> str:
        got = self.read(
            f"SELECT count(*) AS n, min({time}) AS low, max({time}) AS high FROM {self.from_sql()}"
        ).to_pylist()[0]
        if not got["n"]:
            return f"{self.given} holds no rows"
        if got["low"] is None and not also:
            raise _no_times(name, self.given, got["n"])
        reach = "" if got["low"] is None else f" from {iso(got['low'])} to {iso(got['high'])}"
        return f"no row in the window; {self.given} holds {got['n']} rows{reach}"

    def _hash(self, seed: int) -> str:
        row = "file_index, file_row_number" if self.format == "parquet" else "__row"
        return f"hash({row}, {int(seed)})"

    def _sampled(
        self, where: str, params: dict[str, Any], total: int, limit: int, seed: int
    ) -> tuple[str, int | None]:
        """Return what to read from, and the hash of the last row to keep (None: keep all)."""
        if total <= limit:
            return self.from_sql(), None
        source = self.from_sql()
        if self.format != "parquet":
            source = f"(SELECT *, row_number() OVER () AS __row FROM {source})"
        # Hashes lie evenly: the rows to keep are nearly surely below this one, so that only they have to
        # be put in order. Where too few are, which is chance of one in millions, all are.
        ordered = limit + _ROOM * limit**0.5 + 20
        below = int(min(ordered / total, 1.0) * _HASHES)
        kept, edge = 0, 0
        for bound in (below, _HASHES):
            got = self.read(
                f"SELECT count(h) AS rows, max(h) AS edge FROM (SELECT {self._hash(seed)} AS h "
                f"FROM {source} WHERE {where} AND h <= $below ORDER BY h LIMIT {int(limit)})",
                {**params, "below": bound},
            ).to_pylist()[0]
            kept, edge = got["rows"], got["edge"]
            if kept == limit:
                break
        return source, int(edge)

    def span(self, time_column: str) -> tuple[int, datetime | None, datetime | None]:
        """Return the number of rows, and the oldest and newest time; SourceDataError as `rows`."""
        if self.empty:
            return 0, None, None
        time, _ = self.time_sql(time_column)
        got = self.read(
            f"SELECT count(*) AS rows, min({time}) AS oldest, max({time}) AS newest "
            f"FROM {self.from_sql()}"
        ).to_pylist()[0]
        if got["rows"] and got["newest"] is None:
            raise _no_times(time_column, self.given, got["rows"])
        return int(got["rows"]), _aware(got["oldest"]), _aware(got["newest"])


def _from_number(column: str, unit: str) -> str:
    micros = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "/ 1000"}[unit]
    cast = "DOUBLE" if unit in ("s", "ms") else "HUGEINT"
    whole = f"CAST(round(CAST({column} AS {cast}) {micros}) AS BIGINT)"
    return f"make_timestamptz({whole})"


def _exact(moment: datetime, unit: str) -> int | float:
    """Return a moment as a Unix time, whole where it is whole: floats of ns are off by hundreds."""
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
    scaled = micros * _PER_S[unit]
    return scaled // 1_000_000 if scaled % 1_000_000 == 0 else scaled / 1_000_000


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _no_times(name: str, given: str, rows: int) -> SourceDataError:
    return SourceDataError(
        f"column {name!r} of {given} holds no time in any of {rows} rows",
        "name the column that holds timestamps, ISO 8601 text or Unix times",
    )


def _free_name(name: str, taken: Mapping[str, str]) -> str:
    while name.lower() in {column.lower() for column in taken}:
        name += "_"
    return name
