import pyarrow as pa
import pytest

from bitextile.kernels.export.muse import muse_lines
from bitextile.schema.errors import RowError


def entries(*rows: tuple[str, str, str, str]) -> pa.RecordBatch:
    names = ("src_lang", "tgt_lang", "src", "tgt")
    return pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_both_directions_are_written_whatever_the_direction_of_an_entry():
    batch = entries(("en", "zh", "dog", "狗"), ("zh", "en", "猫", "cat"))
    lines = {name: column.to_pylist() for name, column in muse_lines("en-zh", batch).items()}
    assert lines == {"en-zh.txt": ["dog 狗", "cat 猫"], "zh-en.txt": ["狗 dog", "猫 cat"]}


@pytest.mark.parametrize("word", ["a b", "a\u3000b", ""])
def test_white_space_in_a_word_cannot_be_represented(word):
    with pytest.raises(RowError, match="muse cannot represent"):
        muse_lines("en-zh", entries(("en", "zh", word, "狗")))
