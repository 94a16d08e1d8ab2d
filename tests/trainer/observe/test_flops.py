"""Useful operations, counted another way: by torch, on inputs that are not packed."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.loader import collated_batch
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.observe.flops import geometry_of, peak_of, step_flops
from bitextile.trainer.train.pretrain import open_pretraining, pretrain


@pytest.mark.parametrize("objective", ["mlm", "weam"])
def test_the_count_is_what_torch_counts_without_packing(config, datasets, objective):
    data = [{"objective": objective, "dataset": datasets["aligned"]}]
    state = open_pretraining(config(data=data, peak_flops=1e12))
    batch = collated_batch(state.streams[0], state.collation)
    packed, encoder = batch.batch.packed, state.encoder
    encoder.eval()
    encoder.mlm.set_attn_implementation("eager")  # its two products are counted for certain
    forward = 0
    for group in range(1, int(packed.groups.max()) + 1):
        ids = packed.inputs[packed.groups == group][None]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder.mlm.base_model(input_ids=ids)
        forward += counter.get_total_flops()
    # WEAM predicts each position twice: from its own vector and from the exchanged one.
    n_heads = {"mlm": 1, "weam": 2}[objective]
    vectors = torch.zeros(n_heads * len(batch.batch.targets), encoder.width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder.logits(vectors)
    forward += counter.get_total_flops()
    assert step_flops(state.geometry, batch.batch) == pytest.approx(3 * forward, rel=1e-6)


def test_keys_of_moco_have_no_backward_pass(config, datasets):
    data = [{"objective": "moco", "dataset": datasets["pairs"], "tlm": False}]
    state = open_pretraining(config(data=data, peak_flops=1e12))
    batch = collated_batch(state.streams[0], state.collation)
    query, key = batch.batch.query, batch.batch.key
    geometry = state.geometry
    # Three times the query, once the keys; the rest is attention, less than half at this length.
    linear = 2 * geometry.body * (3 * query.n_tokens + key.n_tokens)
    assert linear < step_flops(geometry, batch.batch) < 1.5 * linear


def test_the_geometry_of_modernbert_has_windows(config):
    state = open_pretraining(config())
    small = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    model = {"model_type": "modernbert", "intermediate_size": 64, "local_attention": 16} | small
    encoder = build_encoder(ModelConfig(config=model), state.tokenizer, max_length=64, seed=0)
    geometry = geometry_of(encoder, 1.0)
    # Three layers: Q, K, V and output of 32 x 32, and a gated feed-forward of three 32 x 64.
    assert geometry.body == 3 * (4 * 32 * 32 + 3 * 32 * 64)
    assert geometry.head == 32 * 32 + 32 * state.tokenizer.size
    assert None in geometry.windows
    assert len(set(geometry.windows)) == 2


def test_mfu_is_a_metric_where_the_peak_is_known(config, tmp_path):
    import json

    assert peak_of(torch.device("cpu")) is None
    pretrain(config(steps=1), str(tmp_path / "without"))
    pretrain(config(steps=1, peak_flops=1e9), str(tmp_path / "with"))
    without, known = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("without", "with")
    )
    assert "mfu" not in without
    assert known["mfu"] > 0


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H200 NVL", None),
    ],
)
def test_slower_cards_of_the_same_name_are_not_taken_for_it(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert peak_of(torch.device("cuda")) == peak
