"""The position-wise feed-forward network."""

from collections.abc import Callable

from torch import Tensor, nn


class FeedForward(nn.Module):
    """FFN(x) = act(x W_up + b_up) W_down + b_down  — Vaswani et al. 2017, equation 2.

    x [B, T, E] -> [B, T, E], through [B, T, F]. The paper's act is the rectifier.
    """

    def __init__(self, d_model: int, d_ff: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.w_up = nn.Linear(d_model, d_ff)
        self.w_down = nn.Linear(d_ff, d_model)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.w_down(self.activation(self.w_up(x)))  # type: ignore[no-any-return]
