"""Text of an attacker in every place of a bundle that text can come from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from tests.notebooks.evidence import ONSET, changes, moments, rows, series, small, tasks
from tests.notebooks.evidence import WINDOWS as WINDOWS_OF_BUNDLES
from triagebook.core.models import Alert, Edge, ModelInfo, Service, TableSpec

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "<script>alert(1)</script>"
LINK = "javascript:alert(document.cookie)"
ANSI = "\x1b[31mred\x1b[0m"
QUOTES = """"'><img src=x onerror=alert(1)>"""
EMOJI = "\N{PILE OF POO} 漢字 \N{ARABIC LETTER ALEF}"
RTL = "\u202etxt.exe\u202c"
MATHS = "cost_$a$b^{"
LONG = "x" * 10_000
ATTACKS = (SCRIPT, LINK, ANSI, QUOTES, EMOJI, RTL, MATHS, LONG)
EVERYTHING = " ".join(ATTACKS)
SHORT = " ".join(ATTACKS[:-1])


def hostile_bundle(into: Path) -> Path:
    """Write a small bundle with a real fault in it, described in the words of an attacker."""
    number, category, score = SHORT, f"{QUOTES}{LONG}", f"{MATHS}{SCRIPT}"
    names = (number, category, score)
    sides = []
    for side in ("reference", "current"):
        frame = rows(side, names)
        frame[category] = frame[category].map(dict(zip("abc", (SCRIPT, LONG, SHORT), strict=True)))
        sides.append(frame)
    common = {"time_column": "ts", "key_columns": ["id"], "unit": {number: EVERYTHING}}
    raw = TableSpec.model_validate({"role": "raw", **common})
    served = TableSpec.model_validate(
        {
            "role": "predictions",
            "prediction": "prediction",
            "score": score,
            "feature_columns": [number, category],
            **common,
        }
    )
    ts = moments(*WINDOWS_OF_BUNDLES.current)
    late = ts >= pd.Timestamp(ONSET)
    logs = pd.DataFrame(
        {
            "ts": ts,
            "severity": ["ERROR" if bad else "INFO" for bad in late],
            "source": SHORT,
            "message": [f"failed: {EVERYTHING}" if bad else "batch done" for bad in late],
            "attributes": "{}",
        }
    )
    alert = Alert(
        sender=SCRIPT,
        title=EVERYTHING,
        description=EVERYTHING,
        severity=QUOTES,
        service=SHORT,
        starts_at=ONSET + timedelta(minutes=30),
        labels={"team": EVERYTHING, SCRIPT: LINK},
        annotations={"summary": EVERYTHING, QUOTES: RTL},
        metric=SCRIPT,
        links={"dashboard": LINK, SCRIPT: LINK},
    )
    service = Service(
        name=SHORT,
        kind="model",
        entrypoint=SCRIPT,
        model=ModelInfo(name=SCRIPT, version=EVERYTHING),
        dependencies=[SCRIPT],
        criticality=SCRIPT,
    )
    return small(
        into,
        alert=alert,
        service=service,
        metrics=series(f"m_{SCRIPT}", '{"a": "<script>alert(1)</script>", "b": "$x^{"}'),
        logs=logs,
        tables={"orders": (raw, *sides), "served": (served, *sides)},
        changes=changes(5, EVERYTHING.replace("{", "{{") + " {}"),
        pipeline=tasks(4, name=EVERYTHING.replace("{", "{{") + " {}"),
        topology=[Edge.model_validate({"from": SCRIPT, "to": QUOTES})],
    )
