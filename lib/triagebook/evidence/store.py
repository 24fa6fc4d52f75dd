"""Write a bundle: into a hidden folder beside, hashed, then into place by one rename."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from triagebook.core.errors import BundleError
from triagebook.core.models import BundleManifest, to_json
from triagebook.evidence.layout import FILES, SIDES, USABLE, files_of, sha256_of, table_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from pydantic import BaseModel

    from triagebook.core.models import (
        Alert,
        Change,
        Edge,
        LedgerEntry,
        Service,
        TableSpec,
        TaskRun,
        Windows,
    )

Rows: TypeAlias = Any  # pandas.DataFrame or pyarrow.Table, which has no types of its own
"""Rows of a table: Arrow keeps the types of the source; pandas is there for tests and by hand."""

_TS = pa.timestamp("us", tz="UTC")
_METRICS = pa.schema(
    [("ts", _TS), ("name", pa.string()), ("labels", pa.string()), ("value", pa.float64())]
)
_LOGS = pa.schema(
    [
        ("ts", _TS),
        ("severity", pa.string()),
        ("source", pa.string()),
        ("message", pa.string()),
        ("attributes", pa.string()),
    ]
)


def write_bundle(
    into: Path,
    *,
    alert: Alert,
    service: Service,
    windows: Windows,
    ledger: Sequence[LedgerEntry],
    incident_id: str | None = None,
    alerts: Sequence[Alert] = (),
    metrics: pd.DataFrame | None = None,
    metrics_meta: Mapping[str, Any] | None = None,
    logs: pd.DataFrame | None = None,
    tables: Mapping[str, tuple[TableSpec, Rows | None, Rows | None]] | None = None,
    changes: Sequence[Change] | None = None,
    pipeline: Sequence[TaskRun] | None = None,
    topology: Sequence[Edge] | None = None,
) -> Path:
    """Write a bundle; it is there as a whole or not at all.

    Parameters
    ----------
    into : Path
        The bundle's folder; must not be there yet.
    alert, service, windows, incident_id
        What the evidence is about.
    alerts : sequence of Alert
        All that belong to the incident.
    ledger : sequence of LedgerEntry
        Every pull; the hash of what was stored is filled in here.
    metrics, logs : DataFrame or None
        Typed by `sources.frames`; None where nothing was had.
    metrics_meta : mapping or None
        metrics.json.
    tables : mapping of name to (spec, reference, current)
        A window that is None was not had.
    changes, pipeline, topology : sequence or None
        None where nobody was asked or no answer came; empty where there was nothing.

    Returns
    -------
    Path
        `into`.

    Raises
    ------
    BundleError
        The folder is there already, a table's name is no folder name, or nothing can be written.
    """
    if into.exists():
        raise BundleError(
            f"{into} is there already, and a bundle is never changed",
            "collect into another folder",
        )
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{into.name}.", suffix=".part", dir=into.parent))
    except OSError as error:
        raise BundleError(
            f"{into} cannot be written: {error}", "free some space or allow writing there"
        ) from error
    try:
        part.chmod(0o755)  # mkdtemp's 0700 would hide it from the service's other users
        if metrics is not None:
            _write(metrics, part / FILES["metrics"], _METRICS)
        if metrics_meta:
            _write_json(part / "metrics.json", dict(metrics_meta))
        if logs is not None:
            _write(logs, part / FILES["logs"], _LOGS)
        for name, (spec, *sides) in (tables or {}).items():
            _write_table(part, name, spec, sides)
        for kind, items in (("changes", changes), ("pipeline", pipeline), ("topology", topology)):
            if items is not None:
                _write_models(part / FILES[kind], items)
        entries = [_hashed(entry, part, windows) for entry in ledger]
        manifest = BundleManifest(
            incident_id=incident_id,
            alert=alert,
            alerts=list(alerts),
            service=service,
            windows=windows,
            ledger=entries,
        )
        (part / "bundle.json").write_text(to_json(manifest) + "\n", encoding="utf-8")
        os.replace(part, into)  # noqa: PTH105 - the one atomic step, named for what it is
    except (OSError, pa.ArrowException) as error:
        raise BundleError(
            f"the bundle {into} cannot be written: {error}",
            "free some space or allow writing there, then refresh the investigation",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return into


def _write(frame: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def _write_table(part: Path, name: str, spec: TableSpec, sides: Sequence[Rows | None]) -> None:
    if not is_folder_name(name):
        raise BundleError(
            f"a table cannot be called {name!r}",
            "use letters, digits, '_', '-', '.' or spaces, at most 100, not starting with a dot",
        )
    folder = part / "tables" / name
    folder.mkdir(parents=True)
    for side, rows in zip(SIDES, sides, strict=True):
        if rows is None:
            continue
        arrow = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows)
        pq.write_table(arrow, part / table_file(name, side), compression="zstd")
    (folder / "table.json").write_text(to_json(spec) + "\n", encoding="utf-8")


def is_folder_name(name: str) -> bool:
    """Tell whether a table's name can be a folder's name: no path, no hidden folder."""
    return re.fullmatch(r"[^\W][\w\-. ]{0,99}", name) is not None


def _write_models(path: Path, items: Sequence[BaseModel]) -> None:
    _write_json(path, [item.model_dump(mode="json", by_alias=True) for item in items])


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _hashed(entry: LedgerEntry, root: Path, windows: Windows) -> LedgerEntry:
    if entry.status not in USABLE:
        return entry
    there = [path for path in files_of(entry, windows) if (root / path).is_file()]
    if len(there) != 1:
        return entry
    return entry.model_copy(update={"sha256": sha256_of(root / there[0])})
