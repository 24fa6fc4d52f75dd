"""The tables as the deployment would hold them at the replay's now: raw, features, predictions, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.drills.worlds.flight_delay.model import INPUTS, LATE_MIN, DelayModel, train
from triagebook.drills.worlds.flight_delay.source import (
    WEATHER_INPUTS,
    read_flights,
    read_weather,
)
from triagebook.drills.worlds.flight_delay.world import (
    BATCH,
    FIRST,
    KM_PER_MILE,
    MODEL_VERSION,
    NOW,
    ONSET,
    REFERENCE,
    REFERENCE_START,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RAW_COLUMNS = (
    "flight_id",
    "scheduled_at",
    "scheduled_local",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "distance",
)


@dataclass(frozen=True)
class Tables:
    """The tables, each sorted by time, and what they cost.

    Parameters
    ----------
    flights, weather : DataFrame
        Raw, after ingest.
    features : DataFrame
        The inputs recomputed from the raw tables.
    predictions : DataFrame
        The inputs as served, score, decision, model version.
    labels : DataFrame
        What had arrived by the replay's now.
    model : DelayModel
        The model that scored them.
    rows_bad, predictions_changed, predictions_made : int
        See `Truth`.
    """

    flights: pd.DataFrame
    weather: pd.DataFrame
    features: pd.DataFrame
    predictions: pd.DataFrame
    labels: pd.DataFrame
    model: DelayModel
    rows_bad: int
    predictions_changed: int
    predictions_made: int

    def named(self) -> dict[str, pd.DataFrame]:
        """Return the tables by their names in triagebook.toml."""
        return {
            "flights": self.flights,
            "weather": self.weather,
            "features": self.features,
            "predictions": self.predictions,
            "labels": self.labels,
        }


def make_tables(fault: Fault, seed: int, progress: Callable[[str], None]) -> Tables:
    """Read the data, train the model, plant the fault, and score every flight up to now."""
    progress("reading 336,776 flights and their weather")
    year, weather = read_flights(), read_weather()
    good = _with_weather(year[year["scheduled_at"] < NOW], weather)

    reference_end = REFERENCE_START + REFERENCE
    before = good[good["scheduled_at"] < REFERENCE_START]
    between = good["scheduled_at"].between(REFERENCE_START, reference_end, inclusive="left")
    progress(f"training the model on {len(before):,} flights")
    model = train(before, good[between], seed)

    good = good[good["scheduled_at"] >= FIRST].reset_index(drop=True)
    progress(f"scoring {len(good):,} flights in batches of 15 minutes")
    rows = good.copy()
    bad = pd.Series(False, index=rows.index)
    if fault == "unit_change":
        bad = rows["scheduled_at"] >= ONSET
        rows["distance"] = rows["distance"].where(~bad, rows["distance"] * KM_PER_MILE)

    without_fault = model.scores(good)
    scores = without_fault.copy()
    if bad.any():
        scores[bad] = model.scores(rows[bad])
    late = scores > model.threshold
    changed = late != (without_fault > model.threshold)
    predictions = pd.DataFrame(
        {
            "flight_id": rows["flight_id"],
            "predicted_at": rows["scheduled_at"].dt.floor(BATCH),
            **{name: rows[name] for name in INPUTS},
            "score": scores,
            "prediction": late,
            "model_version": MODEL_VERSION,
        }
    )
    labels = rows.loc[
        rows["labelled_at"] <= NOW, ["flight_id", "scheduled_at", "labelled_at", "arr_delay_min"]
    ]
    labels = labels.assign(late=labels["arr_delay_min"] > LATE_MIN)
    in_time = weather["observed_at"].between(FIRST, NOW, inclusive="left")
    return Tables(
        flights=rows[list(RAW_COLUMNS)],
        weather=weather[in_time].reset_index(drop=True),
        features=rows[["flight_id", "scheduled_at", *INPUTS]],
        predictions=predictions,
        labels=labels.sort_values(["labelled_at", "flight_id"], ignore_index=True),
        model=model,
        rows_bad=int(bad.sum()),
        predictions_changed=int(changed.sum()),
        predictions_made=int((rows["scheduled_at"] >= ONSET).sum()),
    )


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    hourly = weather[["observed_at", "origin", *WEATHER_INPUTS]]
    joined = flights.merge(
        hourly,
        how="left",
        left_on=["time_hour", "origin"],
        right_on=["observed_at", "origin"],
        validate="many_to_one",
    )
    return joined.drop(columns="observed_at")
