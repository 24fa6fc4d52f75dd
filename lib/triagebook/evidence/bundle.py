"""An evidence bundle: read leniently, whoever wrote it; written once (see `store`)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import BundleError, SourceDataError
from triagebook.core.models import (
    BUNDLE_SCHEMA,
    Alert,
    BundleManifest,
    Change,
    Edge,
    LedgerEntry,
    Service,
    TaskRun,
    Windows,
)
from triagebook.evidence.layout import (
    FILES,
    SIDES,
    USABLE,
    files_of,
    is_silent_feed,
    kind_of,
    part_of,
    sha256_of,
    side_of,
)
from triagebook.evidence.lenient import list_of, load_json, model_from
from triagebook.evidence.reconcile import reconcile
from triagebook.evidence.store import write_bundle
from triagebook.evidence.tables import Table, read_parquet, read_table
from triagebook.sources.frames import as_logs, as_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bundle", "Table", "write_bundle"]


class Bundle:
    """Frozen evidence. The manifest is read at once, each part when first asked for.

    Parameters
    ----------
    root : Path
        The bundle's folder.
    manifest : BundleManifest
        What it is about. Its ledger is the one written; `ledger` is the one to use.
    problems : list of str
        What was wrong with the manifest.

    Attributes
    ----------
    ledger : list of LedgerEntry
        Every pull. Files that the bundle's own ledger does not name have an entry of ours.
    problems : list of str
        What is wrong with the parts read so far (a part is read when first asked for), each
        naming the file. Those of a table are in the table.
    """

    def __init__(self, root: Path, manifest: BundleManifest, problems: list[str]) -> None:
        self.root = root
        self.manifest = manifest
        self.problems = problems
        self.ledger = reconcile(manifest.ledger, root, manifest.windows, problems)

    @classmethod
    def read(cls, path: Path | str) -> Bundle:
        """Open a bundle.

        Raises
        ------
        BundleError
            No folder, no bundle.json, or one that names no windows or another schema.
        """
        root = Path(path)
        problems: list[str] = []
        return cls(root, _manifest(root, problems), problems)

    def __repr__(self) -> str:
        return f"Bundle({str(self.root)!r}, service={self.service.name!r})"

    @property
    def alert(self) -> Alert:
        """The alert that the evidence was collected for."""
        return self.manifest.alert

    @property
    def alerts(self) -> list[Alert]:
        """All alerts of the incident, oldest first; empty where the bundle names none."""
        return self.manifest.alerts

    @property
    def service(self) -> Service:
        """The service it is about."""
        return self.manifest.service

    @property
    def windows(self) -> Windows:
        """The two windows."""
        return self.manifest.windows

    @cached_property
    def metrics(self) -> pd.DataFrame | None:
        """Metrics as ts (UTC), name, labels (JSON), value, sorted by name, labels, ts; or None."""
        return self._frame("metrics", as_metrics)

    @cached_property
    def metrics_meta(self) -> dict[str, dict[str, Any]]:
        """Type, unit and entity of each metric that metrics.json describes; else empty."""
        path = self.root / "metrics.json"
        data = load_json(path, self.problems) if path.is_file() else None
        if data is None:
            return {}
        if not isinstance(data, dict):
            self.problems.append(f"metrics.json: expected an object, got {type(data).__name__}")
            return {}
        return {str(name): meta for name, meta in data.items() if isinstance(meta, dict)}

    @cached_property
    def logs(self) -> pd.DataFrame | None:
        """Logs as ts (UTC), severity, source, message, attributes (JSON), sorted by ts; or None."""
        return self._frame("logs", as_logs)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Tables by name; empty where there are none."""
        folder = self.root / "tables"
        if not folder.is_dir():
            return {}
        return {path.name: read_table(path) for path in sorted(folder.iterdir()) if path.is_dir()}

    @cached_property
    def changes(self) -> list[Change] | None:
        """What was changed, oldest first; None where nobody was asked."""
        found = list_of(Change, self.root / FILES["changes"], self.problems)
        return None if found is None else sorted(found, key=lambda change: change.ts)

    @cached_property
    def pipeline(self) -> list[TaskRun] | None:
        """Runs of tasks, in the order stored; None where nobody was asked."""
        return list_of(TaskRun, self.root / FILES["pipeline"], self.problems)

    @cached_property
    def topology(self) -> list[Edge] | None:
        """What calls, feeds or serves what; None where it is not described."""
        return list_of(Edge, self.root / FILES["topology"], self.problems)

    def _frame(self, kind: str, typed: Any) -> pd.DataFrame | None:
        path = self.root / FILES[kind]
        if not path.is_file():
            return None
        frame = read_parquet(path, self.problems)
        if frame is None:
            return None
        try:
            found: pd.DataFrame = typed(frame, path.name)
        except SourceDataError as error:
            self.problems.append(error.message)
            return None
        if len(found) < len(frame):
            self.problems.append(
                f"{path.name}: {len(frame) - len(found)} of {len(frame)} rows have no time"
            )
        return found

    def evidence_ids(self, kind: str, part: str | None = None) -> list[str]:
        """Return the ids of the ledger entries that a finding on some evidence cites.

        Parameters
        ----------
        kind : str
            metrics, logs, tables, changes, pipeline or topology.
        part : str or None
            A table's name, one window of it ("orders/current"), or a part of another kind
            ("gpu" of `metrics:gpu`).

        Returns
        -------
        list of str
            Usable entries (with or without rows) where there is one; else those that say why
            there is none. Empty only where the ledger knows nothing of the kind.
        """
        entries = self._entries(kind, part)
        usable = [e.id for e in entries if e.status in USABLE and not is_silent_feed(e)]
        return usable or [entry.id for entry in entries]

    def missing_ids(self, kind: str, part: str | None = None) -> list[str]:
        """Return the ids of the entries of a kind that were asked for and not had."""
        return [e.id for e in self._entries(kind, part) if e.status == "unavailable"]

    def _entries(self, kind: str, part: str | None) -> list[LedgerEntry]:
        entries = [entry for entry in self.ledger if kind_of(entry) == kind]
        if part is None:
            return entries
        name, side = part, None
        if kind == "tables" and part.rpartition("/")[2] in SIDES:
            name, _, side = part.rpartition("/")
        exact = [
            entry
            for entry in entries
            if part_of(entry) == name
            and (side is None or side_of(entry, self.windows) in (None, side))
        ]
        # An entry that names no part answers for all of them.
        return (
            exact
            or [e for e in entries if part_of(e) is None]
            or ([] if kind == "tables" else entries)
        )

    def verify(self) -> list[str]:
        """Compare the stored files with the hashes in the ledger.

        Returns
        -------
        list of str
            One line for each entry whose files are not what was stored; empty when all are.
        """
        hashes: dict[str, str] = {}
        wrong = []
        for entry in self.manifest.ledger:
            paths = files_of(entry, self.windows)
            if entry.sha256 is None or not paths:
                continue
            there = [path for path in paths if (self.root / path).is_file()]
            for path in there:
                hashes.setdefault(path, sha256_of(self.root / path))
            if not there:
                wrong.append(f"{entry.id} {entry.source}: {' and '.join(paths)} is not there")
            elif entry.sha256.lower() not in {hashes[path] for path in there}:
                wrong.append(f"{entry.id} {entry.source}: {' and '.join(there)} was changed")
        return wrong


