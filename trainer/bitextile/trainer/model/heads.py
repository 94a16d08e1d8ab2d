"""The head of a masked language model: the modules between its last layer and its logits."""

from typing import Any

from torch import nn

from bitextile.schema.errors import ConfigError


def head_of(mlm: Any) -> list[nn.Module]:
    """Returns the modules between the last layer and the logits, in order.

    One of three forms in transformers: `cls` (BERT and kin), `lm_head` (RoBERTa and kin), `head`
    then `decoder` (ModernBERT); a test compares each with the model's own logits.
    """
    # Apart from the body, since `mlm(...)` would make logits of every position: 6 to 7 times those
    # that are predicted at 15 %.
    for names in (("cls",), ("lm_head",), ("head", "decoder")):
        if all(hasattr(mlm, name) for name in names):
            return [getattr(mlm, name) for name in names]
    raise ConfigError(
        f"model class {type(mlm).__name__} has no known head (cls, lm_head, head + decoder); "
        "use a BERT-, RoBERTa- or ModernBERT-like masked language model"
    )
