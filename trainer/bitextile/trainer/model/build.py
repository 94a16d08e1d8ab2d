"""From a configuration to an encoder: fresh weights or a local checkpoint."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from bitextile.kernels.model_folder import (
    build_from_config,
    check_whole,
    load_pretrained,
    load_weights,
)
from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.model.config_keys import check_model_config
from bitextile.trainer.model.encoder import Encoder, first_position
from bitextile.trainer.model.languages import load_languages
from bitextile.trainer.observe.card import read_provenance

PRESETS: dict[str, dict[str, Any]] = {
    "mini": {
        "model_type": "xlm-roberta",
        "num_hidden_layers": 4,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "attention_probs_dropout_prob": 0.0,
    },
    "base": {
        "model_type": "xlm-roberta",
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "attention_probs_dropout_prob": 0.0,
    },
}
"""Geometries by name; base is XLM-R base (Conneau et al. 2020, table 8), but without dropout of
attention weights: neither FlexAttention nor the fused attention of CPUs has it."""


_VOCABULARY_FILES = ("tokenizer.json", "vocab.*", "*.model", "*.spm")


def build_encoder(
    model: ModelConfig,
    tokenizer: Tokenizer,
    *,
    max_length: int,
    seed: int,
    languages: Sequence[str] = (),
    flex: bool | None = False,
) -> Encoder:
    """Returns the encoder a run starts from, in float32 on the CPU.

    Args:
        model: preset, transformers configuration or checkpoint.
        tokenizer: gives the size of the vocabulary and the special ids.
        max_length: positions needed.
        seed: of fresh weights, those of a head that the checkpoint lacks among them.
        languages: tags that get an embedding of their own; () for none.
        flex: FlexAttention instead of SDPA; None for wherever the model allows it.

    Raises:
        ConfigError: no such checkpoint, none in safetensors, one with other pieces in its
            tokenizer, too few positions or too small a vocabulary, attention dropout under
            FlexAttention, or a configuration transformers does not accept.
    """
    if model.checkpoint is not None:
        _check_pieces(model.checkpoint, tokenizer)
        mlm, missing = _load(model.checkpoint, seed=seed)
        untrained = (read_provenance(model.checkpoint) or {}).get(HEAD) == UNTRAINED
        is_head_trained = not missing and not untrained
    else:
        is_head_trained = False
        mlm = _fresh(model.config or PRESETS[model.preset or "mini"], tokenizer, max_length, seed)
    _check_fit(mlm, tokenizer, max_length)
    if flex is None:
        flex = not _attention_dropout(mlm.config)
    if flex:
        _check_flex(mlm.config)
    # Fresh language embeddings follow the seed; the caller's generator does not move.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(mlm, languages, flex=flex, is_piece=tokenizer.is_piece)
    encoder.is_head_trained = is_head_trained
    if model.checkpoint is not None and encoder.language is not None:
        load_languages(Path(model.checkpoint), encoder.languages, encoder.language)
    return encoder


def load_masked_lm(path: str) -> Any:
    """Loads a masked language model from a local folder; never a pickle, never the network.

    An encoder that was saved without its head gets a fresh one, the same each time; see
    `load_predictor` where the head is used.

    Raises:
        ConfigError: no such folder, or no safetensors weights of such a model in it.
    """
    mlm, _ = _load(path, seed=0)
    return mlm


def load_predictor(path: str, *, allow_initial: bool = False) -> Any:
    """Loads a masked language model that has learned to predict words.

    Args:
        path: as for `load_masked_lm`.
        allow_initial: whether the weights that a run starts from will do, which bitextile writes
            to be measured.

    Raises:
        ConfigError: as `load_masked_lm`, or the head is not trained: it would predict noise.
    """
    mlm, missing = _load(path, seed=0)
    provenance = read_provenance(path) or {}
    is_initial = provenance.get("step") == 0
    if missing or (provenance.get(HEAD) == UNTRAINED and not (allow_initial and is_initial)):
        raise untrained_head(path)
    return mlm


def untrained_head(path: str) -> ConfigError:
    """Returns the error for a model that is to predict words and has not learned to."""
    return ConfigError(
        f"{path}: has no trained head of masked language modelling, so that it would predict "
        "noise; give a model with one, or train it by `bitextile pretrain`: name this folder as "
        "model.checkpoint, with an objective such as mlm"
    )


HEAD, UNTRAINED = "head", "untrained"
"""Entry of a model's provenance where its head of masked language modelling is not trained."""


