"""Plant faults of whole tables: rows missing, repeated or old, columns renamed, joins that break.

Size 1 is plain: nine in ten rows of the share gone, each touched row twice, half the joins broken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from triagebook.drills.tabular.deeds import plants
from triagebook.drills.tabular.faults_columns import blame
from triagebook.drills.tabular.stage import Line

if TYPE_CHECKING:
    from triagebook.drills.scenario import Fault
    from triagebook.drills.tabular.stage import Stage


@plants("data.missing_rows")
def missing_rows(stage: Stage, fault: Fault) -> None:
    """Drop rows: of one value of a category (target), or of a share of all."""
    company, setting, rng = stage.company, stage.setting, stage.rng
    onset = setting.at(fault.onset_h)
    by_value = fault.target not in ("", "any")
    column = stage.pick(fault, "category") if by_value else None

    def deed() -> None:
        rows = setting.strength(fault, stage.main[company.ts]) > rng.random(len(stage.main))
        if column is None:
            gone = rows & (rng.random(len(rows)) < min(fault.share * 0.9 * fault.size, 0.97))
        else:
            shares = stage.main[column.name].value_counts(normalize=True)
            value = (shares - fault.share).abs().idxmin()
            gone = rows & (stage.main[column.name] == value).to_numpy()
            gone = gone & (rng.random(len(rows)) < 0.97 * min(fault.size, 1.0))
        stage.main = stage.main[~gone].reset_index(drop=True)

    stage.on("raw", deed)
    table = (stage.seen("main", "features", "predictions") or ["main"])[0]
    stage.answer(fault.cause, f"table:{company.table[table]}", onset=onset)
    blame(stage, onset, "main", odds=0.4)


@plants("data.duplicate_rows")
def duplicate_rows(stage: Stage, fault: Fault) -> None:
    """Deliver rows again with the same keys, seconds to minutes later; large sizes more than once."""
    company, setting, rng = stage.company, stage.setting, stage.rng
    onset = setting.at(fault.onset_h)

    def deed() -> None:
        rows = setting.hit(fault, stage.main[company.ts], rng)
        again = stage.main[rows]
        again = pd.concat([again] * max(1, round(fault.size)))
        later = again[company.ts] + pd.to_timedelta(rng.exponential(20, len(again)), unit="s")
        end = (
            again[company.ts].dt.floor(setting.batch) + setting.batch - pd.Timedelta(milliseconds=1)
        )
        again = again.assign(**{company.ts: later.where(later < end, end).dt.as_unit("us")})
        stage.main = pd.concat([stage.main, again]).sort_values(company.ts, ignore_index=True)

    stage.on("raw", deed)
    table = (stage.seen("main", "features", "predictions") or ["main"])[0]
    stage.answer(fault.cause, f"table:{company.table[table]}", onset=onset)
    blame(stage, onset, "main", odds=0.6)


@plants("data.schema_change")
def schema_change(stage: Stage, fault: Fault) -> None:
    """Rename a column, drop it, or write it as text; the old name's values are null from then on."""
    company, setting, rng = stage.company, stage.setting, stage.rng
    onset = setting.at(fault.onset_h)
    column = stage.pick(fault)
    style = ("renamed", "dropped", "text")[int(rng.integers(3 if column.kind == "number" else 2))]
    new = (f"{column.name}_v2", f"new_{column.name}", column.name[::-1].strip("_").title())[
        int(rng.integers(3))
    ]

    def deed() -> None:
        rows = setting.hit(fault, stage.main[company.ts], rng)
        if style == "text":
            texts = stage.main[column.name].map(lambda v: "" if pd.isna(v) else f"{v:.2f}")
            odd = texts.str.replace(".", ",", regex=False) + (
                f" {column.unit}" if column.unit else ""
            )
            stage.main[column.name] = texts.where(~rows, odd).where(stage.main[column.name].notna())
            return
        if style == "renamed":
            stage.main[new] = stage.main[column.name].where(rows)
        stage.main[column.name] = stage.main[column.name].mask(rows)

    def output(table: str, side: str, frame: pd.DataFrame) -> pd.DataFrame:
        if table != "main":
            return frame
        if style == "text" and side == "reference":
            return frame.assign(**{column.name: pd.to_numeric(frame[column.name])})
        return frame.drop(columns=new) if style == "renamed" and side == "reference" else frame

    stage.on("raw", deed)
    stage.outputs.append(output)
    if rng.random() < 0.6:
        said = {
            "renamed": f"column {column.name} is not in the feed, written as null; ignoring new column {new}",
            "dropped": f"column {column.name} is not in the feed, written as null",
            "text": f"column {column.name} arrives as text, expected a number",
        }[style]
        for due in pd.date_range(
            onset + setting.batch, setting.now, freq=setting.batch, inclusive="left"
        ):
            ts = due + pd.Timedelta(seconds=int(rng.integers(20, 40)))
            stage.lines.append(Line(ts, "WARN", company.task["ingest"], said))
    if stage.seen("main"):
        stage.answer(fault.cause, f"table:{company.table['main']}", onset=onset)
    else:
        table = (stage.seen("features", "predictions") or ["features"])[0]
        stage.answer(fault.cause, f"table:{company.table[table]}", onset=onset)
    stage.touched.append(column.name)
    blame(stage, onset, "main", odds=0.75)


