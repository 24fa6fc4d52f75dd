"""Rises that last are told from noise, and trouble is laid at the node that its callees do not explain."""

import numpy as np
import pytest

from triagebook.analysis.callgraph import CallGraph, own_share
from triagebook.analysis.shifts import contrast, floor_of, rise


def past(seed=0, n=200, level=100.0, spread=2.0):
    return np.random.default_rng(seed).normal(level, spread, n)


def test_a_rise_of_two_samples_is_found_where_it_is():
    found = rise(past(), np.array([100.0, 101, 130, 128, 99]), floor=5.0)
    assert found.z > 4
    assert found.inside.tolist() == [False, False, True, True, False]
    assert found.quiet == pytest.approx(100, abs=1.5)


def test_a_single_high_sample_is_no_rise_unless_one_is_asked_for():
    window = np.array([100.0, 101, 160, 100, 99])
    assert rise(past(), window, floor=5.0).z < 1
    assert rise(past(), window, lasting=1, floor=5.0).z > 5


def test_a_window_that_is_high_all_through_is_judged_by_the_past():
    found = rise(past(), np.full(5, 130.0), floor=5.0)
    assert found.z > 4
    assert found.inside.all()
    assert found.quiet == pytest.approx(100, abs=1)


def test_a_window_on_another_level_is_judged_by_its_own_rest():
    found = rise(past(), np.array([70.0, 71, 95, 96, 70]), floor=5.0)
    assert found.z > 3
    assert found.inside.tolist() == [False, False, True, True, False]


def test_a_constant_past_does_not_explode():
    flat = np.full(100, 100.0)
    found = rise(flat, np.array([100.0, 100, 104, 104, 100]), floor=floor_of(flat))
    assert found.z == pytest.approx(4 / 5)
    assert rise(np.zeros(100), np.zeros(5)).z == 0


def test_the_height_is_measured_in_floors_where_the_past_is_constant():
    flat = np.full(100, 100.0)
    for height, z in ((12.4, 2.48), (12.5, 2.5), (12.6, 2.52)):
        window = np.array([100.0, 100, 100 + height, 100 + height, 100])
        assert rise(flat, window, floor=floor_of(flat)).z == pytest.approx(z)


def test_a_tenth_of_bad_past_does_not_hide_a_rise():
    unclean = past()
    unclean[20:36] = 180
    assert rise(unclean, np.array([100.0, 101, 150, 152, 99]), floor=5.0).z > 2.5


@pytest.mark.parametrize(("n", "known"), [(19, False), (20, True)])
def test_too_short_a_past_says_nothing(n, known):
    found = rise(past(n=n), np.array([100.0, 100, 150, 150, 100]), floor=5.0)
    assert (found is not None) is known


def test_missing_samples_are_left_out_and_stay_outside():
    found = rise(past(), np.array([100.0, np.nan, 130, 128, np.nan]), floor=5.0)
    assert found.inside.tolist() == [False, False, True, True, False]
    assert rise(past(), np.array([np.nan, np.nan, 130, np.nan, np.nan]), floor=5.0) is None


@pytest.mark.parametrize("window", [[], [np.nan, np.nan]])
def test_an_empty_window_says_nothing(window):
    for lasting in (1, 2):
        assert rise(past(), np.array(window), lasting=lasting) is None


def test_floors():
    assert floor_of(np.array([10.0, np.nan, 10])) == pytest.approx(0.5)
    assert floor_of(np.array([np.nan])) > 0
    assert floor_of(np.zeros(5), share=True) == pytest.approx(0.002)
    assert floor_of(np.zeros(5), share=True, count=100) == pytest.approx(np.sqrt(0.01 * 0.99 / 100))
    assert floor_of(np.full(5, 0.5), share=True, count=100) == pytest.approx(0.05)


def test_contrast_compares_inside_with_outside():
    window = np.array([80.0, 82, 120, 122, 81])
    inside = np.array([False, False, True, True, False])
    amount, z = contrast(past(), window, inside, floor=5.0)
    assert amount == pytest.approx(40)
    assert z == pytest.approx(8, rel=0.01)
    # All inside: against the past.
    amount, _ = contrast(past(), window, np.ones(5, dtype=bool), floor=5.0)
    assert amount == pytest.approx(82 - 100, abs=1)


def test_contrast_without_data_is_unknown():
    inside = np.array([False, True])
    assert contrast(past(), np.array([1.0, np.nan]), inside) is None
    assert contrast(np.empty(0), np.array([1.0, 2.0]), np.array([True, True])) is None
    amount, z = contrast(np.empty(0), np.array([1.0, 2.0]), inside, floor=0.5)
    assert (amount, z) == (1.0, 2.0)


def test_a_graph_knows_its_neighbours_and_distances():
    graph = CallGraph.of([("k", "m"), ("m", "q"), ("q", "m"), ("k", "k")], nodes=["z"])
    assert graph.nodes == ("k", "m", "q", "z")
    assert graph.callees["k"] == {"m"}
    assert graph.callers["m"] == {"k", "q"}
    assert graph.distances("k") == {"k": 0, "m": 1, "q": 2}
    assert graph.reversed().distances("m") == {"m": 0, "k": 1, "q": 1}
    assert graph.distances("nobody") == {"nobody": 0}


def test_trouble_of_callees_is_taken_off():
    graph = CallGraph.of([("a", "b"), ("a", "c"), ("b", "d")])
    own = own_share(graph, {"a": 10.0, "b": 6.0, "c": 1.0, "d": 6.0})
    assert own == {"a": 3.0, "b": 0.0, "c": 1.0, "d": 6.0}
    assert own_share(graph, {"a": 10.0, "b": 6.0, "c": 1.0}, combine=max)["a"] == 4.0
    assert own_share(graph, {"a": 10.0, "b": 6.0}, {"b": 0.5})["a"] == 7.0
    assert own_share(graph, {"a": 10.0, "b": 6.0}, {})["a"] == 10.0


def test_within_a_loop_the_larger_trouble_excuses_the_smaller():
    graph = CallGraph.of([("a", "b"), ("b", "a")])
    assert own_share(graph, {"a": 4.0, "b": 9.0}) == {"a": 0.0, "b": 9.0}
