"""Columns that determine others: rows in which the tie is broken, and which cell is to blame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis.novelty import FOLDS, Natural

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_BREACHES = 0.005
"""A tie that the reference itself breaks more often is none."""
_LEAST_COVER = 0.2
_MAX_COLUMNS = 40
_MAX_PAIRED = 8
_MANY = 1 << 31


@dataclass(frozen=True)
class Tie:
    """Values of the columns `by`, one or two, determine those of column `of` (column numbers)."""

    by: tuple[int, ...]
    of: int


def ties(codes: np.ndarray, first: Sequence[int] = ()) -> list[Tie]:
    """Find which columns determine which.

    Parameters
    ----------
    codes : int array, shape (rows, columns)
        Value numbers, -1 for null.
    first : columns to try in pairs before others

    Returns
    -------
    list of Tie
        Approximate functional dependencies (Kivinen and Mannila 1995, error g3) over values that occur
        twice and more, that tell more than the commonest value does.
    """
    rows, width = codes.shape
    width = min(width, _MAX_COLUMNS)
    distinct = [len(np.unique(codes[codes[:, c] >= 0, c])) for c in range(width)]
    dull = [_dull(codes[:, c]) for c in range(width)]
    found = []
    for by in range(width):
        if not 2 <= distinct[by] <= 0.6 * rows:
            continue
        found += [
            Tie((by,), of)
            for of in range(width)
            if of != by and distinct[of] >= 2 and _holds(codes[:, by], codes[:, of], dull[of])
        ]
    single = {(tie.by[0], tie.of) for tie in found}
    few = [c for c in range(width) if 2 <= distinct[c] <= 0.1 * rows]
    few = sorted(few, key=lambda c: (c not in first, c))[:_MAX_PAIRED]
    for at, left in enumerate(few):
        for right in few[at + 1 :]:
            if (left, right) in single or (right, left) in single:
                continue
            both = _joined(codes, (left, right))
            found += [
                Tie((left, right), of)
                for of in range(width)
                if of not in (left, right)
                and distinct[of] >= 2
                and dull[of] >= 0.1
                and not {(left, of), (right, of)} & single
                and _holds(both, codes[:, of], dull[of])
            ]
    return found


def _dull(of: np.ndarray) -> float:
    """Share of the rows that the commonest value gets wrong."""
    there = of[of >= 0]
    return 1 - float(np.bincount(there).max()) / len(there) if len(there) else 0.0


def _joined(codes: np.ndarray, by: tuple[int, ...]) -> np.ndarray:
    """Return numbers for the values of one column, or of two together; -1 where one is null."""
    if len(by) == 1:
        return codes[:, by[0]]
    left, right = codes[:, by[0]].astype(np.int64), codes[:, by[1]]
    return np.where((left >= 0) & (right >= 0), left * _MANY + right, -1)


def _holds(by: np.ndarray, of: np.ndarray, dull: float) -> bool:
    value, _, count, most = _modes(by, of)
    often = count >= 3
    covered = int(count[often].sum())
    if covered < max(30, _LEAST_COVER * len(by)) or len(value) < 2:
        return False
    broken = 1 - float(most[often].sum()) / covered
    # Only what the tie says beyond the commonest value is worth having.
    return broken <= _MOST_BREACHES and broken <= 0.1 * dull


def _modes(by: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return for each value of `by` the commonest of `of`: (value, mode, rows, rows with the mode)."""
    there = (by >= 0) & (of >= 0)
    if not there.any():
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, nothing, nothing
    base = int(of[there].max()) + 1
    pair, count = np.unique(by[there].astype(np.int64) * base + of[there], return_counts=True)
    value = pair // base
    first = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    total = np.add.reduceat(count, first)
    most = np.maximum.reduceat(count, first)
    group = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(value))))
    top = np.flatnonzero(count == most[group])
    mode = np.empty(len(first), dtype=np.int64)
    mode[group[top[::-1]]] = pair[top[::-1]] % base
    return value[first], mode, total, most