def _load(path: str, *, seed: int) -> tuple[Any, tuple[str, ...]]:
    """Returns a masked language model, and the weights of its head that are fresh."""
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{path}: no model folder (config.json is missing); give a local one")
    if not list(folder.glob("*.safetensors")):
        pickles = ", ".join(sorted(p.name for p in folder.glob("*.bin"))) or "no weights"
        raise ConfigError(
            f"{path}: expected model.safetensors, found {pickles}; pickles can run code and are "
            "not loaded: convert it with save_pretrained where you trust it"
        )
    # The same weights in each process, and again in the next run.
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mlm, missing = load_weights(
            AutoModelForMaskedLM,
            path,
            expected="masked language model",
            # Whatever the file holds: updates at a small learning rate vanish in bf16's 8 bits.
            dtype=torch.float32,
        )
    body = f"{mlm.base_model_prefix}."
    check_whole(path, [n for n in missing if n.startswith(body) and "pooler" not in n])
    return mlm, tuple(n for n in missing if not n.startswith(body))


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' own progress bars, one per file, off the screen."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _fresh(geometry: dict[str, Any], tokenizer: Tokenizer, max_length: int, seed: int) -> Any:
    check_model_config(geometry)
    # RoBERTa-like models count positions from the padding id + 1.
    positions = max_length + tokenizer.pad + 1
    derived: dict[str, Any] = {
        "vocab_size": tokenizer.size,
        "pad_token_id": tokenizer.pad,
        "bos_token_id": tokenizer.cls,
        "eos_token_id": tokenizer.sep,
        "cls_token_id": tokenizer.cls,
        "sep_token_id": tokenizer.sep,
        "max_position_embeddings": positions,
    }
    if geometry["model_type"] in ("roberta", "xlm-roberta", "camembert"):
        # XLM-R's own values: the defaults of transformers are BERT's, 2 and 1e-12.
        derived |= {"type_vocab_size": 1, "layer_norm_eps": 1e-5}
    refusal = "model.config: transformers does not accept it"
    try:
        # What the configuration says itself goes before what follows from the tokenizer.
        config = AutoConfig.for_model(**(derived | geometry))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_from_config(AutoModelForMaskedLM, config, refusal=refusal)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{refusal} ({reason})") from error


def _check_pieces(folder: str, tokenizer: Tokenizer) -> None:
    """Checks that the tokenizer in a model's folder has the pieces of another one.

    Two vocabularies of one size may give each row of the embeddings another meaning.

    Args:
        folder: of the model; without a tokenizer in it nothing can be compared.
        tokenizer: to use the model with.

    Raises:
        ConfigError: an id stands for another piece in the folder's tokenizer, or that cannot be
            loaded.
    """
    path = Path(folder)
    if not any(found for name in _VOCABULARY_FILES for found in path.glob(name)):
        return
    if path.resolve() == Path(tokenizer.path).resolve():
        return
    try:
        known = load_pretrained(AutoTokenizer, folder, expected="tokenizer").get_vocab()
    except ConfigError as error:
        raise ConfigError(
            f"{folder}: its tokenizer cannot be loaded, to be compared with {tokenizer.path} "
            f"({error}); put the right one there"
        ) from error
    own, mine = ({i: p for p, i in v.items()} for v in (known, tokenizer.vocabulary))
    differ = [i for i in sorted(own.keys() | mine.keys()) if own.get(i) != mine.get(i)]
    if differ:
        at = differ[0]
        raise ConfigError(
            f"{folder}: its tokenizer has {own.get(at, 'nothing')!r} for id {at}, {tokenizer.path} "
            f"has {mine.get(at, 'nothing')!r} ({len(differ)} ids differ); give the tokenizer in "
            "that folder"
        )


def _check_fit(mlm: Any, tokenizer: Tokenizer, max_length: int) -> None:
    config = mlm.config
    # More rows than ids are fine: a table may be rounded up to a multiple of 8 or 64.
    if config.vocab_size < tokenizer.size:
        raise ConfigError(
            f"the model has {config.vocab_size} embeddings, the tokenizer {tokenizer.size} ids; "
            "give the tokenizer that belongs to the model"
        )
    room = config.max_position_embeddings - first_position(mlm.base_model)
    if room < max_length:
        raise ConfigError(
            f"the model has room for {room} positions, max_length is {max_length}; lower it"
        )


def _attention_dropout(config: Any) -> float:
    names = ("attention_probs_dropout_prob", "attention_dropout")
    return max(float(getattr(config, name, 0.0) or 0.0) for name in names)


def _check_flex(config: Any) -> None:
    if rate := _attention_dropout(config):
        raise ConfigError(
            f"FlexAttention has no dropout of attention weights, the model's is {rate}; set it to "
            "0 in model.config, or say attention: dense"
        )
