import pyarrow as pa
import pytest

from bitextile.kernels.export.tsv import tsv_lines
from bitextile.schema.errors import RowError
from bitextile.schema.kinds import ALIGNED
from export_rows import aligned_row


def test_spans_and_links_are_written_out(batch):
    lines = tsv_lines("de-en", batch)["de-en.tsv"].to_pylist()
    fields = dict(zip(batch.schema.names, lines[1].split("\t"), strict=True))
    assert fields["src_spans"] == "0-1 2-6 7-12 13-15"
    assert fields["links"] == "0-0:0.9 1-1:0.25 2-3:1 3-2:0.3333333"
    assert (fields["src_lang"], fields["line"]) == ("en", "2")


@pytest.mark.parametrize("character", ["\t", "\n", "\r"])
def test_what_would_end_a_field_is_refused(character):
    row = aligned_row("de", "en", f"a{character}b", "x", [])
    with pytest.raises(RowError, match="src holds a tab or a line break"):
        tsv_lines("de-en", pa.RecordBatch.from_pylist([row], ALIGNED.schema))
