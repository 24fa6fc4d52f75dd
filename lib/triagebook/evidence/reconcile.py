"""Bring a ledger that others wrote in line with the files that are there; in memory only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from triagebook.core.models import LedgerEntry
from triagebook.evidence.layout import FILES, KINDS, SIDES, USABLE, files_of, table_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.core.models import Windows


def files_there(root: Path) -> list[str]:
    """List the parts of a bundle that are there, as paths from its root, in the order of kinds."""
    found: list[str] = []
    for kind in KINDS:
        if kind == "tables":
            folder = root / "tables"
            names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
            paths = [table_file(name, side) for name in names for side in SIDES]
        else:
            paths = [FILES[kind]]
        found.extend(path for path in paths if (root / path).is_file())
    return found


def reconcile(
    entries: list[LedgerEntry], root: Path, windows: Windows, problems: list[str]
) -> list[LedgerEntry]:
    """Return a ledger in which each file that is there has a usable entry, and none claims more.

    Ids that are there are kept. A file without a usable entry gets one of its own. An entry that
    says it has rows, all of whose files are missing or no Parquet, becomes `unavailable`.
    """
    there = files_there(root)
    broken = {path: why for path in there if (why := _broken(root / path)) is not None}
    ledger = []
    for entry in entries:
        about = files_of(entry, windows)
        present = [path for path in about if path in there]
        if entry.status in ("ok", "stale", "truncated") and about:
            why = None
            if not present:
                why = f"{' and '.join(about)}: not in the bundle"
            elif all(path in broken for path in present):
                why = "; ".join(f"{path}: {broken[path]}" for path in present)
            if why is not None:
                problems.append(f"{entry.id} {entry.source} says {entry.status}, but {why}")
                entry = entry.model_copy(update={"status": "unavailable", "why": why})  # noqa: PLW2901 - what goes on is the corrected entry
        ledger.append(entry)
    covered = {path for e in ledger if e.status in USABLE for path in files_of(e, windows)}
    named = {path for e in ledger if e.status not in USABLE for path in files_of(e, windows)}
    ids = _free_ids({entry.id for entry in ledger})
    for path in there:
        if path in covered or (path in broken and path in named):
            continue
        ledger.append(_synthetic(next(ids), path, root, windows, broken.get(path)))
    return ledger


def _free_ids(taken: set[str]) -> Iterator[str]:
    numbers = [int(i[1:]) for i in taken if i[:1] == "L" and i[1:].isdecimal()]
    number = max(numbers, default=0)
    while True:
        number += 1
        if (name := f"L{number:02d}") not in taken:
            yield name


def _broken(path: Path) -> str | None:
    """Say what is wrong with a Parquet file, by its footer; None for other files and sound ones."""
    if path.suffix != ".parquet":
        return None
    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        return f"cannot be read ({' '.join(str(error).split())[:120]})"
    return None


def _synthetic(
    name: str, path: str, root: Path, windows: Windows, broken: str | None
) -> LedgerEntry:
    parts = path.split("/")
    kind = "tables" if parts[0] == "tables" else parts[0].rsplit(".", 1)[0]
    window = (windows.reference[0], windows.current[1])
    if kind == "tables":
        window = windows.reference if parts[2].startswith("reference") else windows.current
    rows = None
    if path.endswith(".parquet") and broken is None:
        rows = pq.read_metadata(root / path).num_rows
    status = "unavailable" if broken else "empty" if rows == 0 else "ok"
    return LedgerEntry.model_validate(
        {
            "id": name,
            "source": f"tables:{parts[1]}" if kind == "tables" else kind,
            "kind": kind,
            "query": path,
            "window": window,
            "status": status,
            "rows": rows,
            "why": broken or "not in the bundle's own ledger; the file is there",
        }
    )
