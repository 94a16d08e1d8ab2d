"""Classes of words by their first characters."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.word_classes import group_by_prefix, prefixes


@pytest.mark.parametrize(
    ("word", "beginning"),
    [
        ("minister", "mini"),
        ("選挙", "選"),
        ("ひと", "ひ"),
        ("학교에서", "학교"),
        ("ትምህርት", "ትም"),
        ("ความรัก", "ความรัก"),
        ("ការងារធំធំ", "ការងារធំ"),
        ("مدرسة", "مدرس"),
        ("", ""),
    ],
)
def test_classes_are_cut_by_script(word, beginning):
    assert prefixes(pa.array([word]), HmmModelConfig()).to_pylist() == [beginning]


VOCABULARY = st.lists(st.sampled_from(["voter", "votes", "vote", "x", "選挙", "選"]), unique=True)


@given(VOCABULARY, VOCABULARY)
def test_classes_are_the_words_with_equal_prefixes(src, tgt):
    config = HmmModelConfig()
    arrays = [pa.array(side, pa.string()) for side in (src, tgt)]
    classes = group_by_prefix(*arrays, config)
    begin = [prefixes(side, config).to_pylist() for side in arrays]
    for k, word in enumerate(src):
        assert classes.same_word[k] == (tgt.index(word) if word in tgt else -1)
        of_class = classes.src_word[
            classes.src_start[classes.of_src[k]] : classes.src_start[classes.of_src[k] + 1]
        ]
        assert sorted(of_class) == [n for n, b in enumerate(begin[0]) if b == begin[0][k]]
        with_prefix = [n for n, b in enumerate(begin[1]) if b == begin[0][k]]
        of_tgt = np.flatnonzero(classes.of_tgt == classes.same_class[k]).tolist()
        assert of_tgt == with_prefix
