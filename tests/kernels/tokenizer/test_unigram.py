"""The unigram model: its last piece, and refusals in terms of what the user sets."""

import pytest
import sentencepiece

from bitextile.kernels.tokenizer.unigram import (
    MASK,
    SPECIALS,
    TokenizerConfig,
    count_ids,
    train_unigram,
)
from bitextile.schema.errors import ConfigError

TEXTS = [f"the {word} runs {n}" for n, word in enumerate(["dog", "cat", "hen", "cow"] * 9)]


def test_special_pieces_come_first_and_the_mask_last() -> None:
    model = train_unigram(TEXTS, TokenizerConfig(vocab_size=285))
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert [pieces.id_to_piece(i) for i in SPECIALS.values()] == list(SPECIALS)
    assert pieces.get_piece_size() == 285
    assert pieces.id_to_piece(284) == MASK
    assert pieces.is_control(284)


def test_a_size_below_the_characters_names_one_that_fits() -> None:
    with pytest.raises(ConfigError, match=r"vocab_size is 262, but .* need "):
        train_unigram(TEXTS, TokenizerConfig(vocab_size=262))


def test_a_size_above_what_the_text_gives_shrinks_to_it() -> None:
    shrunk = train_unigram(TEXTS, TokenizerConfig(vocab_size=9_000))
    largest = count_ids(shrunk)
    assert 285 < largest < 9_000
    assert shrunk == train_unigram(TEXTS, TokenizerConfig(vocab_size=largest))
    assert sentencepiece.SentencePieceProcessor(model_proto=shrunk).id_to_piece(largest - 1) == MASK


@pytest.mark.parametrize(
    "options",
    [
        {"vocab_size": 0},
        {"alpha": 1.5},
        {"max_sentences": 0},
        {"character_coverage": 0.5},
    ],
)
def test_options_out_of_range_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        TokenizerConfig(**options)
