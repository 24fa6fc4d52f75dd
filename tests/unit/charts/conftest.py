"""Diagnosed evidence of every shape that a chart may meet, each made once a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.notebooks.attacks import EMOJI, MATHS, hostile_bundle
from tests.notebooks.conftest import empty_bundle
from tests.notebooks.evidence import NOW, changes, demo, rows, series, small, table, tasks
from triagebook.core.models import TableSpec
from triagebook.diagnosis.diagnose import diagnose
from triagebook.evidence.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from triagebook.diagnosis.context import Context


def _raw(frames: tuple[pd.DataFrame, pd.DataFrame], **spec: Any) -> dict[str, Any]:
    known = {"role": "raw", "time_column": "ts", "key_columns": ["id"], **spec}
    return {"tables": {"orders": (TableSpec.model_validate(known), *frames)}}


def _both(change: Callable[[pd.DataFrame], pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return change(rows("reference")), change(rows("current"))


def _plain() -> dict[str, Any]:
    return {
        "tables": {"orders": table("raw"), "served": table("predictions", unit={"score": "share"})},
        "metrics": series(),
        "changes": changes(3),
        "pipeline": tasks(2),
    }


def _named(name: str) -> dict[str, Any]:
    names = (name, f"{name} 2", f"{name} 3")
    return {
        "tables": {"orders": table("raw", names), "served": table("predictions", names)},
        "metrics": series(name),
        "changes": changes(3, name.replace("{", "{{") + " {}"),
        "pipeline": tasks(3, name=name.replace("{", "{{") + " {}"),
    }


def _all_null(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(amount=np.nan, kind=pd.Series(None, index=frame.index, dtype="str"))


def _only_words(frame: pd.DataFrame) -> pd.DataFrame:
    late = frame["amount"] > 80
    return frame[["id", "ts", "kind"]].assign(kind=frame["kind"].mask(late, "new"))


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "plain": _plain,
    "without times": lambda: _raw(_both(lambda f: f.drop(columns="ts"))),
    "one row": lambda: _raw(_both(lambda f: f.head(1))),
    "no rows": lambda: _raw(_both(lambda f: f.head(0))),
    "one row now": lambda: _raw((rows("reference"), rows("current").tail(1))),
    "all null": lambda: _raw(_both(_all_null)),
    "null now": lambda: _raw((rows("reference"), _all_null(rows("current")))),
    "constant": lambda: _raw(_both(lambda f: f[["id", "ts"]].assign(amount=7.0))),
    "only words": lambda: _raw(_both(_only_words)),
    "other types now": lambda: _raw(
        (rows("reference"), rows("current").assign(amount=rows("current")["amount"].astype(str)))
    ),
    "odd names": lambda: _named(f"{MATHS} {EMOJI}"),
    "a thousand tasks": lambda: {"pipeline": tasks(1_000), "metrics": series()},
    "two hundred changes": lambda: {**_plain(), "changes": changes(200)},
}
CASES = ("demo", "empty", "hostile", *PARTS)


@pytest.fixture(scope="session")
def context_of(
    tmp_path_factory: pytest.TempPathFactory, world_cache: Path
) -> Callable[[str], Context]:
    """Return a function: name of a case in, its diagnosed context out."""
    made: dict[str, Context] = {}

    def one(case: str) -> Context:
        if case not in made:
            root = tmp_path_factory.mktemp("charts")
            if case == "demo":
                path = demo(tmp_path_factory, world_cache).evidence
            elif case == "empty":
                path = empty_bundle(root / "evidence", NOW)
            elif case == "hostile":
                path = hostile_bundle(root / "evidence")
            else:
                path = small(root / "evidence", **PARTS[case]())
            made[case] = diagnose(Bundle.read(path), "drift")[1]
        return made[case]

    return one


@pytest.fixture(scope="session")
def solved(context_of: Callable[[str], Context]) -> Context:
    return context_of("demo")


@pytest.fixture(scope="session")
def plain(context_of: Callable[[str], Context]) -> Context:
    return context_of("plain")
