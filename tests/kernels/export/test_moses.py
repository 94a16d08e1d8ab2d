import pyarrow as pa
import pytest

from bitextile.kernels.export.moses import moses_lines
from bitextile.schema.errors import DatasetError, RowError
from bitextile.schema.kinds import ALIGNED
from export_rows import aligned_row


def test_each_language_has_its_sentences_whatever_the_direction(batch):
    lines = moses_lines("de-en", batch)
    assert lines["de-en.de"].to_pylist() == ["Der Hund schläft .", "Ich habe es gegessen", "Tja …"]
    assert lines["de-en.en"].to_pylist() == ["The dog sleeps .", "I have eaten it", "Well …"]


@pytest.mark.parametrize("sentence", ["a\nb", "a\rb"])
def test_a_line_break_is_refused_by_the_id_of_its_row(sentence):
    row = aligned_row("de", "en", sentence, "x", [])
    with pytest.raises(RowError, match=f"{row['pair_id']}.*src holds a line break .1 such"):
        moses_lines("de-en", pa.RecordBatch.from_pylist([row], ALIGNED.schema))


def test_two_sides_of_one_language_are_refused():
    row = aligned_row("en", "en", "a", "b", [])
    with pytest.raises(DatasetError, match="both sides are en"):
        moses_lines("en-en", pa.RecordBatch.from_pylist([row], ALIGNED.schema))
