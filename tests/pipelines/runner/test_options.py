"""How a command runs."""

import pytest

from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.errors import ConfigError


def test_a_negative_number_of_workers_is_refused() -> None:
    assert RunOptions(workers=0).workers == 0
    with pytest.raises(ConfigError, match="workers is -1"):
        RunOptions(workers=-1)
