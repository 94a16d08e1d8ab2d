"""Packed layers multiply as before, to the rounding of another order of sums."""

import torch
from torch import nn

from bitextile.trainer.generate.packed_linear import pack_linear_layers


def test_packed_layers_multiply_as_before() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 8, bias=False))
        inputs = torch.randn(5, 24)
    with torch.inference_mode():
        want = model(inputs)
        # One layer with a bias and one without: the packed product takes both.
        pack_linear_layers(model)
        assert torch.allclose(model(inputs), want, atol=1e-5)
