"""Words as integers, and windows over long sentences."""

import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.alignment import WordLinks
from bitextile.kernels.align.corpus import (
    Corpus,
    count_words,
    cut_windows,
    encode_words,
    lower_words,
    split_words,
)

WORDS = pa.list_(pa.string())


def test_words_are_numbered_the_same_however_the_sentences_are_cut(monkeypatch):
    rows = [["b", "水"], [], ["A", "水", "ß"], ["b"], ["ẞ", "c"]]
    whole = encode_words(pa.array(rows, WORDS))
    monkeypatch.setattr("bitextile.kernels.align.corpus.SENTENCES_PER_BATCH", 2)
    monkeypatch.setattr("bitextile.kernels.align.corpus.TOKENS_PER_BATCH", 3)
    chunked = pa.chunked_array([rows[:1], rows[1:4], rows[4:]], WORDS)
    for sentences in (pa.array(rows, WORDS), chunked, pa.array([["x"], *rows], WORDS).slice(1)):
        vocabulary, ids, offsets = encode_words(sentences)
        assert vocabulary == whole[0]
        assert ids.tolist() == whole[1].tolist()
        assert offsets.tolist() == whole[2].tolist()
    flat, _ = lower_words(pa.array(rows, WORDS))
    assert whole[0].take(pa.array(whole[1])).to_pylist() == flat.to_pylist()
    assert count_words(whole[1], 6).tolist() == np.bincount(whole[1], minlength=6).tolist()


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=5),
    st.integers(16, 40),
)
@settings(deadline=None)
def test_windows_cover_every_word_once_and_stay_within_the_limit(lengths, limit):
    at = np.array([[0, 0], *lengths]).cumsum(axis=0)
    ids = [np.arange(at[-1, k], dtype=np.int32) for k in (0, 1)]
    cut = cut_windows(Corpus(ids[0], at[:, 0], ids[1], at[:, 1]), limit)
    assert max(np.diff(cut.corpus.src_at).max(), np.diff(cut.corpus.tgt_at).max()) <= limit
    owned, seen = [], set()
    for w, row in enumerate(cut.row.tolist()):
        base = at[row, 0]
        owned += range(base + cut.own_from[w], base + cut.own_to[w])
        window = cut.corpus.src[cut.corpus.src_at[w] : cut.corpus.src_at[w + 1]]
        assert window.tolist() == list(
            range(base + cut.src_from[w], base + cut.src_from[w] + len(window))
        )
        seen |= set(cut.corpus.tgt[cut.corpus.tgt_at[w] : cut.corpus.tgt_at[w + 1]].tolist())
    assert owned == list(range(at[-1, 0]))
    assert seen == set(range(at[-1, 1]))
    assert cut.n_long == sum(max(a, b) > limit for a, b in lengths)


def test_links_of_windows_become_those_of_their_pairs_each_once():
    at = np.array([0, 0, 2, 32])
    cut = cut_windows(
        Corpus(np.arange(32, dtype=np.int32), at, np.arange(32, dtype=np.int32), at), 16
    )
    # Each word of a window linked to the word of the same number: the overlaps give links twice.
    n_words = np.diff(cut.corpus.src_at)
    window = np.repeat(np.arange(len(n_words)), n_words)
    word = np.concatenate([np.arange(n) for n in n_words])
    links = cut.to_pairs(WordLinks(window, word, word, np.ones(len(word), np.float32)))
    assert len(word) > 32
    assert list(zip(links.pair, links.src, links.tgt, strict=True)) == [
        *((1, i, i) for i in range(2)),
        *((2, i, i) for i in range(30)),
    ]


SPACES = "".join(c for c in map(chr, range(0x110000)) if c.isspace())


@given(st.lists(st.text(alphabet="ab水\u0301\u200b" + SPACES, max_size=9), max_size=6))
def test_lines_are_split_at_spaces_and_tabs_alone(lines):
    expected = [re.findall(r"[^ \t]+", line.strip(" \t\r\n")) for line in lines]
    assert split_words(lines).to_pylist() == expected
