"""Cells that break what the reference keeps to are found; what the reference does itself is not."""

import numpy as np
import pandas as pd
import pytest

from triagebook.analysis.breaches import at_odds, breaches, strays
from triagebook.analysis.cells import Cells

N = 1_000
TOWNS = [
    "Norvale",
    "Eastbrook",
    "Hillmere",
    "Sandport",
    "Quillton",
    "Fernley",
    "Aldwick",
    "Brenton",
]


def clean(kind, rng, rows=N):
    if kind == "town":
        return pd.Series(rng.choice(TOWNS, rows))
    if kind == "date":
        days = rng.integers(0, 4_000, rows)
        return pd.Series(
            (pd.Timestamp("2010-01-01") + pd.to_timedelta(days, "D")).strftime("%d/%m/%Y")
        )
    if kind == "money":
        return pd.Series([f"${v:,.2f}" for v in np.exp(rng.normal(7, 1, rows))])
    if kind == "clock":
        return pd.Series(
            [
                f"{h}:{m:02d} {w}"
                for h, m, w in zip(
                    rng.integers(1, 13, rows),
                    rng.integers(0, 60, rows),
                    rng.choice(["a.m.", "p.m."], rows),
                    strict=True,
                )
            ]
        )
    if kind == "code":
        return pd.Series([f"{v:05d}" for v in rng.integers(0, 99_999, rows)])
    if kind == "share":
        return pd.Series([f"{v:.1f}%" for v in rng.uniform(0, 100, rows)])
    if kind == "size":
        return pd.Series(rng.choice(["8.4", "12.0", "16.0", "24.0"], rows))
    return pd.Series(rng.normal(50, 10, rows))


KINDS = ["town", "date", "money", "clock", "code", "share", "size", "number"]


def found(kind, share, change, seed=0):
    rng = np.random.default_rng(seed)
    before, now = clean(kind, rng), clean(kind, rng).astype("object")
    rows = rng.random(N) < share
    now[rows] = [change(v, rng) for v in now[rows]]
    return breaches(Cells.of(before, now)), rows


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_column_breaks_nothing(kind, seed):
    assert found(kind, 0.0, None, seed)[0] == []


DIRT = {
    "typo": ("town", lambda v, _r: v[:2] + "x" + v[3:]),
    "one letter less": ("town", lambda v, _r: v[:3] + v[4:]),
    "case": ("town", lambda v, _r: v.upper()),
    "space": ("town", lambda v, _r: f"{v} "),
    "encoding": ("town", lambda v, _r: v[:3] + "Ã©" + v[3:]),
    "another value": ("town", lambda _v, r: r.choice(["42", "yes", "no"])),
    "iso date": ("date", lambda v, _r: f"{v[6:]}-{v[3:5]}-{v[:2]}"),
    "short year": ("date", lambda v, _r: v[:6] + v[8:]),
    "no currency": ("money", lambda v, _r: v.replace("$", "").replace(",", "")),
    "no half of day": ("clock", lambda v, _r: v[:-5]),
    "letter in a code": ("code", lambda v, _r: f"{v[:2]}x{v[3:]}"),
    "short code": ("code", lambda v, _r: v[1:]),
    "no per cent": ("share", lambda v, _r: v[:-1]),
    "unit": ("size", lambda v, _r: f"{v} oz"),
    "far number": ("number", lambda v, r: v + r.choice([-1, 1]) * r.uniform(200, 900)),
    "text": ("number", lambda v, _r: f"{v:.2f} kg"),
}


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("dirt", DIRT)
def test_dirt_of_a_kind_is_found_with_its_rows(dirt, share):
    kind, change = DIRT[dirt]
    said, rows = found(kind, share, change)
    assert said
    hit = np.zeros(N, dtype=bool)
    for breach in said:
        hit |= breach.rows
    assert (hit & rows).sum() >= 0.7 * rows.sum()
    assert (hit & ~rows).sum() <= 0.02 * N


