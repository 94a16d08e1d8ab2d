"""JSON lines: members by name, records that are none."""

import json

import pytest

from bitextile.schema.errors import InputError
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


@pytest.mark.parametrize(
    ("columns", "record"),
    [
        (("en", "ar"), {"translation": {"ar": "كلب", "en": "Dog"}}),
        (("en", "ar"), {"id": 1, "translation": {"en": "Dog", "ar": "كلب", "fr": "chien"}}),
        (("translation.en", "translation.ar"), {"translation": {"en": "Dog", "ar": "كلب"}}),
        (("a.b.c", "x"), {"a": {"b": {"c": "Dog"}}, "x": "كلب"}),
        (("a.b", "a"), {"a.b": "Dog", "a": "كلب"}),
    ],
)
def test_texts_inside_other_objects(tmp_path, columns: tuple[str, str], record: dict) -> None:
    (tmp_path / "j.jsonl").write_text(json.dumps(record) + "\n")
    kept, rejects = read(source(tmp_path, "j.jsonl", format="jsonl", columns=columns))
    assert texts(kept) == [(1, "Dog", "كلب")]
    assert not rejects


@pytest.mark.parametrize("record", [{"translation": "Dog"}, {"translation": [1]}, {"en": {}}])
def test_a_record_without_the_texts_names_what_it_has(tmp_path, record: dict) -> None:
    _, [reject] = jsonl(tmp_path, json.dumps(record))
    assert reject["rule"] == "missing_columns/1"
    assert reject["detail"].endswith(f"; it has {next(iter(record))!r}")


@pytest.mark.parametrize("content", ['[\n {"en": "Dog"}\n]\n', '[{"en": "Dog", "ar": "x"}]'])
def test_an_array_is_refused_with_what_to_do(tmp_path, content: str) -> None:
    with pytest.raises(InputError, match=r"j\.jsonl: begins with a JSON array, expected an object"):
        jsonl(tmp_path, content)
