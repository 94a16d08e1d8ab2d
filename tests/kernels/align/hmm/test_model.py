"""Saved models: the same again, or refused."""

from typing import get_args

import pyarrow as pa
import pytest

from bitextile.kernels.align.config import Symmetrization
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.schema.errors import DatasetError

WORDS = pa.list_(pa.string())
METHODS = get_args(Symmetrization)


def test_a_saved_model_gives_the_same_links(corpus, model, tmp_path):
    digest = model.save(tmp_path / "m")
    again = HmmModel.load(tmp_path / "m")
    assert digest == model.digest == again.digest
    assert again.config == model.config
    for method in METHODS:
        assert align_pairs(again, *corpus, symmetrize=method).links == (
            align_pairs(model, *corpus, symmetrize=method).links
        )
    before = {f.name: f.read_bytes() for f in (tmp_path / "m").iterdir()}
    again.save(tmp_path / "n")
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "n").iterdir()}


@pytest.mark.parametrize("name", ["src_words.arrow", "tgt_words.arrow", "table.arrow"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_model_is_refused(model, tmp_path, name, damage):
    model.save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    if damage == "gone":
        (tmp_path / name).unlink()
    with pytest.raises(DatasetError, match=name):
        HmmModel.load(tmp_path)


def test_a_changed_or_foreign_model_json_is_refused(model, tmp_path):
    model.save(tmp_path)
    head = tmp_path / "model.json"
    text = head.read_text()
    head.write_text(text.replace('"p_null": 0.2', '"p_null": 0.3'))
    with pytest.raises(DatasetError, match="content is sha256"):
        HmmModel.load(tmp_path)
    head.write_text(text.replace("bitextile-aligner/", "bitextile-aligner/9"))
    with pytest.raises(DatasetError, match="format is 'bitextile-aligner/9"):
        HmmModel.load(tmp_path)
    head.write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        HmmModel.load(tmp_path)
