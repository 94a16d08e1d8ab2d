"""A classifier on an encoder: the head that transformers puts on the first token's last vector.

    XLM-RoBERTa, RoBERTa   dropout, dense, tanh, dropout, linear
    BERT                   dense, tanh (its pooler), dropout, linear
    ModernBERT             dense, GELU, norm, dropout, linear

No head of our own, so that what is written is what `AutoModelForSequenceClassification` loads, to
the last bit. The body is the encoder that was pre-trained. Of the head, what its folder has (BERT's
pooler, ModernBERT's dense layer and norm) is kept, as transformers does it; the rest is fresh.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import AutoModelForSequenceClassification

from bitextile.kernels.model_folder import build_from_config, model_errors
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.model.build import quiet
from bitextile.trainer.model.encoder import Encoder

_LAST_LAYERS = ("classifier.out_proj.", "classifier.weight", "classifier.bias")


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


def fresh_classifier(
    encoder: Encoder, labels: tuple[str, ...], *, folder: str | None = None
) -> Classifier:
    """Returns the head for an encoder, its weights drawn from torch's generator.

    Args:
        encoder: gives the architecture.
        labels: name of each class.
        folder: the encoder's; the layers of the head that it has are taken from there, all but the
            last. None for fresh ones.

    Raises:
        ConfigError: the architecture has none that we know, or the folder's layer has another size.
    """
    model = _sequence_model(encoder, labels)
    head = Classifier(_head_of(model))
    if folder is not None:
        _keep_pretrained(model, head, Path(folder))
    return head


def _keep_pretrained(model: Any, head: Classifier, folder: Path) -> None:
    """Takes layers of the head, but the last, from a folder that has them."""
    own = {id(p) for p in head.parameters()}
    wanted = {
        name: parameter
        for name, parameter in model.named_parameters()
        # The last layer is of the classes: even of as many, a folder's are those of another task.
        if id(parameter) in own and not name.startswith(_LAST_LAYERS)
    }
    # A body that was saved alone has its names without the prefix of the whole.
    names = {name.removeprefix(f"{model.base_model_prefix}."): name for name in wanted}
    names |= {name: name for name in wanted}
    for path in sorted(folder.glob("*.safetensors")):
        with model_errors(f"{path}: no weights"), safe_open(path, framework="pt") as file:
            for key in names.keys() & set(file.keys()):
                parameter, found = wanted[names[key]], file.get_tensor(key)
                if found.shape != parameter.shape:
                    raise ConfigError(
                        f"{path}: {key} is {list(found.shape)}, expected "
                        f"{list(parameter.shape)}; is config.json that of the same model?"
                    )
                parameter.data.copy_(found)


def _sequence_model(encoder: Encoder, labels: tuple[str, ...]) -> Any:
    config = deepcopy(encoder.mlm.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    refusal = f"transformers has no sequence classifier for {type(config).__name__}"
    return build_from_config(AutoModelForSequenceClassification, config, refusal=refusal)


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
