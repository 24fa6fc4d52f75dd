"""Plant faults of single columns: nulls, units, codes, noise, fillers, clocks, swaps.

Size 1 is a fault as it is met: a whole conversion, nine in ten nulls of the rows it touches. Smaller
sizes are milder: fewer nulls, less noise, fewer codes. Where a fault enters at `features`, the raw
table is right and the code that builds the inputs is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.drills.tabular.deeds import plants

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from triagebook.drills.scenario import Fault
    from triagebook.drills.tabular.stage import Phase, Stage

    Edit = Callable[[pd.DataFrame, NDArray[np.bool_]], None]

_PHASE: dict[str, Phase] = {"main": "raw", "features": "features"}


def _edit(stage: Stage, fault: Fault, entered: str, names: list[str], edit: Edit) -> None:
    """Let an edit of a table's rows happen in its phase, and record the deploy that brought it."""
    onset = stage.setting.at(fault.onset_h)

    def deed() -> None:
        frame = stage.frame(entered)
        rows = stage.setting.hit(fault, frame[stage.company.ts], stage.rng)
        edit(frame, rows)

    stage.on(_PHASE[entered], deed)
    stage.answer(fault.cause, *(stage.column_locus(entered, n) for n in names), onset=onset)
    stage.touched += names
    blame(stage, onset, entered)


def blame(stage: Stage, onset: pd.Timestamp, entered: str, odds: float = 0.7) -> None:
    """Record the deploy or config change that brought a fault, as far as anybody recorded it."""
    company, rng = stage.company, stage.rng
    if rng.random() > odds:
        return
    number = int(rng.integers(20, 400))
    ts = stage.before(onset)
    if entered == "features":
        task = company.task["build"]
        stage.changed(ts, "deploy", task, f"v{number}", f"v{number + 1}")
    elif entered == "side":
        stage.changed(ts, "deploy", company.task["load_side"], f"{number}", f"{number + 1}")
    else:
        what, old, new = (
            (company.task["ingest"], f"v{number}", f"v{number + 1}"),
            (f"{company.dependency['feed']} schema", f"r{number}", f"r{number + 1}"),
            (f"{company.pipeline['upstream']} release", f"24.{number}", f"24.{number + 1}"),
        )[int(rng.integers(3))]
        kind = "data" if "schema" in what else "deploy"
        stage.changed(ts, kind, what, old, new)


@plants("data.missing_values")
def missing_values(stage: Stage, fault: Fault) -> None:
    """Nulls in the rows it touches: nine in ten of them times size."""
    column, entered = stage.pick(fault), stage.enters(fault)
    most = min(0.9 * fault.size, 1.0)

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        frame.loc[rows & (stage.rng.random(len(frame)) < most), column.name] = np.nan

    _edit(stage, fault, entered, [column.name], edit)


@plants("data.unit_change")
def unit_change(stage: Stage, fault: Fault) -> None:
    """Multiply by (and shift by) a conversion that people mistake this column's unit for."""
    column, entered = stage.pick(fault, "number"), stage.enters(fault)
    choices = column.convert or ((100.0, 0.0), (0.001, 0.0))
    scale, shift = choices[int(stage.rng.integers(len(choices)))]

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        frame[column.name] = frame[column.name].astype("float64")
        frame.loc[rows, column.name] = (frame.loc[rows, column.name] * scale + shift).round(4)

    _edit(stage, fault, entered, [column.name], edit)


@plants("data.category_recode")
def category_recode(stage: Stage, fault: Fault) -> None:
    """Put another code for each label: numbered, prefixed or cased; small sizes recode only some."""
    column, entered = stage.pick(fault, "category"), stage.enters(fault)
    style = int(stage.rng.integers(3))

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        levels = sorted(frame[column.name].dropna().unique())
        some = levels[: max(2, round(len(levels) * min(fault.size, 1.0)))]
        codes = {
            level: (
                f"{at + 10:02d}",
                f"{column.name[:2].upper()}_{level}",
                level.lower() if level != level.lower() else level.title(),
            )[style]
            for at, level in enumerate(some)
        }
        renamed = frame.loc[rows, column.name].replace(codes)
        frame.loc[rows, column.name] = renamed

    _edit(stage, fault, entered, [column.name], edit)


