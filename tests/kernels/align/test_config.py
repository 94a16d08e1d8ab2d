"""What all configurations share: choices, ranges, and answers that suit most aligners."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from bitextile.kernels.align.config import (
    AlignerConfig,
    Heuristic,
    Symmetrization,
    check_choices,
    check_ranges,
)
from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PlainConfig(AlignerConfig):
    aligner: str = "plain"
    segmenter: str = "auto"
    size: int = 3

    def aligner_class(self):
        raise NotImplementedError


def test_posterior_is_the_one_symmetrisation_that_is_no_heuristic() -> None:
    assert get_args(Symmetrization) == (*get_args(Heuristic), "posterior")


def test_what_is_not_said_otherwise() -> None:
    config = PlainConfig()
    assert (config.fit_sample, config.encoders, config.lexicon_sources()) == (None, (), {})
    assert (config.takes_lexicon, config.reproducible) == (False, True)
    assert config.resolve_paths(Path("/r")) is config
    config.check_installed()


def test_the_first_field_that_is_wrong_is_named_with_its_value() -> None:
    config = PlainConfig()
    with pytest.raises(ConfigError, match="align: size is 3, out of its range; see PlainConfig"):
        check_ranges(config, segmenter=True, size=False, aligner=False)
    with pytest.raises(ConfigError, match="align: aligner is 'plain', expected one of a, b"):
        check_choices(config, segmenter=("auto",), aligner=("a", "b"))
    check_ranges(config, size=True)
    check_choices(config, segmenter=("auto",))
