"""Open files in DuckDB: how each format is read, names quoted, values bound, queries interrupted."""
# ruff: noqa: S608 - every name is quoted and every value bound; see `quoted`

from __future__ import annotations

import tempfile
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from triagebook.core.errors import SourceDataError, SourceError, SourceTimeoutError
from triagebook.sources.files import FileSettings, Format, find_files, sound_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from triagebook.sources.base import Stop

_MEMORY = "1GB"
"""What the queries of one pull may hold in memory."""


def quoted(name: str) -> str:
    """Write a column's name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _literal_path(path: Path) -> str:
    # DuckDB reads * ? [ in a path as a glob, even in a parameter.
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


class Opened:
    """The files of one pull, opened.

    Parameters
    ----------
    settings : FileSettings
        Where they lie.
    root : Path
        The home.
    stop : Stop
        Interrupts the query.
    as_text : mapping of name to SQL type, or None
        JSON and CSV: take these columns as they are written, instead of guessing their types.

    Raises
    ------
    SourceDataError
        There is no file, or none can be read.
    """

    def __init__(
        self,
        settings: FileSettings,
        root: Path,
        stop: Stop,
        as_text: Mapping[str, str] | None = None,
    ) -> None:
        import duckdb  # noqa: PLC0415 - 50 ms, and only for a pull that reads files

        self.given = settings.path if isinstance(settings.path, str) else ", ".join(settings.path)
        self.notes: list[str] = []
        self.partial = False
        self._stop = stop
        self._loaded = False
        self._call = ""
        self._extra: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self._errors = duckdb.Error
        files, self.format = find_files(settings, root)
        if self.format == "parquet":
            files, bad = sound_parquet(files)
            self.notes.extend(bad)
            self.partial = bool(bad)
            if not files:
                raise SourceDataError("; ".join(bad), "write the file again, whole")
        self.files = files
        # A connection for each pull: none is shared between threads, and none survives a fork.
        self._con = duckdb.connect(
            ":memory:",
            config={
                # Nothing is downloaded, ever.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                # One each: two databases in one folder overwrite each other's spilled rows.
                "temp_directory": str(Path(tempfile.gettempdir()) / f"triagebook-{uuid4().hex}"),
                "threads": 2,
                # What a query needs beyond that goes to the disk: a table may be larger than memory,
                # and several pulls run at once.
                "memory_limit": _MEMORY,
            },
        )
        try:
            self._con.execute("SET TimeZone = 'UTC'")
            stop.on_stop(self._con.interrupt)
            self._open(as_text, root)
        except BaseException:
            self._con.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, as_text: Mapping[str, str] | None, root: Path) -> None:
        """Find how the files can be read: as guessed from a part of them, or from all of them."""
        tries = _readers(self.format, self.files, root)
        for number, (call, said) in enumerate(tries):
            self._call, self._extra = call, {}
            try:
                self.columns = self._describe()
                if self.format != "parquet" and self.columns:
                    self._load(as_text)
            except SourceDataError:
                # A wrong guess of a type may show only when all rows are read.
                if number == len(tries) - 1:
                    raise
            else:
                self.notes.extend(said)
                self.partial = self.partial or bool(said)
                return

    def _load(self, as_text: Mapping[str, str] | None) -> None:
        """Parse text once into memory (DuckDB's, which spills to disk), not once a query."""
        if as_text and self.format == "csv":
            self._extra = {"all_varchar": True}
        elif as_text:
            self._extra = {"columns": dict(as_text)}
        self._run(f"CREATE TEMP TABLE data AS SELECT * FROM {self.from_sql()}", self._params())
        seen = self.columns
        self._call, self._extra, self._loaded = "data", {}, True
        self.columns = self._describe()
        if as_text and self.format != "csv":
            # A key that no row has is no column; one that appears late in the file is.
            late = [name for name in self.columns if name not in seen]
            absent = {name for name in late if not self._any(name)}
            self.columns = {n: t for n, t in self.columns.items() if n not in absent}
            self.columns.update({n: "not read" for n in seen if n not in self.columns})

    def _any(self, name: str) -> bool:
        got = self.read(f"SELECT count({quoted(name)}) AS n FROM data").to_pylist()
        return bool(got[0]["n"])

    def from_sql(self) -> str:
        """Return what stands after FROM: the files, or what was read of them."""
        options = "".join(f", {name} = ${name}" for name in self._extra)
        return self._call.replace("{options}", options)

    def _params(self, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        given = dict(params or {})
        if not self._loaded:
            given |= {"files": [_literal_path(path) for path in self.files], **self._extra}
        return given

    def _run(self, sql: str, params: dict[str, Any]) -> Any:
        try:
            return self._con.sql(sql, params=params or None)
        except self._errors as error:
            raise self._explained(error) from error

    def read(self, sql: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a query; SourceDataError, or SourceTimeoutError once stopped, where it fails."""
        relation = self._run(sql, self._params(params))
        try:
            return relation.to_arrow_table()
        except self._errors as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> SourceError:
        if self._stop.stopped:
            return SourceTimeoutError(
                f"reading {self.given} took longer than its budget",
                "give the pull a larger `budget`, or name fewer columns",
            )
        reason = " ".join(str(error).split("\n\nLINE", 1)[0].split())
        return SourceDataError(
            f"{self.given} cannot be read: {reason[:300]}",
            "check that the file is whole and of the format its name says",
        )

    def _describe(self) -> dict[str, str]:
        told = self.read(f"SELECT * FROM (DESCRIBE SELECT * FROM {self.from_sql()})").to_pylist()
        columns = {row["column_name"]: row["column_type"] for row in told}
        empty = self.format != "parquet" and all(path.stat().st_size == 0 for path in self.files)
        return {} if empty else columns

    @property
    def empty(self) -> bool:
        """Whether the files hold nothing at all, not even names of columns."""
        return not self.columns

    def column(self, name: str, *, needed_for: str) -> str:
        """Return a column's SQL; SourceDataError naming the nearest where it is not there."""
        if name in self.columns:
            return quoted(name)
        near = get_close_matches(name, self.columns, n=1)
        there = ", ".join(list(self.columns)[:20]) or "none"
        raise SourceDataError(
            f"{self.given} has no column {name!r} ({needed_for}); its columns: {there}",
            f"did you mean {near[0]!r}?" if near else "name the right column in triagebook.toml",
        )


def _readers(kind: Format, files: list[Path], root: Path) -> list[tuple[str, list[str]]]:
    """List the ways to read files, the quick and exact first; each with what it leaves out."""
    union = ", union_by_name = true" if len(files) > 1 else ""
    if kind == "parquet":
        # `region=eu/` is a column below the home; above it, it is only a folder's name.
        below = [f.relative_to(root) if f.is_relative_to(root) else f for f in files]
        hive = "true" if any("=" in part for f in below for part in f.parts[:-1]) else "false"
        return [(f"read_parquet($files, hive_partitioning = {hive}{union}{{options}})", [])]
    if kind == "csv":
        base = f"read_csv($files, null_padding = true, hive_partitioning = false{union}"
        return [
            (f"{base}{{options}})", []),
            (f"{base}, sample_size = -1, parallel = false{{options}})", []),
        ]
    shape = "newline_delimited" if kind == "jsonl" else "auto"
    base = f"read_json($files, format = '{shape}', hive_partitioning = false{union}"
    readers: list[tuple[str, list[str]]] = [
        (f"{base}{{options}})", []),
        (f"{base}, sample_size = -1{{options}})", []),
    ]
    if kind == "jsonl":
        # A log that was being written ends in half a line; the other lines are still evidence.
        lines = "lines that are no JSON were left out"
        readers.append((f"{base}, sample_size = -1, ignore_errors = true{{options}})", [lines]))
    return readers
