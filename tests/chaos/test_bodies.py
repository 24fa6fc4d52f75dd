"""Some hundred wrong bodies against a real service; `python -m tests.chaos.bodies` posts ten thousand."""

from __future__ import annotations

import random

import pytest

from tests.chaos import bodies
from tests.chaos.mutations import Mutator, hostile_texts
from tests.chaos.page_shape import faults
from tests.chaos.signers import SENDERS

CANARY = "http://127.0.0.1:9/canary/"


@pytest.mark.slow
def test_wrong_bodies_are_kept_shown_and_nothing_else():
    found = bodies.run(cases=400, seed=4)
    assert found["wrong"] == []
    assert set(found["senders"]) == {*SENDERS, "(asked)"}
    assert found["stored"] > 200
    assert 50 < found["quarantined"] < found["stored"]


def test_the_same_seed_makes_the_same_case():
    texts = hostile_texts(CANARY, "/nowhere/owned")
    made = []
    for _ in range(2):
        mutator = Mutator(random.Random(7), texts)  # noqa: S311 - to be made again
        made.append([mutator.encoded(mutator.document({"a": [1, "x"]})) for _ in range(50)])
    assert made[0] == made[1]
    assert len(set(made[0])) > 30


@pytest.mark.parametrize(
    ("html", "wrong"),
    [
        ("<p>a<br>b</p>", False),
        ("<p>&lt;script&gt;</p>", False),
        ('<script nonce="n">1</script>', False),
        ("<script>1</script>", True),
        ("<p>a", True),
        ("<p>a</b></p>", True),
        ("<p onclick='x'>a</p>", True),
        ("<marquee>a</marquee>", True),
        (f"<img src='{CANARY}img'>", True),
        ("<a href='javascript:x'>a</a>", True),
        (f"<a href='{CANARY}'>a</a>", False),
        ("<!-- a -->", True),
    ],
)
def test_what_is_wrong_with_a_page_is_seen(html, wrong):
    assert bool(faults(html, CANARY)) == wrong
