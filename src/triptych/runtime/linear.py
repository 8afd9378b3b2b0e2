"""x Wᵀ + b, with or without an activation, by the faster of two kernels.

torch gives float32 products on a CPU to one library and bf16 ones to another (oneDNN). On AMD's
processors the second is two to three times as fast at an encoder's shapes, and it can apply GELU
while a result is still in the cache. It gives no gradients here.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.products import has_onednn
from triptych.models.gpt import ACTIVATIONS

Activation = Callable[[Tensor], Tensor]
FUSED: Mapping[Activation, tuple[str, str]] = {
    ACTIVATIONS["gelu_tanh"]: ("gelu", "tanh"),
    F.gelu: ("gelu", "none"),
    F.relu: ("relu", ""),
}
"""Activations that oneDNN applies while a result is still in the cache. Its ReLU makes 0 of what is
no number."""


def fused(activation: Activation | None) -> tuple[str, str, Activation | None]:
    """What oneDNN calls an activation, and how it computes it; and what is left to apply."""
    if activation is None or activation in FUSED:
        return *FUSED.get(activation, ("none", "")), None  # type: ignore[arg-type]
    return "none", "", activation


def fast_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: Activation | None = None,
) -> Tensor:
    """act(x Wᵀ + b): x [..., I], weight [O, I], bias [O] or none -> [..., O]; without gradients."""
    if x.device.type == "cpu" and has_onednn():
        name, algorithm, left = fused(activation)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, [], algorithm)
        return y if left is None else left(y)
    y = F.linear(x, weight, bias)
    return y if activation is None else activation(y)
