"""The exporter: a real scrape over HTTP, healthy before the onset and faulty after it."""

import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from triagebook.core.errors import NotFoundError
from triagebook.drills.exporter import FlightDelayExporter


def scrape(exporter):
    answer = httpx.get(exporter.url)
    answer.raise_for_status()
    return {
        (sample.name, sample.labels.get("feature")): sample
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def exporter(faulty):
    with FlightDelayExporter(faulty) as running:
        yield running


def test_it_stands_at_the_replays_now_at_first(exporter, faulty):
    found = scrape(exporter)
    sample = found["model_feature_psi", "distance"]
    assert sample.value == pytest.approx(faulty.value)
    assert sample.labels == {"service": "flight-delay", "feature": "distance"}
    assert found["batch_rows", None].value > 0
    assert 0 <= found["model_predicted_positive_share", None].value <= 1
    assert len(found) == 12


def test_it_is_healthy_before_the_onset_and_faulty_again_later(exporter, faulty):
    exporter.stand_at(faulty.truth.onset - timedelta(minutes=10))
    assert scrape(exporter)["model_feature_psi", "distance"].value < faulty.threshold / 5
    exporter.stand_at(faulty.at)
    assert scrape(exporter)["model_feature_psi", "distance"].value > faulty.threshold


def test_at_night_the_last_known_value_stands(exporter):
    exporter.stand_at(datetime(2013, 6, 4, 8, 30, tzinfo=UTC))
    found = scrape(exporter)
    assert found["batch_rows", None].value == 0
    assert found["model_feature_psi", "distance"].value > 0


def test_a_home_folder_will_do(faulty):
    with FlightDelayExporter(faulty.root) as exporter:
        assert ("batch_rows", None) in scrape(exporter)


def test_two_run_side_by_side(faulty):
    with FlightDelayExporter(faulty) as first, FlightDelayExporter(faulty) as second:
        assert first.port != second.port
        assert len(scrape(first)) == len(scrape(second))


def test_stopping_frees_the_port(faulty):
    exporter = FlightDelayExporter(faulty).start()
    port = exporter.port
    exporter.stop()
    exporter.stop()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    with pytest.raises(NotFoundError, match="start"):
        _ = exporter.url


def test_a_moment_before_the_replay_is_refused(exporter):
    with pytest.raises(NotFoundError, match="2013-05-20"):
        exporter.stand_at(datetime(2013, 1, 1, tzinfo=UTC))


def test_a_world_without_metrics_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="init --demo"):
        FlightDelayExporter(tmp_path)
