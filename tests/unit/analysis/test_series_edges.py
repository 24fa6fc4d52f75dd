"""Rates over resets and gaps, quantiles against numpy, templates and thresholds of new errors."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triagebook.analysis.logs import TROUBLES, Template, changed_templates, template_of, trouble_of
from triagebook.analysis.series import Series, to_series

START = pd.Timestamp("2026-03-01T00:00Z")


def scraped(name, values, labels=None, seconds=None):
    at = np.arange(len(values)) * 60.0 if seconds is None else seconds
    return pd.DataFrame(
        {
            "ts": START + pd.to_timedelta(at, unit="s"),
            "name": name,
            "labels": json.dumps(labels or {}, sort_keys=True),
            "value": np.asarray(values, dtype=float),
        }
    )


def rates(frame):
    (series,) = to_series(frame)
    return series.values  # noqa: PD011 - a Series of ours


def test_a_counter_that_starts_again_counts_from_nought():
    values = np.r_[np.arange(30) * 60.0, np.arange(1, 31) * 120.0]
    found = rates(scraped("jobs_total", values))
    assert len(found) == 59
    assert found[:29] == pytest.approx(1)
    # At the reset the new value is the increase, as Prometheus has it.
    assert found[29] == pytest.approx(2)
    assert found[30:] == pytest.approx(2)


@pytest.mark.parametrize(("gap_s", "kept"), [(600, True), (601, False), (3_600, False)])
def test_a_gap_of_more_than_ten_steps_is_left_out(gap_s, kept):
    at = np.r_[np.arange(30) * 60.0, 29 * 60.0 + gap_s + np.arange(30) * 60.0]
    found = rates(scraped("jobs_total", at, seconds=at))
    assert len(found) == 59 - (not kept)
    assert found == pytest.approx(1)


def test_samples_that_are_null_or_came_twice_make_no_rate():
    frame = scraped("jobs_total", np.arange(40) * 60.0)
    frame.loc[5, "value"] = np.nan
    twice = pd.concat([frame, frame.iloc[[10]]])
    found = rates(twice)
    assert np.isfinite(found).all()
    assert found == pytest.approx(1)


@pytest.mark.parametrize(("samples", "there"), [(19, False), (20, True), (21, True)])
def test_twenty_samples_make_a_series(samples, there):
    assert bool(to_series(scraped("queue_depth", np.ones(samples)))) == there


def test_only_so_many_series_come_back_the_longest_first():
    frames = [scraped("g", np.ones(20 + i), {"i": str(i)}) for i in range(5)]
    found = to_series(pd.concat(frames), most=2)
    assert [s.labels["i"] for s in found] == ["4", "3"]
    assert found[0].title == "g{i=4}"


def test_metadata_decides_where_the_name_does_not():
    up = np.arange(40.0) * 60
    meta = {"work": {"type": "counter", "unit": "rows"}}
    (series,) = to_series(scraped("work", up), meta)
    assert (series.unit, series.values[0]) == ("rows/s", pytest.approx(1))  # noqa: PD011 - a Series of ours
    (plain,) = to_series(scraped("work", up))
    assert plain.values.max() == up.max()  # noqa: PD011 - a Series of ours


def test_a_part_of_a_series_ends_before_its_end():
    times = np.arange(10, dtype=np.int64)
    part = Series("g", {}, "other", "", times, times * 1.0).within(2, 5)
    assert part.times.tolist() == [2, 3, 4]


def histogram(seconds, edges, name="took_seconds_bucket"):
    frames = []
    for edge in edges:
        counts = np.cumsum((seconds <= edge).sum(axis=1))
        label = "+Inf" if np.isinf(edge) else str(edge)
        frames.append(scraped(name, counts, {"le": label}))
    return pd.concat(frames)


@pytest.mark.parametrize("spread", ["uniform", "gamma"])
def test_quantiles_of_narrow_buckets_are_numpys_within_a_bucket(spread):
    rng = np.random.default_rng(0)
    size = (30, 2_000)
    seconds = rng.uniform(0, 1, size) if spread == "uniform" else rng.gamma(3, 0.1, size)
    edges = [*np.round(np.arange(0.02, 2.5, 0.02), 2), np.inf]
    found = {s.name: s for s in to_series(histogram(seconds, edges))}
    for share, tag in ((0.5, "p50"), (0.99, "p99")):
        truth = np.quantile(seconds[1:], share, axis=1)
        series = found[f"took_seconds {tag}"]
        assert series.values == pytest.approx(truth, abs=0.02)  # noqa: PD011 - a Series of ours


def test_quantiles_beyond_the_last_edge_are_the_last_edge_and_no_traffic_is_left_out():
    seconds = np.full((40, 10), 9.0)
    frame = histogram(seconds, [0.1, 1.0, np.inf])
    found = {s.name: s for s in to_series(frame)}
    assert set(found["took_seconds p99"].values) == {1.0}
    quiet = frame.assign(value=5.0)
    assert all(len(s.values) == 0 for s in to_series(quiet))
    assert to_series(histogram(seconds, [1.0, np.inf])) == []  # two edges tell nothing


# No deadline: a busy machine is no failure. No database: tests write nothing beside themselves.
quietly = settings(deadline=None, database=None, max_examples=60)


@quietly
@given(st.text(max_size=400))
def test_a_template_is_short_one_line_and_folds_no_further(line):
    once = template_of(line)
    assert len(once) <= 300
    assert len(once.splitlines()) <= 1
    if len(once) < 300:
        assert template_of(once) == once.strip()


@quietly
@given(st.integers(-(10**9), 10**9), st.integers(0, 10**6))
def test_lines_that_differ_in_numbers_alone_have_one_template(whole, hundredths):
    line = f"batch {whole} took {hundredths / 100} s"
    assert template_of(line) == "batch <n> took <n> s"


def test_only_the_first_line_of_a_trace_counts():
    assert template_of("boom 1\n  at line 5") == "boom <n>"
    assert template_of("\n\nboom 1") == "boom <n>"


@pytest.mark.parametrize("cause", [cause for cause, _ in TROUBLES])
def test_each_trouble_can_be_told_from_plain_words(cause):
    pattern = dict(TROUBLES)[cause]
    assert not pattern.search("task finished, 412 rows written, 0 rejected")
    assert trouble_of("") is None


def lines(count, severity="ERROR", message="boom", source="task"):
    at = [START + pd.Timedelta(seconds=i) for i in range(count)]
    return pd.DataFrame({"ts": pd.Series(at, dtype="datetime64[us, UTC]")}).assign(
        severity=severity, source=source, message=message
    )


@pytest.mark.parametrize(("now", "there"), [(29, False), (30, True), (31, True)])
def test_an_error_three_times_as_frequent_is_told(now, there):
    found = changed_templates(lines(100), lines(now), ratio=0.1)
    assert [t.factor for t in found] == ([now / 10] if there else [])


@pytest.mark.parametrize(("now", "there"), [(4, False), (5, True)])
def test_an_error_known_before_needs_five_lines(now, there):
    assert bool(changed_templates(lines(1), lines(now), ratio=0.1)) == there


def test_one_line_of_a_new_error_is_told_and_from_another_source_it_is_new():
    (new,) = changed_templates(lines(0), lines(1, message="boom 7"), ratio=0.1)
    assert isinstance(new, Template)
    assert (new.template, new.reference, new.factor, new.example) == ("boom <n>", 0, 2.0, "boom 7")
    (other,) = changed_templates(lines(100), lines(2, source="pod"), ratio=0.1)
    assert other.source == "pod"


def test_no_lines_or_no_bad_ones_give_nothing():
    assert changed_templates(lines(5), lines(0), ratio=1) == []
    assert changed_templates(lines(0), lines(9, severity="INFO"), ratio=1) == []
    assert changed_templates(lines(0), lines(9, severity=None), ratio=1) == []


def test_errors_come_before_warnings_and_fifty_at_most():
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    new = pd.concat([lines(3, "WARNING", "w w"), *[lines(1, "error", w) for w in words]])
    found = changed_templates(lines(0), new, ratio=1)
    assert len(found) == 50
    assert found[0].severity == "ERROR"
    few = changed_templates(lines(0), new.iloc[:8], ratio=1)
    assert [t.severity for t in few][-1] == "WARNING"
