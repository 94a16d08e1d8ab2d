"""The encoder: any BERT-like masked language model of transformers, its body and head apart."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.utils import logging as transformers_logging

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.model.attention import block_mask, dense_mask

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


LANGUAGES = "languages.safetensors"
"""Language embeddings beside a model, which transformers does not read."""


Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From [R, W, width] the embeddings of tokens, and E, to embeddings of the same shape."""


class Encoder(nn.Module):
    """A masked language model whose body and head can be called apart, on packed rows.

    Attributes:
        mlm: the transformers model, what `save_pretrained` writes.
        languages: tags with an embedding of their own, added to the input embeddings during
            pre-training (ERNIE-M, section 3.2) and ignored by whoever loads `mlm` alone.
        language: that table, or None.
        flex: FlexAttention instead of SDPA with a dense mask.
    """

    def __init__(self, mlm: Any, languages: Sequence[str] = (), *, flex: bool = False) -> None:
        super().__init__()
        self.mlm: Any = mlm
        self.languages = tuple(languages)
        self.language = _language_table(len(languages), mlm.config) if languages else None
        self.flex = flex
        _head_of(mlm)
        _set_attention(mlm, "flex_attention" if flex else "sdpa")

    @property
    def width(self) -> int:
        """Size of a vector."""
        return int(self.mlm.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of layers above the embeddings."""
        return int(self.mlm.config.num_hidden_layers)

    @property
    def table(self) -> torch.Tensor:
        """The input embedding table E, [vocabulary, width]."""
        return self.mlm.get_input_embeddings().weight

    def vectors(
        self,
        packed: Packed,
        *,
        layer: int | None = None,
        body: nn.Module | None = None,
        change: Change | None = None,
    ) -> torch.Tensor:
        """Returns the vectors of all places, flat.

        Args:
            packed: the rows.
            layer: 0 is the embeddings, `layers` or None the last one.
            body: computes in place of the encoder's own, a copy of it.
            change: gives other embeddings for those of the tokens; SALT's mixup.

        Returns:
            [R * W, width]; place w of row r stands at r * W + w.
        """
        own: Any = self.mlm.base_model if body is None else body
        table = own.get_input_embeddings()
        embedded = table(packed.inputs)
        if change is not None:
            embedded = change(embedded, table.weight)
        if self.language is not None and packed.languages is not None:
            embedded = embedded + self.language(packed.languages)
        output = own(
            inputs_embeds=embedded,
            position_ids=packed.positions + _first_position(own),
            attention_mask=self._visible(packed),
            output_hidden_states=layer is not None,
        )
        hidden = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return hidden.flatten(0, 1)

    def _visible(self, packed: Packed) -> Any:
        make = block_mask if self.flex else dense_mask
        if "sliding_attention" not in (getattr(self.mlm.config, "layer_types", None) or ()):
            return make(packed)
        window = self.mlm.config.sliding_window
        return {"full_attention": make(packed), "sliding_attention": make(packed, window=window)}

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the head's scores of vectors [M, width] as [M, vocabulary].

        Only for positions that are predicted: on a CPU with 15 % of 32,000-word logits that is
        most of a mini model's time.
        """
        for part in _head_of(self.mlm):
            vectors = part(vectors)
        return vectors


def _language_table(n: int, config: Any) -> nn.Embedding:
    table = nn.Embedding(n, config.hidden_size)
    nn.init.normal_(table.weight, std=config.initializer_range)
    return table


def _first_position(body: Any) -> int:
    """Returns the number of position 0: RoBERTa-like models count from the padding id + 1."""
    embeddings = getattr(body, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return int(embeddings.padding_idx) + 1  # type: ignore[union-attr]
    return 0


def _set_attention(mlm: Any, name: str) -> None:
    try:
        mlm.set_attn_implementation(name)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"model class {type(mlm).__name__} has no {name} attention, which packed rows need "
            f"({reason}); use a BERT-, RoBERTa- or ModernBERT-like one"
        ) from error


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


def build_encoder(
    model: ModelConfig,
    coder: Coder,
    *,
    max_length: int,
    seed: int,
    languages: Sequence[str] = (),
    flex: bool | None = False,
) -> Encoder:
    """Returns the encoder a run starts from, in float32 on the CPU.

    Args:
        model: preset, transformers configuration or checkpoint.
        coder: gives the size of the vocabulary and the special ids.
        max_length: positions needed.
        seed: of fresh weights.
        languages: tags that get an embedding of their own; () for none.
        flex: FlexAttention instead of SDPA; None for wherever the model allows it.

    Raises:
        ConfigError: no such checkpoint, none in safetensors, too few positions or too small a
            vocabulary, attention dropout under FlexAttention, or a configuration transformers
            does not accept.
    """
    if model.checkpoint is not None:
        mlm = load_masked_lm(model.checkpoint)
    else:
        mlm = _fresh(model.config or PRESETS[model.preset or "mini"], coder, max_length, seed)
    _check_fit(mlm, coder, max_length)
    if flex is None:
        flex = not _attention_dropout(mlm.config)
    if flex:
        _check_flex(mlm.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(mlm, languages, flex=flex)
    if model.checkpoint is not None and encoder.language is not None:
        _load_languages(encoder, Path(model.checkpoint))
    return encoder


def _load_languages(encoder: Encoder, folder: Path) -> None:
    """Takes over the embeddings of languages that the checkpoint knows."""
    if encoder.language is None or not (folder / LANGUAGES).is_file():
        return
    with safe_open(folder / LANGUAGES, framework="pt") as file:
        known = json.loads(file.metadata()["languages"])
        table = file.get_tensor("language")
    with torch.no_grad():
        for place, tag in enumerate(encoder.languages):
            if tag in known:
                encoder.language.weight[place] = table[known.index(tag)]


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
    room = config.max_position_embeddings - _first_position(mlm.base_model)
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
