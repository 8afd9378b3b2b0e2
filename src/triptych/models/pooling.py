"""From the vectors of tokens to one vector of a text — Reimers and Gurevych 2019, §3.

Shapes: B batch, T positions, E model width.
"""

import torch.nn.functional as F
from torch import Tensor

POOLINGS = ("cls", "mean", "max")


def pool(hidden: Tensor, valid: Tensor, mode: str) -> Tensor:
    """hidden [B, T, E], valid [B, T] (True = real) -> [B, E], in float32.

    cls: the first token's vector; mean and max: over all real tokens, special ones included.
    """
    hidden = hidden.float()
    if mode == "cls":
        return hidden[:, 0]
    real = valid[..., None]
    if mode == "max":
        return hidden.masked_fill(~real, float("-inf")).amax(dim=1)
    assert mode == "mean", mode
    return hidden.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1)


def normalized(vectors: Tensor) -> Tensor:
    """Each row [E] divided by its length (L2); a row of zeros stays one."""
    return F.normalize(vectors, dim=-1)
