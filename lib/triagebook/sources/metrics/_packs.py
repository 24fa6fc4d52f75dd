"""Packs: what to ask of a known stack, one TOML file each in `packs/`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from triagebook.core.errors import SettingsError
from triagebook.sources.metrics._promql import duration, selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

FOLDER = Path(__file__).parent / "packs"
_SHARES = {"p50": 0.5, "p99": 0.99}


@dataclass(frozen=True)
class Wanted:
    """One series, or some of one name, that are to be asked for.

    Attributes
    ----------
    name : str
        What it is called in the evidence.
    unit : str
        Such as `s` or `1/s`.
    needs : tuple of str
        Metrics without which it cannot be.
    expression : str
        PromQL, with `$window` for the time a rate is taken over.
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    expression: str

    def over(self, seconds: float) -> str:
        """Return the PromQL for rates over so many seconds."""
        return self.expression.replace("$window", duration(seconds))


class _Entry(BaseModel):
    """What all entries of a pack share.

    `metric` is the name it has now, `once` names it had in earlier releases; the first that is there
    counts. `by` are the labels that are kept.
    """

    model_config = ConfigDict(extra="forbid")

    metric: str
    once: list[str] = Field(default_factory=list)
    by: list[str] = Field(default_factory=list)
    unit: str = ""

    def known_as(self, there: Collection[str], ending: str = "") -> str | None:
        """Return the name it has here, without the ending; None where it is not there."""
        return next((n for n in (self.metric, *self.once) if f"{n}{ending}" in there), None)

    def grouped(self, how: str, inner: str, *more: str) -> str:
        """Return an aggregation that keeps the labels."""
        kept = ", ".join([*more, *self.by])
        return f"{how} by ({kept}) ({inner})"


class Histogram(_Entry):
    """A histogram of durations or sizes: its median and its 99th percentile."""

    def wanted(self, there: Collection[str], match: Sequence[str]) -> Iterable[Wanted]:
        """Yield what to ask."""
        name = self.known_as(there, "_bucket")
        if name is None:
            return
        inner = f"rate({selector(f'{name}_bucket', match)}[$window])"
        for tag, share in _SHARES.items():
            text = f"histogram_quantile({share}, {self.grouped('sum', inner, 'le')})"
            yield Wanted(f"{name} {tag}", self.unit, (f"{name}_bucket",), text)


class Mean(_Entry):
    """Two counters, a sum and how many it is of: the mean between two moments."""

    of: str
    of_once: list[str] = Field(default_factory=list)

    def wanted(self, there: Collection[str], match: Sequence[str]) -> Iterable[Wanted]:
        """Yield what to ask."""
        name = self.known_as(there)
        count = next((n for n in (self.of, *self.of_once) if n in there), None)
        if name is None or count is None:
            return
        top = self.grouped("sum", f"rate({selector(name, match)}[$window])")
        low = self.grouped("sum", f"rate({selector(count, match)}[$window])")
        yield Wanted(f"{name} mean", self.unit, (name, count), f"{top} / {low}")


class Counter(_Entry):
    """A counter: how much it grows in a second."""

    def wanted(self, there: Collection[str], match: Sequence[str]) -> Iterable[Wanted]:
        """Yield what to ask."""
        name = self.known_as(there)
        if name is not None:
            text = self.grouped("sum", f"rate({selector(name, match)}[$window])")
            yield Wanted(name, self.unit or "1/s", (name,), text)


class Gauge(_Entry):
    """A level: the sum, mean, highest or lowest of what is not told apart."""

    how: Literal["sum", "avg", "max", "min"] = "sum"

    def wanted(self, there: Collection[str], match: Sequence[str]) -> Iterable[Wanted]:
        """Yield what to ask."""
        name = self.known_as(there)
        if name is not None:
            text = self.grouped(self.how, selector(name, match))
            yield Wanted(name, self.unit, (name,), text)


class Pack(BaseModel):
    """What to ask of one stack."""

    model_config = ConfigDict(extra="forbid")

    title: str
    source: str = Field(description="where its metrics are documented")
    histogram: list[Histogram] = Field(default_factory=list)
    mean: list[Mean] = Field(default_factory=list)
    counter: list[Counter] = Field(default_factory=list)
    gauge: list[Gauge] = Field(default_factory=list)

    @property
    def entries(self) -> list[Histogram | Mean | Counter | Gauge]:
        """All entries: requests first, for when time runs out."""
        return [*self.counter, *self.histogram, *self.mean, *self.gauge]

    @property
    def metrics(self) -> list[str]:
        """Every metric that any of its questions needs, under all its names."""
        found: dict[str, None] = {}
        for one in self.histogram:
            found.update(dict.fromkeys(f"{n}_bucket" for n in (one.metric, *one.once)))
        for entry in (*self.mean, *self.counter, *self.gauge):
            found.update(dict.fromkeys((entry.metric, *entry.once)))
        for mean in self.mean:
            found.update(dict.fromkeys((mean.of, *mean.of_once)))
        return list(found)

    def wanted(self, there: Collection[str], match: Sequence[str]) -> list[Wanted]:
        """Return what to ask, of the metrics that are there."""
        return [one for entry in self.entries for one in entry.wanted(there, match)]


def names() -> list[str]:
    """Return the names of the packs."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def pack(name: str) -> Pack:
    """Return a pack; SettingsError naming the known ones where there is none."""
    known = names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise SettingsError(
            f"no stack is called {name!r}; known: {', '.join(known)}",
            f"did you mean {near[0]!r}?" if near else "name your metrics under `names`",
        )
    with (FOLDER / f"{name}.toml").open("rb") as file:
        return Pack.model_validate(tomllib.load(file))
