"""Faults planted in made-up logs, traces and metrics are laid at the service that has them."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.blame import NOISE_Z, SURE_Z, Telemetry, Usage, blame
from triagebook.analysis.habits import EVENT_COLUMNS, broken_habits, more_errors, signed_z
from triagebook.analysis.signatures import is_grave, level_of, signature_of
from triagebook.analysis.spans import COLUMNS, call_edges, slower

MS = 10**6


@pytest.mark.parametrize(
    ("message", "level", "signature"),
    [
        (
            "12:01:02.003 INFO  o.k.StoreImpl#65 id: 7f [get][found: Item(id=3, name=ab)]",
            "INFO",
            "INFO o.k.StoreImpl#65",
        ),
        ("2023-01-02 03:04:05 ERROR load.py:88 no rows for day 3", "ERROR", "ERROR load.py:88"),
        ("WARN slow query took 53 ms", "WARN", "WARN WARN slow query took <n> ms"),
        ("got item = {a: 1, b: {c: 2, d: 3}}", "", " got item =…"),
        ("[get][load: 5 rows of abc] size=big", "", " [get]… size=…"),
        ("[x] y", "", " [x] y"),
        ("", "", " "),
    ],
)
def test_signatures(message, level, signature):
    assert level_of(message) == level
    assert signature_of(message) == signature


def test_values_do_not_change_a_signature_and_lines_do():
    one, other = "INFO a.B#12 total 5 of x", "INFO a.B#12 total 9 of y"
    assert signature_of(one) == signature_of(other)
    assert signature_of("INFO a.B#12 t") != signature_of("INFO a.B#13 t")
    assert signature_of("INFO a.B#12 t", "ERROR") == "ERROR a.B#12"


def test_grave_levels():
    assert is_grave("error")
    assert is_grave("FATAL")
    assert not is_grave("WARN")
    assert not is_grave("")


class Shop:
    """front calls mid, mid calls back; each logs a begin and an end."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.front, self.mid, self.back, self.idle = (
            "".join(rng.choice(list("klmnop"), 6)) + str(i) for i in range(4)
        )

    def play(self, runs, fault=None, at=0, wait_ms=0.0):
        """Return what `runs` requests leave behind, with a fault in `back` or on the way to it."""
        spans, events = [], []
        for i in range(runs):
            t0 = at + i * 1000 * MS
            wait = (2 + self.rng.exponential(1)) * MS + (wait_ms * MS if fault == "wait" else 0)
            work = (10 + self.rng.exponential(2)) * MS
            rows = [
                (self.front, "enter", t0, 4 * wait + 3 * work),
                (self.mid, "handle", t0 + wait, 2 * wait + 2 * work),
                (self.back, "fetch", t0 + 2 * wait, work),
            ]
            for depth, (node, operation, start, length) in enumerate(rows):
                parent = f"s{depth - 1}" if depth else "root"
                spans.append(
                    (
                        f"t{at}-{i}",
                        f"s{depth}",
                        parent,
                        node,
                        operation,
                        int(start),
                        int(start + length),
                    )
                )
                lines = [("begin", False), ("end", False)]
                if fault == "silent" and depth == 2:
                    lines = lines[:1]
                if fault == "error" and depth == 2:
                    lines = [("begin", False), ("it broke", True)]
                if fault in ("silent", "error") and depth < 2:
                    lines = [("begin", False), ("callee failed", True)]
                if fault == "path" and depth == 2:
                    lines = [("begin", False), ("from cache", False)]
                events += [(f"t{at}-{i}", f"s{depth}", node, e, grave) for e, grave in lines]
        frame = (
            pd.DataFrame(spans, columns=list(COLUMNS)),
            pd.DataFrame(events, columns=list(EVENT_COLUMNS)),
        )
        return Telemetry(*frame, float(runs))


def mixed(*parts):
    return Telemetry(
        pd.concat([p.spans for p in parts], ignore_index=True),
        pd.concat([p.events for p in parts], ignore_index=True),
        sum(p.seconds for p in parts),
    )


NONE = Telemetry(pd.DataFrame(columns=list(COLUMNS)), pd.DataFrame(columns=list(EVENT_COLUMNS)), 60)


