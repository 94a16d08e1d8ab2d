"""What a checkpoint says of itself decides what it is used for."""

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.checkpoint import (
    check_languages,
    check_objective,
    known_languages,
    load_checkpoint,
    model_tokenizer,
)


def test_a_checkpoint_is_loaded_with_its_languages(random_model, tokenizer) -> None:
    ready = load_checkpoint(random_model)
    assert tuple(ready.index) == known_languages(random_model) == ("ar", "en")
    assert ready.index == {"ar": 0, "en": 1}
    assert ready.tokenizer.digest == tokenizer.digest == model_tokenizer(random_model).digest
    positions = ready.encoder.mlm.config.max_position_embeddings
    assert ready.max_tokens == positions - tokenizer.pad - 1
    assert not ready.encoder.training


def test_a_checkpoint_without_language_embeddings_has_no_index(save_random) -> None:
    folder = save_random(languages=())
    assert known_languages(folder) == ()
    assert load_checkpoint(folder).index is None
    with pytest.raises(ConfigError, match="has no language embeddings"):
        check_languages(folder, ["en"])


def test_objective_and_languages_are_checked(random_model) -> None:
    check_objective(random_model, "camlm")
    check_languages(random_model, ["en", "ar", "en"])
    with pytest.raises(ConfigError, match="never with btmlm"):
        check_objective(random_model, "btmlm")
    with pytest.raises(ConfigError, match="no embedding for de, ja; it knows ar, en"):
        check_languages(random_model, ["ja", "en", "de"])
