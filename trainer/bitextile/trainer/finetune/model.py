"""A classifier on an encoder: the head that transformers puts on the first token's last vector.

    XLM-RoBERTa, RoBERTa   dropout, dense, tanh, dropout, linear
    BERT                   dense, tanh (its pooler), dropout, linear
    ModernBERT             dense, GELU, norm, dropout, linear

No head of our own, so that what is written is what `AutoModelForSequenceClassification` loads, to
the last bit. The body is the encoder that was pre-trained; the head starts from fresh weights.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import AutoModelForSequenceClassification

from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.model.build import quiet
from bitextile.trainer.model.encoder import Encoder


class Classifier(nn.Module):
    """From the first token's vector to scores of the classes.

    Attributes:
        parts: modules in their order.
    """

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the scores [n, classes] of vectors [n, width]."""
        n = len(vectors)
        vectors = vectors[:, None]  # heads expect a sequence, and take its first position
        for part in self.parts:
            vectors = part(vectors)
        return vectors.reshape(n, -1)


def fresh_classifier(encoder: Encoder, labels: tuple[str, ...]) -> Classifier:
    """Returns the head for an encoder, its weights drawn from torch's generator.

    Raises:
        ConfigError: the architecture has none that we know.
    """
    return Classifier(_head_of(_sequence_model(encoder, labels)))


def _sequence_model(encoder: Encoder, labels: tuple[str, ...]) -> Any:
    config = deepcopy(encoder.mlm.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    try:
        return AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"transformers has no sequence classifier for {type(config).__name__} ({reason})"
        ) from error


def _head_of(model: Any) -> list[nn.Module]:
    """Returns the modules between the body and the scores, in order."""
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None and hasattr(model, "dropout"):
        return [pooler, model.dropout, model.classifier]
    if all(hasattr(model, name) for name in ("head", "drop", "classifier")):
        model.config.classifier_pooling = "cls"
        return [model.head, model.drop, model.classifier]
    if all(hasattr(getattr(model, "classifier", None), name) for name in ("dense", "out_proj")):
        return [model.classifier]
    raise ConfigError(
        f"{type(model).__name__} has no known head; fine-tune a BERT-, RoBERTa- or "
        "ModernBERT-like encoder"
    )


def save_classifier(
    folder: Path,
    encoder: Encoder,
    labels: tuple[str, ...],
    *,
    body: dict[str, torch.Tensor],
    head: dict[str, torch.Tensor],
) -> None:
    """Writes config.json and model.safetensors as transformers does.

    Args:
        folder: to write to.
        encoder: gives the configuration.
        labels: name of each class.
        body: weights of the masked language model, by its names, gathered.
        head: those of the `Classifier`.
    """
    with torch.random.fork_rng(devices=[]):  # its fresh weights are replaced
        model = _sequence_model(encoder, labels)
    Classifier(_head_of(model)).load_state_dict(head)
    prefix = f"{encoder.mlm.base_model_prefix}."
    # The body alone: the head of masked language modelling has no place in a classifier.
    own = {n.removeprefix(prefix): t for n, t in body.items() if n.startswith(prefix)}
    missing, _ = model.base_model.load_state_dict(own, strict=False)
    # BERT's pooler is part of its head here, and came with it.
    assert all(name.startswith("pooler.") for name in missing), missing
    with quiet():
        model.save_pretrained(folder)


def pair_tokenizer(tokenizer: Tokenizer) -> Any:
    """Returns the tokenizer whose `tokenizer(premise, hypothesis)` is what was trained on.

    That is `[CLS] s [SEP] t [SEP]` with type 0 throughout, where XLM-R's own form has two
    separators in between and BERT's has types.
    """
    pretrained = deepcopy(tokenizer.pretrained)
    cls, sep = pretrained.convert_ids_to_tokens([tokenizer.cls, tokenizer.sep])
    pretrained.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:0 {sep}:0",
        special_tokens=[(cls, tokenizer.cls), (sep, tokenizer.sep)],
    )
    return pretrained
