"""Two frames as a bundle: what the table benchmarks have in common."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.core.models import Alert, LedgerEntry, Service, TableSpec, Windows
from triagebook.diagnosis.diagnose import diagnose
from triagebook.evidence.bundle import Bundle, write_bundle

if TYPE_CHECKING:
    from triagebook.core.models import Diagnosis

_END = pd.Timestamp("2026-03-18T18:00Z")
_WINDOWS = Windows(
    reference=(_END - pd.Timedelta("16D"), _END - pd.Timedelta("2D")),
    current=(_END - pd.Timedelta("2D"), _END),
)


def ask(
    tables: dict[str, tuple[TableSpec, pd.DataFrame, pd.DataFrame]],
    incident_type: str,
    service: Service | None = None,
) -> Diagnosis:
    """Write the tables as a bundle, read it back and diagnose it."""
    names = list(tables)
    ledger = [
        LedgerEntry(id=f"L{n:02d}", source=f"tables:{name}", kind="tables", status="ok")
        for n, name in enumerate(names, 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(
            Path(folder) / "b",
            alert=Alert(incident_type=incident_type, starts_at=_END),
            service=service or Service(name="s"),
            windows=_WINDOWS,
            ledger=ledger,
            tables=tables,
        )
        return diagnose(Bundle.read(Path(folder) / "b"))[0]
