"""Batches of pairs: words, the sample, and sides in the order of sorted tags."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.alignment import WordLinks, to_alignment
from bitextile.kernels.align.batches import (
    SAMPLE,
    align_batch,
    draw_sample,
    flip_links,
    join_samples,
    segment_pairs,
)
from bitextile.kernels.align.config import FitSample
from bitextile.schema.kinds import ALIGNED, LINKS
from pair_rows import pairs_batch

TEXTS = [(f"the dog {k}", f"كلب {k} .") for k in range(200)]


def segmented(reverse: bool = False) -> pa.RecordBatch:
    texts = [pair[::-1] for pair in TEXTS] if reverse else TEXTS
    langs = ("ar", "en") if reverse else ("en", "ar")
    return segment_pairs(pairs_batch(*langs, texts), segmenter="auto")


def test_words_are_spans_of_both_sides() -> None:
    batch = segmented()
    row = batch.slice(0, 1).to_pylist()[0]
    words = [
        [row[side][span["start"] : span["end"]] for span in row[f"{side}_spans"]]
        for side in ("src", "tgt")
    ]
    assert words == [["the", "dog", "0"], ["كلب", "0", "."]]


def test_the_sample_has_the_smaller_tag_first_whichever_side_it_stood_on() -> None:
    whole = FitSample(pairs=10**6, seed=0)
    one, two = (draw_sample(segmented(r), rows=200, sample=whole) for r in (False, True))
    assert one.equals(two)
    assert one.schema == SAMPLE
    assert one["first"][0].as_py() == ["كلب", "0", "."]


def test_the_sample_is_about_the_size_asked_for_and_does_not_depend_on_batches() -> None:
    batch = segmented()
    sample = FitSample(pairs=50, seed=0)
    drawn = draw_sample(batch, rows=200, sample=sample)
    assert 25 < drawn.num_rows < 80
    parts = [draw_sample(batch.slice(k, 30), rows=200, sample=sample) for k in range(180, -1, -30)]
    for joined in (join_samples(parts), join_samples([drawn])):
        assert len(joined[0]) == drawn.num_rows
    assert join_samples(parts) == join_samples([drawn])
    other = draw_sample(batch, rows=200, sample=FitSample(pairs=50, seed=1))
    assert other["pair_id"] != drawn["pair_id"]


class FirstToLast:
    """Links the first word of the first side to the last of the second."""

    def align(self, src, tgt):
        n = [len(row) for row in tgt.to_pylist()]
        rows = np.arange(len(n))
        return to_alignment(
            WordLinks(rows, 0 * rows, np.array(n) - 1, np.full(len(n), 0.5)), len(n)
        )


def test_links_are_of_the_row_s_own_sides() -> None:
    forward, reverse = (align_batch(segmented(r), FirstToLast()) for r in (False, True))
    assert forward.schema == reverse.schema == ALIGNED.schema
    # The aligner sees Arabic first: its first word is linked to the last English one.
    assert forward["links"][0].as_py() == [{"src": 2, "tgt": 0, "score": 0.5}]
    assert reverse["links"][0].as_py() == [{"src": 0, "tgt": 2, "score": 0.5}]
    assert forward["align_score"] == reverse["align_score"]


ROWS = st.lists(
    st.dictionaries(
        st.tuples(st.integers(0, 9), st.integers(0, 9)), st.floats(0.125, 1, width=32), max_size=5
    ),
    min_size=1,
    max_size=5,
)


@given(ROWS)
@settings(max_examples=60)
def test_flipping_exchanges_sides_sorts_again_and_twice_is_nothing(rows) -> None:
    links = pa.array([[(*p, s) for p, s in sorted(row.items())] for row in rows], LINKS)
    flipped = flip_links(links)
    assert [[tuple(x.values()) for x in row] for row in flipped.to_pylist()] == [
        sorted((j, i, s) for (i, j), s in row.items()) for row in rows
    ]
    assert flip_links(flipped) == links
    assert flip_links(links.slice(1)).to_pylist() == flipped.to_pylist()[1:]
