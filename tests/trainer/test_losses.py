"""The masked-LM loss against its definition, written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.losses import IGNORE, LossSum, masked_lm


def naive(logits: torch.Tensor, targets: torch.Tensor) -> tuple[float, int]:
    total, weight = 0.0, 0
    for row, target in zip(
        logits.reshape(-1, logits.shape[-1]).tolist(), targets.flatten().tolist()
    ):
        if target == IGNORE:
            continue
        # Less the maximum, as exp of 710 is beyond float64.
        top = max(row)
        partition = math.fsum(math.exp(x - top) for x in row)
        total -= row[target] - top - math.log(partition)
        weight += 1
    return total, weight


def batch(seed: int, *, rows: int = 5, positions: int = 7, vocabulary: int = 11):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, positions, vocabulary, generator=generator) * 4
    targets = torch.randint(0, vocabulary, (rows, positions), generator=generator)
    hidden = torch.rand(rows, positions, generator=generator) < 0.6
    return logits, targets.masked_fill(hidden, IGNORE)


def test_closed_form_on_two_by_two():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
    loss = masked_lm(logits, torch.tensor([1, 0]))
    assert float(loss.total) == pytest.approx(math.log(4 / 3) + math.log(5 / 4), abs=1e-6)
    assert int(loss.weight) == 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_equals_the_double_loop(seed):
    logits, targets = batch(seed)
    total, weight = naive(logits, targets)
    loss = masked_lm(logits, targets)
    assert float(loss.total) == pytest.approx(total, rel=1e-5)
    assert int(loss.weight) == weight


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5))
def test_parts_add_up_to_the_whole(seed, cut):
    logits, targets = batch(seed)
    whole = masked_lm(logits, targets)
    parts = masked_lm(logits[:cut], targets[:cut]) + masked_lm(logits[cut:], targets[cut:])
    assert torch.allclose(parts.total, whole.total, rtol=1e-5)
    assert int(parts.weight) == int(whole.weight)


def test_padding_has_no_effect():
    logits, targets = batch(3)
    # Logits that would swamp the sum if one of them counted.
    padding = torch.full((5, 4, 11), 1e4)
    padded = masked_lm(
        torch.cat([logits, padding], 1), torch.cat([targets, torch.full((5, 4), IGNORE)], 1)
    )
    assert torch.equal(padded.total, masked_lm(logits, targets).total)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_at_large_logits(dtype):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=dtype, requires_grad=True)
    loss = masked_lm(logits, torch.tensor([1, 0]))
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert torch.isfinite(loss.total)
    assert torch.isfinite(logits.grad).all()
    # 2e4 from each row, but for log 2 of the two equal maxima; bf16 has 8 bits for 1e4.
    assert loss.total.item() == pytest.approx(4e4, rel=5e-3)


def test_gradient_in_float64():
    logits, targets = batch(5, rows=2, positions=3, vocabulary=4)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked_lm(x, targets).total, logits)


def test_nothing_to_predict_is_zero_not_nan():
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss = masked_lm(logits, torch.full((2, 3), IGNORE))
    loss.mean().backward()
    assert (loss.total.item(), int(loss.weight), loss.mean().item()) == (0.0, 0, 0.0)
    assert torch.equal(logits.grad, torch.zeros_like(logits))
    empty = masked_lm(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long))
    assert (float(empty.total), int(empty.weight)) == (0.0, 0)


def test_the_mean_divides_by_the_summed_weight():
    a = LossSum(torch.tensor(3.0), torch.tensor(1))
    b = LossSum(torch.tensor(1.0), torch.tensor(3))
    assert float((a + b).mean()) == 1.0


@pytest.mark.parametrize(("weight", "mean"), [(0, 0.0), (1, 3.0), (2, 1.5)])
def test_the_mean_divides_by_the_weight_and_is_zero_without_any(weight: int, mean: float) -> None:
    total = torch.tensor(3.0 if weight else 0.0)
    assert LossSum(total, torch.tensor(weight)).mean() == mean
