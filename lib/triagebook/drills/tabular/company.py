"""Who it is: the company's names of tables, columns, tasks, hosts and dependencies, drawn by seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from triagebook.drills.tabular import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

Kind = Literal["number", "category"]
TABLES = ("main", "side", "features", "predictions", "labels")
"""Our own words for the tables; `tables:WORD` in a scenario's `missing`."""


@dataclass(frozen=True)
class Column:
    """A column of a raw table.

    Attributes
    ----------
    slot : str
        The world's own word for it: what a fault's target says.
    name : str
        As the tables have it.
    kind : "number" or "category"
    unit : str
        "" where it has none.
    convert : tuple of (scale, shift)
        Conversions that people mistake it for; empty where none is natural.
    filler : float or str
        The sentinel that a careless default puts in.
    used : bool
        Whether the model reads it.
    """

    slot: str
    name: str
    kind: Kind
    unit: str = ""
    convert: tuple[tuple[float, float], ...] = ()
    filler: float | str = -1.0
    used: bool = True


@dataclass(frozen=True)
class Company:
    """All names; `task`, `table`, `host`, `dependency` are by our own word for each."""

    service: str
    model: str
    noun: str
    quality: str
    side_noun: str
    code: str
    table: Mapping[str, str]
    key: str
    side_key: str
    ts: str
    local: str
    loaded: str
    predicted: str
    score: str
    decision: str
    version: str
    label: str
    labelled: str
    side_number: str
    side_category: str
    hour: str
    task: Mapping[str, str]
    pipeline: Mapping[str, str]
    hosts: Sequence[str]
    host_of: Mapping[str, str]
    dependency: Mapping[str, str]
    threshold_key: str
    config_key: str
    teams: Sequence[str]
    neighbour: str
    log_style: str
    metric_style: str
    columns: Sequence[Column] = field(default=())

    def column(self, slot: str) -> Column:
        """Return a column by our word for it."""
        return next(column for column in self.columns if column.slot == slot)


def draw_company(rng: np.random.Generator, about: tuple[str, str, str] | None = None) -> Company:
    """Draw a company without its columns, which the world adds.

    Parameters
    ----------
    rng : Generator
    about : (str, str, str) or None
        What a row is, what is predicted of it, and whose table it is joined with; None draws them.
    """
    drawn = _one(rng, words.NOUNS), _one(rng, words.QUALITIES), _one(rng, words.SIDES)
    noun, quality, side = drawn if about is None else about
    code = _one(rng, words.CODENAMES)
    fill = {"n": noun, "q": quality.replace("-", "_"), "s": side, "c": code}

    def name(choices: Sequence[str]) -> str:
        return _one(rng, choices).format(**fill, d=int(rng.integers(1, 9)))

    cased = _case(rng)
    verbs = {key: _one(rng, choices) for key, choices in words.VERBS.items()}
    style = int(rng.integers(0, 3))
    tasks = {
        key: (verb, f"{verb}_{noun}s", f"{noun}-{verb.replace('_', '-')}")[style]
        for key, verb in verbs.items()
    }
    hosts = tuple(
        f"{code}-{_one(rng, ('worker', 'node', 'batch', 'etl', 'exec'))}-{int(rng.integers(1, 90)):02d}"
        for _ in range(3)
    )
    hosts = (
        tuple(dict.fromkeys(hosts))
        if len(set(hosts)) == 3
        else (f"{code}-a", f"{code}-b", f"{code}-c")
    )
    host_of = {tasks[key]: hosts[at % 3] for at, key in enumerate(tasks) if key != "export"}
    pipelines = {
        "main": name(("{n}_hourly", "{c}", "{n}-scoring", "{q}-batch", "{n}_pipeline")),
        "labels": name(("{n}_outcomes_job", "{c}_labels", "label-{n}", "{n}-feedback")),
        "train": name(("{q}-training", "{c}_train", "retrain_{n}", "{n}-model-build")),
        "upstream": name(("{s}_erp", "core-{s}", "{n}_desk", "{c}-upstream")),
    }
    key, side_key = cased(name(words.KEY)), cased(name(words.SIDE_KEY))
    if key == side_key:
        side_key = cased(f"{side}_fk")
    label, decision = name(words.LABEL), name(words.DECISION)
    teams = [str(team) for team in rng.choice(words.TEAMS, 4, replace=False)]
    return Company(
        service=name(("{c}-{q}", "{n}-{q}", "{q}-model", "{c}-scoring", "{n}-{q}-batch")).replace(
            "_", "-"
        ),
        model=name(("{n}_{q}", "{c}-model", "{q}-clf", "{n}-{q}-gbm")),
        noun=noun,
        quality=quality,
        side_noun=side,
        code=code,
        table=_tables(rng, fill),
        key=key,
        side_key=side_key,
        ts=cased(name(words.TIME)),
        local=cased(name(words.LOCAL_TIME)),
        loaded=cased(name(words.LOADED)),
        predicted=cased(name(words.PREDICTED)),
        score=cased(name(words.SCORE)),
        decision=cased(decision),
        version=cased(name(words.VERSION)),
        label=cased(label if label != decision else f"true_{label}"),
        labelled=cased(name(words.LABELLED)),
        side_number=cased(f"{side}_{_one(rng, words.SIDE_NUMBER)}"),
        side_category=cased(name(words.SIDE_CATEGORY)),
        hour=cased(_one(rng, ("hour", "local_hour", "hour_of_day", "hr"))),
        task=tasks,
        pipeline=pipelines,
        hosts=hosts,
        host_of=host_of,
        dependency={key: name(choices) for key, choices in words.DEPENDENCIES.items()},
        threshold_key=name(words.THRESHOLD_KEY),
        config_key=_one(rng, words.CONFIG_KEY).format(**fill, task=tasks["build"]),
        teams=teams,
        neighbour=name(("{c}-portal", "{n}-web", "{s}-desk", "{c}-mobile-api", "{n}-search")),
        log_style=_one(rng, ("python", "spark", "airflow", "kubernetes", "json")),
        metric_style=_one(rng, ("prometheus", "opentelemetry", "statsd")),
    )


