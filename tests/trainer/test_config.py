"""What a run is told: widths that fit, one model, settings that a resumed run may change."""

import pytest
from pydantic import ValidationError

from bitextile.trainer.config import FREE_ON_RESUME, ModelConfig, PretrainConfig

ENTRY = {"objective": "mlm", "dataset": "mono"}
RUN = {"tokenizer": "tokenizer", "data": [ENTRY], "steps": 10}


def test_it_is_frozen():
    config = PretrainConfig.model_validate(RUN)
    with pytest.raises(ValidationError):
        config.steps = 3


@pytest.mark.parametrize(
    ("settings", "width"), [({}, 256), ({"max_length": 512}, 512), ({"row_tokens": 2048}, 2048)]
)
def test_a_row_holds_the_longest_input(settings, width):
    assert PretrainConfig.model_validate(RUN | settings).width == width


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"row_tokens": 127}, "row_tokens is 127, less than max_length 128"),
        ({"batch_tokens": 127}, "batch_tokens is 127, less than max_length 128"),
    ],
)
def test_a_full_input_must_fit(settings, message):
    with pytest.raises(ValidationError, match=message):
        PretrainConfig.model_validate(RUN | settings)
    fitting = dict.fromkeys(settings, 128)
    assert PretrainConfig.model_validate(RUN | fitting)


def test_a_model_is_one_of_three():
    with pytest.raises(ValidationError, match="got nothing"):
        ModelConfig()
    with pytest.raises(ValidationError, match="got config and checkpoint"):
        ModelConfig(config={"model_type": "bert"}, checkpoint="a")
    assert ModelConfig(config={"model_type": "bert"}).preset is None


def test_what_may_change_on_resume_is_a_setting():
    assert set(PretrainConfig.model_fields) >= FREE_ON_RESUME
