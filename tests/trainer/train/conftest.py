"""A mixture that tests of whole runs train on."""

import pytest


@pytest.fixture(scope="module")
def mixture(datasets) -> list[dict]:
    return [
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True},
        {"objective": "tlm", "dataset": datasets["exchange"], "weight": 0.5},
    ]


@pytest.fixture
def mixed(config, mixture):
    settings = {"data": mixture, "steps": 8, "grad_accumulation": 2, "checkpoint_every": 3}
    return lambda **more: config(**(settings | {"keep_checkpoints": 9} | more))
