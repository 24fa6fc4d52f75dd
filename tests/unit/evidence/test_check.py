from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.settings import load_settings
from triagebook.evidence.check import ask, check_pulls

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
[sources.lake]
type = "files"

[[service]]
name = "a"

[[service.logs]]
path = "l.jsonl"

[[service]]
name = "b"

[service.tables.t]
source = "lake"
path = "t.parquet"
time_column = "ts"
"""


def written(root: Path, text: str):
    (root / "triagebook.toml").write_text(text)
    return load_settings(root / "triagebook.toml")


def test_a_right_file_has_no_problems(tmp_path):
    assert check_pulls(written(tmp_path, GOOD), tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            'path = "l.jsonl"',
            'path = "l.jsonl"\nmesage_column = "m"',
            9,
            "did you mean 'message_column'",
        ),
        ('path = "t.parquet"', 'path = "t.parquet"\ncolums = ["x"]', 16, "did you mean 'columns'"),
        ('time_column = "ts"', 'time_colum = "ts"', 16, "did you mean 'time_column'"),
        ('path = "l.jsonl"', "", 7, "'path' is missing"),
        ('path = "t.parquet"', "path = 7", 15, "path"),
        ('source = "lake"', 'source = "lakes"', 14, "no source is called 'lakes'"),
        ('type = "files"', 'type = "filess"', 14, "no table source is called 'filess'"),
        ('type = "files"', 'type = "files"\nrow_limt = 5', 3, "did you mean 'row_limit'"),
        ('time_column = "ts"', "", 13, "no time_column is named"),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_the_nearest(tmp_path, old, new, line, said):
    problems = check_pulls(written(tmp_path, GOOD.replace(old, new)), tmp_path)
    found = [p for p in problems if said in f"{p.message} {p.hint}"]
    assert found, problems
    assert found[0].where == f"{tmp_path / 'triagebook.toml'}:{line}"


def test_each_source_is_asked_one_cheap_question(tmp_path):
    (tmp_path / "l.jsonl").write_text('{"ts": "2013-06-01T00:00:00Z", "message": "m"}\n')
    settings = written(tmp_path, GOOD)
    logs, table = ask(settings, tmp_path)
    assert (logs.service, logs.source, logs.ok, logs.rows) == ("a", "logs:files", True, 1)
    assert logs.newest.isoformat() == "2013-06-01T00:00:00+00:00"
    assert not table.ok
    assert "no file at" in table.error
    pq.write_table(pa.table({"tss": ["2013-06-01"]}), tmp_path / "t.parquet")
    table = ask(settings, tmp_path)[1]
    assert "no column 'ts'" in table.error
    assert table.hint == "did you mean 'tss'?"
