"""Dropout that is cheap where random numbers are dear."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def drop_threshold(probability: float) -> int:
    """How many of 256 byte values mean "drop": the nearest to the probability asked for.

    At most 255, so that something is always kept.
    """
    return min(255, round(probability * 256))


def keep_mask(like: Tensor, threshold: int) -> Tensor:
    """Ones shaped and typed as `like`, zero with probability threshold / 256.

    One random byte an element: eight come from each 64-bit draw of torch's own CPU
    generator, so a saved generator state repeats them. Torch's own dropout draws a
    number for each element, which on a CPU takes several times as long
    (`benchmarks/kernels.py`).
    """
    n_words = (like.numel() + 7) // 8
    words = torch.empty(n_words, dtype=torch.int64).random_(-(2**63), None)
    below = words.view(torch.uint8)[: like.numel()].to(torch.int16).sub_(threshold)
    # The sign, spread over all 16 bits, is 0 or −1. Torch's comparisons, and its boolean tensors,
    # are several times as slow on a CPU.
    return below.bitwise_right_shift_(15).add_(1).to(like.dtype).view(like.shape)


def scaled_keep_mask(like: Tensor, probability: float) -> Tensor:
    """What `dropout` multiplies by on a CPU: zero, or what keeps the expectation."""
    threshold = drop_threshold(probability)
    return keep_mask(like, threshold).mul_(256 / (256 - threshold))


def dropout(x: Tensor, probability: float) -> Tensor:
    """Zero each element with a probability and scale the rest — Vaswani et al. 2017, §5.4.

    On a CPU the probability is rounded to a 256th (0.1 becomes 0.1016, 0.3 becomes
    0.3008) and the scale uses the rounded value, so the expectation is exact; in
    bfloat16 the scale is itself rounded, as in torch's own. Elsewhere it is torch's own.
    """
    if probability == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    return x * scaled_keep_mask(x, probability)


class Dropout(nn.Module):
    """`dropout` while training, the identity afterwards."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout must be in [0, 1), not {probability}")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.probability) if self.training else x

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
