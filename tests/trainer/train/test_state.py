"""The state of a run: names of entries, modules of objectives, the precision to compute in."""

import pytest
import torch

from bitextile.trainer.train.pretrain import open_pretraining


@pytest.fixture
def entries(datasets) -> list[dict]:
    return [
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True},
        {"objective": "mlm", "dataset": datasets["pairs"]},
    ]


def test_entries_are_named_by_objective_with_an_index_where_two_share_one(config, entries):
    assert open_pretraining(config(data=entries)).labels() == ["mlm.0", "weam", "mlm.2"]


def test_a_module_belongs_to_its_entry(config, entries):
    state = open_pretraining(config(data=entries))
    assert isinstance(state.module_of(1), torch.nn.Linear)
    assert state.module_of(0) is None
    assert {id(p) for p in state.module_of(1).parameters()} <= {id(p) for p in state.parameters()}


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)],
)
def test_the_precision_is_that_of_the_configuration(config, precision, dtype):
    state = open_pretraining(config(precision=precision))
    with state.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
