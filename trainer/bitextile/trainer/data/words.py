"""The words of texts, and which of them are one subword each."""

from collections.abc import Sequence

import pyarrow as pa

from bitextile.kernels.text.segment import segment
from bitextile.trainer.data.tokens import Encoding, Tokenizer


def one_piece_words(
    tokenizer: Tokenizer, side: Encoding, text: str, words: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Returns the words that are one subword each.

    A byte, a piece that spells nothing, and the unknown token are no word: they are part of one, or
    stand for many.

    Args:
        tokenizer: the tokenizer.
        side: the subwords of the text.
        text: the sentence.
        words: spans of its words, code points, in order.

    Returns:
        Index of the word to index of its subword.
    """
    # (start, end, place), without the space before a word, which is part of its token in
    # SentencePiece, and without bare marks, which stand beside the one token of a word.
    tokens = [
        (start + len(text[start:end]) - len(text[start:end].lstrip()), end, place)
        for place, (start, end) in enumerate(side.offsets.tolist())
    ]
    tokens = [token for token in tokens if token[0] < token[1]]
    alone = {}
    for k, (start, end, place) in enumerate(tokens):
        # Bytes of a character overlap; the last of them must not be taken for the whole.
        before, after = tokens[max(k - 1, 0) : k], tokens[k + 1 : k + 2]
        apart = all(b[1] <= start for b in before) and all(end <= a[0] for a in after)
        if apart and tokenizer.is_spelled[side.ids[place]]:
            alone[start, end] = place
    return {w: alone[span] for w, span in enumerate(words) if span in alone}


def word_spans(texts: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
    """Returns the spans of each text's words, by the segmenter of its language.

    Args:
        texts: (language, text) of each.
    """
    found: list[list[tuple[int, int]]] = [[]] * len(texts)
    for lang in sorted({lang for lang, _ in texts}):
        rows = [i for i, (own, _) in enumerate(texts) if own == lang]
        spans = segment(pa.array([texts[i][1] for i in rows], pa.string()), lang).to_pylist()
        for i, words in zip(rows, spans):
            found[i] = [(word["start"], word["end"]) for word in words]
    return found
