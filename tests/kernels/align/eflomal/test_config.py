"""Options of the eflomal aligner."""

from pathlib import Path

import pytest

from bitextile.kernels.align.config import FitSample
from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.schema.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"model": 4}, "model is 4"),
        ({"length": 0.0}, "length is 0.0"),
        ({"null_prior": 0.0}, "null_prior is 0.0"),
        ({"null_prior": 1.0}, "null_prior is 1.0"),
        ({"sample_pairs": 0}, "sample_pairs is 0"),
        ({"symmetrize": "posterior"}, "symmetrize is 'posterior', expected one of intersect"),
    ],
)
def test_a_wrong_configuration_is_refused(field: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EflomalConfig(**field)


def test_what_pipelines_ask_of_it(fake, tmp_path) -> None:
    config = EflomalConfig(bin_dir="e/bin", sample_pairs=9, seed=2, length=0.5, model=2)
    assert config.fit_sample == FitSample(9, 2)
    assert (config.encoders, config.lexicon_sources()) == ((), {})
    assert not config.reproducible
    assert not config.takes_lexicon
    options = config.resolve_paths(Path("/r")).options
    assert (options.bin_dir, options.length, options.model) == ("/r/e/bin", 0.5, 2)
    assert EflomalConfig().resolve_paths(Path("/r")) == EflomalConfig()
    EflomalConfig(bin_dir=fake.bin_dir).check_installed()
    with pytest.raises(ConfigError, match="eflomal-align is not in"):
        EflomalConfig(bin_dir=str(tmp_path)).check_installed()
