"""Which columns of a table are dirty: precision, recall and F1 over columns, and recall by kind of dirt."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from tests.benchmarks.dirty_tables import clean_tables
from tests.benchmarks.dirtying import dirty
from tests.benchmarks.windows import ask
from triagebook.core.models import TableSpec

if TYPE_CHECKING:
    from pathlib import Path

LEAST = 0.005
"""A column counts as dirty from this share of changed cells in the current half."""


def changed(clean: pd.Series, now: pd.Series) -> float:
    """Share of cells that differ; two nulls are alike."""
    both = clean.isna() & now.isna()
    return float((~both & (clean.astype(str) != now.astype(str))).mean())


def case(
    name: str, clean: pd.DataFrame, now: pd.DataFrame, kinds: dict[str, str]
) -> dict[str, Any]:
    """Diagnose the second half of the dirty table against the first half of the clean one."""
    half = len(clean) // 2
    reference = clean.iloc[:half].reset_index(drop=True)
    current = now.iloc[half:].reset_index(drop=True)
    gone = {c: changed(clean[c].iloc[half:].reset_index(drop=True), current[c]) for c in clean}
    truth = sorted(str(c) for c, share in gone.items() if share > LEAST)
    for side in (reference, current):
        for column in side:
            if side[column].dtype == object:
                side[column] = side[column].map(lambda v: None if pd.isna(v) else str(v))
    found = ask({"t": (TableSpec(), reference, current)}, "data_quality")
    blamed = sorted(
        {
            f.locus.removeprefix("column:t.")
            for f in found.findings
            if f.verdict == "bad" and f.locus.startswith("column:t.")
        }
    )
    why = {
        f.locus.removeprefix("column:t."): f"{f.check}: {f.statement}"
        for f in found.findings
        if f.verdict == "bad"
    }
    return {
        "case": name,
        "truth": truth,
        "found": blamed,
        "kinds": {c: f"{kinds.get(c, 'dirt')} {gone[c]:.1%}" for c in truth},
        "wrong": {c: why[c] for c in blamed if c not in truth},
        "touched": {c: f"{kinds[c]} {gone[c]:.1%}" for c in kinds},
        "missed": [c for c in truth if c not in blamed],
        "seconds": found.timings.get("total"),
    }


def run(folder: Path | None = None, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    """Score made-up dirt, and every NAME/clean.csv with NAME/dirty.csv of the folder."""
    cases = []
    for seed in seeds:
        for name, clean, tied in clean_tables(seed):
            tidy = clean.reset_index(drop=True)
            now, kinds = dirty(tidy, 100 * seed + len(cases), tied)
            cases.append(case(f"{name}/{seed}", tidy, now, kinds))
    if folder is not None and not folder.is_dir():
        sys.stderr.write(f"dirty: no folder {folder}: only made-up dirt is scored\n")
    for path in sorted(folder.glob("*/clean.csv")) if folder is not None else []:
        clean = pd.read_csv(path, dtype=str)
        now = pd.read_csv(path.with_name("dirty.csv"), dtype=str)
        now.columns = clean.columns
        cases.append(case(path.parent.name, clean, now, {}))
    hit = sum(len(set(c["truth"]) & set(c["found"])) for c in cases)
    said, true = sum(len(c["found"]) for c in cases), sum(len(c["truth"]) for c in cases)
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for one in cases:
        for column, kind in one["kinds"].items():
            by_kind[kind.split()[0]].append(column in one["found"])
    return {
        "benchmark": "dirty",
        "score": {
            "precision": round(hit / max(said, 1), 4),
            "recall": round(hit / max(true, 1), 4),
            "f1": round(2 * hit / max(said + true, 1), 4),
            "recall by kind": {k: f"{sum(v)}/{len(v)}" for k, v in sorted(by_kind.items())},
        },
        "cases": cases,
    }
