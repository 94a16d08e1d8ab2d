import pyarrow as pa
import pytest

from bitextile.kernels.export.columns import sides_of_key
from bitextile.schema.errors import DatasetError


@pytest.mark.parametrize(
    ("key", "src", "tgt"),
    [
        ("de-en", ["de", "de"], ["en", "fr"]),
        ("de-en", ["fr", "de"], ["en", "en"]),
        ("de-fr", ["de", "en"], ["en", "de"]),
    ],
)
def test_rows_in_other_languages_than_the_key_are_refused(key, src, tgt):
    batch = pa.RecordBatch.from_pydict({"src_lang": src, "tgt_lang": tgt})
    with pytest.raises(DatasetError, match=f"key {key}: a row is in"):
        sides_of_key(key, batch)
