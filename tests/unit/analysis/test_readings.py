"""Series find their node by metadata, label or name, and become readings."""

import numpy as np
import pytest

from triagebook.analysis.callgraph import CallGraph
from triagebook.analysis.readings import node_of, readings_of
from triagebook.analysis.rootcause import rank_causes
from triagebook.analysis.series import Series, quantity_of
from triagebook.core.models import Edge

STEP = 60 * 10**9


def series(name, values, labels=None, shift=0):
    values = np.asarray(values, dtype=float)
    times = np.arange(len(values)) * STEP + shift
    return Series(name, labels or {}, quantity_of(name), "", times, values)


@pytest.mark.parametrize(
    ("name", "labels", "entities", "node"),
    [
        ("latency_seconds", {"job": "qx", "zone": "other"}, {}, "qx"),
        ("latency_seconds", {"job": "qx"}, {"latency_seconds": "other"}, "other"),
        ("stats.qx.latency", {}, {}, "qx"),
        ("stats.qx-db.latency", {}, {}, "qx-db"),
        ("stats.nqx.latency", {}, {}, None),
        ("latency_seconds", {"job": "unknown"}, {"latency_seconds": "unknown"}, None),
    ],
)
def test_a_node_is_found(name, labels, entities, node):
    assert node_of(series(name, [1], labels), {"qx", "qx-db", "other"}, entities) == node


def test_series_of_one_node_are_added_up_and_latencies_averaged():
    out = readings_of(
        [
            series("requests_total", np.full(30, 2.0), {"job": "a", "route": "x"}),
            series("requests_total", np.full(30, 3.0), {"job": "a", "route": "y"}, shift=7 * 10**9),
            series("request_latency p99", np.full(30, 1.0), {"job": "a", "route": "x"}),
            series("request_latency p99", np.full(30, 2.0), {"job": "a", "route": "y"}),
            series("memory_bytes", np.full(30, 1.0), {"job": "a"}),
            series("requests_total", np.full(30, 3.0), {"job": "elsewhere"}),
        ],
        {"a"},
        (0, 20 * STEP),
        (20 * STEP, 30 * STEP),
    )
    assert [(r.node, r.measure, r.statistic) for r in out] == [
        ("a", "latency", "p99"),
        ("a", "traffic", "mean"),
    ]
    assert out[0].reference.tolist() == [1.5] * 20
    assert out[1].window.tolist() == [5.0] * 10


def test_a_topology_says_who_depends_on_whom():
    graph = CallGraph.of_topology(
        [
            Edge.model_validate({"from": "api", "to": "db", "kind": "calls"}),
            Edge.model_validate({"from": "feed", "to": "table", "kind": "feeds"}),
            Edge.model_validate({"from": "model", "to": "api", "kind": "serves"}),
        ],
        ["alone"],
    )
    assert graph.callees["api"] == {"db", "model"}
    assert graph.callees["table"] == {"feed"}
    assert "alone" in graph.nodes


def test_errors_of_a_dependency_are_found_from_series():
    rng = np.random.default_rng(0)
    wave = np.r_[np.zeros(66), np.full(8, 6.0), np.zeros(6)]
    many = []
    for node, ill in (("shop", True), ("store", True), ("mail", False)):
        many.append(series("http_requests", rng.normal(100, 3, 80), {"service": node}))
        many.append(series("http_errors", rng.poisson(0.2, 80) + wave * ill, {"service": node}))
    graph = CallGraph.of([("shop", "store"), ("shop", "mail")])
    readings = readings_of(many, graph.nodes, (0, 60 * STEP), (60 * STEP, 80 * STEP))
    found = rank_causes(graph, readings, ("shop", "errors", "mean"))
    assert found.suspects[0].node == "store"
    assert "mail" not in [s.node for s in found.suspects[:2]]