def _manifest(root: Path, problems: list[str]) -> BundleManifest:
    path = root / "bundle.json"
    if not root.is_dir():
        raise BundleError(f"no bundle at {root}: no such folder", "name the folder of a bundle")
    if not path.is_file():
        raise BundleError(
            f"{root} is no bundle: it holds no bundle.json",
            "name the folder that holds bundle.json, such as runs/INCIDENT/evidence",
        )
    said: list[str] = []
    data = load_json(path, said)
    if not isinstance(data, dict):
        raise BundleError(
            f"{path}: {said[0] if said else 'expected an object'}",
            "copy the bundle again from where it was made; it was cut off or edited",
        )
    schema = data.get("schema", BUNDLE_SCHEMA)
    if schema != BUNDLE_SCHEMA:
        raise BundleError(
            f"{path}: schema is {schema!r}, expected {BUNDLE_SCHEMA!r}",
            "read it with the version of triagebook that wrote it",
        )
    windows = model_from(Windows, data.get("windows"), f"{path}: windows", said)
    if windows is None:
        raise BundleError(
            said[-1],
            'write "windows": {"reference": [t0, t1], "current": [t2, t3]} with ISO 8601 times',
        )
    alert = model_from(Alert, data.get("alert"), "bundle.json: alert", problems)
    given = data.get("service")
    given = {"name": given} if isinstance(given, str) else given
    service = Service() if given is None else None
    service = service or model_from(Service, given, "bundle.json: service", problems)
    incident = data.get("incident_id")
    extra = {k: v for k, v in data.items() if k not in BundleManifest.model_fields | {"schema": 0}}
    return BundleManifest.model_validate(
        {
            **extra,
            "incident_id": None if incident is None else str(incident),
            "alert": alert or Alert(),
            "alerts": _alerts(data.get("alerts"), problems),
            "service": service or Service(),
            "windows": windows,
            "ledger": _ledger(data.get("ledger"), problems),
        }
    )


def _alerts(data: object, problems: list[str]) -> list[Alert]:
    if data is None:
        return []
    if not isinstance(data, list):
        problems.append(f"bundle.json: alerts: expected an array, got {type(data).__name__}")
        return []
    read = [
        model_from(Alert, raw, f"bundle.json: alert {number} of alerts", problems)
        for number, raw in enumerate(data, 1)
    ]
    return [alert for alert in read if alert is not None]


def _ledger(data: object, problems: list[str]) -> list[LedgerEntry]:
    if data is None:
        return []
    if not isinstance(data, list):
        problems.append(f"bundle.json: ledger: expected an array, got {type(data).__name__}")
        return []
    entries: list[LedgerEntry] = []
    for number, raw in enumerate(data, 1):
        where = f"bundle.json: ledger entry {number}"
        kept = dict(raw) if isinstance(raw, dict) else raw
        if isinstance(kept, dict):
            status = kept.get("status")
            if status not in (*USABLE, "unavailable", "not_configured"):
                # A status we do not know is no promise of rows: believe the worse.
                problems.append(f"{where}: status {status!r} is not known, read as unavailable")
                kept["why"] = kept.get("why") or f"its status is {status!r}, which is not known"
                kept["status"] = "unavailable"
            kept.setdefault("id", f"entry-{number}")
            kept.setdefault("source", str(kept.get("kind", "unknown")))
        entry = model_from(LedgerEntry, kept, where, problems)
        if entry is not None:
            entries.append(entry)
    return entries
