"""Losses and gradients of each objective on the device, against the CPU in float32.

Each objective gets one micro-batch. The CPU computes its loss and gradient with a dense mask in
float32; the device does so with either attention and either precision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from setting import ENTRIES, SMALL, Row, Setting

from bitextile.trainer.data.loader import steps
from bitextile.trainer.train.pretrain import open_pretraining

TOLERANCES = {"fp32": (1e-4, 2e-3), "bf16": (1e-2, 8e-2)}
"""Relative difference of the losses and of the gradient, in the Euclidean norm. bf16 has 8 bits:
rounding each product to 2^-9 leaves some per cent of a gradient through two layers."""


@dataclass(frozen=True)
class Result:
    """Losses by part, and the gradient of all parameters in one vector, both on the CPU."""

    losses: dict[str, float]
    gradient: torch.Tensor


def result(setting: Setting, objective: str, **settings: Any) -> Result:
    """Returns the losses and the gradient of the first micro-batch of an objective."""
    config = setting.config(
        objective, model={"config": SMALL}, batch_tokens=2048, max_length=64, **settings
    )
    state = open_pretraining(config)
    state.encoder.train()
    batch = next(steps(state.streams, state.collation))[0].batch.to(state.device)
    with state.autocast():
        parts = state.entries[0].objective.losses(state.encoder, state.module_of(0), batch)
    sum((p.mean() for p in parts.values()), torch.zeros((), device=state.device)).backward()
    gradients = [
        (torch.zeros_like(p) if p.grad is None else p.grad).detach().float().cpu().flatten()
        for p in state.parameters()
    ]
    losses = {name: float(part.mean()) for name, part in parts.items()}
    return Result(losses, torch.cat(gradients))


def differences(found: Result, expected: Result) -> tuple[float, float]:
    """Returns the largest relative difference of a loss, and that of the gradient."""
    loss = max(
        abs(found.losses[name] - value) / max(abs(value), 1e-6)
        for name, value in expected.losses.items()
    )
    gap = (found.gradient - expected.gradient).norm() / expected.gradient.norm()
    return loss, float(gap)


def variants(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yields what the device computes with; FlexAttention has no backward pass on a CPU."""
    cuda = setting.device.type == "cuda"
    for attention in ("dense", "flex") if cuda else ("dense",):
        for precision in ("fp32", "bf16"):
            yield {"attention": attention, "precision": precision}


def row(what: str, precision: str, found: Result, expected: Result) -> Row:
    """Returns the row of a comparison."""
    loss, gradient = differences(found, expected)
    at_most = TOLERANCES[precision]
    met = loss <= at_most[0] and gradient <= at_most[1]
    value = f"loss {loss:.1e}, gradient {gradient:.1e} (at most {at_most[0]:.0e}, {at_most[1]:.0e})"
    return Row("equality", what, value, "", met)


def rows(setting: Setting) -> list[Row]:
    """Returns a row per objective and variant, and one for gradient checkpointing."""
    found = []
    chosen = list(variants(setting))
    # On a CPU it is the script that is tried, not the CPU.
    for objective in ("weam", "camlm", "moco") if setting.tiny else ENTRIES:
        expected = result(setting, objective, device="cpu", attention="dense", precision="fp32")
        for variant in chosen:
            torch.compiler.reset()
            name = f"{objective}, {variant['attention']}, {variant['precision']}"
            try:
                here = result(setting, objective, **variant)
                found.append(row(name, variant["precision"], here, expected))
            except Exception as error:  # noqa: BLE001 - the other objectives are still wanted
                reason = f"{type(error).__name__}: {str(error)[:200]}"
                found.append(Row("equality", name, reason, "", False))
    return found + more_rows(setting, chosen[-1])


def more_rows(setting: Setting, variant: dict[str, Any]) -> list[Row]:
    """Returns rows of what must change nothing: checkpointing, compiling."""
    found = []
    plain = {**variant, "precision": "fp32"}
    expected = result(setting, "weam", device="cpu", attention="dense", precision="fp32")
    here = result(setting, "weam", gradient_checkpointing=True, **plain)
    found.append(row("weam, gradient checkpointing", "fp32", here, expected))
    torch.compiler.reset()
    here = result(setting, "weam", compile=True, **plain)
    found.append(row("weam, torch.compile", "fp32", here, expected))
    return found
