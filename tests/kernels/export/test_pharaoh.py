import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.export.pharaoh import pharaoh_lines
from bitextile.schema.errors import RowError
from bitextile.schema.kinds import ALIGNED
from export_rows import aligned_row, in_key_order


def test_words_and_links_stand_in_the_order_of_the_key(batch):
    lines = {name: column.to_pylist() for name, column in pharaoh_lines("de-en", batch).items()}
    assert lines["de-en.words"][1] == "Ich habe es gegessen ||| I have eaten it"
    assert lines["de-en.pharaoh"] == ["0-0 1-1 2-2 3-3", "0-0 1-1 2-3 3-2", ""]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.permutations(["ar", "ja"]))
def test_links_are_those_of_the_row_flipped_and_sorted(data, languages):
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    links = data.draw(st.sets(pairs, max_size=6))
    row = aligned_row(*languages, "a " * (n - 1) + "a", "b " * (m - 1) + "b", links)
    batch = pa.RecordBatch.from_pylist([row], ALIGNED.schema)
    wanted = " ".join(f"{link['src']}-{link['tgt']}" for link in in_key_order(row)["links"])
    assert pharaoh_lines("ar-ja", batch)["ar-ja.pharaoh"].to_pylist() == [wanted]


@pytest.mark.parametrize("word", ["|||", "", "a\u00a0b", "a\u2028b", "a\u0085b"])
def test_a_word_that_would_read_as_several_is_refused(word):
    row = aligned_row("de", "en", "x", "y", [])
    row |= {"src": word, "src_spans": [{"start": 0, "end": len(word)}]}
    with pytest.raises(RowError, match=r"a word of src holds white space or \|\|\|"):
        pharaoh_lines("de-en", pa.RecordBatch.from_pylist([row], ALIGNED.schema))