def draw_columns(rng: np.random.Generator, company: Company) -> tuple[Column, ...]:
    """Draw the columns of the main table: numbers with units, categories, one hardly used, one unused."""
    cased = _case(rng)
    taken = {company.key, company.side_key, company.ts, company.local}
    prefix = _one(rng, ("", "", f"{company.noun}_", "f_", "raw_", "x_"))

    def name(choices: Sequence[str]) -> str:
        word = _one(rng, choices)
        for candidate in (f"{prefix}{word}", f"{word}_{company.code}", f"{word}_2"):
            if cased(candidate) not in taken:
                taken.add(cased(candidate))
                return cased(candidate)
        return word

    found = []
    for slot, choices in words.NUMBERS.items():
        unit, convert = _unit(rng, slot)
        fillers = {"temperature": (-999.0, 0.0), "ratio": (0.0, -1.0), "weak": (0.0,)}
        filler = float(rng.choice(fillers.get(slot, (0.0, -1.0, 9999.0))))
        found.append(Column(slot, name(choices), "number", unit, convert, filler, slot != "unused"))
    for slot, choices in words.CATEGORIES.items():
        filler_word = _one(rng, ("unknown", "n/a", "other", "-", "UNDEFINED"))
        found.append(Column(slot, name(choices), "category", "", (), filler_word))
    return tuple(found)


def _unit(rng: np.random.Generator, slot: str) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Draw a unit, and the conversions that a careless producer makes of it."""
    choices: dict[str, tuple[tuple[str, tuple[tuple[float, float], ...]], ...]] = {
        "amount": (("EUR", ((100.0, 0.0),)), ("USD", ((0.01, 0.0), (100.0, 0.0)))),
        "distance": (
            ("miles", ((1.609344, 0.0),)),
            ("km", ((0.621371, 0.0), (1000.0, 0.0))),
        ),
        "duration": (("s", ((1000.0, 0.0), (1 / 60, 0.0))), ("minutes", ((60.0, 0.0),))),
        "temperature": (("°C", ((1.8, 32.0), (1.0, 273.15))), ("°F", ((5 / 9, -160 / 9),))),
        "weight": (("kg", ((2.20462, 0.0), (1000.0, 0.0))), ("lb", ((0.453592, 0.0),))),
        "ratio": (("share", ((100.0, 0.0),)),),
        "tenure": (("days", ((24.0, 0.0), (1 / 7, 0.0))),),
    }
    options = choices.get(slot)
    return options[int(rng.integers(len(options)))] if options else ("", ())


def _tables(rng: np.random.Generator, fill: Mapping[str, str]) -> dict[str, str]:
    forms = {
        "main": words.RAW_TABLE,
        "side": words.SIDE_TABLE,
        "features": words.FEATURE_TABLE,
        "predictions": words.PREDICTION_TABLE,
        "labels": words.LABEL_TABLE,
    }
    return {
        key: _one(rng, choices).format(**fill, d=int(rng.integers(1, 9)))
        for key, choices in forms.items()
    }


def _case(rng: np.random.Generator) -> Callable[[str], str]:
    """Return how this company writes a column: snake_case, camelCase or UPPER."""
    style = _one(rng, ("snake", "snake", "snake", "camel", "upper"))

    def write(word: str) -> str:
        if style == "upper":
            return word.upper()
        if style == "camel":
            head, *rest = word.split("_")
            return head + "".join(part.title() for part in rest)
        return word

    return write


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
