"""The "Add & Norm" box of Figure 1. The only place that knows in which order."""

from collections.abc import Callable

from torch import Tensor, nn

from triptych.core.dropout import Dropout

Sublayer = Callable[[Tensor], Tensor]


class PostNorm(nn.Module):
    """LayerNorm(x + Dropout(Sublayer(x)))  — Vaswani et al. 2017, §3.1 and §5.4; BERT."""

    def __init__(self, d_model: int, *, dropout: float = 0.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return self.norm(x + self.dropout(sublayer(x)))  # type: ignore[no-any-return]


class PreNorm(nn.Module):
    """x + Dropout(Sublayer(LayerNorm(x)))  — Radford et al. 2019, §2.3."""

    def __init__(self, d_model: int, *, dropout: float = 0.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        return x + self.dropout(sublayer(self.norm(x)))  # type: ignore[no-any-return]
