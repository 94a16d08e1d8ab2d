"""Linear layers of a model that only infers, faster on a CPU.

The transforms that run an encoder do the same (transforms/align_encoder.py): neither of the two
packages may import the other, and the kernels below both know no torch.
"""

from functools import partial
from typing import Any

import torch
from torch import nn

from bitextile.trainer.generate.parallel import BATCH_TOKENS


def pack_linear_layers(model: nn.Module) -> None:
    """Lets oneDNN multiply by weights packed once, where torch was built with it.

    Half the time of MKL's product, which `Linear` calls, on an AMD core (EPYC). The model can only
    infer from then on.
    """
    ops = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(ops, "_linear_pointwise")):
        return
    with torch.inference_mode():
        for layer in model.modules():
            if type(layer) is nn.Linear:
                weight = ops._reorder_linear_weight(layer.weight, BATCH_TOKENS["cpu"])
                layer.forward = partial(_multiply, weight, layer.bias)  # type: ignore[method-assign]
                layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)  # held once


def _multiply(weight: Any, bias: Any, vectors: torch.Tensor) -> Any:
    return torch.ops.mkldnn._linear_pointwise(vectors, weight, bias, "none", [], "")
