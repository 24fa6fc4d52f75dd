"""Words that tell a setting from a column, and a rejected contract from a task named after one."""

import pytest

from triagebook.analysis.logs import trouble_of

CONFIG, CODE, CONTRACT = "pipeline.bad_config", "pipeline.code_error", "pipeline.contract_rejected"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("KeyError: 'features.batch_size'", CONFIG),
        ('KeyError: "store.pool.size"', CONFIG),
        ("KeyError: '_loader.window'", CONFIG),
        ("KeyError: 'STORE_URL'", CONFIG),
        ("KeyError: 'amount'", CODE),
        ("KeyError: 'Amount.Total'", CODE),
        ("KeyError: 'amount.'", CODE),
        ("KeyError: 'mean of amount.total'", CODE),
        ("KeyError: 17", CODE),
    ],
)
def test_a_dotted_key_is_a_setting_and_a_plain_one_a_column(line, cause):
    assert trouble_of(f"Traceback (most recent call last):\n{line}") == cause


def trace(file, gap=0, error="KeyError: 'window'"):
    return f'Traceback:\n  File "{file}", line 7, in load\n    {"x" * gap}\n{error}'


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        ("/srv/job/settings.py", CONFIG),
        ("/srv/job/settings_prod.py", CONFIG),
        ("/srv/job/config.py", CONFIG),
        ("/srv/job/conf.py", CONFIG),
        ("/srv/job/features.py", CODE),
        ("/srv/job/reconfig.py", CODE),
        ("/srv/job/settings.pyx", CODE),
    ],
)
def test_a_key_that_settings_lack_is_a_setting(file, cause):
    assert trouble_of(trace(file)) == cause


def test_only_a_missing_key_near_the_settings_is_a_setting():
    near = len(trace("/srv/job/settings.py").split("settings.py")[1].split("KeyError")[0])
    for gap, cause in ((299, CONFIG), (300, CONFIG), (301, CODE)):
        assert trouble_of(trace("/srv/job/settings.py", gap - near)) == cause
    assert trouble_of(trace("/srv/job/settings.py", error="ZeroDivisionError: by zero")) == CODE


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("ingest_contracts failed", None),
        ("task ingest-contracts failed after 3 tries", None),
        ("load_expectations failed", None),
        ("contracts failed: 3 columns", CONTRACT),
        ("contract of orders was violated", CONTRACT),
        ("orders: expectations rejected", CONTRACT),
        ("quality gate failed", CONTRACT),
        ("schema validation failed for orders", CONTRACT),
    ],
)
def test_a_task_named_after_contracts_has_not_rejected_one(line, cause):
    assert trouble_of(line) == cause


def test_a_task_named_after_contracts_fails_for_what_it_says():
    line = "ingest_contracts failed: psycopg.OperationalError: connection refused"
    assert trouble_of(line) == "pipeline.dependency_down"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("artifact risk/34/model.bin: checksum mismatch, refusing to load", "deploy_failed"),
        ("ModelLoadError: bad magic number", "deploy_failed"),
        ("RuntimeError: Error(s) in loading state_dict for Net: size mismatch", "deploy_failed"),
        ("Not found: Could not find SavedModel .pb or .pbtxt", "deploy_failed"),
        ("OSError: cannot load the checkpoint of epoch 3", "deploy_failed"),
        ("OSError: cannot load rows of orders", "code_error"),
        ("ValueError: checksum mismatch in block 7 of orders", "code_error"),
    ],
)
def test_a_model_that_does_not_load_is_a_failed_deploy(line, cause):
    assert trouble_of(f"Traceback (most recent call last):\n{line}") == f"pipeline.{cause}"
