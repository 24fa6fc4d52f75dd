"""How unlikely the letters of a text are in their order, as learnt from the texts of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALPHABET = 96
_LONGEST = 80
_WINDOW = 3
"""One wrong letter makes so many runs of three letters unlikely."""
_TRUST = 0.5
"""Observations a shorter context is worth against a longer one."""


def surprise(texts: Sequence[str], known: np.ndarray) -> np.ndarray:
    """Return how unlikely the unlikeliest three letters in a row are.

    Parameters
    ----------
    texts : list of str, length n
    known : bool array, shape (n,)
        The texts to learn from; each counts once, and none counts for itself.

    Returns
    -------
    float array, shape (n,)
        The largest sum of -log p(letter | two before) over three letters in a row, in nats; 0 for texts
        of fewer than three letters. p is interpolated with shorter contexts (Jelinek and Mercer 1980).
    """
    if not len(texts) or not known.any():
        return np.zeros(len(texts))
    letters, owner = _letters(texts)
    one, two = letters[2:], letters[1:-1] * _ALPHABET + letters[2:]
    three = letters[:-2] * _ALPHABET**2 + two
    inside = owner[2:] == owner[:-2]
    one, two, three, of = one[inside], two[inside], three[inside], owner[2:][inside]
    learn = known[of]
    own = learn.astype(float)

    def seen(code: np.ndarray, context: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Share of the code among those of its context, without the text itself, smoothed by `below`."""
        some, place = np.unique(code, return_inverse=True)
        count = np.bincount(place, learn, len(some))[place] - own
        around, where = np.unique(context, return_inverse=True)
        total = np.bincount(where, learn, len(around))[where] - own
        result: np.ndarray = (np.maximum(count, 0) + _TRUST * below) / (
            np.maximum(total, 0) + _TRUST
        )
        return result

    p = seen(one, np.zeros_like(one), np.full(len(one), 1 / _ALPHABET))
    p = seen(two, two // _ALPHABET, p)
    p = seen(three, three // _ALPHABET, p)
    loss = np.concatenate((np.zeros(_WINDOW), np.cumsum(-np.log(p))))
    start = np.searchsorted(of, of, side="left")
    place = np.arange(len(of))
    low = np.maximum(place - _WINDOW + 1, start)
    window = loss[place + _WINDOW] - loss[low + _WINDOW - 1]
    out = np.zeros(len(texts))
    np.maximum.at(out, of, window)
    return out


def _letters(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the letters of all texts as numbers below 96, ends marked, and whose each is."""
    marked = [f"\x01\x01{text[:_LONGEST].lower()}\x02" for text in texts]
    raw = np.frombuffer("".join(marked).encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    lengths = np.array([len(text) for text in marked])
    owner = np.repeat(np.arange(len(marked)), lengths)
    digits = (raw >= ord("0")) & (raw <= ord("9"))
    raw = np.where(digits, ord("9"), raw)
    # 1 and 2 mark the ends; letters beyond ASCII share the last number.
    return np.where(raw < 3, raw, np.clip(raw - 32 + 3, 3, _ALPHABET - 1)), owner
