"""The head of a masked language model: what lies between its last layer and its logits."""

import pytest
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM

from bitextile.schema.errors import ConfigError
from bitextile.trainer.model.heads import head_of

SIZE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 16,
}


@pytest.mark.parametrize(
    ("model_type", "names"),
    [("bert", ["cls"]), ("xlm-roberta", ["lm_head"]), ("modernbert", ["head", "decoder"])],
)
def test_the_modules_of_each_form(model_type, names):
    # ModernBERT's defaults are ids beyond this vocabulary of 40.
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    special |= {"cls_token_id": 1, "sep_token_id": 2}
    mlm = AutoModelForMaskedLM.from_config(AutoConfig.for_model(model_type, **SIZE, **special))
    assert head_of(mlm) == [getattr(mlm, name) for name in names]


def test_another_model_is_refused():
    with pytest.raises(ConfigError, match="model class Linear has no known head"):
        head_of(nn.Linear(1, 1))
