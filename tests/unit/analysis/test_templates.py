"""Numbers fold to one template however many digits they have."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triagebook.analysis.logs import template_of


# No deadline: a busy machine is no failure. No database: tests write nothing beside themselves.
@settings(deadline=None, database=None, max_examples=60)
@given(st.integers(-(10**18), 10**18), st.floats(0, 1e6, allow_nan=False))
def test_a_number_is_a_number_at_any_length(whole, fraction):
    assert template_of(f"batch {whole} took {fraction} s") == "batch <n> took <n> s"


@pytest.mark.parametrize("ident", ["deadbeef0123", "0x1f", "a" * 40, "0123456789ab"])
def test_a_hash_is_no_number(ident):
    assert template_of(f"commit {ident} is bad") == "commit <hex> is bad"
