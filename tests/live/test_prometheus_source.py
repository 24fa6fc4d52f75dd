"""The Prometheus source against a real Prometheus and a real VictoriaMetrics that remember a day."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.live.history import DAY, END, SINCE, Day, prometheus_of, victoria_of
from tests.live.servers import need
from triagebook.analysis.series import to_series
from triagebook.core.errors import SourceError
from triagebook.sources.base import Answer, Question
from triagebook.sources.metrics.prometheus import Prometheus, PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

HTTP = "http_server_request_duration_seconds"
SLOW_FROM = 20 * 3_600
HOSTILE = (
    'x"} or vector(1) or up{a="',
    '"} or {__name__=~".+"} or x{a="',
    "a\\",
    'a\\" or 1',
    "line\nbreak",
    "tab\tand bell\x07",
    "naïve ☃ 😀",
    ".*",
    "a|b",
    "$match",
    "{{ pod }}",
    "' or 1=1 --",
)


def made_up() -> Day:
    """Two pods of a service: ten requests a second each, slow from 20:00; one of them restarts at noon."""
    day = Day()
    for pod in ("a", "b"):

        def count(second: int, pod: str = pod) -> float:
            noon = 12 * 3_600
            return 10.0 * (second - noon if pod == "b" and second >= noon else second)

        def below(edge: float, pod: str = pod) -> Any:
            def value(second: int) -> float:
                total = count(second, pod)
                slow = 10.0 * max(second - SLOW_FROM, 0)
                # Before: all within 0.1 s, half within 0.05; afterwards all between 0.5 and 1 s.
                quick = max(total - slow, 0.0)
                return quick * {0.05: 0.5, 0.1: 1.0, 0.5: 1.0}.get(edge, 1.0) + (
                    slow if edge >= 1.0 else 0.0
                )

            return value

        at = {"job": "model", "pod": pod, "http_route": "/predict"}
        for edge in (0.05, 0.1, 0.5, 1.0, float("inf")):
            le = "+Inf" if edge == float("inf") else str(edge)
            day.add(HTTP, "histogram", f"{HTTP}_bucket", below(edge), le=le, **at)
        day.add(HTTP, "histogram", f"{HTTP}_count", count, http_response_status_code="200", **at)
    for number, text in enumerate(HOSTILE):
        day.add("depth", "gauge", "depth", lambda _, number=number: number, queue=text)
    day.add(
        "depth", "gauge", "depth", lambda second: second if second < 3_600 else None, queue="gone"
    )
    return day


@pytest.fixture(scope="module", params=["prometheus", "victoria-metrics"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need(request.param, "promtool")
    start = prometheus_of if request.param == "prometheus" else victoria_of
    with start(made_up(), tmp_path_factory.mktemp(request.param)) as address:
        yield address


def pulled(url: str, root: Path, labels: dict[str, str] | None = None, **keys: Any) -> Answer:
    settings = PrometheusSettings(url=url, **keys)
    question = Question((DAY, END), since=SINCE, labels=labels or {}, within_s=20)
    return Prometheus(settings, root).pull(question)


def series(answer: Answer) -> dict[str, Any]:
    return {one.title: one for one in to_series(answer.rows, answer.meta)}


def test_a_pack_gives_rates_and_quantiles_with_their_units(url, tmp_path):
    answer = pulled(url, tmp_path, stacks=["opentelemetry-http"], match={"job": "model"})
    assert not answer.partial, answer.notes
    found = series(answer)
    assert set(found) == {
        f"{HTTP}_count{{http_response_status_code=200, job=model, pod=a}}",
        f"{HTTP}_count{{http_response_status_code=200, job=model, pod=b}}",
        f"{HTTP} p50{{job=model, pod=a}}",
        f"{HTTP} p50{{job=model, pod=b}}",
        f"{HTTP} p50{{http_route=/predict, job=model}}",
        f"{HTTP} p99{{job=model, pod=a}}",
        f"{HTTP} p99{{job=model, pod=b}}",
        f"{HTTP} p99{{http_route=/predict, job=model}}",
    }
    # A rate goes over the restart at noon.
    traffic = found[f"{HTTP}_count{{http_response_status_code=200, job=model, pod=b}}"]
    assert (traffic.unit, traffic.quantity) == ("1/s", "latency")
    assert pd.Series(traffic.values).between(9.5, 10.5).mean() > 0.99
    slow = found[f"{HTTP} p99{{job=model, pod=a}}"]
    assert slow.unit == "s"
    onset = int(DAY.timestamp() + SLOW_FROM) * 10**9
    before, after = slow.within(0, onset), slow.within(onset + 600 * 10**9, 2**62)
    assert np.max(before.values) == pytest.approx(0.099, abs=0.002)
    assert np.min(after.values) > 0.5


def test_the_current_window_comes_at_a_finer_step(url, tmp_path):
    answer = pulled(url, tmp_path, names=["depth"], match={"queue": "a|b"}, points=100)
    times = answer.rows["ts"]
    before, after = times[times < SINCE], times[times >= SINCE]
    assert before.diff().median() == pd.Timedelta(minutes=15)  # 18 h in at most 100 steps
    assert after.diff().median() == pd.Timedelta(minutes=4)  # 6 h
    assert (times >= DAY).all()
    assert (times < END).all()
    assert "step 900s" in answer.query
    assert "step 240s" in answer.query


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_label_of_the_alert_selects_itself_and_nothing_else(url, tmp_path, number):
    text = HOSTILE[number]
    answer = pulled(
        url, tmp_path, {"queue_of_alert": text}, names=["depth"], narrow={"queue": "queue_of_alert"}
    )
    assert answer.notes == []
    assert {json.loads(labels)["queue"] for labels in answer.rows["labels"]} == {text}
    assert set(answer.rows["value"]) == {float(number)}
    other = pulled(url, tmp_path, {"of": f"{text}!"}, names=["depth"], narrow={"queue": "of"})
    assert len(other.rows) == 0


def test_without_the_alert_s_label_nothing_is_narrowed(url, tmp_path):
    answer = pulled(url, tmp_path, {"queue": ""}, names=["depth"], narrow={"queue": "queue"})
    assert len(set(answer.rows["labels"])) == len(HOSTILE) + 1


def test_what_is_gone_by_now_is_still_seen(url, tmp_path):
    answer = pulled(url, tmp_path, names=["depth"], match={"queue": "gone"}, scrape_interval=30)
    assert 0 < len(answer.rows) < 100
    assert answer.newest is not None
    assert answer.newest < SINCE


def test_a_pattern_of_the_settings_is_a_pattern(url, tmp_path):
    answer = pulled(url, tmp_path, names=["depth"], match={"queue": "~g.*|a\\|b"})
    assert {json.loads(labels)["queue"] for labels in answer.rows["labels"]} == {"gone", "a|b"}


def test_a_question_that_is_wrong_costs_itself(url, tmp_path):
    queries = {"fine": "sum(depth{$match})", "wrong": "sum(depth{"}
    answer = pulled(url, tmp_path, queries=queries, match={"queue": "a|b"})
    assert set(answer.rows["name"]) == {"fine"}
    assert answer.partial
    assert "1 of 2 questions failed (wrong)" in answer.notes[-1]
    with pytest.raises(SourceError, match=r"\(4(00|22): "):
        pulled(url, tmp_path, queries={"wrong": "sum(depth{"})


def test_the_highest_series_are_kept_and_it_is_said(url, tmp_path):
    answer = pulled(url, tmp_path, names=["depth"], series_limit=3)
    assert len(set(answer.rows["labels"])) == 3
    assert answer.partial
    assert f"depth: the 3 highest of {len(HOSTILE) + 1} series" in answer.notes


def test_nothing_there_is_no_error_and_says_so(url, tmp_path):
    answer = pulled(url, tmp_path, stacks=["vllm", "triton"])
    assert len(answer.rows) == 0
    assert "metrics asked for has a sample" in answer.notes[0]


def test_a_glance_counts_what_is_there(url, tmp_path):
    source = Prometheus(PrometheusSettings(url=url, names=["depth", "none"]), tmp_path)
    assert source.glance(Question((DAY, END))).says == "1 of 2 metrics asked for are there"
    assert (
        Prometheus(PrometheusSettings(url=url, queries={"x": "vector(1)"}), tmp_path)
        .glance(Question((DAY, END)))
        .says
        == "answers"
    )
    with pytest.raises(SourceError, match="none of the"):
        Prometheus(PrometheusSettings(url=url, stacks=["vllm"]), tmp_path).glance(
            Question((DAY, END))
        )
