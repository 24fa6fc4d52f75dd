"""What a text shows apart from its meaning: its form, its symbols, its runs of letters, its words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

PLACEHOLDERS = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "nan", "none", "null", "nil", "-", "--", "---", "?", "??"}
    | {".", "..", "x", "xx", "xxx", "unknown", "missing", "undefined", "not available", "empty"}
    | {"tbd", "tba", "not applicable", "not known", "no data", "<na>", "nat", "(null)", "[null]"}
)
"""Texts that stand for no value, in lower case."""
_LONGEST = 60
_CLASSES = str.maketrans(
    {
        **{chr(c): "a" for c in range(ord("a"), ord("z") + 1)},
        **{chr(c): "A" for c in range(ord("A"), ord("Z") + 1)},
        **{str(d): "9" for d in range(10)},
    }
)
_RUN = re.compile(r"(.)\1+")
_WORD = re.compile(r"(?<![\w])[^\W\d_]{4,}(?![\w])")
_DAMAGE = re.compile("\ufffd|[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|[\x00-\x08\x0e-\x1f]")
_DIGITS = re.compile(r"\d+")


def is_placeholder(text: str) -> bool:
    """Whether a text stands for no value."""
    return text.strip().lower() in PLACEHOLDERS


def exact_form(text: str) -> str:
    """Return the text with letters as a or A and digits as 9, of its own length, cut at 60."""
    return text[:_LONGEST].translate(_CLASSES)


def form(text: str) -> str:
    """Return the form of a text: letters as a, capitals as A, digits as 9, runs shortened, cut at 40."""
    return _RUN.sub(r"\1+", exact_form(text))[:40]


def coarse_form(text: str) -> str:
    """Return the form without the length of words: capitals and small letters one word, runs one mark."""
    words = re.sub(r"[Aa]+", "w", exact_form(text))
    return re.sub(r"(w[ '.&-]+)+w", "w", re.sub(r"9+", "9", words))[:40]


def symbols(text: str) -> str:
    """Return which classes of characters occur, and how the text begins and ends."""
    marks = exact_form(text)
    kinds = "".join(sorted(set(marks)))
    edges = ("<" if text[:1].isspace() else "") + (">" if text[-1:].isspace() else "")
    double = "=" if "  " in text else ""
    return f"{kinds}|{edges}{double}"


def badly_spaced(text: str) -> bool:
    """Whether a text begins or ends with a space, or holds two together."""
    return text != text.strip() or "  " in text


def is_damaged(text: str) -> bool:
    """Whether a text was decoded by another encoding than it was written in, or holds control characters."""
    return bool(_DAMAGE.search(text))


def case(text: str) -> str:
    """Return how letters are cased: none, lower, upper, title or mixed."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return "none"
    if text.islower():
        return "lower"
    if text.isupper():
        return "upper"
    return "title" if text.istitle() else "mixed"


def ends(text: str) -> str:
    """Return the classes of the first and the last two characters."""
    marks = exact_form(text)
    return f"{marks[:1]}…{marks[-2:]}"


def last_word(text: str) -> str:
    """Return the trailing letters in lower case, as of a unit; empty where there are none."""
    found = re.search(r"[^\W\d_]+[.%]?$|[%$€£°]$", text.strip())
    return found.group().lower() if found else ""


def length(text: str) -> str:
    """Return the number of characters, as a mark."""
    return str(len(text))


def grams(text: str, size: int) -> set[str]:
    """Return the runs of `size` characters, digits alike, case folded, with the ends marked."""
    low = _DIGITS.sub("9", text[:_LONGEST].lower())
    low = low if size == 1 else f"^{low}$"
    return {low[at : at + size] for at in range(len(low) - size + 1)}


def words(text: str) -> set[str]:
    """Return the words of at least four letters, in lower case."""
    return {word.lower() for word in _WORD.findall(text)}


def digit_groups(text: str) -> list[int]:
    """Return the numbers written in a text, in order; groups longer than nine digits are left out."""
    return [int(group) for group in _DIGITS.findall(text) if len(group) <= 9]


def numbered(values: Sequence[str], mark: Callable[[str], str]) -> np.ndarray:
    """Return the number of each distinct value's mark, in order of appearance, shape (n,)."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(mark(value), len(known)) for value in values], dtype=np.int64)


def numbered_sets(
    values: Sequence[str], marks: Callable[[str], Iterable[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of value and number of a mark of it, shape (pairs,) each, by value."""
    known: dict[str, int] = {}
    at: list[int] = []
    what: list[int] = []
    for number, value in enumerate(values):
        for mark in sorted(marks(value)):
            at.append(number)
            what.append(known.setdefault(mark, len(known)))
    return np.array(at, dtype=np.int64), np.array(what, dtype=np.int64)


def misspelt(counts: Counter[str], times: float = 4.0, least: int = 3) -> set[str]:
    """Find texts that are one letter away from a much more frequent one.

    Parameters
    ----------
    counts : Counter of text to rows
    times : float
        The frequent one has at least so many times the rows.
    least : int
        And at least so many rows.

    Returns
    -------
    set of str
        Texts one insertion, deletion, replacement or swap of neighbours away.

    References
    ----------
    Bocek, Hunt and Stiller (2007), Fast Similarity Search in Large Dictionaries: texts within one
    edit share a text with one letter less.
    """
    frequent: dict[str, int] = {}
    for text, count in counts.items():
        if count >= least:
            for near in _shorter(text):
                frequent[near] = max(frequent.get(near, 0), count)
    odd = set()
    for text, count in counts.items():
        if any(frequent.get(near, 0) >= max(times * count, least) for near in _shorter(text)):
            odd.add(text)
    return odd


def _shorter(text: str) -> set[str]:
    """Return the text and all with one character less."""
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text)))}
