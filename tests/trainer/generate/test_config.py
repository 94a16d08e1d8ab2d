"""Settings of engines: bounds, and that reading them needs no torch."""

import subprocess
import sys

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import (
    CamlmConfig,
    CandidatesConfig,
    Ctranslate2Config,
    Seq2seqConfig,
)


def test_the_least_and_largest_values_are_taken() -> None:
    CamlmConfig(top_k=1, mask_predict_passes=0)
    Seq2seqConfig(beam_size=1, top_k=1)
    Ctranslate2Config(beam_size=1)
    CandidatesConfig(languages=("de",), top_k=1, min_probability=0.0, min_cosine=-1.0, min_count=1)
    CandidatesConfig(languages=("de",), min_probability=1.0, min_cosine=1.0)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (CamlmConfig, {"top_k": 0}, "top_k is 0"),
        (CamlmConfig, {"mask_predict_passes": -1}, "mask_predict_passes -1"),
        (Seq2seqConfig, {"beam_size": 0}, "beam_size is 0"),
        (Seq2seqConfig, {"top_k": 0}, "top_k 0"),
        (Ctranslate2Config, {"beam_size": 0}, "beam_size is 0"),
        (CandidatesConfig, {"languages": ()}, "expected one at least"),
        (CandidatesConfig, {"languages": ("de",), "top_k": 0}, "top_k 0"),
        (CandidatesConfig, {"languages": ("de",), "min_count": 0}, "min_count 0"),
        (CandidatesConfig, {"languages": ("de",), "min_probability": 1.01}, "1.01"),
        (CandidatesConfig, {"languages": ("de",), "min_cosine": -1.01}, "-1.01"),
    ],
)
def test_what_lies_beyond_is_refused(config, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**settings)


def test_reading_settings_imports_no_torch() -> None:
    code = (
        "import sys; import bitextile.trainer.generate.config; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
