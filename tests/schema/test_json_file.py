"""JSON that describes: read whole, or refused in a sentence."""

from pathlib import Path

import pytest

from bitextile.schema import json_file
from bitextile.schema.json_file import parse_json, read_json


def test_what_a_file_says_is_returned(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"el": ["γάτα"], "th": "แมว"}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"el": ["γάτα"], "th": "แมว"}


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "{", "", "\0"])
def test_what_is_no_json_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    for read in (lambda: parse_json(text), lambda: read_json(tmp_path / "a.json")):
        with pytest.raises(ValueError):
            read()


def test_no_more_is_read_than_a_description_needs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_file, "MAX_BYTES", 20)
    (tmp_path / "a.json").write_text(" " * 18 + "[]")
    assert read_json(tmp_path / "a.json") == []
    (tmp_path / "a.json").write_text(" " * 19 + "[]")
    with pytest.raises(ValueError, match="larger than"):
        read_json(tmp_path / "a.json")
