from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.errors import SourceDataError
from triagebook.sources.files import FileSettings, find_files, sound_parquet

if TYPE_CHECKING:
    from pathlib import Path


def found(root: Path, path: str | list[str], **more: object) -> tuple[list[str], str]:
    files, kind = find_files(FileSettings(path=path, **more), root)
    return [str(file.relative_to(root)) for file in files], kind


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("a.CSV", "csv"),
        ("a.tsv", "csv"),
        ("a.jsonl.gz", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.b.json", "json"),
    ],
)
def test_the_name_tells_the_format(tmp_path, name, kind):
    touch(tmp_path, name)
    assert found(tmp_path, name) == ([name], kind)


def test_a_folder_is_all_its_files_but_bookkeeping(tmp_path):
    touch(
        tmp_path, "d/b.csv", "d/x/a.csv", "d/_SUCCESS", "d/_delta_log/0.json", "d/.c.csv", "d/n.md"
    )
    assert found(tmp_path, "d") == (["d/b.csv", "d/x/a.csv"], "csv")


def test_globs_and_lists(tmp_path):
    touch(tmp_path, "d/1/a.csv", "d/2/a.csv", "d/2/b.csv", "e.csv", "d/2/_x.csv")
    assert found(tmp_path, "d/*/a.csv")[0] == ["d/1/a.csv", "d/2/a.csv"]
    assert found(tmp_path, "d/**/*.csv")[0] == ["d/1/a.csv", "d/2/a.csv", "d/2/b.csv"]
    assert found(tmp_path, ["e.csv", "d/2", "e.csv"])[0] == ["d/2/a.csv", "d/2/b.csv", "e.csv"]


def test_a_name_with_the_signs_of_a_glob_is_first_a_name(tmp_path):
    touch(tmp_path, "a[1].csv", "a1.csv")
    assert found(tmp_path, "a[1].csv")[0] == ["a[1].csv"]


def test_a_missing_file_names_the_nearest(tmp_path):
    touch(tmp_path, "flights.parquet")
    with pytest.raises(SourceDataError, match=r"did you mean 'flights\.parquet'"):
        found(tmp_path, "flight.parquet")
    with pytest.raises(SourceDataError, match="starts from the folder of triagebook"):
        found(tmp_path, "nowhere/*.parquet")
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceDataError, match="holds no Parquet, CSV or JSON"):
        found(tmp_path, "none")


def test_formats_are_said_not_guessed_where_the_name_is_silent(tmp_path):
    touch(tmp_path, "data", "m/a.csv", "m/a.parquet")
    with pytest.raises(SourceDataError, match="does not tell what it holds"):
        found(tmp_path, "data")
    assert found(tmp_path, "data", format="csv") == (["data"], "csv")
    with pytest.raises(SourceDataError, match="several formats: csv, parquet"):
        found(tmp_path, "m")


def test_a_half_parquet_file_is_named_and_the_others_are_kept(tmp_path):
    pq.write_table(pa.table({"x": list(range(100))}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.parquet").write_bytes(b"")
    good, bad = sound_parquet([tmp_path / f"{n}.parquet" for n in "abc"])
    assert [path.name for path in good] == ["a.parquet"]
    assert [line.split()[0] for line in bad] == ["b.parquet", "c.parquet"]
