"""The encoder: any BERT-like masked language model of transformers, its body and head apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.utils import logging as transformers_logging

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Coder

PRESETS: dict[str, dict[str, Any]] = {
    "mini": {
        "model_type": "xlm-roberta",
        "num_hidden_layers": 4,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
    "base": {
        "model_type": "xlm-roberta",
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
}
"""Geometries by name; base is XLM-R base (Conneau et al. 2020, table 8)."""


class Encoder(nn.Module):
    """A masked language model whose body and head can be called apart.

    Attributes:
        mlm: the transformers model, what `save_pretrained` writes.
    """

    def __init__(self, mlm: Any) -> None:
        super().__init__()
        self.mlm: Any = mlm
        _head_of(mlm)

    @property
    def width(self) -> int:
        """Size of a vector."""
        return int(self.mlm.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of layers above the embeddings."""
        return int(self.mlm.config.num_hidden_layers)

    def vectors(
        self, inputs: torch.Tensor, attention: torch.Tensor, *, layer: int | None = None
    ) -> torch.Tensor:
        """Returns the vectors of all positions, flat.

        Args:
            inputs: [B, L] ids.
            attention: [B, L], 1 on tokens, 0 on padding.
            layer: 0 is the embeddings, `layers` or None the last one.

        Returns:
            [B * L, width]; position l of row b stands at b * L + l.
        """
        output = self.mlm.base_model(
            input_ids=inputs, attention_mask=attention, output_hidden_states=layer is not None
        )
        hidden = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return hidden.flatten(0, 1)

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the head's scores of vectors [M, width] as [M, vocabulary].

        Only for positions that are predicted: on a CPU with 15 % of 32,000-word logits that is
        most of a mini model's time.
        """
        for part in _head_of(self.mlm):
            vectors = part(vectors)
        return vectors


def _head_of(mlm: Any) -> list[nn.Module]:
    """Returns the modules between the last layer and the logits, in order.

    One of three forms in transformers: `cls` (BERT and kin), `lm_head` (RoBERTa and kin), `head`
    then `decoder` (ModernBERT); a test compares each with the model's own logits.
    """
    for names in (("cls",), ("lm_head",), ("head", "decoder")):
        if all(hasattr(mlm, name) for name in names):
            return [getattr(mlm, name) for name in names]
    raise ConfigError(
        f"model class {type(mlm).__name__} has no head we know (cls, lm_head, head + decoder); "
        "use a BERT-, RoBERTa- or ModernBERT-like masked language model"
    )


def build_encoder(model: ModelConfig, coder: Coder, *, max_length: int, seed: int) -> Encoder:
    """Returns the encoder a run starts from, in float32 on the CPU.

    Args:
        model: preset, transformers configuration or checkpoint.
        coder: gives the size of the vocabulary and the special ids.
        max_length: positions needed.
        seed: of fresh weights.

    Raises:
        ConfigError: no such checkpoint, none in safetensors, too few positions or too small a
            vocabulary, or a configuration transformers does not accept.
    """
    if model.checkpoint is not None:
        mlm = load_masked_lm(model.checkpoint)
    else:
        mlm = _fresh(model.config or PRESETS[model.preset or "mini"], coder, max_length, seed)
    _check_fit(mlm, coder, max_length)
    return Encoder(mlm)


def load_masked_lm(path: str) -> Any:
    """Loads a masked language model from a local folder; never a pickle, never the network.

    Raises:
        ConfigError: no such folder, or no safetensors weights of such a model in it.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{path}: no model folder (config.json is missing); give a local one")
    if not list(folder.glob("*.safetensors")):
        pickles = ", ".join(sorted(p.name for p in folder.glob("*.bin"))) or "no weights"
        raise ConfigError(
            f"{path}: expected model.safetensors, found {pickles}; pickles can run code and are "
            "not loaded: convert it with save_pretrained where you trust it"
        )
    try:
        with quiet():
            return AutoModelForMaskedLM.from_pretrained(
                path, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not a masked language model ({reason})") from error


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


def _fresh(geometry: dict[str, Any], coder: Coder, max_length: int, seed: int) -> Any:
    # RoBERTa-like models count positions from the padding id + 1.
    positions = max_length + coder.pad + 1
    derived: dict[str, Any] = {
        "vocab_size": coder.size,
        "pad_token_id": coder.pad,
        "bos_token_id": coder.cls,
        "eos_token_id": coder.sep,
        "cls_token_id": coder.cls,
        "sep_token_id": coder.sep,
        "max_position_embeddings": positions,
    }
    if geometry["model_type"] in ("roberta", "xlm-roberta", "camembert"):
        derived |= {"type_vocab_size": 1, "layer_norm_eps": 1e-5}
    try:
        config = AutoConfig.for_model(**(derived | geometry))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModelForMaskedLM.from_config(config)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"model.config: transformers does not accept it ({reason})") from error


def _check_fit(mlm: Any, coder: Coder, max_length: int) -> None:
    config = mlm.config
    if config.vocab_size < coder.size:
        raise ConfigError(
            f"the model has {config.vocab_size} embeddings, the tokenizer {coder.size} ids; "
            "give the tokenizer that belongs to the model"
        )
    counted_from = getattr(config, "pad_token_id", None) or 0
    offset = counted_from + 1 if "roberta" in config.model_type else 0
    room = config.max_position_embeddings - offset
    if room < max_length:
        raise ConfigError(
            f"the model has room for {room} positions, max_length is {max_length}; lower it"
        )