@pytest.mark.parametrize(("rows", "told"), [(3, False), (12, True)])
def test_a_few_cells_are_not_enough_to_blame_a_column(rows, told):
    rng = np.random.default_rng(4)
    before, now = clean("town", rng), clean("town", rng)
    place = np.linspace(5, N - 5, rows).astype(int)
    now.iloc[place] = [v[:2] + "x" + v[3:] for v in now.iloc[place]]
    assert bool(breaches(Cells.of(before, now))) == told


def test_words_for_nothing_are_missing_values():
    said, rows = found("town", 0.05, lambda _v, r: r.choice(["N/A", "unknown", "-"]))
    lost = next(b for b in said if b.missing)
    assert (lost.rows == rows).all()


def test_a_word_for_nothing_that_was_always_common_means_something():
    rng = np.random.default_rng(0)
    before, now = (
        pd.Series(rng.choice(["none", "some", "much"], N, p=p))
        for p in ([0.2, 0.5, 0.3], [0.22, 0.48, 0.3])
    )
    assert not any(b.missing for b in breaches(Cells.of(before, now)))


def test_new_names_are_no_dirt_where_each_row_brings_one():
    rng = np.random.default_rng(0)
    parts = [a + b for a in ("mar", "tel", "bon", "sil", "ker") for b in ("ta", "do", "vin", "lo")]

    def names():
        return pd.Series(
            [
                f"{x.title()} {y.title()} {n}"
                for x, y, n in zip(
                    rng.choice(parts, N),
                    rng.choice(parts, N),
                    rng.integers(0, 9_999, N),
                    strict=True,
                )
            ]
        )

    assert breaches(Cells.of(names(), names())) == []


def test_rows_in_alphabetical_order_are_no_dirt():
    rng = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = sorted("".join(rng.choice(letters, 6)).title() for _ in range(2 * N))
    both = pd.Series(words)
    assert breaches(Cells.of(both[:N], both[N:].reset_index(drop=True))) == []


@pytest.mark.parametrize("key", [True, False])
def test_numbers_that_grow_with_the_rows_are_no_outliers_but_repeats_are_told(key):
    before, now = pd.Series(range(N)), pd.Series(range(N, 2 * N))
    assert breaches(Cells.of(before, now)) == []
    now[::20] = now[1::20].to_numpy()
    said = breaches(Cells.of(before, now), key=key)
    assert bool(said) != key


def test_a_number_stored_as_text_on_one_side_is_the_number_it_says():
    rng = np.random.default_rng(0)
    before = pd.Series(rng.integers(0, 90, N))
    now = pd.Series(rng.integers(0, 90, N).astype(float).astype(str))
    assert breaches(Cells.of(before, now)) == []


def test_values_of_another_column_are_strays():
    rng = np.random.default_rng(0)
    before, now = (
        pd.DataFrame({"p": clean("town", rng), "q": rng.choice(["red", "blue", "green"], N)})
        for _ in range(2)
    )
    rows = rng.random(N) < 0.05
    now.loc[rows, "p"] = now.loc[rows, "q"]
    columns = {c: Cells.of(before[c], now[c]) for c in before}
    assert {(name, other) for name, other, _ in strays(columns)} == {("p", "q")}


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_a_number_at_odds_with_those_beside_it_is_told_within_its_range(share):
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(2):
        x = rng.normal(size=N)
        noise = rng.normal(0, 0.1, (N, 3))
        frames.append(pd.DataFrame({f"k{n}": x + noise[:, n] for n in range(3)}))
    before, now = frames
    rows = rng.random(N) < share
    now.loc[rows, "k1"] = rng.permutation(now["k1"])[: rows.sum()]
    columns = {c: Cells.of(before[c], now[c]) for c in before}
    assert {name for name, _ in at_odds(columns)} == ({"k1"} if share else set())


@pytest.mark.parametrize("rows", [0, 10, 39])
def test_too_few_rows_say_nothing(rows):
    before = pd.Series(TOWNS * 10)[:rows]
    assert breaches(Cells.of(before.astype("object"), pd.Series(["?x?"] * 50))) == []
