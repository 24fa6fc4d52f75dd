"""The speed benchmark's arithmetic and its made-up tables; how long anything takes is asserted nowhere."""

import subprocess
import sys

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import _speed_part, _speed_rows, speed
from triagebook.evidence.bundle import Bundle


def test_a_replay_is_its_median_over_that_of_describing():
    ours = {"seconds": [2.0, 9.0, 2.5], "peak_bytes": 512_400_000}
    theirs = {"seconds": [0.2, 0.25, 0.9], "peak_bytes": 1}
    assert speed.against_describe(ours, theirs) == {
        "seconds": 2.5,
        "describe_seconds": 0.25,
        "times_describe": 10.0,
        "peak_mb": 512,
    }


def test_a_ratio_above_one_means_that_we_are_faster():
    said = {"every_row": 5.0, "in_a_run": 2.0, "evidently": 100.0, "moved": ["n00"]}
    told = speed.against_evidently(said)
    assert (told["times_faster"], told["times_faster_in_a_run"]) == (20.0, 50.0)


def test_of_a_large_table_the_slower_pull_counts_and_both_windows_are_summed():
    said = {
        "seconds": [4.21, 4.86],
        "rows": [200_000, 200_000],
        "rows_total": [93_000_000, 7_000_000],
        "same_bytes": True,
        "peak_bytes": 277_000_000,
    }
    told = speed.collected(said)
    assert told["seconds"] == 4.9
    assert (told["rows"], told["kept"]) == (100_000_000, 400_000)
    assert (told["peak_mb"], told["same_bytes"]) == (277, True)


def test_the_score_names_each_case_with_its_rows():
    cases = [{"case": "movements", "rows": 1_000, "seconds": 1.0, "moved": []}]
    assert speed.score(cases) == {"movements, 1,000 rows": {"seconds": 1.0}}


@pytest.mark.parametrize("timed", [False, True])
def test_the_made_up_bundle_is_a_bundle(tmp_path, timed):
    folder = _speed_rows.bundle(tmp_path / "b", 500, timed=timed)
    table = Bundle.read(folder).tables["rows"]
    assert table.problems == []
    for side in (table.reference, table.current):
        assert side.shape == (500, 20 + timed)
    if timed:
        assert table.reference["at"].max() < table.current["at"].min()


def test_the_large_file_fills_both_windows_and_is_collected_alike_twice(tmp_path):
    file = tmp_path / "rows.parquet"
    _speed_rows.big_file(file, 3_000)
    said = _speed_part.collect(str(file))
    assert said["rows"] == [2_800, 200]
    assert said["same_bytes"] is True


def test_the_peak_is_of_the_process_alone():
    # A part starts small however much its parent holds.
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    code = "from tests.benchmarks._speed_part import peak_bytes; print(peak_bytes())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=speed.ROOT, capture_output=True, text=True, check=True
    )
    assert 5_000_000 < int(done.stdout) < len(held)


def test_a_benchmark_of_data_needs_a_folder(capsys):
    assert command.main(["nab"]) == 2
    assert "folder" in capsys.readouterr().err
