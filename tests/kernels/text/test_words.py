"""Texts with their words as arrays: spans of a row become places in the whole batch."""

import pyarrow as pa

from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import segmented_side, segmented_texts


def test_words_stand_where_their_spans_say(aligned) -> None:
    texts = pa.array(["a 犬", "", "b"])
    words = segmented_texts(texts, segment(texts, "zh"))
    assert words.words.tolist() == [0, 2, 2, 3]
    assert (words.starts.tolist(), words.ends.tolist()) == ([0, 2, 3], [1, 3, 4])


def test_a_side_of_a_batch_is_its_text_with_its_words(aligned) -> None:
    batch = aligned((("en", "The dog"), ("de", "Hunde"), []), (("en", "A"), ("de", "ab cd"), []))
    for name in ("src", "tgt"):
        side = segmented_side(batch[1:], name)
        expected = segmented_texts(batch[name][1:], batch[f"{name}_spans"][1:])
        assert [a.tolist() for a in (side.words, side.starts, side.ends)] == [
            a.tolist() for a in (expected.words, expected.starts, expected.ends)
        ]
