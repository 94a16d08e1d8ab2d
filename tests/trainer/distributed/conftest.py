"""A mixture that tests of several processes train on."""

import pytest
import yaml


@pytest.fixture
def written(config, datasets, tmp_path):
    """Writes a configuration of a mixture and returns it and its file."""
    mixture = [
        {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True},
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "moco", "dataset": datasets["pairs"], "queue": 24, "projection": 8},
        {"objective": "camlm", "dataset": datasets["pairs"]},
    ]
    base = {"data": mixture, "steps": 16, "grad_accumulation": 6, "checkpoint_every": 2}

    def write(name: str = "run.yaml", **more: object):
        made = config(**(base | {"batch_tokens": 128, "keep_checkpoints": 3} | more))
        path = tmp_path / name
        path.write_text(yaml.safe_dump(made.model_dump(mode="json")))
        return made, path

    return write