def blamed(
    known: np.ndarray,
    rows: np.ndarray,
    found: Sequence[Tie],
    accused: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Say which cells break ties learnt from other rows.

    Parameters
    ----------
    known : int array, shape (n, columns)
        The rows that values are learnt from.
    rows : int array, shape (m, columns)
        The rows to judge. What they say three times and more of a value never seen is learnt too.
    accused : bool array, shape (m, columns), or None
        Cells that break other rules: they account for the ties of their row.

    Returns
    -------
    (wrong, judged) : bool arrays, shape (m, columns)
        Cells to blame: of a row's broken ties, the fewest cells that account for them all.
    """
    broken = np.zeros((len(rows), len(found)), dtype=bool)
    judged = np.zeros(rows.shape, dtype=bool)
    for number, tie in enumerate(found):
        told, by = _joined(known, tie.by), _joined(rows, tie.by)
        every, place = np.unique(np.concatenate((told, by)), return_inverse=True)
        null = int(every[0] < 0)
        place = place.reshape(-1) - null
        told, by = place[: len(told)], place[len(told) :]
        of = rows[:, tie.of]
        expected = np.full(max(len(every) - null, 1), -1, dtype=np.int64)
        value, mode, count, most = _modes(by, of)
        sure = (count >= 3) & (most > 0.5 * count)
        expected[value[sure]] = mode[sure]
        value, mode, count, most = _modes(told, known[:, tie.of])
        sure = (count >= 2) & (most >= 0.8 * count)
        expected[value[sure]] = mode[sure]
        taught = np.zeros(len(expected), dtype=bool)
        taught[value[sure]] = True
        said = np.where(by >= 0, expected[np.maximum(by, 0)], -1)
        ready = (said >= 0) & (of >= 0)
        broken[:, number] = ready & (of != said) & ~_common(by, of, taught)
        for column in (tie.of, *tie.by):
            judged[ready, column] = True
    wrong = np.zeros(rows.shape, dtype=bool)
    some = np.flatnonzero(broken.any(axis=1))
    if not len(some):
        return wrong, judged
    if accused is None:
        accused = np.zeros(rows.shape, dtype=bool)
    # Rows that break the same ties with the same cells accused are decided together.
    kinds, which, often = np.unique(
        np.hstack((broken[some], accused[some])), axis=0, return_inverse=True, return_counts=True
    )
    which = which.reshape(-1)
    choices: list[tuple[list[Tie], np.ndarray]] = []
    certain = np.zeros(rows.shape[1])
    doubtful = np.zeros(rows.shape[1])
    for number, kind in enumerate(kinds):
        of_kind = [found[at] for at in np.flatnonzero(kind[: len(found)]).tolist()]
        choices.append((of_kind, kind[len(found) :]))
        cells, plain = _fewest(of_kind, choices[-1][1], certain * 0)
        for cell in cells if plain else {c for t in of_kind for c in (t.of, *t.by)}:
            (certain if plain else doubtful)[cell] += often[number]
    # Rows that leave a choice are decided by those that do not, where these are many.
    certain[certain < 0.3 * doubtful] = 0.0
    for number, (of_kind, known_wrong) in enumerate(choices):
        cells, _ = _fewest(of_kind, known_wrong, certain)
        wrong[np.ix_(some[which == number], cells)] = True
    return wrong, judged


def _common(by: np.ndarray, of: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """Whether a row's pair of values is on three rows and much of those of its `by`: no slip.

    That is half of them where other rows taught what to expect, else a quarter.
    """
    base = int(of.max(initial=0)) + 2
    pair = (by.astype(np.int64) + 1) * base + of + 1
    _, where, count = np.unique(pair, return_inverse=True, return_counts=True)
    of_by = np.bincount(by + 1)[by + 1]
    mine = count[where.reshape(-1)]
    much = np.where(taught[np.maximum(by, 0)], 0.5, 0.25)
    common: np.ndarray = (mine >= 3) & (mine >= much * of_by)
    return common


def _fewest(broken: list[Tie], accused: np.ndarray, sure: np.ndarray) -> tuple[list[int], bool]:
    """Pick columns until every broken tie has one, and say whether there was no choice.

    Cells accused otherwise account for their ties. Then the column in most ties comes first; of near
    equals the one that is `sure` to be wrong on more rows, then the determined one.
    """
    known = set(np.flatnonzero(accused).tolist())
    picked = sorted(known & {c for tie in broken for c in (tie.of, *tie.by)})
    plain = True
    left = [tie for tie in broken if not known & {tie.of, *tie.by}]
    while left:
        score: dict[int, float] = {}
        for tie in left:
            score[tie.of] = score.get(tie.of, 0.0) + 1.01
            for by in tie.by:
                score[by] = score.get(by, 0.0) + 1.0 / len(tie.by)
        top = max(score.values())
        near = [column for column, value in score.items() if value >= top - 0.3]
        plain = plain and len(near) == 1
        best = min(near, key=lambda column: (-sure[column], -score[column], column))
        picked.append(best)
        left = [tie for tie in left if best not in (*tie.by, tie.of)]
    return picked, plain


def _steady(reference: np.ndarray, half: int, tie: Tie) -> bool:
    """Whether what one half of the reference says of a tie holds in the other."""
    for known, rows in (
        (reference[:half], reference[half:]),
        (reference[half:], reference[:half]),
    ):
        wrong, judged = blamed(known, rows, [tie])
        if wrong.sum() > _MOST_BREACHES * max(int(judged[:, tie.of].sum()), 1):
            return False
    return True


def tie_breaches(
    reference: np.ndarray,
    current: np.ndarray,
    first: Sequence[int] = (),
    accused: np.ndarray | None = None,
) -> dict[int, tuple[np.ndarray, float]]:
    """Find columns whose cells break ties more often than the reference's.

    Parameters
    ----------
    reference, current : int arrays, shape (n_ref, columns), (n_cur, columns)
        Value numbers, alike in both; -1 for null.
    first : columns to try in pairs before others
    accused : bool array, shape (n_cur, columns), or None
        Cells that break other rules.

    Returns
    -------
    dict of column number to (rows to blame, share usual in the reference)
    """
    half = len(reference) // 2
    found = [tie for tie in ties(reference, first) if _steady(reference, half, tie)]
    if not found:
        return {}
    wrong, judged = blamed(reference, current, found, accused)
    parts = [
        blamed(reference[:half], reference[half:], found),
        blamed(reference[half:], reference[:half], found),
    ]
    out: dict[int, tuple[np.ndarray, float]] = {}
    for column in range(reference.shape[1]):
        broken = np.zeros(FOLDS, dtype=int)
        rows = np.zeros(FOLDS, dtype=int)
        for place, (bad, seen) in enumerate(parts):
            broken[place], rows[place] = int(bad[:, column].sum()), int(seen[:, column].sum())
        natural = Natural(broken, rows)
        if natural.exceeded(int(wrong[:, column].sum()), int(judged[:, column].sum())):
            out[column] = wrong[:, column], natural.share
    return out