@pytest.mark.parametrize("fault", ["silent", "error"])
@pytest.mark.parametrize("seed", range(3))
def test_a_failing_leaf_is_named_before_its_callers(fault, seed):
    shop = Shop(seed)
    now = mixed(shop.play(10, at=10**12), shop.play(10, fault, at=2 * 10**12))
    found = blame(shop.play(30), now)
    assert found[0].node == shop.back
    assert found[0].behaviour > 1
    assert found[0].because[0].kind == {"silent": "missing", "error": "error"}[fault]


def test_a_call_that_waits_is_laid_at_the_callee():
    shop = Shop()
    now = shop.play(20, "wait", at=10**12, wait_ms=500)
    found = blame(shop.play(30), now)
    # Both calls wait alike: the node that takes part in both.
    assert found[0].node == shop.mid
    assert found[0].delay > found[0].behaviour == 0


def test_use_of_a_resource_counts():
    shop = Shop()
    past = np.random.default_rng(1).normal(10, 1, 60)
    usages = [Usage(n, "cpu", past, np.array([10.0, 90, 95])) for n in (shop.idle,)]
    usages += [Usage(n, "cpu", past, np.array([10.0, 11, 9])) for n in (shop.front, shop.mid)]
    found = blame(shop.play(30), shop.play(20, at=10**12), usages)
    assert found[0].node == shop.idle
    assert found[0].usage > 5
    assert found[0].because == ("cpu",)


@pytest.mark.parametrize(
    ("window", "found"), [([], False), ([np.nan], False), ([90.0], True), ([np.nan, 90.0], True)]
)
def test_a_resource_without_samples_says_nothing_and_one_has_to_do(window, found):
    usages = [Usage("n", "cpu", np.random.default_rng(1).normal(10, 1, 60), np.array(window))]
    assert bool(blame(NONE, NONE, usages)) is found


def test_a_small_user_of_a_resource_is_measured_by_the_fleet():
    rng = np.random.default_rng(2)
    usages = [Usage(f"n{i}", "cpu", rng.normal(100, 3, 60), np.full(3, 100.0)) for i in range(4)]
    usages.append(Usage("tiny", "cpu", np.full(60, 0.1), np.full(3, 1.0)))
    assert blame(NONE, NONE, usages) == []


def test_nothing_wrong_names_nobody():
    for seed in range(5):
        shop = Shop(seed)
        assert blame(shop.play(30), shop.play(40, at=10**12)) == []


def test_more_traffic_and_longer_loops_are_no_break():
    shop = Shop()
    past, now = shop.play(20), shop.play(200, at=10**12)
    twice = Telemetry(now.spans, pd.concat([now.events, now.events]), now.seconds)
    assert broken_habits((past.spans, past.events), (twice.spans, twice.events)) == []


def test_another_path_is_no_break_and_a_missing_line_is():
    shop = Shop()
    past = shop.play(20)
    other = shop.play(20, "path", at=10**12)
    assert broken_habits((past.spans, past.events), (other.spans, other.events)) == []
    silent = shop.play(20, "silent", at=10**12)
    found = broken_habits((past.spans, past.events), (silent.spans, silent.events))
    missing = next(b for b in found if b.node == shop.back)
    assert (missing.kind, missing.event, missing.before, missing.now) == (
        "missing",
        "end",
        1.0,
        0.0,
    )


@pytest.mark.parametrize(("runs", "known"), [(2, False), (3, True), (4, True)])
def test_a_habit_needs_three_runs(runs, known):
    shop = Shop()
    past, now = shop.play(runs), shop.play(9, "silent", at=10**12)
    found = broken_habits((past.spans, past.events), (now.spans, now.events))
    assert any(b.node == shop.back for b in found) is known


@pytest.mark.parametrize(("exceptions", "always"), [(0, True), (1, True), (2, True), (3, False)])
def test_what_has_exceptions_is_no_habit(exceptions, always):
    shop = Shop()
    # 2 % of 100 runs.
    past = mixed(
        shop.play(100 - exceptions),
        *([shop.play(exceptions, "silent", at=5 * 10**12)] if exceptions else []),
    )
    keep = past.events["node"] == shop.back
    now = shop.play(50, "silent", at=10**12)
    found = broken_habits(
        (past.spans, past.events[keep]), (now.spans, now.events[now.events["node"] == shop.back])
    )
    assert bool(found) is always


