"""Options of the HMM aligner: ranges, choices, paths, and the way into a model's file and back."""

from dataclasses import fields
from pathlib import Path

import pytest

from bitextile.kernels.align.config import FitSample
from bitextile.kernels.align.hmm.config import HmmConfig, HmmModelConfig
from bitextile.schema.errors import ConfigError

OUT_OF_RANGE = {
    "ibm1_iterations": 0,
    "hmm_iterations": 0,
    "null_start": 0.0,
    "p_null": 1.0,
    "null_smoothing": 0.0,
    "min_association": -0.1,
    "max_singleton_frequency": -1,
    "min_translation": 1.0,
    "class_letters": 0,
    "class_ideographs": 0,
    "class_syllables": 0,
    "class_isolating": 0,
    "class_weight": -1.0,
    "same_word_weight": -1.0,
    "same_prefix_weight": -1.0,
    "floor": 1e-13,
    "jump_window": 0,
    "jump_smoothing": 0.0,
    "jump_reach": 0.5,
    "state_cut": 0.1,
    "max_words": 15,
}


def test_every_field_has_a_range_and_a_value_outside_is_refused_by_name() -> None:
    assert set(OUT_OF_RANGE) == {field.name for field in fields(HmmModelConfig)}
    for name, value in OUT_OF_RANGE.items():
        with pytest.raises(ConfigError, match=f"{name} is {value}, out of its range; the default"):
            HmmModelConfig(**{name: value})


@pytest.mark.parametrize(
    "ends",
    [
        {"floor": 1e-12, "jump_window": 1000, "max_words": 4000, "class_weight": 0.0},
        {"min_translation": 0.0, "state_cut": 0.0, "max_words": 16, "jump_window": 1},
        {"jump_reach": 1.0, "max_singleton_frequency": 0, "min_association": 0.0},
    ],
)
def test_the_ends_of_ranges_are_inside(ends: dict[str, float]) -> None:
    config = HmmModelConfig(**ends)
    assert HmmModelConfig.from_json(config.to_json()) == config


def test_a_field_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown field 'fertility'"):
        HmmModelConfig.from_json({"fertility": 1})


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"threshold": -0.1}, "threshold is -0.1"),
        ({"sample_pairs": 0}, "sample_pairs is 0"),
        ({"symmetrize": "best"}, "symmetrize is 'best', expected one of intersect, .*posterior"),
        ({"lexicons": ("en-de.txt",)}, "expected SRC,TGT=PATH"),
    ],
)
def test_a_wrong_configuration_is_refused(field: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HmmConfig(**field)


def test_it_is_fitted_on_a_sample_and_names_no_encoder() -> None:
    config = HmmConfig(sample_pairs=7, seed=3, threshold=0.0)
    assert config.fit_sample == FitSample(7, 3)
    assert config.encoders == ()
    assert config.reproducible
    config.check_installed()


def test_paths_of_lexicons_are_relative_to_a_folder() -> None:
    config = HmmConfig(lexicons=("en,de=d.txt", "fr,en=/x/f.txt"))
    resolved = config.resolve_paths(Path("/recipes"))
    assert resolved.lexicons == ("en,de=/recipes/d.txt", "fr,en=/x/f.txt")
    sources = resolved.lexicon_sources()
    assert {key: source.src_lang for key, source in sources.items()} == {
        "de-en": "en",
        "en-fr": "fr",
    }
