"""An encoder as an Aligner: the same links in any batch, nothing to save."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.encoder import aligner as module
from bitextile.kernels.align.encoder.aligner import EncoderAligner
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.engine import Runtime
from bitextile.schema.errors import ConfigError

WORDS = pa.list_(pa.string())
SIDE = st.lists(st.sampled_from(["das", "Haus", "house", "the", "水", "房子"]), max_size=5)


def rows(alignment):
    return [[(x["src"], x["tgt"], x["score"]) for x in row] for row in alignment.links.to_pylist()]


@given(st.lists(st.tuples(SIDE, SIDE), max_size=9), st.integers(1, 4), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_links_of_a_pair_depend_on_neither_sorting_nor_chunks(encoder, pairs, sort, chunk):
    src, tgt = (pa.array([pair[k] for pair in pairs], WORDS) for k in (0, 1))
    aligner = EncoderAligner(encoder, SimalignConfig(encoder="e", token_type="word"))
    alone = [
        row
        for k in range(len(pairs))
        for row in rows(aligner.align(src.slice(k, 1), tgt.slice(k, 1)))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAIRS_PER_SORT", sort)
        patch.setattr(module, "SUBWORDS_PER_CHUNK", chunk)
        together = rows(aligner.align(src, tgt))
    assert [[link[:2] for link in row] for row in together] == [
        [link[:2] for link in row] for row in alone
    ]


def test_equal_words_are_linked(encoder):
    aligner = EncoderAligner(encoder, SimalignConfig(encoder="e"))
    src, tgt = (
        pa.array([["das", "Haus"], []], WORDS),
        pa.array([["Haus", "x", "das"], ["y"]], WORDS),
    )
    made = aligner.align(src, tgt)
    assert [link[:2] for link in rows(made)[0]] == [(0, 2), (1, 0)]
    assert rows(made)[1] == []


def test_it_is_loaded_by_the_runtime_and_never_saved(encoder, tmp_path):
    asked = []

    def load_encoder(folder, *, layer, prefix):
        asked.append((folder, layer, prefix))
        return encoder

    config = SimalignConfig(encoder="e", layer=5, prefix="query: ")
    runtime = Runtime(load_encoder=load_encoder)
    none = pa.array([], WORDS)
    aligner = EncoderAligner.fit(none, none, config=config, runtime=runtime)
    assert asked == [("e", 5, "query: ")]
    assert aligner.digest == encoder.digest
    assert aligner.training_alignment() is None
    with pytest.raises(ConfigError, match="aligner simalign fits no model"):
        aligner.save(str(tmp_path))
    with pytest.raises(ConfigError, match="aligner simalign fits no model"):
        EncoderAligner.load(str(tmp_path), config=config, runtime=runtime)