def test_error_lines_outside_spans_are_counted_for_their_node():
    def lines(many):
        return pd.DataFrame([("", "", "a", "boom", True)] * many, columns=list(EVENT_COLUMNS))

    found = more_errors((NONE.spans, lines(3), 60.0), (NONE.spans, lines(30), 60.0))
    assert [(b.node, b.event, b.runs) for b in found] == [("a", "boom", 30)]
    assert found[0].z > 4
    assert more_errors((NONE.spans, lines(30), 60.0), (NONE.spans, lines(30), 60.0)) == []
    assert more_errors((NONE.spans, lines(30), 60.0), (NONE.spans, lines(3), 6.0)) == []
    assert (
        blame(Telemetry(NONE.spans, lines(3), 60.0), Telemetry(NONE.spans, lines(30), 60.0))[0].node
        == "a"
    )


def test_signed_z_is_symmetric_and_zero_without_change():
    z = signed_z(np.array([5.0, 10, 0, 0]), 10, np.array([10.0, 5, 0, 0]), 10)
    assert z[0] == pytest.approx(-z[1])
    assert z[0] > 2
    assert z[2] == 0


def test_edges_and_waits_come_from_the_traces():
    shop = Shop()
    past = shop.play(10)
    assert call_edges(past.spans) == {(shop.front, shop.mid), (shop.mid, shop.back)}
    late = slower(past.spans, shop.play(10, "wait", at=10**12, wait_ms=300).spans)
    assert {(s.caller, s.node) for s in late if s.z > 3 and not s.operation} == {
        (shop.front, shop.mid),
        (shop.mid, shop.back),
    }
    assert slower(past.spans, NONE.spans) == []
    assert slower(NONE.spans, past.spans) == []


def test_a_call_never_seen_before_is_measured_by_all_calls():
    shop = Shop()
    past = shop.play(10)
    now = shop.play(5, "wait", at=10**12, wait_ms=300).spans.replace(shop.back, shop.idle)
    assert any(s.node == shop.idle and s.z > 3 for s in slower(past.spans, now))


def test_one_slow_call_weighs_less_than_many():
    shop = Shop()
    past = shop.play(20)
    z = [
        slower(past.spans, shop.play(n, "wait", at=10**12, wait_ms=100).spans)[0].z for n in (1, 20)
    ]
    assert z[0] < 0.7 * z[1]


def test_candidates_limit_the_ranking_and_missing_kinds_do_not_stop_it():
    shop = Shop()
    now = shop.play(20, "error", at=10**12)
    every = blame(shop.play(30), now)
    assert {b.node for b in every} == {shop.front, shop.mid, shop.back}
    assert [b.node for b in blame(shop.play(30), now, candidates=[shop.mid])] == [shop.mid]
    without_logs = Telemetry(now.spans, NONE.events, now.seconds)
    assert blame(Telemetry(shop.play(30).spans, NONE.events, 30.0), without_logs) == []
    assert blame(NONE, NONE) == []


def test_evidence_beyond_sure_grows_slowly():
    past = np.full(60, 100.0)
    scores = [
        blame(NONE, NONE, [Usage("n", "cpu", past, np.full(3, level))])[0].usage
        for level in (700.0, 1300.0, 100_000.0)
    ]
    # Spread: the fleet's level, 100.
    assert scores[0] == pytest.approx(6 - NOISE_Z)
    assert scores[1] == pytest.approx(SURE_Z + np.log(12 / SURE_Z) - NOISE_Z)
    assert scores[2] < scores[1] + 5


def test_the_answer_does_not_depend_on_the_order_of_rows():
    shop = Shop()
    past, now = shop.play(30), shop.play(20, "error", at=10**12)
    turned = Telemetry(now.spans.iloc[::-1], now.events.iloc[::-1], now.seconds)
    assert blame(past, now) == blame(past, turned)
