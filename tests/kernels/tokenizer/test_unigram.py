"""The unigram model: its last piece, and refusals in terms of what the user sets."""

import pytest
import sentencepiece

from bitextile.kernels.tokenizer.unigram import MASK, SPECIALS, TokenizerConfig, train_unigram
from bitextile.schema.errors import ConfigError

TEXTS = [f"the {word} runs {n}" for n, word in enumerate(["dog", "cat", "hen", "cow"] * 9)]


def test_special_pieces_come_first_and_the_mask_last() -> None:
    model = train_unigram(TEXTS, TokenizerConfig(vocab_size=285))
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert [pieces.id_to_piece(i) for i in SPECIALS.values()] == list(SPECIALS)
    assert pieces.get_piece_size() == 285
    assert pieces.id_to_piece(284) == MASK
    assert pieces.is_control(284)


@pytest.mark.parametrize(("size", "message"), [(9_000, "at most"), (262, "need")])
def test_a_size_that_does_not_fit_names_one_that_does(size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"vocab_size is {size}, but .* {message} "):
        train_unigram(TEXTS, TokenizerConfig(vocab_size=size))


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
