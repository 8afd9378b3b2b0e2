"""How weights begin: one function a paper, each over a whole module."""

import math

import torch
from torch import nn

from triptych.core.embeddings import ScaledEmbedding


@torch.no_grad()
def initialize_vaswani(module: nn.Module) -> None:
    """Glorot-uniform projections, zero biases, embeddings N(0, 1/E) with a zero padding row.

    Vaswani et al. 2017 print no law; this is that of their released code: with the
    factor √E of §3.4 an embedding enters the stack with unit variance.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, ScaledEmbedding):
            nn.init.normal_(part.weight, std=1 / math.sqrt(part.weight.size(1)))
            part.weight[part.pad_id] = 0
