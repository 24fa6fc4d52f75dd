from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triagebook.core.errors import SourceDataError, SourceTimeoutError
from triagebook.sources.base import Answer, Question, Stop
from triagebook.sources.tables import TABLES

T0 = datetime(2013, 6, 4, 14, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
MICRO = timedelta(microseconds=1)


def pull(root, path="t.parquet", window=(T0, T1), column="ts", **own) -> Answer:
    plugin = TABLES.get("files")
    return plugin(plugin.Settings(path=path, **own), root).pull(Question(window, column))


def parquet(path, ts: Any, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"ts": ts, **columns}), path)


AROUND = [T0 - MICRO, T0, T0 + MICRO, T1 - MICRO, T1, T1 + MICRO]


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns", "America/New_York"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
    ],
)
def test_the_start_belongs_to_the_window_and_the_end_does_not(tmp_path, kind):
    naive = [t.replace(tzinfo=None) for t in AROUND] if kind.tz is None else AROUND
    parquet(tmp_path / "t.parquet", pa.array(naive, kind), x=list(range(6)))
    answer = pull(tmp_path)
    assert answer.rows["x"].to_pylist() == [1, 2, 3]
    assert answer.newest == T1 - MICRO


@pytest.mark.parametrize(("unit", "factor"), [("us", 1), ("ns", 1000)])
def test_whole_epochs_are_cut_exactly(tmp_path, unit, factor):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    numbers = [((t - epoch) // MICRO) * factor for t in AROUND]
    parquet(tmp_path / "t.parquet", pa.array(numbers, pa.int64()), x=list(range(6)))
    answer = pull(tmp_path)
    assert answer.rows["x"].to_pylist() == [1, 2, 3], unit
    assert answer.rows["ts"].type == pa.int64()
    assert answer.newest == T1 - MICRO


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float64(), pa.string()])
def test_seconds_as_numbers_or_text_are_cut(tmp_path, kind):
    start = int(T0.timestamp())
    numbers = [start - 1, start, start + 3599, start + 3600]
    ts = pa.array([str(n) for n in numbers] if kind == pa.string() else numbers, kind)
    parquet(tmp_path / "t.parquet", ts, x=[0, 1, 2, 3])
    answer = pull(tmp_path)
    assert answer.rows["x"].to_pylist() == [1, 2]
    assert answer.rows["ts"].type == kind


def test_text_with_zones_is_cut_by_the_moment_it_means(tmp_path):
    texts = ["2013-06-04T13:59:59.999999Z", "2013-06-04T16:00:00+02:00", "2013-06-04 14:59:59"]
    parquet(tmp_path / "t.parquet", [*texts, "2013-06-04T15:00:00Z"], x=[0, 1, 2, 3])
    assert pull(tmp_path).rows["x"].to_pylist() == [1, 2]


