"""Plant real movements: of the mix, of a feature, of the base rate, of the season, and harmless ones.

The rows themselves are real: for each row five are drawn and one is kept, more likely the more it is
what the movement brings. What depends on a feature moves with it, labels given features do not. Size 1
moves a number by about its own spread, doubles or triples a segment, adds half to the base rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triagebook.drills.tabular.deeds import plants
from triagebook.drills.tabular.material import Y

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from triagebook.drills.scenario import Fault
    from triagebook.drills.tabular.stage import Stage

_CANDIDATES = 5


def tilt(
    stage: Stage,
    strength: NDArray[np.floating[Any]],
    pull: Callable[[pd.DataFrame], NDArray[np.float64]],
) -> None:
    """Replace rows by like ones, chosen of five with odds exp(strength × pull).

    Parameters
    ----------
    stage : Stage
    strength : ndarray, shape (n,)
        For each row of `main`; rows with 0 stay as they are.
    pull : callable
        Rows to how much each is what the movement brings, unitless.
    """
    company, rng = stage.company, stage.rng
    at = np.flatnonzero(strength > 0)
    if not len(at):
        return
    times = stage.main[company.ts].iloc[np.repeat(at, _CANDIDATES)].reset_index(drop=True)
    rows = stage.material.source.rows(times, rng)
    pulls = pull(rows).reshape(len(at), _CANDIDATES) * strength[at, None]
    chosen = np.argmax(pulls + rng.gumbel(size=pulls.shape), axis=1)
    kept = rows.iloc[np.arange(len(at)) * _CANDIDATES + chosen]
    kept = kept.assign(**{company.key: stage.main[company.key].iloc[at].to_numpy()})
    stage.main = pd.concat([stage.main.drop(index=stage.main.index[at]), kept]).sort_values(
        company.ts, ignore_index=True, kind="stable"
    )


def spread_of(stage: Stage, name: str) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
    """Return what a number's movement pulls towards: its rank among the reference's, as a normal score."""
    known = np.sort(stage.material.train[name].dropna().to_numpy(dtype="float64"))

    def pull(rows: pd.DataFrame) -> NDArray[np.float64]:
        values = rows[name].to_numpy(dtype="float64")
        rank = np.searchsorted(known, values) / len(known)
        return np.where(np.isnan(values), 0.0, (rank - 0.5) * 3.4)

    return pull


@plants("drift.feature_shift")
def feature_shift(stage: Stage, fault: Fault) -> None:
    """Move a number for real."""
    setting = stage.setting
    column = stage.pick(fault, "number")
    sign = float(stage.rng.choice([-1.0, 1.0]))

    def deed() -> None:
        strength = setting.strength(fault, stage.main[stage.company.ts]) * 1.3 * fault.size
        pull = spread_of(stage, column.name)
        tilt(stage, strength, lambda rows: sign * pull(rows))

    stage.on("world", deed)
    stage.answer(fault.cause, f"feature:{column.name}", onset=setting.at(fault.onset_h))
    stage.touched.append(column.name)


@plants("drift.population_shift")
def population_shift(stage: Stage, fault: Fault) -> None:
    """Bring more rows of one value of a category; each value's own rows stay as they are."""
    setting = stage.setting
    column = stage.pick(fault, "category")

    def deed() -> None:
        shares = stage.main[column.name].value_counts(normalize=True).sort_index()
        value = str((shares - 0.12).abs().idxmin())
        strength = setting.strength(fault, stage.main[stage.company.ts]) * 1.7 * fault.size
        tilt(stage, strength, lambda rows: np.where(rows[column.name] == value, 1.0, 0.0))
        stage.answer(fault.cause, f"segment:{column.name}={value}", onset=setting.at(fault.onset_h))

    stage.on("world", deed)
    stage.touched.append(column.name)


@plants("drift.label_shift")
def label_shift(stage: Stage, fault: Fault) -> None:
    """Bring more positive rows; what positive rows look like stays as it is."""
    setting = stage.setting

    def deed() -> None:
        strength = setting.strength(fault, stage.main[stage.company.ts]) * 1.1 * fault.size
        tilt(stage, strength, lambda rows: rows[Y].to_numpy(dtype="float64"))

    stage.on("world", deed)
    table = stage.company.table["labels"]
    stage.answer(fault.cause, f"table:{table}", onset=setting.at(fault.onset_h))


@plants("drift.seasonal")
def seasonal(stage: Stage, fault: Fault) -> None:
    """Move a number on every weekend, in the reference as now: expected."""
    company, setting = stage.company, stage.setting
    column = stage.pick(fault, "number")
    sign = float(stage.rng.choice([-1.0, 1.0]))

    def deed() -> None:
        local = stage.main[company.ts] + setting.offset
        weekend = (local.dt.weekday >= 5).to_numpy(dtype="float64")
        pull = spread_of(stage, column.name)
        tilt(stage, weekend * 1.2 * fault.size, lambda rows: sign * pull(rows))

    stage.on("world", deed)
    stage.answer(fault.cause, f"feature:{column.name}", onset=None)
    stage.touched.append(column.name)


@plants("drift.harmless")
def harmless(stage: Stage, fault: Fault) -> None:
    """Move a column that the model hardly uses ("weak") for real."""
    setting = stage.setting
    column = stage.company.column(fault.target or "weak")

    def deed() -> None:
        strength = setting.strength(fault, stage.main[stage.company.ts]) * 1.4 * fault.size
        tilt(stage, strength, spread_of(stage, column.name))

    stage.on("world", deed)
    stage.answer(fault.cause, f"feature:{column.name}", onset=setting.at(fault.onset_h))
    stage.touched.append(column.name)