@plants("data.stale")
def stale(stage: Stage, fault: Fault) -> None:
    """Stop a table: the main feed ("main", quietly: runs go on and read nothing) or the snapshots."""
    company, setting = stage.company, stage.setting
    onset = setting.at(fault.onset_h)
    table = fault.target or ("main", "side")[int(stage.rng.integers(2))]
    if table == "side":
        onset = onset.floor("D") + pd.Timedelta(hours=2, minutes=10)

    def stop_main() -> None:
        stage.main = stage.main[stage.main[company.ts] < onset].reset_index(drop=True)

    def stop_side() -> None:
        stage.side = stage.side[stage.side[company.loaded] < onset].reset_index(drop=True)

    stage.on("raw", stop_main if table == "main" else stop_side)
    stage.answer(fault.cause, f"table:{company.table[table]}", onset=onset)
    stage.facts.setdefault("quiet", {})[table] = onset


@plants("data.join_broken")
def join_broken(stage: Stage, fault: Fault) -> None:
    """Break the join of main and side: keys in another format ("format"), or entities twice ("fan")."""
    company, setting, rng = stage.company, stage.setting, stage.rng
    onset = setting.at(fault.onset_h)
    style = fault.target or ("format", "fan")[int(rng.integers(2))]
    tables = company.table

    def reformat() -> None:
        rows = setting.hit(fault, stage.main[company.ts], rng)
        old = stage.main.loc[rows, company.side_key].astype(str)
        ways = (
            old.str.lower(),
            old.str.replace("0", "", n=1),
            old + " ",
            old.str[:2] + "-" + old.str[2:],
        )
        stage.main.loc[rows, company.side_key] = ways[int(rng.integers(4))]

    def repeat() -> None:
        fresh = stage.side[company.loaded] >= onset.floor("D")
        entities = stage.side[company.side_key].unique()
        chosen = entities[rng.random(len(entities)) < min(0.6 * fault.share * fault.size, 1.0)]
        again = stage.side[fresh & stage.side[company.side_key].isin(chosen)].copy()
        again[company.side_number] = (again[company.side_number] * 0.97).round(2)
        stage.side = pd.concat([stage.side, again]).sort_values(
            [company.loaded, company.side_key], ignore_index=True, kind="stable"
        )

    if style == "fan":
        stage.on("raw", repeat)
        first = stage.seen("side", "features", "predictions") or ["side"]
        onset = onset.floor("D") + pd.Timedelta(hours=2, minutes=10)
        stage.answer(fault.cause, f"table:{tables[first[0]]}", onset=onset.ceil(setting.batch))
        blame(stage, onset, "side")
        return
    stage.on("raw", reformat)
    # The changed key is seen in the raw table, the rows without a partner where the join is made.
    shown = stage.seen("main", "features") or ["features"]
    stage.answer(fault.cause, *(f"table:{tables[table]}" for table in shown), onset=onset)
    stage.touched += [company.side_number, company.side_category]
    blame(stage, onset, "main")
