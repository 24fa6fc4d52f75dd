"""Numbers and quantities in words."""

import pytest

from triagebook.core.words import amount, several_of


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1_610_612_736, "bytes", "1.61 GB"),
        (999, "bytes", "999 B"),
        (1_000, "bytes", "1 kB"),
        (-232_979_308, "bytes", "-233 MB"),
        (5e6, "bytes/s", "5 MB/s"),
        (1_500, "s", "1,500 s"),
        (0.25, "", "0.25"),
        (3, None, "3"),
        (0.02, "share", "2.0 %"),
    ],
)
def test_bytes_are_scaled_and_nothing_else_is(value, unit, said):
    assert amount(value, unit) == said


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 changes"), (1, "1 change"), (1_204, "1,204 changes")]
)
def test_one_is_no_plural(n, said):
    assert several_of(n, "change") == said
