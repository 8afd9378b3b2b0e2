"""How weights begin: one function a paper, each over a whole module."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from triptych.core.attention import MultiHeadAttention
from triptych.core.embeddings import ScaledEmbedding
from triptych.core.feed_forward import FeedForward
from triptych.core.positions import LearnedPositions, sinusoidal_table
from triptych.core.residual import PreNorm


@contextmanager
def without_memory() -> Iterator[None]:
    """Modules made within have shapes and no memory (torch's meta device); nothing is drawn."""
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    """Leaves out what gives weights their first values: on the meta device it would do nothing,
    after an import of torch's compiler, which takes over a second, or of sympy, a third of one."""

    NAMES = frozenset({"normal_", "uniform_", "trunc_normal_", "xavier_uniform_", "div_"})

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") in self.NAMES:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def initialize_vaswani(module: nn.Module) -> None:
    """Glorot-uniform projections, zero biases, embeddings N(0, 1/E) with a zero padding row.

    Vaswani et al. 2017 print no law. With the factor √E of §3.4 an embedding enters the
    stack with unit variance. Queries, keys and values begin smaller by √2, as if their
    three matrices were one for Glorot's bound: with larger ones attention is sharp before
    it knows where to look, and a small model may never learn to read its source.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, ScaledEmbedding):
            nn.init.normal_(part.weight, std=1 / math.sqrt(part.weight.size(1)))
            part.weight[part.pad_id] = 0
    for part in module.modules():
        if isinstance(part, MultiHeadAttention):
            for projection in (part.w_q, part.w_k, part.w_v):
                projection.weight /= math.sqrt(2)


@torch.no_grad()
def initialize_bert(module: nn.Module, std: float = 0.02, waves: bool = False) -> None:
    """Matrices and embeddings from N(0, std²) cut at two deviations, zero biases, norms 1 and 0.

    Devlin et al. 2018, the published code; the row of the padding token is zero. With `waves`,
    learned positions begin as the sinusoids of Vaswani et al. 2017, §3.5, at the same deviation:
    there a shift by some places is a linear map, which noise does not offer.
    """
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.reset_parameters()
        elif waves and isinstance(part, LearnedPositions):
            begin_as_waves(part, std)
        elif isinstance(part, nn.Linear | nn.Embedding | LearnedPositions):
            nn.init.trunc_normal_(part.weight, std=std, a=-2 * std, b=2 * std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            part.weight[part.padding_idx] = 0


def begin_as_waves(positions: LearnedPositions, std: float) -> None:
    """The sinusoids of Vaswani et al. 2017, §3.5, with deviation std: a wave's own is 1/√2."""
    table = sinusoidal_table(*positions.weight.shape)
    positions.weight.copy_(table * (std * math.sqrt(2)))


@torch.no_grad()
def initialize_gpt2(module: nn.Module, std: float = 0.02, waves: bool = False) -> None:
    """Matrices and embeddings from N(0, std²), positions from N(0, (std / 2)²), biases zero, norms
    1 and 0; what a sub-layer adds to the residual stream begins smaller by 1/√N.

    Radford et al. 2019, §2.3, N being the number of residual layers, two a block; where it is
    silent, the released code. With `waves` positions begin as in `initialize_bert`.
    """
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.reset_parameters()
        elif waves and isinstance(part, LearnedPositions):
            begin_as_waves(part, std)
        elif isinstance(part, LearnedPositions):
            nn.init.normal_(part.weight, std=std / 2)
        elif isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
    n_residuals = sum(isinstance(part, PreNorm) for part in module.modules())
    for part in module.modules():
        if isinstance(part, MultiHeadAttention):
            part.w_o.weight /= math.sqrt(n_residuals)
        elif isinstance(part, FeedForward):
            part.w_down.weight /= math.sqrt(n_residuals)
