from __future__ import annotations

import pytest

from triagebook.core.errors import NotUnderstoodError
from triagebook.intake.body import read_json


def test_json_is_read():
    assert read_json('{"a": [1, "ü", null]}'.encode()) == {"a": [1, "ü", None]}


def test_a_whole_surrogate_pair_is_text():
    assert read_json(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"firing!", "no JSON"),
        (b'{"a": 1', "no JSON"),
        (b"\xff\xfe{\x00}\x00", "no UTF-8: invalid start byte at byte 0"),
        (b'{"a": "\xe9"}', "no UTF-8"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": -Infinity}', "-Infinity is no JSON number"),
        (b"9" * 5_000, "no JSON: Exceeds the limit"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
        (b'{"a": ["x\\u0000y"]}', "NUL character"),
        (b'{"\\u0000": 1}', "NUL character"),
        (b'{"a": {"b": "\\ud800"}}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_understood(body, why):
    with pytest.raises(NotUnderstoodError, match=why):
        read_json(body)


def test_nesting_that_the_parser_takes_is_taken():
    document = read_json(b"[" * 500 + b"]" * 500)
    assert document[0][0]
