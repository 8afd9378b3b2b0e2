"""Which kernel computes attention, by device, precision and length.

The choice is a fixed table and not a measurement at start-up: two kernels round
differently, so a choice by the clock would make two runs of one seed differ.
"""

import torch
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.runtime.causal import causal_attention, is_causal

LONGEST_PLAIN = 768
"""Keys up to which bf16 training on a CPU takes three plain products where a mask is not causal;
`benchmarks/kernels.py` saw them ahead up to 512 keys and behind at 768."""


def fast_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, p_drop: float = 0.0
) -> tuple[Tensor, None]:
    """`attention` without its weights, by the fastest of its three forms.

    The fused CPU kernel is slow backward in bf16 (up to nine times at short lengths,
    `benchmarks/`), and with dropout it is no fused one; there a causal mask has its strips
    (`runtime/causal.py`), and others plain products. Everywhere else the kernel wins.
    """
    trains_in_bf16 = q.dtype == torch.bfloat16 and q.requires_grad
    if q.device.type != "cpu" or not (p_drop or trains_in_bf16):
        return fused_attention(q, k, v, mask, p_drop)
    looks = not torch.compiler.is_compiling()  # into a mask, which would break the graph
    causal = looks and mask is not None and is_causal(mask, q.size(-2), k.size(-2))
    if not is_plain_on_cpu(k.size(-2), trains_in_bf16, p_drop, causal):
        return fused_attention(q, k, v, mask, p_drop)
    with torch.autocast("cpu", enabled=False):  # keep the softmax in bf16 too
        if mask is not None and causal:
            return causal_attention(q, k, v, mask, p_drop), None
        return attention(q, k, v, mask, p_drop)[0], None


def is_plain_on_cpu(n_keys: int, trains_in_bf16: bool, p_drop: float, causal: bool) -> bool:
    """Whether a CPU takes plain products, which hold the weights, and not one kernel."""
    return p_drop > 0 or (trains_in_bf16 and (causal or n_keys <= LONGEST_PLAIN))


def use_fast_attention(model: nn.Module) -> nn.Module:
    """Let every attention of a model choose its kernel; returns the model."""
    for part in model.modules():
        if isinstance(part, MultiHeadAttention):
            part.attend = fast_attention
    return model
