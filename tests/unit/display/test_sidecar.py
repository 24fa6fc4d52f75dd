"""Evidently's report beside the notebook: made on comparable columns, or a sentence why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.notebooks.evidence import rows, small, table
from triagebook.core.models import TableSpec
from triagebook.diagnosis.context import Context
from triagebook.display.sidecar import MOST_VALUES, _rows, drift_report
from triagebook.evidence.bundle import Bundle

if TYPE_CHECKING:
    from pathlib import Path


def _context(folder: Path, **parts: object) -> Context:
    return Context(Bundle.read(small(folder / "evidence", **parts)))


def _with_category(values: int) -> dict[str, object]:
    sides = [rows(side) for side in ("reference", "current")]
    for frame in sides:
        frame["code"] = [f"c{n % values}" for n in range(len(frame))]
    spec = TableSpec(role="raw", time_column="ts", key_columns=["id"])
    return {"tables": {"orders": (spec, *sides)}}


def test_no_table_no_report(tmp_path: Path):
    made = drift_report(_context(tmp_path), tmp_path / "evidently.html", 100)
    assert made.words == "no table has rows in both windows"
    assert not (tmp_path / "evidently.html").exists()


def test_too_few_rows_are_said(tmp_path: Path):
    one = (TableSpec(), rows("reference").head(1), rows("current").head(1))
    made = drift_report(_context(tmp_path, tables={"t": one}), tmp_path / "evidently.html", 100)
    assert made.words == "no column of t can be compared"


def test_the_report_is_written_and_its_table_redrawn(tmp_path: Path):
    target = tmp_path / "evidently.html"
    made = drift_report(_context(tmp_path, tables={"t": table("raw")}), target, 400)
    assert "400 reference rows" in made.words
    assert "of t drifted" in made.words
    for name in ("amount", "kind", "score"):
        assert f">{name}</td>" in made.html
    assert target.stat().st_size > 100_000
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


@pytest.mark.parametrize(("values", "left_out"), [(MOST_VALUES, False), (MOST_VALUES + 1, True)])
def test_a_category_of_very_many_values_is_left_out_and_named(
    tmp_path: Path, values: int, left_out: bool
):
    context = _context(tmp_path, **_with_category(values))
    made = drift_report(context, tmp_path / "evidently.html", 2_000)
    assert ("Left out, with more than 200 values: code." in made.html) is left_out
    assert (">code</td>" in made.html) is not left_out


@pytest.mark.parametrize("too_few", [1, 0])
def test_of_many_columns_those_that_moved_most_are_taken(tmp_path: Path, too_few: int):
    context = _context(tmp_path, tables={"t": table("raw")})
    every = len(context.columns)
    by_effect = sorted(context.columns, key=lambda c: c.movement.effect)
    made = drift_report(context, tmp_path / "evidently.html", 400, every - too_few)
    assert f" of {every - too_few} columns of t drifted" in made.words
    assert f">{by_effect[-1].name}</td>" in made.html
    assert (f">{by_effect[0].name}</td>" in made.html) is not bool(too_few)
    assert (f"run.evidently(columns={every}) takes them all" in made.html) is bool(too_few)


def _metric(method: str, value: float, threshold: float | None = 0.1) -> dict[str, object]:
    return {"config": {"column": "c", "method": method, "threshold": threshold}, "value": value}


@pytest.mark.parametrize(
    ("method", "value", "said"),
    [
        ("K-S p_value", 0.09, "drift"),
        ("K-S p_value", 0.1, "no drift"),
        ("K-S p_value", 0.11, "no drift"),
        ("Wasserstein distance (normed)", 0.09, "no drift"),
        ("Wasserstein distance (normed)", 0.1, "drift"),
        ("Wasserstein distance (normed)", 0.11, "drift"),
    ],
)
def test_small_p_values_and_large_distances_are_drift(method: str, value: float, said: str):
    assert _rows({"metrics": [_metric(method, value)]}) == [("c", method, f"{value:.3f}", said)]


def test_a_metric_of_no_column_or_number_is_left_out():
    others = [
        {"config": {}, "value": 1.0},
        {**_metric("x", 1.0), "value": {"share": 1}},
        {"config": None},
    ]
    assert _rows({"metrics": others}) == []
    assert _rows({}) == []
    assert _rows({"metrics": [_metric("x", 1.0, None)]})[0][3] == ""


def test_a_frame_is_not_changed_by_its_report(tmp_path: Path):
    context = _context(tmp_path, tables={"t": table("raw")})
    view = context.view("t")
    assert view is not None
    before = view.current.copy()
    drift_report(context, tmp_path / "evidently.html", 50)
    pd.testing.assert_frame_equal(view.current, before)
