"""Whether texts are written as the reference's are: their form, their letters, their spelling."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from triagebook.analysis import texts
from triagebook.analysis.cells import Breach, Cells, judge, rows_of, rows_of_sets
from triagebook.analysis.letters import surprise
from triagebook.analysis.novelty import FOLDS, folds_of, unseen

if TYPE_CHECKING:
    from collections.abc import Callable


def forms(cells: Cells) -> list[Breach]:
    """Find texts of a form, of letters or of a value that the reference (nearly) never shows."""
    found: list[Breach] = []
    loose: list[tuple[str, Callable[[str], str]]] = [
        ("of another form", texts.coarse_form),
        ("of other symbols", texts.symbols),
    ]
    rules = list(loose)
    if not cells.reads_as_numbers:
        rules += [
            ("of another form", texts.exact_form),
            ("of another form", texts.form),
            ("cased otherwise", texts.case),
            ("begun or ended otherwise", texts.ends),
            ("ended otherwise", texts.last_word),
            ("of another length", texts.length),
        ]
    elif _fixed_length(cells):
        rules.append(("of another length", texts.length))
    never: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("spaced otherwise", texts.badly_spaced),
        ("of broken encoding", texts.is_damaged),
    )
    for what, test in never:
        odd = np.array([test(v) for v in cells.said] + [False])
        found += judge(cells, what, odd[cells.reference], odd[cells.current], strict=True)
    void = np.array([not texts.is_placeholder(v) for v in cells.said], dtype=bool)
    for what, rule in rules:
        marks = texts.numbered(cells.said, rule)
        sides = rows_of(cells, marks, void)
        plain = (what, rule) in loose or rule is texts.case
        for rare in (0.001, 0.02):
            found += judge(cells, what, *unseen(*sides, rare=rare), plain=plain)
    return [_damaged(b) for b in found]


def _fixed_length(cells: Cells) -> bool:
    """Whether numbers are codes: nearly all of one length, of three digits and more."""
    lengths = np.array([len(v) for v in cells.said])[cells.reference[cells.reference >= 0]]
    return bool(np.bincount(lengths)[3:].max(initial=0) >= 0.99 * len(lengths))


def wording(cells: Cells) -> list[Breach]:
    """Find texts of letters, words or a value that the reference (nearly) never shows."""
    found: list[Breach] = []
    for size in (1, 2):
        value, mark = texts.numbered_sets(cells.said, partial(texts.grams, size=size))
        sides = rows_of_sets(cells, value, mark)
        what = "of letters never seen" if size == 1 else "of letters never seen together"
        found += judge(cells, what, *unseen(*sides))
    found += _letters(cells)
    found += _vocabulary(cells)
    found += _spelling(cells)
    return [_damaged(b) for b in found]


def _damaged(breach: Breach) -> Breach:
    if texts.is_damaged(breach.example):
        return Breach("of broken encoding", breach.share, breach.usual, breach.example, breach.rows)
    return breach


def _surprise(cells: Cells, learn_from: np.ndarray) -> np.ndarray:
    known = np.zeros(len(cells.said), dtype=bool)
    known[learn_from[learn_from >= 0]] = True
    out: np.ndarray = np.append(surprise(cells.said, known), 0.0)
    return out


def _letters(cells: Cells) -> list[Breach]:
    """Find new texts whose letters are less likely in their order than those of new texts before."""
    fresh_before, fresh_now = unseen(*rows_of(cells, np.arange(len(cells.said))))
    worded = np.array([bool(texts.words(v)) for v in cells.said] + [False])
    if worded[cells.reference[cells.reference >= 0]].mean() < 0.5:
        return []  # codes have no spelling
    before = np.zeros(len(cells.reference))
    fold = folds_of(len(cells.reference))
    for one in range(FOLDS):
        mine = (fold == one) & fresh_before
        before[mine] = _surprise(cells, cells.reference[fold != one])[cells.reference[mine]]
    score = _surprise(cells, cells.reference)
    now = np.where(fresh_now, score[cells.current], 0.0)
    found: list[Breach] = []
    for share in (0.002, 0.01, 0.03):
        # A whole nat more than any of before: texts of one form have all the same score, nearly.
        level = float(np.quantile(before, 1 - share)) + 1.0
        found += judge(cells, "of unlikely letters", before > level, now > level, sure=1e-6)
    return found


def _vocabulary(cells: Cells) -> list[Breach]:
    sides = rows_of(cells, np.arange(len(cells.said)))
    return judge(cells, "a value never seen", *unseen(*sides))


def _spelling(cells: Cells) -> list[Breach]:
    """Find words a letter away from far more frequent ones, where the reference has fewer such."""
    value, mark = texts.numbered_sets(cells.said, texts.words)
    names: dict[str, int] = {}
    for text in cells.said:
        for word in sorted(texts.words(text)):
            names.setdefault(word, len(names))
    if not names:
        return []
    listed = list(names)
    before, now = rows_of_sets(cells, value, mark)
    counts_before = np.bincount(before.mark, minlength=len(listed))
    counts_now = np.bincount(now.mark, minlength=len(listed))

    def odd(counts: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        wrong = texts.misspelt(Counter(dict(zip(listed, counts.tolist(), strict=True))))
        bad: np.ndarray = fresh & np.array([word in wrong for word in listed], dtype=bool)
        return bad

    fold = folds_of(before.rows)[before.row]
    in_reference = np.zeros(before.rows, dtype=bool)
    own = odd(counts_before, np.ones(len(listed), dtype=bool))
    inside = np.bincount(before.mark * FOLDS + fold, minlength=len(listed) * FOLDS)
    alone = inside.reshape(-1, FOLDS)[before.mark, fold] == counts_before[before.mark]
    in_reference[before.row[own[before.mark] & alone]] = True
    both = odd(counts_before + counts_now, counts_before == 0)
    in_current = np.zeros(now.rows, dtype=bool)
    in_current[now.row[both[now.mark]]] = True
    return judge(cells, "misspelt", in_reference, in_current)
