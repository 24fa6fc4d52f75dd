"""World "claims": made-up companies that score rows in batches, with labels that come days later.

A new company for each scenario and seed: every name, unit, shape and format is drawn anew. Sizes of
faults are told where they are planted, in `drills.tabular`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from triagebook.drills.scenario import WORLDS
from triagebook.drills.tabular.company import draw_columns, draw_company
from triagebook.drills.tabular.deeds import plant_all
from triagebook.drills.tabular.material import Material
from triagebook.drills.tabular.play import causes, generator, kinds, perform
from triagebook.drills.tabular.setting import DAY, arrivals, draw_setting, reach_h
from triagebook.drills.tabular.stage import Stage
from triagebook.drills.worlds.claims.source import Simulated

if TYPE_CHECKING:
    import numpy as np

    from triagebook.drills.scenario import Play, Scenario

_NEEDS_LABELS = ("model.", "drift.label_shift")


class Claims:
    """The world; stateless.

    Parameters
    ----------
    days : int
        Of the reference.
    a_day : float or None
        Rows of a mean day; drawn from 260 to 900 where None.
    train : int
        Rows the model is trained on.
    """

    causes = causes()
    herrings = kinds() - {"date"}

    def __init__(self, days: int = 28, a_day: float | None = None, train: int = 6_000) -> None:
        self.days, self.a_day, self.train = days, a_day, train

    def play(self, scenario: Scenario, seed: int) -> Play:
        """Play a scenario; see `drills.scenario.World`."""
        return perform(self, scenario, generator("claims", scenario, seed), self.set_up)

    def set_up(self, scenario: Scenario, rng: np.random.Generator) -> Stage:
        """Found a company, let its rows come, and plant what the scenario asks for."""
        company = draw_company(rng)
        company = replace(company, columns=draw_columns(rng, company))
        labelled = any(fault.cause.startswith(_NEEDS_LABELS) for fault in scenario.fault)
        kinds_ = {herring.kind for herring in scenario.herring}
        seasonal = any(fault.cause == "drift.seasonal" for fault in scenario.fault)
        setting = draw_setting(
            rng,
            onset_h=max(
                [reach_h(f) for f in scenario.fault] + [h.onset_h for h in scenario.herring if h.onset_h <= 72],
                default=6.0,
            ),
            quick_labels=labelled or (scenario.incident_type == "model_performance" and "late_labels" not in kinds_),
            weekday=int(rng.choice([5, 6])) if seasonal else None,
            reference_days=self.days + (7 if "monthly" in kinds_ else 0),
        )  # fmt: skip
        stage = Stage(scenario, setting, company, rng)
        plant_all(stage)
        source = Simulated(company, setting, rng)
        drawn = float(rng.choice([260, 360, 500, 700, 900]))
        a_day = drawn if self.a_day is None else self.a_day
        times = arrivals(setting, a_day, rng, stage.facts.get("busier"))
        past = replace(setting, start=setting.start - 40 * DAY, now=setting.start)
        before = arrivals(past, self.train / 40, rng)
        stage.fill(
            Material(source.rows(before, rng), source.rows(times, rng), source.side(), source)
        )
        return stage


WORLDS.register("claims")(Claims())
