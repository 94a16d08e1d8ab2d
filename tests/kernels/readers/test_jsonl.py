"""JSON lines: members by name, records that are none."""

import json

import pytest

from corpus_files import read, source, texts


def jsonl(tmp_path, *lines: str | bytes) -> tuple[list[dict], list[dict]]:
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    (tmp_path / "j.jsonl").write_bytes(content)
    return read(source(tmp_path, "j.jsonl", format="jsonl", columns=("en", "ar")))


GOOD = json.dumps({"en": "Dog", "ar": "كلب", "more": [1]})


def test_json_lines_with_a_byte_order_mark(tmp_path) -> None:
    kept, rejects = jsonl(tmp_path, b"\xef\xbb\xbf" + GOOD.encode(), GOOD + "\r")
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "Dog", "كلب")]
    assert not rejects


@pytest.mark.parametrize(
    ("line", "rule", "value"),
    [
        ("{", "invalid_json/1", 0),
        ("", "invalid_json/1", 0),
        ("[" * 100_000, "invalid_json/1", 0),
        ("9" * 5_000, "invalid_json/1", 0),
        ("[]", "missing_columns/1", 0),
        ("null", "missing_columns/1", 0),
        ('{"en": "Dog"}', "missing_columns/1", 1),
        ('{"en": "Dog", "ar": null}', "missing_columns/1", 1),
        ('{"en": 7, "ar": ["x"]}', "missing_columns/1", 0),
        ('{"en": "Dog \\ud800", "ar": "x"}', "invalid_utf8/1", 4),
        (b'{"en": "\xff"}', "invalid_utf8/1", 8),
    ],
)
def test_what_is_no_record_of_two_texts_is_a_reject(
    tmp_path, line, rule: str, value: float
) -> None:
    kept, [reject] = jsonl(tmp_path, GOOD, line, GOOD)
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"], reject["value"]) == (rule, 2, value)
    assert reject["detail"]
    reject["src"].encode()


def test_a_surrogate_pair_written_as_two_escapes_is_one_character(tmp_path) -> None:
    kept, _ = jsonl(tmp_path, '{"en": "\\ud83d\\udc36", "ar": "x"}')
    assert kept[0]["src"] == "🐶"
