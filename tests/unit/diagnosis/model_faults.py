"""Faults of model, labels, serving and decisions, each with the cause and the place it must be named at."""

import numpy as np
import pandas as pd

from tests.unit.diagnosis.model_world import sigmoid
from triagebook.core.models import Change, TaskRun


def of_group(world, rows, value):
    return (rows[world.names["group"]] == value).to_numpy()


def of_left(world, value):
    """Rows of a segment by a column that only the raw table has."""
    return (world.raw[world.names["left"]] == value).to_numpy()


def healthy(_world):
    return None


# --- the world ------------------------------------------------------------------------------------


def relation_turned(world):
    def change(w, rows, chance, late):
        x = rows[w.names["amount"]].to_numpy()
        return np.where(late, sigmoid(w.logit(rows) - 0.09 * (x - 50)), chance)

    world.chance.append(change)
    return "model.concept_drift", "segment:*"


def riskier_group(world):
    world.chance.append(
        lambda w, rows, p, late: np.where(late & of_group(w, rows, "c"), np.clip(p + 0.35, 0, 1), p)
    )
    return "model.concept_drift", f"segment:{world.names['group']}=c"


def turned_group(world):
    world.chance.append(lambda w, rows, p, late: np.where(late & of_group(w, rows, "b"), 1 - p, p))
    return "model.concept_drift", f"segment:{world.names['group']}=b"


def safer_place(world):
    world.chance.append(
        lambda w, _rows, p, late: np.where(late & of_left(w, "l2"), np.clip(p - 0.4, 0, 1), p)
    )
    return "model.concept_drift", f"segment:{world.names['left']}=l2"


def odds_up(world):
    world.chance.append(lambda w, rows, p, late: np.where(late, sigmoid(w.logit(rows) + 1.2), p))
    return "drift.label_shift", "table:truth"


