"""The node at fault is named on small made-up graphs; a healthy window stays empty."""

import numpy as np
import pytest

from triagebook.analysis.callgraph import CallGraph
from triagebook.analysis.rootcause import ABNORMAL_Z, Reading, rank_causes
from triagebook.analysis.series import Series

STEP = 300 * 10**9


class World:
    """A tree of calls with random names: top → left → deep, top → right."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        names = ["".join(self.rng.choice(list("abcdefgh"), 7)) + str(i) for i in range(5)]
        self.top, self.left, self.right, self.deep, self.apart = names
        self.edges = [(self.top, self.left), (self.top, self.right), (self.left, self.deep)]
        self.graph = CallGraph.of(self.edges, names)
        self.load = dict(zip(names, (100, 80, 40, 160, 20), strict=True))
        self.slow = dict(zip(names, (0.3, 0.1, 0.05, 0.02, 2.0), strict=True))
        self.extra = {}

    def readings(self, *, extra=None, failing=None, drop=(), window=5):
        """Lay `extra` seconds or `failing` share a call on nodes, in the 3rd and 4th sample."""
        out = []
        times = np.arange(window) * STEP
        for node, base in self.slow.items():
            if node in drop:
                continue
            shapes = {
                "latency": (base, 0.02 * base, (extra or {}).get(node, 0.0)),
                "availability": (100.0, 0.0, -100 * (failing or {}).get(node, 0.0)),
                "traffic": (float(self.load[node]), 1.0, 0.0),
            }
            for measure, (level, spread, change) in shapes.items():
                past = self.rng.normal(level, spread, 150)
                now = self.rng.normal(level, spread, window)
                now[2:4] += change
                out.append(Reading(node, measure, "mean", past, times, now))
        return out


def names(found):
    return [s.node for s in found.suspects]


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_leaf_is_found_through_two_callers(seed):
    w = World(seed)
    # 160 calls of 0.1 s are 16 s: 0.2 s for each of 80 calls, 0.16 s for each of 100.
    found = rank_causes(
        w.graph,
        w.readings(extra={w.deep: 0.1, w.left: 0.2, w.top: 0.16}),
        (w.top, "latency", "mean"),
    )
    assert names(found)[0] == w.deep
    assert set(names(found)[1:3]) == {w.left, w.top}
    first = found.suspects[0]
    assert first.amount == pytest.approx(16, rel=0.1)
    assert first.own == pytest.approx(first.amount)
    assert all(s.own < 0.1 * s.amount for s in found.suspects[1:3])


@pytest.mark.parametrize("seed", range(3))
def test_a_failing_node_in_the_middle_is_found(seed):
    w = World(seed)
    found = rank_causes(
        w.graph,
        w.readings(failing={w.left: 0.1, w.top: 0.08}),
        (w.top, "availability", "mean"),
    )
    assert names(found)[0] == w.left


def test_a_slow_top_whose_callees_are_well_is_itself_to_blame():
    w = World()
    found = rank_causes(w.graph, w.readings(extra={w.top: 0.3}), (w.top, "latency", "mean"))
    assert names(found)[0] == w.top


def test_trouble_that_grew_on_its_way_up_is_still_laid_at_the_leaf():
    w = World()
    found = rank_causes(
        w.graph, w.readings(extra={w.right: 0.5, w.top: 0.3}), (w.top, "latency", "mean")
    )
    assert names(found)[0] == w.right


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("measure", ["latency", "availability"])
def test_a_healthy_window_is_left_empty(seed, measure):
    w = World(seed)
    found = rank_causes(w.graph, w.readings(), (w.top, measure, "mean"))
    assert found.alert is not None
    assert found.suspects == ()


def test_others_being_ill_is_no_alert():
    w = World()
    found = rank_causes(w.graph, w.readings(extra={w.deep: 1.0}), (w.top, "latency", "mean"))
    assert found.suspects == ()


@pytest.mark.parametrize(("factor", "answers"), [(0.99, False), (1.0, True), (1.01, True)])
def test_the_threshold_just_below_at_and_above(factor, answers):
    flat = np.full(100, 64.0)  # floor: 3.2, so that z is exact in binary
    height = ABNORMAL_Z * 0.05 * 64 * factor
    window = np.array([64.0, 64, 64 + height, 64 + height, 64])
    reading = Reading("n", "latency", "p95", flat, np.arange(5) * STEP, window)
    found = rank_causes(
        CallGraph.of([], ["n"]), [reading], ("n", "latency", "p95"), threshold=ABNORMAL_Z - 1e-9
    )
    assert bool(found.suspects) is answers


def test_a_node_that_was_ill_before_the_alert_is_not_to_blame():
    w = World()
    readings = w.readings(extra={w.left: 0.2, w.top: 0.16})
    for i, r in enumerate(readings):
        if r.node == w.right and r.measure == "latency":
            readings[i] = Reading(
                r.node, r.measure, r.statistic, r.reference, r.times, r.window + 1
            )
    found = rank_causes(w.graph, readings, (w.top, "latency", "mean"))
    assert names(found)[0] == w.left
    assert w.right not in names(found)[:2]


def test_more_requests_are_blamed_on_the_caller():
    w = World()
    readings = []
    for r in w.readings():
        now = r.window.copy()
        if r.measure == "traffic" and r.node in (w.top, w.left, w.deep):
            now[2:4] *= 2
        readings.append(Reading(r.node, r.measure, r.statistic, r.reference, r.times, now))
    found = rank_causes(w.graph, readings, (w.deep, "traffic", "mean"))
    assert names(found)[0] == w.top


def test_nodes_without_data_are_unknown_and_do_not_stop_the_others():
    w = World()
    found = rank_causes(
        w.graph,
        w.readings(extra={w.left: 0.2, w.top: 0.16}, drop=(w.deep,)),
        (w.top, "latency", "mean"),
    )
    assert names(found)[0] == w.left
    assert found.unknown == (w.deep,)
    without_target = rank_causes(w.graph, w.readings(drop=(w.top,)), (w.top, "latency", "mean"))
    assert without_target.alert is None
    assert without_target.suspects == ()
    assert w.top in without_target.unknown


def test_without_request_counts_each_call_counts_once():
    w = World()
    readings = [r for r in w.readings(extra={w.left: 0.2, w.top: 0.2}) if r.measure == "latency"]
    assert names(rank_causes(w.graph, readings, (w.top, "latency", "mean")))[0] == w.left


def test_a_callee_that_is_ill_in_another_way_is_a_suspect_too():
    w = World()
    found = rank_causes(
        w.graph,
        w.readings(extra={w.left: 0.5}, failing={w.top: 0.2}),
        (w.top, "availability", "mean"),
    )
    assert w.left in names(found)[:2]


def test_shares_and_percent_give_the_same_answer():
    w = World()
    readings = w.readings(failing={w.left: 0.1, w.top: 0.08})
    shares = [
        Reading(r.node, r.measure, r.statistic, r.reference / 100, r.times, r.window / 100)
        if r.measure == "availability"
        else r
        for r in readings
    ]
    target = (w.top, "availability", "mean")
    assert names(rank_causes(w.graph, readings, target)) == names(
        rank_causes(w.graph, shares, target)
    )


def test_the_answer_does_not_depend_on_the_order_of_the_readings():
    w = World(3)
    readings = w.readings(extra={w.deep: 0.1, w.left: 0.2, w.top: 0.16})
    target = (w.top, "latency", "mean")
    assert rank_causes(w.graph, readings, target).suspects == (
        rank_causes(w.graph, readings[::-1], target).suspects
    )


def test_a_reading_is_cut_from_a_series():
    series = Series("n", {}, "latency", "s", np.arange(10) * STEP, np.arange(10.0))
    cut = Reading.of("n", "latency", "mean", series, (0, 6 * STEP), (6 * STEP, 9 * STEP))
    assert cut.reference.tolist() == [0, 1, 2, 3, 4, 5]
    assert cut.window.tolist() == [6, 7, 8]
    assert (cut.times == np.array([6, 7, 8]) * STEP).all()
