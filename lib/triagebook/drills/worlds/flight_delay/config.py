"""Write the home's triagebook.toml, with comments for its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.times import iso
from triagebook.drills.worlds.flight_delay.world import (
    LABEL_PIPELINE,
    MODEL_VERSION,
    NOTES,
    NOW,
    PIPELINE,
    SERVICE,
    TELEMETRY_DAYS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOKEN_FILE = "state/intake-token"  # noqa: S105 - where the token lies, not the token

_RAW_FLIGHTS = {
    "flight_id": "string",
    "scheduled_at": "timestamp[us, tz=UTC]",
    "scheduled_local": "timestamp[us]",
    "carrier": "string",
    "flight": "int64",
    "tailnum": "string",
    "origin": "string",
    "dest": "string",
    "distance": "double",
}
_RAW_WEATHER = {
    "observed_at": "timestamp[us, tz=UTC]",
    "origin": "string",
    "temp": "double",
    "dewp": "double",
    "humid": "double",
    "wind_dir": "double",
    "wind_speed": "double",
    "wind_gust": "double",
    "precip": "double",
    "pressure": "double",
    "visib": "double",
}
_WEATHER_UNITS = {
    "temp": "°F",
    "wind_speed": "mph",
    "precip": "inches",
    "visib": "miles",
    "pressure": "mbar",
    "humid": "%",
}
_INPUT_UNITS = {"distance": "miles", "sched_hour": "hour of the day, New York", **_WEATHER_UNITS}


def toml(importance: Mapping[str, float]) -> str:
    """Return the text of triagebook.toml.

    Parameters
    ----------
    importance : mapping
        Share of each model input, sums to 1, in the order of the inputs.
    """
    # Four digits, so that the file reads well; the last input takes what rounding left over.
    shares = {name: round(share, 4) for name, share in importance.items()}
    biggest = max(shares, key=lambda name: shares[name])
    shares[biggest] = round(shares[biggest] + 1.0 - sum(shares.values()), 4)
    inputs = _list(importance)
    notes = "\n".join(f"#   - {note}" for note in NOTES)
    return f"""\
# The demo service: a model that says which flights from New York will arrive late.
# Real days of 2013 are replayed; the replay stands at {iso(NOW)}.
#
# What is real and what is simulated:
{notes}

# How long collecting evidence may take in all.
budget = "10s"

# The bearer token that Alertmanager has to send; written when this folder was made.
[intake.alertmanager]
token = {{ file = "{TOKEN_FILE}" }}

# Alert labels to incident type and service. The first route that matches wins.
[[route]]
match = {{ service = "{SERVICE}", incident_type = "drift" }}
service = "{SERVICE}"
incident_type = "drift"

[[route]]
match = {{ service = "{SERVICE}" }}
service = "{SERVICE}"

[[service]]
name = "{SERVICE}"
kind = "model"
description = "Predicts which flights from New York arrive more than 15 minutes late."
criticality = "high"
owners = ["flight-ml"]
escalation = ["flight-ml on call", "data-eng on call", "head of operations"]
model = {{ name = "{SERVICE}", version = "{MODEL_VERSION}", task = "classification" }}
tasks = ["{PIPELINE}.ingest", "{PIPELINE}.build_features", "{PIPELINE}.score", "{LABEL_PIPELINE}.label_join"]
dependencies = ["schedule-feed", "weather-feed", "arrivals-feed"]
hosts = {{ ingest = "etl-1", build_features = "etl-1", score = "etl-2", label_join = "etl-1", web = "web-1" }}
# The current window ends at `replayed_to`; the reference is the eight weeks before it.
window = "48h"
reference = "56d"
replayed_to = {iso(NOW)}

[[service.schedules]]
pipeline = "{PIPELINE}"
task = "score"
every = "15m"
produces = ["flights", "features", "predictions"]

[[service.schedules]]
pipeline = "{LABEL_PIPELINE}"
task = "label_join"
every = "24h"
produces = "labels"

# How much the model leans on each input: permutation importance by AUC, as shares.
[service.importance]
{_pairs(shares)}

# Metrics, logs and task runs are kept for {TELEMETRY_DAYS} days, as Prometheus does by default.
# Types and units are in data/metrics.json.
[[service.metrics]]
source = "files"
path = "data/metrics.parquet"

[[service.logs]]
source = "files"
path = "data/logs.jsonl"

[[service.changes]]
source = "files"
path = "data/changes.jsonl"

[[service.pipeline]]
source = "files"
path = "data/tasks.jsonl"

# The schedule feed after ingest: one row a flight, in the batch of its scheduled departure.
[service.tables.flights]
source = "files"
path = "data/tables/flights.parquet"
role = "raw"
time_column = "scheduled_at"
local_time_column = "scheduled_local"
key_columns = ["flight_id"]
freshness_s = "30m"

[service.tables.flights.unit]
distance = "miles"

[service.tables.flights.expected_schema]
{_pairs(_RAW_FLIGHTS)}

# Hourly weather at the three airports.
[service.tables.weather]
source = "files"
path = "data/tables/weather.parquet"
role = "raw"
time_column = "observed_at"
key_columns = ["origin", "observed_at"]
freshness_s = "2h"

[service.tables.weather.unit]
{_pairs({**_WEATHER_UNITS, "dewp": "°F", "wind_gust": "mph", "wind_dir": "degrees"})}

[service.tables.weather.expected_schema]
{_pairs(_RAW_WEATHER)}

# The model's inputs, recomputed offline from the raw tables.
[service.tables.features]
source = "files"
path = "data/tables/features.parquet"
role = "features"
time_column = "scheduled_at"
key_columns = ["flight_id"]
feature_columns = {inputs}
freshness_s = "30m"

[service.tables.features.unit]
{_pairs(_INPUT_UNITS)}

# The inputs as served, with the model's answer.
[service.tables.predictions]
source = "files"
path = "data/tables/predictions.parquet"
role = "predictions"
time_column = "predicted_at"
key_columns = ["flight_id"]
prediction = "prediction"
score = "score"
model_version = "model_version"
feature_columns = {inputs}
freshness_s = "30m"

[service.tables.predictions.importance]
{_pairs(shares)}

[service.tables.predictions.unit]
{_pairs({**_INPUT_UNITS, "score": "share"})}

# What really happened. Labels come a day later, so they are cut by the time they arrived.
[service.tables.labels]
source = "files"
path = "data/tables/labels.parquet"
role = "labels"
time_column = "scheduled_at"
label_time_column = "labelled_at"
key_columns = ["flight_id"]
label = "late"
freshness_s = "26h"

[service.tables.labels.unit]
arr_delay_min = "minutes"

{_topology()}"""


def _pairs(values: Mapping[str, float | str]) -> str:
    return "\n".join(
        f"{name} = {value}" if isinstance(value, float) else f'{name} = "{value}"'
        for name, value in values.items()
    )


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _topology() -> str:
    edges = (
        ("schedule-feed", "ingest", "feeds"),
        ("weather-feed", "ingest", "feeds"),
        ("ingest", "build_features", "feeds"),
        ("build_features", "score", "feeds"),
        ("scorer", "score", "serves"),
        ("score", "web", "feeds"),
        ("web", "scorer", "calls"),
        ("score", "label_join", "feeds"),
        ("arrivals-feed", "label_join", "feeds"),
    )
    head = "# What feeds, calls and serves what.\n"
    return head + "\n".join(
        f'[[service.topology]]\nfrom = "{start}"\nto = "{end}"\nkind = "{kind}"\n'
        for start, end, kind in edges
    )
