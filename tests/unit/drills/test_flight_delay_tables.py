"""The tables: real data, the fault exactly where it should be, labels cut by arrival."""

import itertools

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from triagebook.drills.worlds.flight_delay.source import data_files, read_flights, read_weather

ONSET = pd.Timestamp("2013-06-04T14:00Z")
NOW = pd.Timestamp("2013-06-04T22:00Z")
FIRST = pd.Timestamp("2013-04-05T22:00Z")
NAMES = ("flights", "weather", "features", "predictions", "labels")
TIME = {"flights": "scheduled_at", "weather": "observed_at", "features": "scheduled_at",
        "predictions": "predicted_at", "labels": "labelled_at"}  # fmt: skip


@pytest.fixture(scope="module")
def year():
    return read_flights()


def table(world, name):
    return pd.read_parquet(world.data / "tables" / f"{name}.parquet")


def test_every_flight_of_the_package_is_read(year):
    flights_zip, weather_csv = data_files()
    assert flights_zip.is_file()
    assert len(year) == 336_776
    assert year["flight_id"].is_unique
    assert int(year["arr_delay_min"].isna().sum()) == 9_430
    assert duckdb.read_csv(str(weather_csv)).shape[0] == len(read_weather()) == 26_115


def test_utc_and_local_time_of_a_flight_agree(year):
    local = year["scheduled_at"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    assert (local == year["scheduled_local"]).all()
    assert np.allclose(year["sched_hour"], local.dt.hour + local.dt.minute / 60)


def test_tables_hold_the_packages_flights_up_to_now_and_no_later(healthy, year):
    expected = year[(year["scheduled_at"] >= FIRST) & (year["scheduled_at"] < NOW)]
    raw = table(healthy, "flights")
    assert list(raw["flight_id"]) == list(expected["flight_id"])
    assert (raw["distance"].to_numpy() == expected["distance"].to_numpy()).all()
    for name in NAMES:
        times = table(healthy, name)[TIME[name]]
        assert times.is_monotonic_increasing
        assert str(times.dtype) == "datetime64[us, UTC]"
        assert times.max() <= NOW


def test_the_fault_is_in_every_row_from_the_onset_on_and_in_no_other(faulty, healthy):
    raw, well = table(faulty, "flights"), table(healthy, "flights")
    ratio = (raw["distance"] / well["distance"]).to_numpy()
    after = (raw["scheduled_at"] >= ONSET).to_numpy()
    assert np.allclose(ratio[after], 1.609344)
    assert (ratio[~after] == 1.0).all()
    assert int(after.sum()) == faulty.truth.rows_bad == 463
    pd.testing.assert_frame_equal(raw.drop(columns="distance"), well.drop(columns="distance"))


def test_a_healthy_world_has_no_row_in_kilometres(healthy):
    raw = table(healthy, "flights")
    per_route = raw.groupby(["origin", "dest"])["distance"].agg(["min", "max"])
    assert ((per_route["max"] - per_route["min"]) < 20).all()  # the package's own small corrections
    assert healthy.truth.rows_bad == 0
    assert healthy.truth.predictions_changed == 0


@pytest.mark.parametrize("kind", ["features", "predictions"])
def test_the_fault_flows_through(faulty, kind):
    raw = table(faulty, "flights").set_index("flight_id")
    down = table(faulty, kind).set_index("flight_id")
    assert (down["distance"] == raw.loc[down.index, "distance"]).all()


def test_served_and_recomputed_features_agree(faulty):
    inputs = ["distance", "sched_hour", "weekday", "carrier", "origin", "temp", "wind_speed",
              "precip", "visib", "pressure", "humid"]  # fmt: skip
    served, offline = table(faulty, "predictions"), table(faulty, "features")
    pd.testing.assert_frame_equal(served[["flight_id", *inputs]], offline[["flight_id", *inputs]])


def test_a_batch_holds_the_next_quarter_of_an_hour(faulty):
    predicted = table(faulty, "predictions").set_index("flight_id")["predicted_at"]
    scheduled = table(faulty, "flights").set_index("flight_id")["scheduled_at"]
    ahead = scheduled - predicted.loc[scheduled.index]
    assert ahead.min() >= pd.Timedelta(0)
    assert ahead.max() < pd.Timedelta(minutes=15)


def test_scores_move_with_the_unit_only_after_the_onset(faulty, healthy):
    bad, well = table(faulty, "predictions"), table(healthy, "predictions")
    after = (bad["predicted_at"] >= ONSET).to_numpy()
    moved = (bad["score"] - well["score"]).abs().to_numpy()
    assert (moved[~after] == 0).all()
    assert moved[after].mean() > 0.01
    changed = int((bad["prediction"] != well["prediction"]).sum())
    assert 0 < changed == faulty.truth.predictions_changed < faulty.truth.predictions_made


def test_decisions_follow_the_threshold(healthy):
    predictions = table(healthy, "predictions")
    above = predictions["score"] > healthy.model["decision_threshold"]
    assert (above == predictions["prediction"]).all()
    assert predictions["score"].between(0, 1).all()


def test_the_model_is_better_than_chance_on_months_it_has_not_seen(healthy):
    assert 0.6 < healthy.model["reference_auc"] < healthy.model["train_auc"]
    predictions = table(healthy, "predictions").set_index("flight_id")
    labels = table(healthy, "labels").set_index("flight_id")
    score = predictions.loc[labels.index, "score"]
    assert score[labels["late"]].mean() > score[~labels["late"]].mean() + 0.05


def test_labels_are_the_packages_delays(healthy, year):
    labels = table(healthy, "labels").set_index("flight_id")
    real = year.set_index("flight_id")["arr_delay_min"].loc[labels.index]
    assert (labels["arr_delay_min"] == real).all()
    assert (labels["late"] == (real > 15)).all()


def test_no_label_has_arrived_that_could_not_have(healthy):
    labels = table(healthy, "labels")
    assert labels["labelled_at"].max() == pd.Timestamp("2013-06-04T06:00Z")
    assert (labels["labelled_at"].dt.strftime("%H:%M:%S") == "06:00:00").all()
    assert (labels["labelled_at"].dt.floor("D") > labels["scheduled_at"].dt.floor("D")).all()
    # Every flight of the 3rd that landed is labelled, none of the 4th is.
    assert labels["scheduled_at"].max() < pd.Timestamp("2013-06-04T00:00Z")
    assert labels["scheduled_at"].max() >= pd.Timestamp("2013-06-03T23:30Z")


def test_a_flight_still_in_the_air_at_the_label_run_waits_a_day(year):
    labelled = year[year["labelled_at"].notna()]
    took = labelled["labelled_at"] - labelled["scheduled_at"]
    assert took.min() > pd.Timedelta(hours=6)
    waited = labelled[took > pd.Timedelta(hours=30)]
    assert 0 < len(waited) < 0.01 * len(labelled)


def test_cancelled_flights_are_predicted_and_never_labelled(healthy, year):
    cancelled = set(year.loc[year["arr_delay_min"].isna(), "flight_id"])
    assert cancelled & set(table(healthy, "predictions")["flight_id"])
    assert not cancelled & set(table(healthy, "labels")["flight_id"])


def test_a_reader_can_skip_what_it_does_not_ask_for(faulty):
    path = faulty.data / "tables" / "predictions.parquet"
    file = pq.ParquetFile(path)
    column = file.schema_arrow.get_field_index("predicted_at")
    groups = [file.metadata.row_group(n).column(column) for n in range(file.num_row_groups)]
    assert len(groups) > 3
    bounds = [(group.statistics.min, group.statistics.max) for group in groups]
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(bounds))
