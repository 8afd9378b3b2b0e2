"""What ELMo minimizes: the next word from the left and from the right.

Shapes: B sentences, T words with their marks, P width of a direction, N predictions, V vocabulary,
S words drawn.
"""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.loss import IGNORE, LossSum, chunked_cross_entropy
from triptych.training.objectives import output_projection

ROWS_TOGETHER = 128
"""Numbers of predictions and of drawn words come in few sizes: libraries make code for each."""


class SentenceBatch(Protocol):
    """Characters [B, T, C]; validity [B, T]; the id of each word [B, T], IGNORE where padded."""

    @property
    def character_ids(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def targets(self) -> Tensor: ...


class BidirectionalObjective:
    """Σ log p(next word) from the left and from the right — Peters et al. 2018, §3.1.

    With `n_samples` a model in training meets the softmax over so many drawn words
    (`sampled_cross_entropy`); otherwise, and always in evaluation, over the whole vocabulary, in
    chunks.
    """

    terms = ("forward_nll", "backward_nll")

    def __init__(self, n_samples: int = 0) -> None:
        """0 samples mean the whole vocabulary in training too."""
        self.n_samples = n_samples

    def __call__(self, model: nn.Module, batch: SentenceBatch) -> tuple[LossSum, LossSum]:
        hidden: Tensor = model(batch.character_ids, batch.valid)
        weight, bias = output_projection(model)
        forward, backward = (
            self._loss(model.training, states, weight, bias, targets)
            for states, targets in predictions(hidden, batch.targets)
        )
        return forward, backward

    def _loss(
        self, training: bool, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
    ) -> LossSum:
        if training and 0 < self.n_samples < len(weight):
            return sampled_cross_entropy(hidden, weight, bias, targets, self.n_samples)
        return chunked_cross_entropy(hidden, weight, bias, targets)


def predictions(hidden: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(states [N, P], words to predict [N]) from the left, then from the right.

    hidden [B, T, 2P], targets [B, T]. From the left every word but the first mark is predicted,
    from the right every one but the last.
    """
    left, right = hidden.chunk(2, dim=2)
    real = targets[:, 1:] != IGNORE  # [B, T - 1]: a pair of neighbours, both words
    return [
        (left[:, :-1][real], targets[:, 1:][real]),
        (right[:, 1:][real], targets[:, :-1][real]),
    ]


def sampled_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, n_samples: int
) -> LossSum:
    """−log p(target) among the target and some drawn words, each score less log E[times drawn].

    Jean et al. 2015, §3, as TensorFlow's sampled softmax, which the released code uses: one draw
    for all predictions, of ids in order of frequency, P(k) = log((k + 2) / (k + 1)) / log(V + 1);
    a word drawn twice counts once, and the target not among the others. The draw comes from
    torch's generator of the CPU. hidden [N, P], weight [V, P], bias [V], targets [N].
    """
    n_classes = len(weight)
    drawn = (torch.rand(n_samples, dtype=torch.float64) * math.log(n_classes + 1)).exp() - 1
    ids = torch.unique(drawn.long().clamp(max=n_classes - 1)).to(hidden.device)  # [S]
    n, n_drawn = len(targets), len(ids)
    hidden, targets, ids = _filled_up(hidden), _filled_up(targets), _filled_up(ids)
    own = (hidden * weight[targets]).sum(dim=1).float() + bias[targets]  # [N]
    own = own - log_expected_count(targets, n_classes, n_samples)
    others = (hidden @ weight[ids].T).float() + bias[ids]  # [N, S]
    others = others - log_expected_count(ids, n_classes, n_samples)
    others = others.masked_fill(targets[:, None] == ids, float("-inf"))
    others[:, n_drawn:] = float("-inf")
    nll = (torch.cat([own[:, None], others], dim=1).logsumexp(dim=1) - own)[:n].sum()
    return LossSum(nll, nll.detach(), n)


def _filled_up(rows: Tensor) -> Tensor:
    """rows [N, …] and zeros up to a multiple of `ROWS_TOGETHER`."""
    return F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, -len(rows) % ROWS_TOGETHER))


def log_expected_count(ids: Tensor, n_classes: int, n_samples: int) -> Tensor:
    """log(1 − (1 − P(k))^n): the expected times that id k is among those drawn [N]."""
    k = ids.double()
    p = ((k + 2) / (k + 1)).log() / math.log(n_classes + 1)
    return (-torch.expm1(n_samples * torch.log1p(-p))).log().float()
