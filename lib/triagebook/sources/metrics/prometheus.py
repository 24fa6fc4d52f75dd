"""Metrics from Prometheus' API, which VictoriaMetrics, Thanos and Mimir answer too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from triagebook.core.errors import SourceDataError, SourceError, TriagebookError
from triagebook.core.times import iso
from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.frames import as_metrics
from triagebook.sources.http import HttpSettings
from triagebook.sources.metrics import METRICS
from triagebook.sources.metrics._packs import Wanted, names, pack
from triagebook.sources.metrics._promql import at, duration, matchers, selector, step_of
from triagebook.sources.metrics._samples import Samples
from triagebook.sources.metrics._thinning import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from triagebook.sources.server import Server

MOST_POINTS = 11_000
"""Prometheus refuses a question that would give more points a series."""
SPARE_S = 0.3
"""Seconds kept of the time, to hand over what came until then."""
RATE_SCRAPES = 4
"""A rate is taken over at least so many scrapes, as Grafana does: one may be missing."""
UNKNOWN_SCRAPE_S = 60.0
_LONGEST_ADDRESS = 1_800  # characters of a question in an address; proxies refuse 8,000
_AT_ONCE = 4
_REFUSES_ONE = frozenset({400, 422})
"""What Prometheus answers to a question it does not take; others may be fine."""

T = TypeVar("T")


class PrometheusSettings(HttpSettings):
    """What to ask of a Prometheus: stacks that are known, metrics by name, or PromQL of your own."""

    stacks: list[str] = Field(default_factory=list, description="what runs there, by its packs")
    names: list[str] = Field(default_factory=list, description="further metrics, as scraped")
    queries: dict[str, str] = Field(
        default_factory=dict, description="name to PromQL; `$match` and `$window` are filled in"
    )
    match: dict[str, str] = Field(
        default_factory=dict, description="label to value, or `~` and a pattern"
    )
    narrow: dict[str, str] = Field(
        default_factory=dict, description="label to the alert's label whose value it must have"
    )
    scrape_interval: float | None = Field(
        default=None, gt=0, description="seconds; asked for where it is not named"
    )
    points: int = Field(
        default=1_000, ge=50, le=MOST_POINTS, description="samples of a series in each window"
    )
    series_limit: int = Field(
        default=200, ge=1, description="of one question; above it, those of the highest values"
    )
    row_limit: int = Field(
        default=1_000_000, ge=1, description="above it, each series is thinned evenly"
    )

    @field_validator("stacks")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in names():
                message = f"no stack is called {name!r}; known: {', '.join(names())}"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _something(self) -> PrometheusSettings:
        if not self.stacks and not self.names and not self.queries:
            message = f"name what to ask: stacks ({', '.join(names())}), names or queries"
            raise ValueError(message)
        try:
            made = matchers(self.match, dict.fromkeys(self.narrow, ""))
            for name in self.names:
                selector(name, made)
        except TriagebookError as error:
            message = f"{error.message} ({error.hint})"
            raise ValueError(message) from error
        return self


@dataclass(frozen=True)
class _Range:
    """One stretch of time, the step it is asked at, and what rates are taken over; seconds."""

    start: datetime
    end: datetime
    step_s: int
    over_s: float

    @classmethod
    def of(cls, start: datetime, end: datetime, points: int, scrape_s: float) -> _Range:
        step = step_of(end - start, points, scrape_s)
        # On whole steps: asked again it is the same question, which caches in front of it know.
        first = -(-start.timestamp() // step) * step
        return cls(
            datetime.fromtimestamp(first, UTC), end, step, max(step, RATE_SCRAPES * scrape_s)
        )

    @property
    def parameters(self) -> dict[str, str]:
        return {"start": at(self.start), "end": at(self.end), "step": str(self.step_s)}

    def __str__(self) -> str:
        return (
            f"{iso(self.start)} to {iso(self.end)}, step {duration(self.step_s)}, "
            f"rates over {duration(self.over_s)}"
        )


@dataclass
class _Got:
    """What came of one question, and what to say of it."""

    samples: Samples = field(default_factory=Samples)
    notes: list[str] = field(default_factory=list)
    error: SourceError | None = None


@METRICS.register("prometheus")
class Prometheus(Source):
    """Metrics from Prometheus' API."""

    Settings = PrometheusSettings
    settings: PrometheusSettings

    def pull(self, question: Question) -> Answer:
        """Return the series of both windows: rates of counters, quantiles of histograms, levels."""
        with self._server(question) as server:
            match = self._match(question)
            there = self._there(server, question.window, match)
            wanted = list(self._wanted(there, match))
            scrape_s = self._scrape_s(server, question, match, there)
            ranges = self._ranges(question, scrape_s)
            got = self._ask(server, wanted, ranges)
            kinds = self._kinds(server, there)
            return self._answer(wanted, got, ranges, kinds, server.notes)

    def glance(self, question: Question) -> Glance:
        """Tell how many of the metrics asked for are there; the alert's labels are not known."""
        with self._server(question) as server:
            every = self._metrics()
            there = self._there(server, question.window, matchers(self.settings.match))
            if not every:
                _data(server.get("/api/v1/query", {"query": "vector(1)"}), dict)
                return Glance(says="answers")
        if not there:
            raise SourceDataError(
                f"none of the {len(every)} metrics asked for has a sample from "
                f"{iso(question.window[0])} to {iso(question.window[1])}",
                "look at `stacks` and `match`: what do they select in Prometheus?",
            )
        return Glance(says=f"{len(there)} of {len(every)} metrics asked for are there")

    def _server(self, question: Question) -> Server:
        from triagebook.sources.server import Server  # noqa: PLC0415 - httpx takes 0.2 s

        within_s = max(question.within_s - SPARE_S, question.within_s / 2)
        return Server(self.settings, self.root, replace(question, within_s=within_s), "Prometheus")

    # --- what to ask -----------------------------------------------------------------------------

    def _match(self, question: Question) -> list[str]:
        own = self.settings
        narrowed = {
            label: question.labels[of]
            for label, of in own.narrow.items()
            if question.labels.get(of)
        }
        return matchers(own.match, narrowed)

    def _metrics(self) -> list[str]:
        """Return every metric that some question by name needs."""
        found = [name for stack in self.settings.stacks for name in pack(stack).metrics]
        return list(dict.fromkeys([*found, *self.settings.names]))

    def _there(
        self, server: Server, window: tuple[datetime, datetime], match: list[str]
    ) -> set[str]:
        """Return which of them have samples in the window: an index is asked, no sample is read."""
        found: set[str] = set()
        span = {"start": at(window[0]), "end": at(window[1])}
        for some in _batches(self._metrics(), _LONGEST_ADDRESS):
            # Names of metrics hold nothing that a pattern would read as more than itself.
            matched = ",".join([f'__name__=~"{"|".join(some)}"', *match])
            address = "/api/v1/label/__name__/values"
            listed = _data(server.get(address, {"match[]": f"{{{matched}}}", **span}), list)
            found.update(str(name) for name in listed)
        return found & set(self._metrics())

    def _wanted(self, there: set[str], match: Sequence[str]) -> Iterator[Wanted]:
        own = self.settings
        for stack in own.stacks:
            yield from pack(stack).wanted(there, match)
        for name in own.names:
            if name in there:
                yield Wanted(name, "", (name,), selector(name, match))
        for name, text in own.queries.items():
            yield Wanted(name, "", (), text.replace("$match", ",".join(match)))

    def _scrape_s(
        self, server: Server, question: Question, match: Sequence[str], there: set[str]
    ) -> float:
        """Return how often samples come, in seconds: as configured, or as counted in ten minutes."""
        if self.settings.scrape_interval is not None:
            return self.settings.scrape_interval
        some = next(_batches(sorted(there), _LONGEST_ADDRESS), [])
        if some:
            matched = ",".join([f'__name__=~"{"|".join(some)}"', *match])
            text = f"quantile(0.5, count_over_time({{{matched}}}[10m]))"
            for moment in (question.window[1], question.since or question.window[0]):
                answer = _data(
                    server.get("/api/v1/query", {"query": text, "time": at(moment)}), dict
                )
                for one in answer.get("result", []):
                    count = float(one["value"][1])
                    if count > 0:
                        return 600.0 / count
        return UNKNOWN_SCRAPE_S

    def _ranges(self, question: Question, scrape_s: float) -> list[_Range]:
        """Cut the window where the current one begins: each part gets as many points."""
        start, end = question.window
        marks = [start, end]
        if question.since is not None and start < question.since < end:
            marks.insert(1, question.since)
        return [
            _Range.of(one, other, self.settings.points, scrape_s) for one, other in pairwise(marks)
        ]

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, server: Server, wanted: list[Wanted], ranges: list[_Range]) -> list[_Got]:
        """Ask all, some at once; what fails for one question is that one's, a dead server ends it."""
        dead: list[SourceError] = []

        def one(this: Wanted) -> _Got:
            got = _Got()
            try:
                for stretch in reversed(ranges):  # what is going on now, first
                    if dead:
                        got.error = dead[0]
                        return got
                    self._one(server, this, stretch, got)
            except SourceError as error:
                got.error = error
                if error.details.get("status") not in _REFUSES_ONE:
                    dead.append(error)
            return got

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="prometheus") as pool:
            return list(pool.map(one, wanted))

    def _one(self, server: Server, this: Wanted, stretch: _Range, got: _Got) -> None:
        asked = {"query": this.over(stretch.over_s), **stretch.parameters}
        address = "/api/v1/query_range"
        if len(asked["query"]) > _LONGEST_ADDRESS:
            answer = server.post(address, form=asked)
        else:
            answer = server.get(address, asked)
        for warning in answer.get("warnings") or [] if isinstance(answer, dict) else []:
            got.notes.append(f"{this.name}: {str(warning)[:200]}")
        end = stretch.end.timestamp()
        for one in _data(answer, dict).get("result", []):
            if "values" not in one:
                got.notes.append(f"{this.name}: a native histogram, which is not read")
                continue
            try:
                times = np.array([float(sample[0]) for sample in one["values"]])
                values = np.array([float(sample[1]) for sample in one["values"]])
                labels = {k: v for k, v in one["metric"].items() if k != "__name__"}
            except (TypeError, ValueError, LookupError, AttributeError) as error:
                raise SourceDataError(
                    f"Prometheus' answer for {this.name} is not understood: {error}",
                    "is `url` the address of a Prometheus?",
                ) from error
            if len(times) and not (
                stretch.start.timestamp() - stretch.step_s <= times.min()
                and times.max() <= end + stretch.step_s
            ):
                raise SourceDataError(
                    f"Prometheus gave samples of {_moment(times.min())} to {_moment(times.max())}, "
                    f"which lie outside of what it was asked for ({stretch})",
                    "look at what stands in between, and at its clock",
                )
            inside = times < end
            got.samples.add(labels, times[inside], values[inside])

    def _kinds(self, server: Server, there: set[str]) -> dict[str, dict[str, Any]]:
        """Return types of the metrics that are given as scraped, where Prometheus knows them."""
        known: dict[str, dict[str, Any]] = {}
        for name in self.settings.names:
            if name not in there:
                continue
            try:
                found = _data(server.get("/api/v1/metadata", {"metric": name}), dict).get(name)
            except SourceError:
                return known  # VictoriaMetrics has none, and names tell it mostly
            if found and found[0].get("type") in {"counter", "gauge", "histogram"}:
                unit = found[0].get("unit")
                known[name] = {"type": found[0]["type"]} | ({"unit": unit} if unit else {})
        return known

    # --- the answer ------------------------------------------------------------------------------

    def _answer(
        self,
        wanted: list[Wanted],
        got: list[_Got],
        ranges: list[_Range],
        kinds: dict[str, dict[str, Any]],
        said: list[str],
    ) -> Answer:
        errors = [(this, one.error) for this, one in zip(wanted, got, strict=True) if one.error]
        if errors and len(errors) == len(wanted) and not any(one.samples for one in got):
            raise errors[0][1]
        notes = [*said, *(note for one in got for note in one.notes)]
        frames, meta = [], dict(kinds)
        partial = bool(errors) or any(one.notes for one in got)
        for this, one in zip(wanted, got, strict=True):
            cut = one.samples.keep_highest(self.settings.series_limit)
            if cut is not None:
                partial = True
                notes.append(f"{this.name}: {cut}")
            frames.append(one.samples.frame(this.name))
            if this.unit or not this.needs:
                # What it is here; `as_scraped` would be a counter or a histogram's buckets.
                meta[this.name] = {"type": "gauge"} | ({"unit": this.unit} if this.unit else {})
        if errors:
            missed = ", ".join(dict.fromkeys(this.name for this, _ in errors))
            notes.append(
                f"{len(errors)} of {len(wanted)} questions failed ({missed[:300]}): "
                f"{errors[0][1].message}"
            )
        if not wanted:
            notes.append(f"none of the {len(self._metrics())} metrics asked for has a sample")
        rows = as_metrics(
            pd.concat(frames or [Samples().frame("")], ignore_index=True), "Prometheus"
        )
        thin, thinner = thinned(rows, self.settings.row_limit)
        newest = thin["ts"].max() if len(thin) else None
        asked = [f"{self.settings.url}/api/v1/query_range", *map(str, ranges)]
        asked += [f"{this.name} = {this.over(ranges[-1].over_s)}" for this in wanted]
        return Answer(
            rows=thin,
            query="\n".join(asked),
            total_rows=len(rows) if len(thin) < len(rows) else None,
            newest=None if newest is None else newest.to_pydatetime(),
            notes=[*notes, *thinner],
            partial=partial or len(thin) < len(rows),
            meta=meta,
        )


def _moment(seconds: float) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))


def _data(answer: Any, kind: type[T]) -> T:
    """Return what an answer of the API holds; SourceDataError where it is no such answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error") if isinstance(answer, dict) else None
        raise SourceDataError(
            f"this is no answer of Prometheus' API{f': {str(said)[:200]}' if said else ''}",
            "is `url` the address of a Prometheus, without /api?",
        )
    if not isinstance(data, kind):
        raise SourceDataError(
            f"Prometheus answered a {type(data).__name__}, expected a {kind.__name__}",
            "is `url` the address of a Prometheus, without /api?",
        )
    return data


def _batches(names_: Sequence[str], longest: int) -> Iterator[list[str]]:
    """Cut names into groups of so many characters."""
    some: list[str] = []
    length = 0
    for name in names_:
        if some and length + len(name) > longest:
            yield some
            some, length = [], 0
        some.append(name)
        length += len(name) + 1
    if some:
        yield some
