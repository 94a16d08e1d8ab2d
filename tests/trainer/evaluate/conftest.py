"""A tiny untrained model to evaluate."""

import pytest

from bitextile.trainer.train.pretrain import save_initial


@pytest.fixture
def model(config, tmp_path) -> str:
    path = str(tmp_path / "model")
    save_initial(config(), path)
    return path
