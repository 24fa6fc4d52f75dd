"""Columns that determine others, who is to blame in a row, and what natural breaks allow."""

import numpy as np
import pytest

from triagebook.analysis.ties import Tie, blamed, tie_breaches, ties


def table(seed, rows=1_200, things=60):
    """Column 0 names a thing; 1, 2 and 3 follow from it; 4 is free."""
    fixed = np.random.default_rng(99).integers(0, 25, (things, 3))
    rng = np.random.default_rng(seed)
    thing = rng.integers(0, things, rows)
    return np.column_stack([thing, *fixed[thing].T, rng.integers(0, 10, rows)])


def test_what_determines_what_is_found():
    found = ties(table(0))
    assert {Tie((0,), n) for n in (1, 2, 3)} <= set(found)
    assert not any(tie.of == 4 or tie.by == (4,) for tie in found)


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("share", [0.01, 0.2])
def test_the_cell_that_was_changed_is_blamed(column, share):
    before, now = table(0), table(1)
    rng = np.random.default_rng(2)
    rows = rng.random(len(now)) < share
    now[rows, column] = rng.permutation(now[:, column])[: rows.sum()]
    wrong = now[:, column] != table(1)[:, column]
    said = tie_breaches(before, now)
    assert set(said) == {column}
    assert (said[column][0] == wrong).mean() > 0.99


def test_the_thing_itself_is_blamed_where_all_that_follows_from_it_is_broken():
    before, now = table(0), table(1)
    rng = np.random.default_rng(2)
    rows = rng.random(len(now)) < 0.05
    now[rows, 0] = rng.permutation(now[:, 0])[: rows.sum()]
    assert set(tie_breaches(before, now)) == {0}


def test_nothing_changed_and_nothing_is_blamed():
    assert tie_breaches(table(0), table(1)) == {}


def test_two_columns_together_may_determine_a_third():
    rng = np.random.default_rng(0)
    fixed = rng.integers(0, 40, (6, 7))

    def rows(seed):
        r = np.random.default_rng(seed)
        a, b = r.integers(0, 6, 1_000), r.integers(0, 7, 1_000)
        return np.column_stack([a, b, fixed[a, b]])

    before, now = rows(1), rows(2)
    assert Tie((0, 1), 2) in ties(before)
    now[::25, 2] = (now[::25, 2] + 1) % 40
    assert set(tie_breaches(before, now)) == {2}


def test_accused_cells_account_for_their_ties():
    before, now = table(0), table(1)
    now[:50, 1] += 100  # values never seen
    accused = np.zeros(now.shape, dtype=bool)
    accused[:50, 0] = True
    wrong, _ = blamed(before, now, ties(before), accused)
    assert wrong[:50, 0].all()
    assert not wrong[:50, 1:].any()


def test_new_things_that_agree_among_themselves_are_no_breach():
    before, now = table(0), table(1)
    now[:200, 0] = now[:200, 0] % 5 + 500
    now[:200, 1:4] = now[:200, :1] % 25
    assert tie_breaches(before, now) == {}
