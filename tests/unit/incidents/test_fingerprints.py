from __future__ import annotations

import pytest

from triagebook.core.models import Alert
from triagebook.incidents.fingerprints import LONGEST, of_alert, of_labels


def test_no_labels_give_the_offset_of_fnv_1a():
    assert of_labels({}) == "cbf29ce484222325"


def test_a_label_set_has_the_fingerprint_that_alertmanager_gives_it():
    # From a webhook that Alertmanager 0.25 really sent.
    labels = {
        "alertname": "InferenceLatencyHigh",
        "cluster": "lab",
        "incident_type": "latency_spike",
        "model": "churn",
        "prometheus": "p0",
        "service": "churn-scorer",
        "severity": "page",
        "version": "v7",
    }
    assert of_labels(labels) == "26eea1c9ab189820"


def test_the_order_of_labels_does_not_matter():
    assert of_labels({"a": "1", "b": "2"}) == of_labels({"b": "2", "a": "1"})


def test_a_name_and_a_value_cannot_run_into_each_other():
    assert of_labels({"a": "bc"}) != of_labels({"ab": "c"})


@pytest.mark.parametrize(
    ("length", "kept"), [(LONGEST - 1, True), (LONGEST, True), (LONGEST + 1, False)]
)
def test_a_long_fingerprint_is_hashed(length, kept):
    given = "x" * length
    found = of_alert(Alert(fingerprint=given))
    assert (found == given) is kept
    assert len(found) <= LONGEST
