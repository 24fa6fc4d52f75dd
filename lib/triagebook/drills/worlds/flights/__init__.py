"""World "flights": the flights and the weather of New York 2013 as they were, scored in batches.

Rows, times, delays, holidays and storms are real; the company around them (its names, pipelines,
metrics, logs, changes, and when labels arrive) is simulated. What would need rows that never were,
the causes drift.*, is not planted here. The red herring "date" chooses the window's last day: a real
holiday, a real storm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from triagebook.drills.scenario import WORLDS
from triagebook.drills.tabular.company import draw_company
from triagebook.drills.tabular.deeds import plant_all
from triagebook.drills.tabular.play import causes, generator, kinds, perform
from triagebook.drills.tabular.setting import DAY, draw_setting, lasting, reach_h
from triagebook.drills.tabular.stage import Stage
from triagebook.drills.worlds.flights.rows import flight_columns, flight_material

if TYPE_CHECKING:
    import numpy as np

    from triagebook.drills.scenario import Play, Scenario

_NEEDS_ROWS = frozenset({"loud_drift", "traffic", "holiday", "monthly", "weekly"})
_SUMMER = (pd.Timestamp("2013-03-10T07:00Z"), pd.Timestamp("2013-11-03T06:00Z"))


class Flights:
    """The world; stateless but for the year's rows, read once.

    Parameters
    ----------
    days : int
        Of the reference.
    train : int
        Flights the model is trained on, drawn from those before the reference.
    """

    causes = frozenset(cause for cause in causes() if not cause.startswith("drift."))
    herrings = kinds() - _NEEDS_ROWS

    def __init__(self, days: int = 28, train: int = 9_000) -> None:
        self.days, self.train = days, train

    def play(self, scenario: Scenario, seed: int) -> Play:
        """Play a scenario; see `drills.scenario.World`."""
        return perform(self, scenario, generator("flights", scenario, seed), self.set_up)

    def set_up(self, scenario: Scenario, rng: np.random.Generator) -> Stage:
        """Found a company around the real rows, and plant what the scenario asks for."""
        company = draw_company(rng, ("flight", "delay", "carrier"))
        company = replace(company, columns=flight_columns(rng))
        asked = next((h.target for h in scenario.herring if h.kind == "date"), "")
        day = (
            pd.Timestamp(asked, tz="UTC")
            if asked
            else pd.Timestamp("2013-03-04", tz="UTC") + DAY * int(rng.integers(0, 298))
        )
        end = day + lasting(3600 * rng.uniform(20, 27))
        labelled = any(fault.cause.startswith("model.") for fault in scenario.fault)
        setting = draw_setting(
            rng,
            onset_h=max([reach_h(f) for f in scenario.fault] + [6.0]),
            quick_labels=labelled or scenario.incident_type == "model_performance",
            reference_days=self.days,
            end=end,
        )
        summer = _SUMMER[0] <= setting.now < _SUMMER[1]
        setting = replace(setting, offset=pd.Timedelta(hours=-4 if summer else -5))
        stage = Stage(scenario, setting, company, rng)
        plant_all(stage)
        stage.fill(flight_material(company, setting, rng, self.train))
        return stage


WORLDS.register("flights")(Flights())
