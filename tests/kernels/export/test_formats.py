import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.export.formats import FORMATS, format_named
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED
from export_rows import aligned_row

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=4)


@st.composite
def batches(draw) -> pa.RecordBatch:
    drawn = []
    for line in range(draw(st.integers(1, 5))):
        words = [draw(st.lists(WORDS.filter(lambda w: "|" not in w), max_size=4)) for _ in "st"]
        pairs = st.tuples(*(st.integers(0, max(len(w) - 1, 0)) for w in words))
        links = draw(st.sets(pairs, max_size=4)) if all(words) else set()
        languages = draw(st.permutations(["ar", "ja"]))
        row = aligned_row(*languages, *(" ".join(w) or "." for w in words), links, line)
        drawn.append(row)
    return pa.RecordBatch.from_pylist(drawn, ALIGNED.schema)


ALIGNED_FORMATS = [format for format in FORMATS if ALIGNED in format.kinds]


@settings(max_examples=40, deadline=None)
@given(batches(), st.integers(0, 5))
@pytest.mark.parametrize("format", ALIGNED_FORMATS, ids=lambda format: format.name)
def test_lines_do_not_depend_on_how_rows_are_batched(format, batch, cut):
    whole = {name: column.to_pylist() for name, column in format.lines("ar-ja", batch).items()}
    parts = [part for part in (batch[:cut], batch[cut:]) if part.num_rows]
    split = [format.lines("ar-ja", part) for part in parts]
    for name in whole:
        assert len(whole[name]) == batch.num_rows
        assert [line for part in split for line in part[name].to_pylist()] == whole[name]


def test_an_unknown_format_is_refused_with_the_names_of_all():
    assert [format_named(format.name) for format in FORMATS] == list(FORMATS)
    with pytest.raises(ConfigError, match="'xml', expected one of pharaoh, moses"):
        format_named("xml")
