import numpy as np
from hypothesis import given

from bitextile.kernels.derive.script import transliterate_words, transliterate_words_back
from bitextile.kernels.text.codepoints import cut
from bitextile.kernels.text.private_script import transliterate_text
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import segmented_texts
from derive_cases import BATCHES


@given(BATCHES)
def test_words_keep_their_spans_there_and_back(batch) -> None:
    words = segmented_texts(batch["text"], segment(batch["text"], "en"))
    made = transliterate_words(words)
    spelled = cut(words.texts, words.starts, words.ends).to_pylist()
    assert cut(made.texts, made.starts, made.ends).to_pylist() == [
        transliterate_text(word) for word in spelled
    ]
    back = transliterate_words_back(made)
    for before, after in ((words.texts, back.texts), (words[1:], back[1:])):
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