def test_rows_are_as_they_were_and_sorted_by_time(tmp_path):
    table = pa.table(
        {
            "ts": pa.array([T0 + MICRO * i for i in (2, 1, 2, 0)], pa.timestamp("us", "UTC")),
            "i8": pa.array([1, None, 3, 4], pa.int8()),
            "d": pa.array([1.5, None, float("nan"), 2.0], pa.float32()),
            "s": pa.array(["a", None, "", "ü"], pa.string()),
            "l": pa.array([[1], [], None, [2, 3]], pa.list_(pa.int64())),
            "null": pa.nulls(4),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    got = pull(tmp_path).rows
    assert got["i8"].to_pylist() == [4, None, 1, 3]  # equal times stay in the file's order
    assert got.schema.field("i8").type == pa.int8()
    assert got.schema.field("d").type == pa.float32()
    assert got.column_names == table.column_names


def test_csv_json_and_gz_hold_the_same_rows(tmp_path):
    rows = [{"ts": f"2013-06-04T14:{i:02d}:00Z", "x": i, "who": f"n{i}"} for i in range(3)]
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "t.jsonl").write_text(lines)
    (tmp_path / "t.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "t.jsonl.gz", "wt") as file:
        file.write(lines)
    csv = "ts,x,who\n" + "\n".join(f"{r['ts']},{r['x']},{r['who']}" for r in rows)
    (tmp_path / "t.csv").write_text(csv)
    for name in ("t.jsonl", "t.json", "t.jsonl.gz", "t.csv"):
        got = pull(tmp_path, name).rows
        assert got["x"].to_pylist() == [0, 1, 2], name
        assert got["who"].to_pylist() == ["n0", "n1", "n2"], name


def test_only_named_columns_and_the_time_are_read(tmp_path):
    parquet(tmp_path / "t.parquet", [T0], x=[1], y=[2])
    assert pull(tmp_path, columns=["y"]).rows.column_names == ["ts", "y"]
    with pytest.raises(SourceDataError, match=r"no column 'yy'.*\n.*did you mean 'y'"):
        pull(tmp_path, columns=["yy"])


HOSTILE = ['a"; DROP TABLE x; --', "it's", "ünïcödé ✈", "select", "a b;c", "x[0]*?"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_columns_and_files_are_only_names(tmp_path, name):
    table = pa.table({name: [T0 - MICRO, T0], "x": [1, 2], name + "2": ["a", "b"]})
    pq.write_table(table, tmp_path / f"{name}.parquet")
    (tmp_path / f"{name}.csv").write_text("ts,x\n2013-06-04T14:00:00Z,2\n")
    got = pull(tmp_path, f"{name}.parquet", column=name, columns=[name + "2", "x"], row_limit=1)
    assert got.rows["x"].to_pylist() == [2]
    assert got.rows.column_names == [name, "x", name + "2"]
    assert pull(tmp_path, f"{name}.csv").rows["x"].to_pylist() == [2]


def test_a_folder_of_partitions_keeps_what_only_its_paths_say(tmp_path):
    parquet(tmp_path / "d" / "region=eu" / "a.parquet", [T0], x=[1])
    parquet(tmp_path / "d" / "region=us" / "a.parquet", [T0 + MICRO], x=[2], later=[7])
    got = pull(tmp_path, "d").rows
    assert got["region"].to_pylist() == ["eu", "us"]
    assert got["later"].to_pylist() == [None, 7]


def test_an_equals_sign_in_the_homes_own_name_is_no_column(tmp_path):
    parquet(tmp_path / "home=1" / "t.parquet", [T0], x=[1])
    assert pull(tmp_path / "home=1").rows.column_names == ["ts", "x"]


@pytest.mark.parametrize(("limit", "kept"), [(999, 999), (1000, 1000), (1001, 1000)])
def test_a_sample_is_taken_only_above_the_limit_and_says_so(tmp_path, limit, kept):
    ts = [T0 + timedelta(seconds=i) for i in range(1000)]
    parquet(tmp_path / "t.parquet", ts, x=list(range(1000)))
    answer = pull(tmp_path, row_limit=limit)
    assert answer.rows.num_rows == kept
    assert answer.total_rows == (1000 if kept < 1000 else None)
    assert any("a sample of" in note for note in answer.notes) == (kept < 1000)


@pytest.mark.parametrize("form", ["t.parquet", "t.csv"])
def test_a_sample_is_the_same_each_time_fair_and_another_with_another_seed(tmp_path, form):
    ts = [T0 + timedelta(milliseconds=i) for i in range(20_000)]
    values = list(range(20_000))
    parquet(tmp_path / "t.parquet", ts, x=values)
    rows = "\n".join(f"{t.isoformat()},{x}" for t, x in zip(ts, values, strict=True))
    (tmp_path / "t.csv").write_text(f"ts,x\n{rows}\n")
    first = pull(tmp_path, form, row_limit=2000).rows
    assert first.equals(pull(tmp_path, form, row_limit=2000).rows)
    assert first["x"].to_pylist() == sorted(first["x"].to_pylist())
    assert not first.equals(pull(tmp_path, form, row_limit=2000, seed=1).rows)
    # The mean of a fair sample of 2,000 of 0..19,999 has a standard error of 123.
    mean = sum(first["x"].to_pylist()) / 2000
    assert abs(mean - 9999.5) < 5 * 123


@pytest.mark.parametrize("room", [6.0, -1.0, -14.0])
def test_a_sample_is_the_same_however_many_rows_are_put_in_order_to_find_it(
    tmp_path, monkeypatch, room
):
    # Room for too few rows is made up for by ordering all of them.
    parquet(
        tmp_path / "t.parquet",
        [T0 + timedelta(seconds=i % 3600) for i in range(5_000)],
        x=list(range(5_000)),
    )
    usual = pull(tmp_path, row_limit=200).rows
    monkeypatch.setattr("triagebook.sources.duck._ROOM", room)
    assert pull(tmp_path, row_limit=200).rows.equals(usual)
    assert usual.num_rows == 200


def test_a_missing_time_column_names_the_nearest_and_what_is_there(tmp_path):
    pq.write_table(pa.table({"tss": [T0], "x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(SourceDataError, match=r"no column 'ts'.*columns: tss, x\n.*mean 'tss'"):
        pull(tmp_path)
    with pytest.raises(SourceDataError, match="no time column is named"):
        pull(tmp_path, column=None)


def test_columns_that_hold_no_times_are_named(tmp_path):
    parquet(tmp_path / "t.parquet", pa.array([None, None], pa.timestamp("us")), x=[1, 2])
    with pytest.raises(SourceDataError, match="holds no time in any of 2 rows"):
        pull(tmp_path)
    parquet(tmp_path / "t.parquet", pa.nulls(2), x=[1, 2])
    with pytest.raises(SourceDataError, match="holds no time in any of 2 rows"):
        pull(tmp_path)
    parquet(tmp_path / "t.parquet", ["soon", "later"], x=[1, 2])
    with pytest.raises(SourceDataError, match="holds no time in any of 2 rows"):
        pull(tmp_path)
    parquet(tmp_path / "t.parquet", [[1], [2]], x=[1, 2])
    with pytest.raises(SourceDataError, match=r"'ts' of t\.parquet holds BIGINT\[\]"):
        pull(tmp_path)


def test_rows_without_a_time_are_counted(tmp_path):
    parquet(tmp_path / "t.parquet", [T0, None, None], x=[1, 2, 3])
    answer = pull(tmp_path)
    assert answer.rows.num_rows == 1
    assert answer.notes == ["2 rows have no time in 'ts'"]


def test_an_empty_window_says_where_the_rows_lie(tmp_path):
    parquet(tmp_path / "t.parquet", [T1, T1 + MICRO], x=[1, 2])
    answer = pull(tmp_path)
    assert answer.rows.num_rows == 0
    assert answer.rows.column_names == ["ts", "x"]
    assert "t.parquet holds 2 rows from 2013-06-04T15:00:00Z" in answer.notes[0]
    parquet(tmp_path / "t.parquet", pa.array([], pa.timestamp("us")), x=pa.array([], pa.int64()))
    assert pull(tmp_path).notes == ["t.parquet holds no rows"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json"])
def test_a_file_of_no_bytes_is_empty(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert pull(tmp_path, name).notes == [f"{name} is empty"]
    assert pull(tmp_path, name).rows.num_rows == 0


def test_a_half_file_is_an_error_alone_and_a_note_among_others(tmp_path):
    parquet(tmp_path / "d" / "a.parquet", [T0], x=[1])
    whole = (tmp_path / "d" / "a.parquet").read_bytes()
    (tmp_path / "d" / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceDataError, match=r"b\.parquet cannot be read \(\d+ bytes"):
        pull(tmp_path, "d/b.parquet")
    answer = pull(tmp_path, "d")
    assert answer.partial
    assert answer.rows.num_rows == 1
    assert "b.parquet cannot be read" in answer.notes[0]


def test_rotten_pages_under_a_sound_footer_are_named(tmp_path):
    ts = [T0 + MICRO * i for i in range(5000)]
    parquet(tmp_path / "t.parquet", ts, x=list(range(5000)))
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[4:400] = b"\xff" * 396
    (tmp_path / "t.parquet").write_bytes(bytes(data))
    with pytest.raises(SourceDataError, match=r"t\.parquet cannot be read"):
        pull(tmp_path)


def test_other_formats_than_the_name_says_are_named(tmp_path):
    (tmp_path / "t.parquet").write_text("ts,x\n1,2\n")
    (tmp_path / "t.json").write_text("{half")
    (tmp_path / "t.jsonl.gz").write_bytes(b"\x1f\x8bhalf")
    for name in ("t.parquet", "t.json", "t.jsonl.gz"):
        with pytest.raises(SourceDataError, match=f"{name} cannot be read"):
            pull(tmp_path, name)


def test_a_text_late_in_a_column_of_numbers_makes_it_text(tmp_path):
    rows = [f"2013-06-04T14:00:00Z,{i}" for i in range(30_000)]
    (tmp_path / "t.csv").write_text("ts,x\n" + "\n".join(rows) + "\n2013-06-04T14:00:00Z,n/a\n")
    got = pull(tmp_path, "t.csv").rows
    assert got.num_rows == 30_001
    assert got["x"].to_pylist()[-1] == "n/a"


def test_the_last_half_line_of_a_log_being_written_costs_that_line(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"ts": "2013-06-04T14:00:00Z", "x": 1}\n{"ts": "2013-0')
    answer = pull(tmp_path, "t.jsonl")
    assert answer.rows["x"].to_pylist() == [1]
    assert answer.partial
    assert "lines that are no JSON were left out" in answer.notes


def test_a_stopped_query_ends_and_says_that_it_took_too_long(tmp_path):
    parquet(tmp_path / "t.parquet", [T0], x=[1])
    stop = Stop()
    plugin = TABLES.get("files")
    source = plugin(plugin.Settings(path="t.parquet"), tmp_path)
    from triagebook.sources.duck import Files  # noqa: PLC0415 - the only test below the plug-in

    with Files(source.settings, tmp_path, stop) as files:
        import threading  # noqa: PLC0415

        threading.Timer(0.2, stop.stop).start()
        with pytest.raises(SourceTimeoutError, match="longer than its budget"):
            files.read(
                "SELECT sum(a.range * b.range % 7) AS s "
                "FROM range(1000000) a, range(1000000) b WHERE $files IS NOT NULL"
            )
