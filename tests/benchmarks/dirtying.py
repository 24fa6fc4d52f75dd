"""Kinds of dirt that cells get, as people and programs make them; each changes some cells of one column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

_LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def _each(frame: pd.DataFrame, name: str, rows: np.ndarray, change: Callable[[str], str]) -> None:
    texts = frame[name].astype("object")
    new = texts.copy()
    for row in rows:
        if pd.notna(texts.iloc[row]):
            new.iloc[row] = change(str(texts.iloc[row]))
    frame[name] = new


def replaced(frame, name, rows, rng):
    def change(text):
        places = [at for at, c in enumerate(text) if c.isalnum()]
        if not places:
            return text
        at = int(rng.choice(places))
        return text[:at] + str(rng.choice(_LETTERS)) + text[at + 1 :]

    _each(frame, name, rows, change)


def marked(frame, name, rows, rng):
    letter = str(rng.choice(list("xqz")))

    def change(text):
        places = [at for at, c in enumerate(text) if c.isalnum()]
        if not places:
            return text
        at = int(rng.choice(places))
        return text[:at] + letter + text[at + 1 :]

    _each(frame, name, rows, change)


def inserted(frame, name, rows, rng):
    def change(text):
        at = int(rng.integers(0, len(text) + 1))
        if rng.random() < 0.5 and len(text) > 2:
            return text[:at] + text[at + 1 :] if at < len(text) else text[:-1]
        return text[:at] + str(rng.choice(_LETTERS)) + text[at:]

    _each(frame, name, rows, change)


def reformatted(frame, name, rows, rng):
    """Another way of writing the same: of dates, times, numbers, phones."""
    unit = str(rng.choice([" oz", " kg", " mi", "%", " USD"]))

    def change(text):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            y, m, d = text.split("-")
            return f"{m}/{d}/{y}"
        if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{2,4})", text):
            return f"{found[3]}/{found[1]}/{found[2]}"
        if "p.m." in text or "a.m." in text:
            return text.replace(" p.m.", "").replace(" a.m.", "")
        if re.fullmatch(r"\$[\d,.]+", text):
            return text.replace("$", "").replace(",", "")
        if text.endswith("%"):
            return text[:-1]
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return text + unit
        if re.search(r"\d{3}[-. ]\d{4}", text):
            return re.sub(r"\D", "", text)
        return text.replace(", ", ",") if ", " in text else f"{text}."

    _each(frame, name, rows, change)


def spaced(frame, name, rows, rng):
    how = rng.integers(0, 3)
    _each(frame, name, rows, lambda t: (f" {t}", f"{t} ", t.replace(" ", "  ") + " ")[how])


def cased(frame, name, rows, rng):
    how = rng.integers(0, 2)
    _each(
        frame,
        name,
        rows,
        lambda t: t.swapcase() if how else (t.upper() if t != t.upper() else t.lower()),
    )


def garbled(frame, name, rows, rng):
    def change(text):
        at = int(rng.integers(0, len(text) + 1))
        return text[:at] + str(rng.choice(["Ã©", "\ufffd", "â€™", "Â"])) + text[at + 1 :]

    _each(frame, name, rows, change)


def placeheld(frame, name, rows, rng):
    word = str(rng.choice(["N/A", "unknown", "-", "null", "?", "TBD"]))
    _each(frame, name, rows, lambda _: word)


def emptied(frame, name, rows, rng):  # noqa: ARG001 - all kinds are called alike
    values = frame[name].astype("object").copy()
    values.iloc[rows] = np.nan
    frame[name] = values


def moved_over(frame, name, rows, rng):
    """The value of another column."""
    others = [c for c in frame if c != name]
    other = frame[str(rng.choice(others))].astype("object")
    values = frame[name].astype("object").copy()
    values.iloc[rows] = other.iloc[rows].to_numpy()
    frame[name] = values


def copied(frame, name, rows, rng):
    """The value of another row."""
    values = frame[name].astype("object").copy()
    values.iloc[rows] = values.iloc[rng.integers(0, len(frame), len(rows))].to_numpy()
    frame[name] = values


def scaled(frame, name, rows, rng):
    factor = float(rng.choice([10, 100, 1_000, 0.001]))

    def change(text):
        try:
            return f"{float(text) * factor:.12g}"
        except ValueError:
            return text

    _each(frame, name, rows, change)


def wild(frame, name, rows, rng):
    numbers = pd.to_numeric(frame[name], errors="coerce")
    middle, spread = float(numbers.median()), float(numbers.std())

    def change(text):
        try:
            float(text)
        except ValueError:
            return text
        return f"{middle + rng.choice([-1, 1]) * spread * rng.uniform(8, 40):.6g}"

    _each(frame, name, rows, change)


TEXT = (
    replaced,
    marked,
    inserted,
    reformatted,
    spaced,
    cased,
    garbled,
    placeheld,
    emptied,
    moved_over,
)
NUMBER = (replaced, marked, reformatted, placeheld, emptied, scaled, wild, moved_over)
TIED = (copied,)
"""Only where another column says what the value has to be."""


def is_number(values: pd.Series) -> bool:
    """Whether nearly all of a column reads as numbers."""
    there = values.dropna()
    return len(there) > 0 and pd.to_numeric(there, errors="coerce").notna().mean() > 0.95


def dirty(
    clean: pd.DataFrame, seed: int, tied: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the table with about two in five columns dirtied, and the kind of each."""
    rng = np.random.default_rng(seed)
    out = clean.copy()
    kinds: dict[str, str] = {}
    for name in clean:
        if rng.random() > 0.4:
            continue
        menu = NUMBER if is_number(clean[name]) else TEXT
        if name in tied and rng.random() < 0.4:
            menu = TIED
        kind = menu[int(rng.integers(0, len(menu)))]
        share = float(np.exp(rng.uniform(np.log(0.01), np.log(0.1))))
        rows = np.flatnonzero(rng.random(len(out)) < share)
        kind(out, name, rows, rng)
        kinds[str(name)] = kind.__name__
    return out, kinds
