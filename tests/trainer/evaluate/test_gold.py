"""Gold files: what is read, and that what is no gold pair is named by its line."""

import json

import pytest

from bitextile.kernels.readers import whole
from bitextile.schema.errors import InputError
from bitextile.trainer.evaluate.gold import read_gold

ROW = {
    "src_lang": "en",
    "tgt_lang": "ar",
    "src": "red dog",
    "tgt": "كلب أحمر",
    "src_spans": [[0, 3], [4, 7]],
    "tgt_spans": [[0, 3], [4, 8]],
    "sure": [[0, 1]],
    "possible": [[1, 0]],
}


def test_possible_links_include_the_sure_ones(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"possible": [[0, 1]]}) + "\n")
    first, second = read_gold(str(path))
    assert (first.sure, first.possible) == ({(0, 1)}, {(0, 1), (1, 0)})
    assert second.possible == second.sure
    assert first.tgt_spans == ((0, 3), (4, 8))
    assert first.pair_id == second.pair_id


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", r"line 1: not a gold pair \(KeyError"),
        ("nonsense", "line 1: not a gold pair"),
        ("", "no gold pair in it"),
        (json.dumps(ROW | {"sure": [[0, 2]]}), "line 1: link 0-2 points to no word"),
        (json.dumps(ROW | {"possible": [[-1, 0]]}), "line 1: link -1-0 points to no word"),
    ],
)
def test_bad_gold_is_named(tmp_path, line, message):
    (tmp_path / "gold.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        read_gold(str(tmp_path / "gold.jsonl"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="gold alignments cannot be read"):
        read_gold(str(tmp_path / "none.jsonl"))


def test_a_line_that_is_no_text_or_too_long_and_a_file_that_is_too_large_are_named(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_bytes(b"\n\xff\n")
    with pytest.raises(InputError, match=r"gold\.jsonl, line 2: cannot be read \(byte 0xff"):
        read_gold(str(path))
    path.write_bytes(b"\n" + b" " * (2 << 20))
    with pytest.raises(InputError, match=r"line 2: cannot be read \(a line of more than 1048576"):
        read_gold(str(path))
    monkeypatch.setattr(whole, "MAX_BYTES", 1_000)
    path.write_bytes(b"\n" * 20)
    with pytest.raises(InputError, match="unpacked, of a file that is read whole"):
        read_gold(str(path))
