"""A column renamed in the current window is a change of the schema, named where it enters."""

import pandas as pd
import pytest

from tests.unit.diagnosis.world import ONSET, make
from triagebook.diagnosis.diagnose import diagnose
from triagebook.evidence.bundle import Bundle


@pytest.mark.parametrize("kind", ["drift", "unknown"])
def test_a_renamed_column_is_a_change_of_the_schema_where_it_enters(kind, tmp_path):
    world = make(seed=17)
    world.incident_type = kind
    old = world.names["amount"]
    world.bundle(tmp_path / "b")
    for table in ("source", "inputs", "served"):
        path = tmp_path / "b" / "tables" / table / "current.parquet"
        frame = pd.read_parquet(path)
        frame.rename(columns={old: f"{old}_v2"}).to_parquet(path)
    found, _ = diagnose(Bundle.read(tmp_path / "b"))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == ("data.schema_change", "table:source")
    assert found.verdict == "cause_found"
    (said, *downstream) = [
        f for f in found.findings if f.check == "data.schema_change" and f.verdict == "bad"
    ]
    assert f"gone: {old}" in said.statement
    assert f"new: {old}_v2" in said.statement
    assert {f.locus for f in downstream} == {"table:inputs", "table:served"}


def test_what_reads_a_column_by_its_old_type_has_nulls_for_that_reason(tmp_path):
    world = make(seed=18)
    world.incident_type = "data_quality"
    name = world.names["amount"]
    world.bundle(tmp_path / "b")
    for table in ("source", "inputs", "served"):
        path = tmp_path / "b" / "tables" / table / "current.parquet"
        frame = pd.read_parquet(path)
        lost = frame["at"] >= ONSET
        if table == "source":
            frame[name] = frame[name].map("{:.2f} EUR".format)
        else:
            frame.loc[lost, name] = None
        frame.to_parquet(path)
    found, _ = diagnose(Bundle.read(tmp_path / "b"))
    first = found.hypotheses[0]
    assert (first.cause, first.locus) == ("data.schema_change", "table:source")
    nulls = [h for h in found.hypotheses if h.cause == "data.missing_values"]
    assert all(h.confidence < 0.2 for h in nulls)