def _drawn_anew(world, weight, seed):
    """Draw rows anew within the same hours, by weight."""
    rng = np.random.default_rng((world.seed, seed))
    late = np.flatnonzero(world.late(world.features))
    donors = [
        rng.choice(part, len(part), p=weight[part] / weight[part].sum())
        for part in np.array_split(late, max(len(late) // 60, 1))
    ]
    donors = np.concatenate(donors)
    for name in ("raw", "features", "predictions"):
        table = getattr(world, name)
        for column in table.columns.difference(["key", "at"]):
            values = table[column].to_numpy(copy=True)
            values[late] = table[column].to_numpy()[donors]
            table[column] = values
    return late, donors


def _other_rate(world, weight):
    rng = np.random.default_rng((world.seed, 9))
    chance = sigmoid(world.logit(world.features))
    y = (rng.random(len(chance)) < chance).astype(float)
    late, donors = _drawn_anew(world, np.where(y > 0.5, weight, 1.0), 9)
    drawn = y.copy()
    drawn[late] = y[donors]
    world.labelled.append(lambda _w, labels, _rng: labels.assign(real=drawn))
    return "drift.label_shift", "table:truth"


def more_positives(world):
    return _other_rate(world, 3.0)


def fewer_positives(world):
    return _other_rate(world, 0.3)


def other_crowd(world):
    _drawn_anew(world, np.where(of_group(world, world.raw, "c"), 5.0, 1.0), 4)
    return "drift.population_shift", f"segment:{world.names['group']}=c"


# --- the model ------------------------------------------------------------------------------------


def noise_in_group(world):
    drawn = np.random.default_rng(1).random(len(world.predictions))
    world.scored.append(lambda w, rows, s, late: np.where(late & of_group(w, rows, "c"), drawn, s))
    return "model.segment_regression", f"segment:{world.names['group']}=c"


def low_in_group(world):
    world.scored.append(
        lambda w, rows, s, late: np.where(
            late & of_group(w, rows, "a"), sigmoid(w.logit(rows) - 1.5), s
        )
    )
    return "model.segment_regression", f"segment:{world.names['group']}=a"


def frozen_in_place(world):
    world.scored.append(lambda w, _rows, s, late: np.where(late & of_left(w, "l1"), 0.3, s))
    return "model.segment_regression", f"segment:{world.names['left']}=l1"


def _second_version(world):
    world.predictions["version"] = np.where(world.late(world.predictions), "2", "1")


def flat_version(world):
    _second_version(world)
    world.scored.append(
        lambda w, rows, s, late: np.where(late, sigmoid(0.6 * w.logit(rows) - 0.9), s)
    )
    return "model.bad_version", "model:m/2"


def blind_version(world):
    _second_version(world)

    def change(w, rows, score, late):
        x = rows[w.names["amount"]].to_numpy()
        return np.where(late, sigmoid(w.logit(rows) - 0.05 * (x - 50)), score)

    world.scored.append(change)
    return "model.bad_version", "model:m/2"


def bad_canary(world):
    hit = np.random.default_rng(3).random(len(world.predictions)) < 0.3
    world.predictions["version"] = np.where(world.late(world.predictions) & hit, "2", "1")
    world.scored.append(
        lambda w, rows, s, late: np.where(late & hit, sigmoid(0.3 * w.logit(rows) + 0.8), s)
    )
    return "model.bad_version", "model:m/2"


def version_by_log(world):
    world.predictions = world.predictions.drop(columns="version")
    world.changes.append(
        Change(ts=world.onset, kind="model", what="m", **{"from": "m/1"}, to="m/7")
    )
    world.scored.append(
        lambda w, rows, s, late: np.where(late, sigmoid(0.5 * w.logit(rows) - 0.7), s)
    )
    return "model.bad_version", "model:m/7"


def equal_version(world):
    _second_version(world)
    world.scored.append(
        lambda w, rows, s, late: np.where(late, sigmoid(1.03 * w.logit(rows) + 0.03), s)
    )


def decays(world):
    def change(w, rows, _chance, _late):
        age = ((rows["at"] - rows["at"].min()).dt.total_seconds() / 86_400).to_numpy()
        x = rows[w.names["amount"]].to_numpy()
        return sigmoid(w.logit(rows) - 0.003 * np.maximum(age - 4, 0) * (x - 50) - 0.02 * age)

    world.chance.append(change)
    return "model.stale", "model:m/1"


def _training(world, states, every="7D"):
    first = world.raw["at"].min() + pd.Timedelta("1D")
    for number, state in enumerate(states):
        start = first + number * pd.Timedelta(every)
        end = start + pd.Timedelta("1h")
        world.pipeline.append(
            TaskRun(pipeline="p", task="retrain", state=state, start=start, end=end)
        )


def decays_untrained(world):
    _training(world, ["success", "failed", "failed", "failed"])
    return decays(world)


def decays_unchanged(world):
    # New models came each week before, and none came since: the log alone says so.
    for weeks in (8, 7, 6, 5, 4):
        at = world.raw["at"].max() - pd.Timedelta(days=7 * weeks)
        world.changes.append(Change(ts=at, kind="model", what="m", to=f"m/{9 - weeks}"))
    return decays(world)


def trained_on_time(world):
    _training(world, ["success"] * 4)


# --- labels ---------------------------------------------------------------------------------------


def _labels(world, change, share=1.0):
    """Change a share of the labels that came since the onset."""

    def apply(w, labels, rng):
        labels = labels.copy()
        hit = ((labels["came"] >= w.onset) & (rng.random(len(labels)) < share)).to_numpy()
        return change(labels, hit, rng)

    world.labelled.append(apply)
    return "model.label_fault", "table:truth"


def _real(labels, hit, values):
    labels.loc[hit, "real"] = values
    return labels


def labels_late(world):
    def change(labels, hit, _rng):
        labels.loc[hit, "came"] += pd.Timedelta("20h")
        return labels

    return _labels(world, change)


def labels_missing(world):
    return _labels(world, lambda labels, hit, _rng: labels[~hit], share=0.6)


def labels_flipped(world):
    return _labels(world, lambda t, hit, _r: _real(t, hit, 1 - t.loc[hit, "real"]), share=0.35)


def labels_inverted(world):
    return _labels(world, lambda t, hit, _r: _real(t, hit, 1 - t.loc[hit, "real"]))


def labels_all_zero(world):
    return _labels(world, lambda t, hit, _r: _real(t, hit, 0.0))


def labels_shuffled(world):
    return _labels(world, lambda t, hit, r: _real(t, hit, r.permutation(t.loc[hit, "real"])))


def labels_recoded(world):
    return _labels(world, lambda t, hit, _r: _real(t, hit, t.loc[hit, "real"] + 1))


def labels_contradict(world):
    def change(labels, hit, _rng):
        again = labels[hit].copy()
        again["real"] = 1 - again["real"]
        again["came"] += pd.Timedelta("10min")
        return pd.concat([labels, again])

    return _labels(world, change, share=0.3)


def labels_rescaled(world):
    return _labels(world, lambda t, hit, _r: _real(t, hit, 1.6 * t.loc[hit, "real"]))


def labels_always_late(world):
    world.labels["came"] += pd.Timedelta("18h")


# --- serving and decisions ------------------------------------------------------------------------


def _served(world, role, change, share=1.0):
    name = world.names[role]
    served = world.predictions
    hit = np.random.default_rng(4).random(len(served)) < share
    hit &= world.late(served)
    served.loc[hit, name] = change(served[name])[hit]
    return "model.serving_skew", f"feature:{name}"


def served_scaled(world):
    return _served(world, "amount", lambda s: 1.6 * s)


def served_constant(world):
    return _served(world, "warmth", lambda s: pd.Series(15.0, index=s.index))


def served_old(world):
    return _served(world, "amount", lambda s: s.shift(900), share=0.4)


def served_nothing(world):
    return _served(world, "amount", lambda s: pd.Series(np.nan, index=s.index), share=0.3)


def served_other_group(world):
    return _served(world, "group", lambda s: pd.Series("b", index=s.index), share=0.3)


def served_rounded_always(world):
    world.predictions[world.names["amount"]] = world.predictions[world.names["amount"]].round(1)


def cut_raised(world):
    world.cut = lambda _w, _rows, late: np.where(late, 0.62, 0.5)
    at = world.onset - pd.Timedelta("10min")
    values = {"from": "0.5", "to": "0.62"}
    world.changes.append(Change(ts=at, kind="config", what="svc.decision_threshold", **values))
    world.changes.append(Change(ts=at, kind="deploy", what="banner", to="v7"))
    return "model.threshold_change", "config:svc.decision_threshold"


def cut_lowered(world):
    world.cut = lambda _w, _rows, late: np.where(late, 0.45, 0.5)
    return "model.threshold_change", "config:unknown"


def cut_by_sentence(world):
    world.cut = lambda _w, _rows, late: np.where(late, 0.4, 0.5)
    world.changes.append(
        Change(ts=world.onset, kind="flag", what="set approval_cutoff for all", to="0.4")
    )
    return "model.threshold_change", "config:approval_cutoff"
