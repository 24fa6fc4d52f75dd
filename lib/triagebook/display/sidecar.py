"""Evidently's own drift report beside the notebook, made on a sample; its main table redrawn as HTML."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.core.words import several
from triagebook.display.elements import root, soft, table, text

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.diagnosis.context import Context


MOST_VALUES = 200
"""A category with more values than this is left out: Evidently's time grows with their square."""


@dataclass(frozen=True)
class Sidecar:
    """The redrawn table as HTML, and the result in a sentence."""

    html: str
    words: str


def drift_report(
    ctx: Context, output: Path, rows: int, columns: int = 12, seed: int = 0
) -> Sidecar:
    """Run Evidently's DataDriftPreset on the served features and save its full report.

    Parameters
    ----------
    ctx : Context
    output : Path
        Where its HTML goes, some megabytes; written by rename.
    rows : int
        At most so many rows of each window, drawn with `seed`.
    columns : int
        At most so many columns, those that moved most: each is drawn several times.

    Returns
    -------
    Sidecar
        The table says, for each column, which test was used, its score, and whether Evidently calls
        it drift. It compares the whole windows, with no regard to the onset, hours or seasons.
    """
    view = ctx.role("predictions") or next(
        (v for n in ctx.tables if (v := ctx.view(n)) is not None), None
    )
    if view is None:
        return _nothing("no table has rows in both windows")
    mine = [c for c in ctx.columns if c.table == view.name]
    many = [
        c.name
        for c in mine
        if c.kind != "number" and view.reference[c.name].nunique() > MOST_VALUES
    ]
    can = [c for c in mine if c.name not in many]
    most = sorted(can, key=lambda c: (c.movement.beyond_natural, c.movement.effect), reverse=True)
    chosen = {c.name for c in most[:columns]}
    names = [c.name for c in can if c.name in chosen]
    if not names:
        return _nothing(f"no column of {view.name} can be compared")
    numeric = [c.name for c in mine if c.kind == "number" and c.name in names]
    old, new = (_sample(f[names], numeric, rows, seed) for f in (view.reference, view.current))
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():
        # Its dependencies warn about each other; nothing a reader of the notebook can act on.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - imports for two seconds
        from evidently.presets import DataDriftPreset  # noqa: PLC0415

        definition = DataDefinition(
            numerical_columns=numeric,
            categorical_columns=[n for n in names if n not in numeric],
        )
        current, reference = (
            Dataset.from_pandas(f, data_definition=definition) for f in (new, old)
        )
        snapshot = Report([DataDriftPreset()]).run(current, reference)
        part = output.with_name(f".{output.name}.part")
        snapshot.save_html(str(part))
        part.replace(output)
        found = _rows(snapshot.dict())
    drifted = [r[0] for r in found if r[3] == "drift"]
    words = (
        f"Evidently calls {len(drifted)} of {len(found)} columns of {view.name} drifted, on a sample of "
        f"{len(new):,} current and {len(old):,} reference rows."
    )
    left = f" Left out, with more than {MOST_VALUES} values: {several(many)}." if many else ""
    if len(names) < len(can):
        left += (
            f" It was shown the {len(names)} columns of {len(can)} that moved most: "
            f"run.evidently(columns={len(can)}) takes them all, and longer."
        )
    note = (
        f"{words}{left} It compares whole windows, with no regard to onset, hours or seasons, so weather "
        "and weekdays are called drift too. The full report lies beside this notebook: evidently.html."
    )
    return Sidecar(
        root(soft(text(note)) + _table(found)),
        words,
    )


def _table(found: list[tuple[str, str, str, str]]) -> str:
    """Return the columns called drifted as a table, the others folded below it."""
    heads = ("column", "test", "score", "Evidently says")
    loud = [r for r in found if r[3] == "drift"]
    rest = [r for r in found if r[3] != "drift"]
    out = table(heads, loud, (2,)) if loud else ""
    if rest:
        inner = table(heads, rest, (2,))
        word = "column" if len(rest) == 1 else "columns"
        out += f"<details><summary>{len(rest)} {word} without drift</summary>{inner}</details>"
    return out


def _nothing(why: str) -> Sidecar:
    return Sidecar(root(soft(text(f"Evidently's report was not made: {why}."))), why)


def _sample(frame: pd.DataFrame, numeric: list[str], rows: int, seed: int) -> pd.DataFrame:
    taken = frame if len(frame) <= rows else frame.sample(rows, random_state=seed)
    out = taken.copy()
    for name in out:
        # Evidently takes numbers and texts; nullable, boolean and arrow types are turned into those.
        out[name] = (
            pd.to_numeric(out[name], errors="coerce").astype("float64")
            if name in numeric
            else out[name].astype("object").where(out[name].notna(), None).map(_as_text)
        )
    return out.reset_index(drop=True)


def _as_text(value: object) -> object:
    return value if value is None else str(value)


def _rows(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Pick the drift of each column out of Evidently's result."""
    out = []
    for metric in result.get("metrics", []):
        config = metric.get("config") or {}
        column, value = config.get("column"), metric.get("value")
        if column is None or not isinstance(value, int | float):
            continue
        method, threshold = str(config.get("method") or ""), config.get("threshold")
        small_is_drift = "p_value" in method or method in {"ks", "chisquare", "z"}
        drift = ""
        if isinstance(threshold, int | float):
            drift = (
                "drift"
                if (value < threshold if small_is_drift else value >= threshold)
                else "no drift"
            )
        out.append((str(column), method, f"{value:.3f}", drift))
    return sorted(out, key=lambda r: (r[3] != "drift", r[0]))
