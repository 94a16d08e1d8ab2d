"""What every run sets up: what decays, which device, which parts a state is made of."""

from itertools import islice

import pytest
import torch
from torch import nn

from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.packed import Layout
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.train.pretrain import open_pretraining
from bitextile.trainer.train.setup import build_optimiser, device_of_rank


def test_matrices_decay_and_biases_and_norms_do_not(config, datasets):
    entry = {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True}
    state = open_pretraining(config(data=[entry], weight_decay=0.25))
    decay = {id(p): g["weight_decay"] for g in state.optimiser.param_groups for p in g["params"]}
    modules = nn.ModuleList([state.encoder, state.objective_modules])
    named = dict(modules.named_parameters())
    assert decay.keys() == {id(p) for p in named.values()}
    for name, parameter in named.items():
        # Told by names here, by the number of dimensions in the code.
        spared = name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name
        assert decay[id(parameter)] == (0.0 if spared else 0.25), name


def test_a_bias_without_a_gradient_stays_and_a_matrix_shrinks(config):
    # One update on a gradient of zero moves what decays, and nothing else.
    state = open_pretraining(config(weight_decay=0.5, lr=0.1))
    optimiser = build_optimiser(state.config, state.encoder, nn.ModuleDict())
    layer = state.encoder.mlm.base_model.encoder.layer[0].output
    before = layer.dense.weight.detach().clone()
    nn.init.ones_(layer.dense.bias)
    for parameter in state.encoder.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert torch.allclose(layer.dense.weight, before * (1 - 0.1 * 0.5))
    assert torch.equal(layer.dense.bias, torch.ones_like(layer.dense.bias))
    assert torch.equal(layer.LayerNorm.weight, torch.ones_like(layer.LayerNorm.weight))


def test_frozen_parameters_are_not_updated(config, datasets):
    entry = {"objective": "moco", "dataset": datasets["pairs"], "queue": 8, "projection": 4}
    state = open_pretraining(config(data=[entry]))
    module = state.module_of(0)
    updated = {id(p) for p in state.parameters()}
    assert all(id(p) in updated for p in module.project.parameters())
    assert not any(id(p) in updated for p in module.key_body.parameters())


def test_adamw_is_that_of_roberta(config):
    state = open_pretraining(config(lr=3e-4))
    for group in state.optimiser.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (3e-4, (0.9, 0.98), 1e-6)


def test_streams_are_those_of_the_rank(config):
    group = ProcessGroup()
    state = open_pretraining(config(grad_accumulation=3), group=group)
    assert [(s.index, s.count) for s in state.streams] == [(0, 3), (1, 3), (2, 3)]
    assert state.counters == {s.index: s.state() for s in state.streams}


def test_collation_follows_the_configuration(config):
    state = open_pretraining(config(mask_rate=0.3, row_tokens=96, language_embeddings=True))
    collation = state.collation
    assert (collation.masking.rate, collation.width) == (0.3, 96)
    assert collation.layout is Layout.NARROW
    assert collation.languages == {"ar": 0, "en": 1}
    assert open_pretraining(config()).collation.languages is None


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own insides
def test_a_compiled_model_has_rows_of_one_width(config):
    assert open_pretraining(config(compile=True)).collation.layout is Layout.FIXED


def test_flex_attention_has_one_row_of_one_width(config):
    state = open_pretraining(config(attention="flex", model={"preset": "mini"}, batch_tokens=4096))
    assert (state.collation.layout, state.collation.width) == (Layout.ONE_ROW, 128)
    batches = islice(steps(state.streams, state.collation), 5)
    shapes = {tuple(one.batch.packed.inputs.shape) for step in batches for one in step}
    assert shapes == {(1, 4096)}


def test_a_cpu_is_taken_where_there_is_nothing_else(config):
    assert device_of_rank(config(device="cpu"), ProcessGroup()).type == "cpu"
    if not torch.cuda.is_available():
        assert device_of_rank(config(device="auto"), ProcessGroup()).type == "cpu"
        with pytest.raises(ConfigError, match="device is cuda, but torch finds none"):
            device_of_rank(config(device="cuda"), ProcessGroup())


def test_more_ranks_than_devices_are_refused(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    group = ProcessGroup(rank=6, size=8, local_rank=2)
    with pytest.raises(ConfigError, match="rank 6 is number 3 on this machine, which has 2 cuda"):
        device_of_rank(config(device="auto"), group)
    device = device_of_rank(config(device="auto"), ProcessGroup(rank=5, size=8, local_rank=1))
    assert device == torch.device("cuda", 1)
