from __future__ import annotations

import re

from triagebook.core.paths import templates_dir

_CSS = (templates_dir() / "style" / "triagebook.css").read_text(encoding="utf-8")


def test_the_shared_style_is_small_enough_to_stand_in_every_notebook():
    assert len(_CSS.encode()) < 10_000


def test_the_shared_style_touches_nothing_outside_its_own_names():
    rules = re.sub(r"/\*.*?\*/|@media[^{]*\{", "", _CSS, flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", rules)
    assert len(selectors) > 40
    assert [text for text in selectors if ".tb" not in text] == []


def test_every_class_of_the_style_is_explained_at_its_top():
    head, body = _CSS.split("*/", 1)
    assert [
        name
        for name in sorted(set(re.findall(r"\.(tb-[a-z]+)", body)))
        if f".{name}" not in head
        and name not in {"tb-img", "tb-p", "tb-bar", "tb-wide", "tb-narrow"}
    ] == []


def test_nothing_is_loaded_by_the_style():
    assert "url(" not in _CSS
    assert "@import" not in _CSS
