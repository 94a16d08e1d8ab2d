"""Gradients of a step: summed exactly, measured over all parameters, clipped as torch clips."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitextile.trainer.distributed.gradients import (
    GradientSums,
    all_reduce_gradients,
    clip_gradients,
)
from bitextile.trainer.distributed.process_group import SINGLE_PROCESS


def parameters(*gradients: list[float] | None) -> list[nn.Parameter]:
    made = []
    for gradient in gradients:
        made.append(nn.Parameter(torch.zeros(len(gradient or [0.0]))))
        made[-1].grad = None if gradient is None else torch.tensor(gradient)
    return made


def test_a_long_gradient_is_scaled_to_the_limit_by_hand():
    given_ = parameters([3.0, 0.0], [4.0], None)
    assert clip_gradients(given_, 1.0) == pytest.approx(5.0)
    assert given_[0].grad.tolist() == pytest.approx([0.6, 0.0])
    assert given_[1].grad.tolist() == pytest.approx([0.8])
    assert given_[2].grad is None


@pytest.mark.parametrize("max_norm", [0.0, 5.0, 9.0])
def test_a_short_gradient_and_one_without_a_limit_stay(max_norm):
    given_ = parameters([3.0, 0.0], [4.0])
    assert clip_gradients(given_, max_norm) == pytest.approx(5.0)
    assert [p.grad.tolist() for p in given_] == [[3.0, 0.0], [4.0]]


def test_no_gradient_has_norm_zero():
    assert clip_gradients(parameters(None), 1.0) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 3.0))
def test_clipping_is_that_of_torch(seed, max_norm):
    generator = torch.Generator().manual_seed(seed)
    gradients = [torch.randn(7, 3, generator=generator), torch.randn(5, generator=generator)]
    mine, theirs = ([nn.Parameter(torch.zeros_like(g)) for g in gradients] for _ in range(2))
    for a, b, gradient in zip(mine, theirs, gradients):
        a.grad, b.grad = gradient.clone(), gradient.clone()
    norm = clip_gradients(mine, max_norm)
    assert norm == pytest.approx(float(nn.utils.clip_grad_norm_(theirs, max_norm)), rel=1e-6)
    for a, b in zip(mine, theirs):
        assert torch.allclose(a.grad, b.grad, rtol=1e-6)
    after = math.hypot(*(float(p.grad.norm()) for p in mine))
    assert after <= max_norm * (1 + 1e-5) or after == pytest.approx(norm)


def test_sums_over_micro_batches_are_exact_in_any_order():
    # In float32 1e8 + 1 - 1e8 is 0 or 1, as the order has it.
    for order in ([1e8, 1.0, -1e8], [1.0, 1e8, -1e8], [1e8, -1e8, 1.0]):
        (parameter,) = parameters(None)
        sums = GradientSums([parameter])
        for value in order:
            parameter.grad = torch.tensor([value])
            sums.add_micro_batch()
            assert parameter.grad is None
        sums.all_reduce(SINGLE_PROCESS)
        assert parameter.grad.tolist() == [1.0]
        assert parameter.grad.dtype == torch.float32


def test_a_parameter_that_no_micro_batch_uses_stays_without_a_gradient():
    used, unused = parameters(None, None)
    sums = GradientSums([used, unused])
    used.grad = torch.tensor([2.0])
    sums.add_micro_batch()
    sums.add_micro_batch()
    sums.all_reduce(SINGLE_PROCESS)
    assert used.grad.tolist() == [2.0]
    assert unused.grad is None


def test_a_single_process_keeps_its_gradients():
    used, unused = parameters([2.0], None)
    all_reduce_gradients([used, unused], SINGLE_PROCESS)
    assert used.grad.tolist() == [2.0]
    assert unused.grad is None
