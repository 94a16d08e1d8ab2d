"""Useful floating-point operations of a step, for model FLOPs utilisation (MFU).

    forward(token)    2 P_body            each weight of a linear layer multiplies and adds once
    forward(input)    4 d L^2 per layer   Q K^T and the mean of V, over the input's own L tokens
    forward(position) 2 P_head            dense layer and vocabulary, at predicted positions only
    step              3 x forward         the backward pass costs twice the forward pass

Padding, other inputs in the row, the head at positions that are not predicted and what is computed
again count as nothing, however a kernel works; norms, softmax and embeddings are left out, a few
per mille. In a layer with a sliding window a token sees min(L, 2 window + 1) tokens.

Source: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1 and table 1; MFU: Chowdhery et al. 2022
(PaLM, arXiv 2204.02311), appendix B.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bitextile.trainer.data.packed import Packed
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.objective import PretrainBatch

PEAKS = {"H100 80GB HBM3": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16 operations per second of tensor cores, by how the device's name ends or, of an A100,
goes on ("NVIDIA A100-SXM4-80GB"): NVIDIA's figures for H100 and H200 (SXM) and A100. Other
devices, the slower cards of the same name among them, are given by `peak_flops`."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What the count needs to know of a model and its device.

    Attributes:
        body: weights of the linear layers of the body.
        head: weights of the head's, vocabulary included.
        width: size of a vector.
        windows: of each layer, the most tokens one sees; None for its whole input.
        peak_flops: of the device, operations per second.
    """

    body: int
    head: int
    width: int
    windows: tuple[int | None, ...]
    peak_flops: float


def geometry_of(encoder: Encoder, peak_flops: float) -> Geometry:
    """Returns the geometry of an encoder that is whole.

    Args:
        encoder: not sharded yet.
        peak_flops: of its device.
    """
    in_body = {id(p) for p in encoder.mlm.base_model.parameters()}
    linear = [m for m in encoder.mlm.modules() if isinstance(m, nn.Linear)]
    # The decoder is tied to the embeddings, which are of the body but multiply in the head.
    decoder = encoder.mlm.get_output_embeddings()
    body = [m for m in linear if id(m.weight) in in_body and m is not decoder]
    head = [m for m in linear if m not in body]
    return Geometry(
        body=sum(m.weight.numel() for m in body),
        head=sum(m.weight.numel() for m in head),
        width=encoder.width,
        windows=_windows(encoder.mlm.config),
        peak_flops=peak_flops,
    )


def _windows(config: Any) -> tuple[int | None, ...]:
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return tuple(
        2 * config.sliding_window + 1 if kind == "sliding_attention" else None for kind in kinds
    )


def step_flops(geometry: Geometry, batch: PretrainBatch) -> float:
    """Returns the useful operations that a step does for a micro-batch.

    Args:
        geometry: of the model.
        batch: of an objective.
    """
    trained = sum(_body_flops(geometry, packed) for packed in batch.packs)
    frozen = sum(_body_flops(geometry, packed) for packed in batch.frozen_packs)
    # What has no backward pass was counted three times in the first term.
    return 3.0 * (trained + 2.0 * geometry.head * batch.n_predictions) - 2.0 * frozen


def _body_flops(geometry: Geometry, packed: Packed) -> float:
    # Group 0 is padding.
    lengths = torch.bincount(packed.groups.flatten())[1:].double()
    # A token attends within its own input: L x L for each, or L x window where that is less.
    seen = sum(
        float((lengths * (lengths if w is None else lengths.clamp(max=w))).sum())
        for w in geometry.windows
    )
    return 2.0 * geometry.body * packed.n_tokens + 4.0 * geometry.width * seen


def peak_of(device: torch.device) -> float | None:
    """Returns the dense operations per second of a cuda device we know, else None."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next(
        (
            peak
            for model, peak in PEAKS.items()
            if name.endswith(model) or name.startswith(f"NVIDIA {model}-")
        ),
        None,
    )