@plants("data.corrupted_values")
def corrupted_values(stage: Stage, fault: Fault) -> None:
    """Garble values: wild magnitudes, wrong signs and noise in numbers, broken encoding in text."""
    column, entered = stage.pick(fault), stage.enters(fault)
    rng = stage.rng
    style = int(rng.integers(3))
    most = min(0.6 * fault.size, 1.0)

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        rows = rows & (rng.random(len(frame)) < most) & frame[column.name].notna().to_numpy()
        old = frame.loc[rows, column.name]
        if column.kind == "category":
            broken = ("Ã¼{}", "{}\ufffd", "?{}\x00")[style]
            cut = rng.integers(1, 4, len(old))
            frame.loc[rows, column.name] = [
                broken.format(str(value)[c:]) for value, c in zip(old, cut, strict=True)
            ]
            return
        values = old.to_numpy(dtype="float64")
        spread = float(np.nanstd(frame[column.name].astype("float64"))) or 1.0
        if style == 0:
            new = (
                values * 10.0 ** rng.integers(2, 6, len(values)) * rng.choice([-1, 1], len(values))
            )
        elif style == 1:
            new = rng.uniform(-1, 1, len(values)) * spread * 20
        else:
            new = -np.abs(values) - rng.exponential(3 * spread, len(values))
        frame[column.name] = frame[column.name].astype("float64")
        frame.loc[rows, column.name] = np.round(new, 3)

    _edit(stage, fault, entered, [column.name], edit)


@plants("data.default_fill")
def default_fill(stage: Stage, fault: Fault) -> None:
    """Put the column's filler in nine in ten rows it touches, times size."""
    column, entered = stage.pick(fault), stage.enters(fault)
    most = min(0.9 * fault.size, 1.0)

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        if column.kind == "number":
            frame[column.name] = frame[column.name].astype("float64")
        chosen = rows & (stage.rng.random(len(frame)) < most)
        frame.loc[chosen, column.name] = column.filler

    _edit(stage, fault, entered, [column.name], edit)


@plants("data.timezone_shift")
def timezone_shift(stage: Stage, fault: Fault) -> None:
    """Move the local time by whole hours: as UTC, or as the zone of another office."""
    company, setting = stage.company, stage.setting
    onset = setting.at(fault.onset_h)
    hours = int(stage.rng.choice([-9, -7, -6, 5, 6, 7, 8])) if stage.rng.random() < 0.5 else 0
    shift = pd.Timedelta(hours=hours) if hours else -setting.offset
    if abs(shift) < pd.Timedelta(hours=3):
        shift = pd.Timedelta(hours=6)

    def deed() -> None:
        rows = setting.hit(fault, stage.main[company.ts], stage.rng)
        stage.main.loc[rows, company.local] = stage.main.loc[rows, company.local] + shift

    stage.on("raw", deed)
    if stage.seen("main"):
        locus = f"column:{company.table['main']}.{company.local}"
    else:
        table = (stage.seen("features", "predictions") or ["features"])[0]
        locus = f"column:{company.table[table]}.{company.hour}"
    stage.answer(fault.cause, locus, onset=onset)
    stage.touched.append(company.hour)
    blame(stage, onset, "main")


@plants("data.column_swap")
def column_swap(stage: Stage, fault: Fault) -> None:
    """Exchange two columns of one kind, the target and one by seed."""
    first, entered = stage.pick(fault), stage.enters(fault)
    others = [
        column
        for column in stage.company.columns
        if column.kind == first.kind and column != first and column.slot not in {"weak", "unused"}
    ]
    second = others[int(stage.rng.integers(len(others)))]
    pair = [first.name, second.name]

    def edit(frame: pd.DataFrame, rows: NDArray[np.bool_]) -> None:
        frame[pair] = frame[pair].astype("float64" if first.kind == "number" else "object")
        frame.loc[rows, pair] = frame.loc[rows, pair[::-1]].to_numpy()

    _edit(stage, fault, entered, pair, edit)
